"""Following the ledger: events in commit order as they come, and waiting for a run."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

from runstone.domain.records import AgentRun, RunEvent, at
from runstone.domain.runs import ENDED
from runstone.engine.core import Signals
from runstone.errors import InvalidCursor
from runstone.store.reads import Reader

_PAGE = 500

SETTLED = ENDED | {"paused", "awaiting_user", "interrupted"}
"""Statuses in which a run goes on only if somebody does something."""


class Tail:
    """Events in commit order. Iterate it with `for` or `async for`; `cursor` continues it elsewhere."""

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
        self._epoch = reader.epoch()
        self._reset: RunEvent | None = None
        self._position = reader.last_position() if after is None else self._start(after)

    @property
    def cursor(self) -> str:
        """The cursor of the last event that was given out."""
        return f"{self._epoch}-{self._position}"

    def _start(self, after: str) -> int:
        epoch, _, position = after.rpartition("-")
        if not position.isdecimal():
            raise InvalidCursor(f"{after!r:.80} is no cursor of a ledger")
        if epoch != self._epoch:
            payload = {"reason": "the cursor belongs to another ledger", "cursor": after}
            self._reset = RunEvent(
                run_id="", seq=0, position=0, type="ledger.reset", payload=payload, importance=2, timestamp=at(0),
                attempt=0, event_key=None,
            )  # fmt: skip
            return 0
        return int(position)

    def _page(self) -> list[RunEvent]:
        if self._reset is not None:
            reset, self._reset = self._reset, None
            return [reset]
        events = self._reader.events_from(self._position, _PAGE)
        if events:
            self._position = events[-1].position
        return [e for e in events if self._run_id in (None, e.run_id)] or events[:0]

    def __iter__(self) -> Iterator[RunEvent]:
        changed = threading.Event()
        number = self._signals.subscribe(None, changed.set)
        try:
            while True:
                before = self._position
                changed.clear()
                events = self._page()
                if events:
                    yield from events
                elif self._position == before and not self._await_change(changed):
                    return
        finally:
            self._signals.unsubscribe(number)

    def _await_change(self, changed: threading.Event) -> bool:
        """Waits for a commit. Plain events of this process change no status, so a short wait is a look, too."""
        waited = 0.0
        while not changed.wait(0.05):
            waited += 0.05
            if self._reader.last_position() > self._position:
                return True
            if self._timeout is not None and waited >= self._timeout:
                return False
        return True

    async def __aiter__(self) -> AsyncIterator[RunEvent]:
        waited = 0.0
        while True:
            before = self._position
            for event in await asyncio.to_thread(self._page):
                waited = 0.0
                yield event
            if self._position == before:
                if self._timeout is not None and waited >= self._timeout:
                    return
                await asyncio.sleep(0.05)
                waited += 0.05


class Waiter:
    """Waits for one run, woken by commits and by polling other processes'."""

    def __init__(self, reader: Reader, signals: Signals) -> None:
        self._reader = reader
        self._signals = signals

    def wait(self, run_id: str, timeout: float | None) -> AgentRun:
        """The run, once it is settled; after `timeout` seconds as it is."""
        changed = threading.Event()
        number = self._signals.subscribe(run_id, changed.set)
        try:
            waited = 0.0
            while True:
                changed.clear()
                run = self._reader.run(run_id)
                if run.status in SETTLED or (timeout is not None and waited >= timeout):
                    return run
                # A lease that runs out changes nothing in the file, so look now and then anyway.
                if not changed.wait(
                    step := 1.0 if timeout is None else min(1.0, max(0.01, timeout - waited))
                ):
                    waited += step
        finally:
            self._signals.unsubscribe(number)
