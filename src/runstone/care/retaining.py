"""Retention while runs work: one thread lets old checkpoints of the runs go that have saved many."""

import threading
from typing import TYPE_CHECKING

from runstone.care.thinning import thin
from runstone.domain.retention import Retention, retention_of
from runstone.errors import NotFound, StoreError

if TYPE_CHECKING:
    from runstone.ledger import Ledger


class Retainer:
    """Thins the runs that it is asked to, one after the other, in a thread that ends when there are none left.

    What a kill leaves undone the next call does; each checkpoint that stays loads as it was saved, all the time.
    """

    def __init__(self, ledger: "Ledger", default: Retention) -> None:
        self._ledger = ledger
        self._default = default
        self._lock = threading.Lock()
        self._asked: dict[str, None] = {}
        self._thread: threading.Thread | None = None

    def ask(self, run_id: str) -> None:
        """Has the run's old checkpoints go soon, where its options or the workspace say so."""
        with self._lock:
            self._asked[run_id] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="runstone-retention", daemon=True)
                self._thread.start()

    def close(self, timeout: float | None) -> None:
        """Waits for what was begun."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _next(self) -> str | None:
        with self._lock:
            run_id = next(iter(self._asked), None)
            if run_id is None:
                self._thread = None
            else:
                del self._asked[run_id]
            return run_id

    def _work(self) -> None:
        while (run_id := self._next()) is not None:
            try:
                said = retention_of(self._ledger.get_run(run_id).options) or self._default
                if said.checkpoints is not None:
                    thin(self._ledger, run_id, keep=said.checkpoints, keep_labelled=said.keep_labelled)
            except (StoreError, NotFound):
                continue  # the next one goes on with it, and a fault of the store is told to who saves
