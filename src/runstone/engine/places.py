"""How many dispatches a worker has at a time of each queue. What it is handed beyond that goes back into line.

A queue hands every one of its workers as many as the one with the most slots takes (its width), as it knows one number
for all. A worker with fewer gives the rest back, and keeps the threads in which they came: as long as those are there
the queue counts them, and hands over no more than the worker has places for. So each is given back once, not again and
again.
"""

import threading
from collections.abc import Mapping


class Places:
    """The places of one worker, by queue. Thread-safe."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = dict(counts)
        self._free = dict(counts)
        self._kept = dict.fromkeys(counts, 0)
        self._leaving = dict.fromkeys(counts, 0)
        self._changed = threading.Condition()
        self._closed = False

    def take(self, queue: str) -> bool:
        """Takes a place; False where all are taken."""
        with self._changed:
            if self._free[queue] <= 0:
                return False
            self._free[queue] -= 1
            return True

    def give(self, queue: str) -> None:
        """Gives a place up."""
        with self._changed:
            self._free[queue] += 1

    def keep(self, queue: str) -> None:
        """Keeps this thread, in which one came that was given back, until the queue's width has no use for it."""
        with self._changed:
            self._kept[queue] += 1
            self._changed.wait_for(lambda: self._closed or self._leaving[queue] > 0)
            self._kept[queue] -= 1
            if not self._closed:
                self._leaving[queue] -= 1

    def fit(self, queue: str, width: int) -> None:
        """Lets threads go that a narrower queue would count for more than there is to it."""
        with self._changed:
            surplus = self._kept[queue] - max(0, width - self._counts[queue])
            self._leaving[queue] = max(0, surplus)
            self._changed.notify_all()

    def close(self) -> None:
        """Lets all threads go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
