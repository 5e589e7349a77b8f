"""Gives orders to many runs, one after the other, in a thread of its own.

What is left to do is in the ledger: it goes on after a restart, whoever gave the order may leave, and each run's order
has a key of its own, so that a crash between the order and the note of it gives it once.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from runstone.errors import RunstoneError, StoreError
from runstone.ledger import Ledger
from runstone.store.writes.bulks import SettleBulkRun

_AGAIN_S: Final = 1.0
"""So long it waits after the store could not be written."""
_END_S: Final = 4.0
_REASON_CHARS: Final = 600
_log: Final = logging.getLogger("runstone.server")

GoOn = Callable[[str, str | None, str], None]
"""Goes on with a run (its id), in somebody's name, under a key."""


class Bulks:
    """Works off orders that many runs are to get."""

    def __init__(self, ledger: Ledger, go_on: GoOn) -> None:
        self._ledger = ledger
        self._go_on = go_on
        self._changed = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="runstone-bulks", daemon=True)

    def start(self) -> None:
        """Begins, with what another server left."""
        self._thread.start()

    def look(self) -> None:
        """Has it look for more now; from any thread."""
        self._changed.set()

    def close(self) -> None:
        """Ends after the order that is being given; the rest is left for the next server."""
        self._stopping = True
        self.look()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    # --- in its thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._changed.clear()
            try:
                more = self._give_next()
            except StoreError:
                if self._stopping:
                    return
                _log.exception("an order for many runs is held up")
                self._changed.wait(_AGAIN_S)
                continue
            if not more:
                self._changed.wait()

    def _give_next(self) -> bool:
        """Gives the order to the next run; whether there was one. What keeps the store from being written is raised."""
        found = self._ledger.reader.bulks.next(1)
        for bulk_id, verb, by, place, run_id in found:
            reason = None
            try:
                self._give(f"bulk {bulk_id}", verb, by, run_id)
            except StoreError:
                raise
            except RunstoneError as error:
                reason = str(error)[:_REASON_CHARS]
            except Exception:
                _log.exception("run %s was not given the order %s", run_id, verb)
                reason = "the server could not give it: its log says why"
            self._ledger.core.submit(SettleBulkRun(bulk_id, place, run_id, reason), []).result()
        return bool(found)

    def _give(self, key: str, verb: str, by: str | None, run_id: str) -> None:
        if verb == "archive":
            self._ledger.update_run(run_id, archived=True)
        elif verb in ("stop", "pause"):
            self._ledger.commands.give(run_id, verb, scope="subtree", by=by, reason=None, idempotency_key=key)
        elif not any(order.idempotency_key == key for order in self._ledger.commands.list(run_id)):
            self._go_on(run_id, by, key)
