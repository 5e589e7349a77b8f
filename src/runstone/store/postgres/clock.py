"""The database's clock, which decides on shared ledgers: machines' own clocks may differ, leases must not."""

import time
from collections import deque
from typing import Final, final

from runstone.store.clock import SystemClock

KEPT: Final = 64
"""So many of the last times that the server told are looked at."""


@final
class ServerClock:
    """The server's time between its answers, by this machine's clock. Thread-safe."""

    def __init__(self) -> None:
        self._own = SystemClock()
        self._ahead: deque[int] = deque(maxlen=KEPT)
        self._offset = 0

    def now(self) -> int:
        """Wall time of the server in microseconds since the epoch."""
        return self._own.now() + self._offset

    def monotonic(self) -> float:
        """Running time of this machine in seconds."""
        return self._own.monotonic()

    def heard(self, server_us: int) -> None:
        """Takes in what the server's clock said a moment ago.

        An answer that came late makes the server look behind, never ahead: of the last ones the one furthest ahead is
        the one that took the shortest way.
        """
        self._ahead.append(server_us - time.time_ns() // 1_000)
        self._offset = max(self._ahead)
