"""Following the ledger: events in commit order as they come, and waiting for a run."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from runstone.domain.dispatches import OPTION
from runstone.domain.records import AgentRun, RunEvent, at
from runstone.domain.runs import ENDED
from runstone.engine.asking import waits_for_person
from runstone.engine.background.keeping import stands_still
from runstone.engine.core import POLL_S, Signals
from runstone.errors import InvalidCursor
from runstone.store.reads import Reader

_PAGE = 500

SETTLED = ENDED | {"paused", "awaiting_user", "interrupted", "moved"}
"""Statuses in which a run goes on only if somebody does something."""


class Tail:
    """Events in commit order. Iterate it with `for` or `async for`; `cursor` continues it elsewhere.

    What a cursor missed is said, never passed over: `ledger.reset` if it belongs to another ledger (all events follow),
    `ledger.gap` if events after it were removed.
    """

    def __init__(
        self,
        reader: Reader,
        signals: Signals,
        *,
        after: str | None,
        timeout: float | None,
        run_id: str | None,
    ) -> None:
        self._reader = reader
        self._signals = signals
        self._timeout = timeout
        self._run_id = run_id
        self._epoch = reader.events.epoch()
        self._told_removed = 0
        self._reset: RunEvent | None = None
        self._position = reader.events.last_position() if after is None else self._start(after)

    @property
    def cursor(self) -> str:
        """The cursor of the last event that was given out."""
        return f"{self._epoch}-{self._position}"

    def _start(self, after: str) -> int:
        epoch, _, position = after.rpartition("-") if isinstance(after, str) else ("", "", "")
        if not position.isdecimal() or len(position) > 18:
            raise InvalidCursor(f"{after!r:.80} is no cursor of a ledger")
        if epoch == self._epoch and int(position) <= self._reader.events.last_position():
            return int(position)
        self._reset = marker(
            "ledger.reset", {"reason": "the cursor belongs to another ledger", "cursor": after}, 0
        )
        self._told_removed = self._reader.events.removed_up_to()
        return 0

    def _page(self) -> tuple[list[RunEvent], int]:
        """What comes next, markers first, and the position up to which that is all."""
        if self._reset is not None:
            reset, self._reset = self._reset, None
            return [reset], 0
        events = self._reader.events.since(self._position, _PAGE)
        shown = [event for event in events if self._run_id in (None, event.run_id)]
        # Read after the events: what was removed before they were read is known by now.
        removed = self._reader.events.removed_up_to()
        if removed > max(self._position, self._told_removed):
            self._told_removed = removed
            payload = {"after": self._position, "removed_up_to": removed}
            shown.insert(0, marker("ledger.gap", payload, self._position))
        return shown, events[-1].position if events else self._position

    def __iter__(self) -> Iterator[RunEvent]:
        changed = threading.Event()
        number = self._signals.subscribe(None, changed.set)
        try:
            since = time.monotonic()
            while True:
                changed.clear()
                events, end = self._page()
                for event in events:
                    self._position = event.position
                    yield event
                if events:
                    since = time.monotonic()
                if end > self._position or events:
                    self._position = end
                elif self._timeout is not None and time.monotonic() - since >= self._timeout:
                    return
                else:
                    changed.wait(POLL_S)  # plain events change no status, so nobody is told of them
        finally:
            self._signals.unsubscribe(number)

    async def __aiter__(self) -> AsyncIterator[RunEvent]:
        since = time.monotonic()
        while True:
            events, end = await asyncio.to_thread(self._page)
            for event in events:
                self._position = event.position
                yield event
            if events:
                since = time.monotonic()
            if end > self._position or events:
                self._position = end
            elif self._timeout is not None and time.monotonic() - since >= self._timeout:
                return
            else:
                await asyncio.sleep(POLL_S)


def marker(event_type: str, payload: dict[str, Any], position: int) -> RunEvent:
    """An event that is in no ledger: it tells whoever follows what the cursor missed."""
    return RunEvent(
        run_id="", seq=0, position=position, type=event_type, payload=payload, importance=2, timestamp=at(0), attempt=0,
        event_key=None,
    )  # fmt: skip


def settled(reader: Reader, folder: Path | None, run: AgentRun) -> bool:
    """Whether nothing more comes of this look at a run until somebody does something. `folder` is the workspace's."""
    if run.status == "waiting" and waits_for_person(reader, run.id):
        return True
    if run.status == "interrupted" and run.owner is not None and OPTION in run.options:
        return False  # nobody has judged its owner yet; then it goes on in another worker by itself
    still = stands_still(folder, run, time.time())
    return run.status in SETTLED if still is None else still


class Waiter:
    """Waits for runs, woken by commits and by polling other processes'. `folder` is the workspace's."""

    def __init__(self, reader: Reader, signals: Signals, folder: Path | None) -> None:
        self._reader = reader
        self._signals = signals
        self._folder = folder

    def wait(self, run_id: str, timeout: float | None) -> AgentRun:
        """The run, once it is settled; after `timeout` seconds as it is."""
        return self.wait_for([run_id], 1, timeout)[0]

    def wait_for(self, run_ids: Sequence[str], need: int, timeout: float | None) -> list[AgentRun]:
        """The runs, once `need` of them are settled; after `timeout` seconds as they are."""
        changed = threading.Event()
        numbers = [self._signals.subscribe(run_id, changed.set) for run_id in set(run_ids)]
        until = None if timeout is None else time.monotonic() + timeout
        known: dict[str, AgentRun] = {}
        try:
            while True:
                changed.clear()
                for run_id in run_ids:
                    if run_id not in known or known[run_id].status not in ENDED:
                        known[run_id] = self._reader.runs.get(run_id)
                left = 1.0 if until is None else until - time.monotonic()
                if left <= 0 or self._settled(known) >= need:
                    return [known[run_id] for run_id in run_ids]
                # An owner or a keeper that dies changes nothing in the file, so look now and then anyway.
                changed.wait(min(1.0, left))
        finally:
            for number in numbers:
                self._signals.unsubscribe(number)

    def _settled(self, runs: dict[str, AgentRun]) -> int:
        return sum(settled(self._reader, self._folder, run) for run in runs.values())
