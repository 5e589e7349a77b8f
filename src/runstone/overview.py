"""`ledger.overview`: what lists and watchers show of runs beside the runs themselves."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from runstone import feeds, reports
from runstone.domain.records import AgentRun, Totals

if TYPE_CHECKING:
    from runstone.ledger import Ledger


class Overview:
    """`ledger.overview`: sums and standings."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def totals(self, run_ids: Iterable[str]) -> dict[str, tuple[Totals, Totals]]:
        """Own and subtree sums by run id; a run without a request is left out."""
        return reports.totals(self._ledger.reader, run_ids)

    def children(self, run_ids: Iterable[str]) -> dict[str, int]:
        """How many children each run has; superseded ones, and runs without any, are left out."""
        return reports.children(self._ledger.reader, run_ids)

    def settled(self, run: AgentRun) -> bool:
        """Whether nothing more comes of this look at a run until somebody does something."""
        return feeds.settled(self._ledger.reader, self._ledger.workspace.folder, run)

    def printed(self, run_id: str) -> dict[str, int]:
        """Lines that a background command has printed, by stream."""
        found: Counter[str] = Counter()
        for one in self._ledger.reader.attempts.outputs(run_id):
            found[one.stream] += one.lines
            found["broken"] += one.broken
        return dict(found)

    @contextmanager
    def changes(self) -> Iterator[Event]:
        """An event that is set when anything was written; look again from time to time anyway."""
        changed = Event()
        number = self._ledger.signals.subscribe(None, changed.set)
        try:
            yield changed
        finally:
            self._ledger.signals.unsubscribe(number)
