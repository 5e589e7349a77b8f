"""Orders that many runs get, one after the other: kept until each has it, so that a restart forgets none."""

from collections.abc import Sequence
from typing import Final

from runstone.errors import InvalidInput, NotFound
from runstone.store.base import Row, Write
from runstone.store.batch import Batch

RUNS_MAX: Final = 10_000
"""Runs of one order: its rows are written in one transaction, in tens of milliseconds."""
OPEN_MAX: Final = 20
KEPT: Final = 20
"""Orders that have ended are kept to be looked at; the newest of them."""


class MakeBulk(Write):
    """Keeps an order for many runs. The value is its id."""

    __slots__ = ("bulk_id", "by", "run_ids", "size", "verb")

    def __init__(self, bulk_id: str, verb: str, run_ids: Sequence[str], *, by: str | None) -> None:
        self.bulk_id = bulk_id
        self.verb = verb
        self.run_ids = run_ids
        self.by = by
        self.size = 500 + 100 * len(run_ids)

    def decide(self, batch: Batch) -> str:
        if batch.read("bulks_under_way")[0][0] >= OPEN_MAX:
            raise InvalidInput(
                f"{OPEN_MAX} orders for many runs are under way", hint="wait until one has ended"
            )
        for (old,) in batch.read("old_bulks", kept=KEPT - 1):
            batch.stage("delete_bulk", old)
        number = batch.number("bulks")
        batch.stage("save_bulk", number, self.bulk_id, self.verb, self.by, batch.now, 0, None)
        for place, run_id in enumerate(self.run_ids):
            batch.stage("save_bulk_run", number, place, run_id, "waiting", None)
        return self.bulk_id


class SettleBulkRun(Write):
    """Says of one of the runs that it got the order (`reason` None), or why it was refused; once."""

    __slots__ = ("bulk_id", "place", "reason", "run_id")

    def __init__(self, bulk_id: str, place: int, run_id: str, reason: str | None) -> None:
        self.bulk_id = bulk_id
        self.place = place
        self.run_id = run_id
        self.reason = reason

    def decide(self, batch: Batch) -> None:
        number, *_ = standing = _standing(batch, self.bulk_id)
        status, waiting = batch.read("bulk_run_standing", bulk=number, place=self.place)[0]
        if status != "waiting":
            return  # it was cancelled in this moment: the run has the order, and the list says what it said then
        told = "given" if self.reason is None else "refused"
        batch.stage("save_bulk_run", number, self.place, self.run_id, told, self.reason)
        if waiting == 1:
            batch.stage("save_bulk", number, self.bulk_id, *standing[1:5], batch.now)


class CancelBulk(Write):
    """Has the runs that have not got the order yet left out. One that has ended stays as it is. The value is its id."""

    __slots__ = ("bulk_id",)

    def __init__(self, bulk_id: str) -> None:
        self.bulk_id = bulk_id

    def decide(self, batch: Batch) -> str:
        number, verb, by, at, _, ended_at = _standing(batch, self.bulk_id)
        if ended_at is None:
            batch.stage("leave_out_bulk_runs", number)
            batch.stage("save_bulk", number, self.bulk_id, verb, by, at, 1, batch.now)
        return self.bulk_id


def _standing(batch: Batch, bulk_id: str) -> Row:
    found = batch.read("bulk_standing", bulk_id=bulk_id)
    if not found:
        raise NotFound(f"there is no order for many runs {bulk_id}")
    return found[0]
