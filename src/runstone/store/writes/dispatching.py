"""Dispatches in the ledger: written when a run becomes ready for workers, and moved on as its status is."""

from typing import TYPE_CHECKING, Any

from runstone.domain import dispatches
from runstone.domain.dispatches import Placement
from runstone.domain.runs import Head
from runstone.errors import DispatchOver
from runstone.store.base import Write

if TYPE_CHECKING:
    from runstone.store.batch import Batch


def follow(batch: "Batch", head: Head, payload: dict[str, Any]) -> None:
    """Stages what a move of the run, whose event was just staged, does to its dispatches. Reads nothing.

    What is over is left in its queue for a moment, as its worker is about to end it there itself; not so where somebody
    has judged that worker gone (`last_seen_at`), as its place is needed.
    """
    placement = dispatches.placement_of(head.options_json)
    if placement is None:
        return
    n, state = head.last_seq, dispatches.after(head.status)
    if state == "ready":
        _make_ready(batch, head, placement, payload.get("not_before") or 0)
    elif state == "taken":
        batch.stage("take_dispatches", head.pk, n, batch.now)
    else:
        gone = payload.get("last_seen_at") is not None
        batch.stage("end_dispatches", head.pk, n, 0 if gone else batch.now)
    if placement.limit is not None and head.phase is not None and state != "taken":
        batch.stage("release_dispatches", head.parent, head.phase, placement.limit, batch.now)


def _make_ready(batch: "Batch", head: Head, placement: Placement, not_before: int) -> None:
    n, limited = head.last_seq, placement.limit is not None and head.phase is not None
    begun = head.attempt > 0
    batch.stage(
        "insert_dispatch",
        head.pk, n, "held" if limited else "ready", placement.queue, dispatches.rank(placement, begun=begun),
        max(not_before, 0 if begun else placement.not_before, batch.now),
        *((head.parent, head.phase) if limited else (None, None)), batch.now,
    )  # fmt: skip


def again(batch: "Batch", head: Head) -> int | None:
    """When a run whose owner is gone is dispatched again; None where it is left interrupted. Reads."""
    placement = dispatches.placement_of(head.options_json)
    if placement is None:
        return None
    lost = 1 + int(batch.read("interruptions_in_a_row", run=head.pk)[0][0])
    if lost > placement.interruptions:
        return None
    return batch.now + int(dispatches.delay_s(lost) * 1e6)


def check(batch: "Batch", head: Head, n: int) -> None:
    """Raises `DispatchOver` unless n is the run's dispatch that nobody has taken. Reads."""
    rows = batch.read("dispatches_of", run=head.pk)
    if not rows or rows[-1][0] != n or rows[-1][1] not in ("ready", "enqueued"):
        raise DispatchOver(
            f"dispatch {n} of run {head.run_id} is over: the run is {head.status} at attempt {head.attempt}",
            run_id=head.run_id,
        )


class ReturnDispatch(Write):
    """Gives a dispatch back that a worker took and cannot use now; another one follows later, for any worker.

    With `at_once` its place in the queue is free at once: its worker does not end it there. The value says whether it
    was still the run's.
    """

    __slots__ = ("at_once", "delay_us", "n", "reason", "run_id")

    def __init__(self, run_id: str, n: int, reason: str, delay_s: float, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.run_id = run_id
        self.n = n
        self.reason = reason
        self.delay_us = int(delay_s * 1e6)

    def decide(self, batch: "Batch") -> bool:
        head = batch.head(self.run_id)
        try:
            check(batch, head, self.n)
        except DispatchOver:
            return False
        batch.stage("end_dispatches", head.pk, self.n, 0 if self.at_once else batch.now)
        batch.record(head, "dispatch.returned", {"reason": self.reason})
        follow(batch, head, {"not_before": batch.now + self.delay_us})
        return True


class MoveDispatches(Write):
    """Notes what became of dispatches in their queues: `statement` names it, `numbers` are (run, n)."""

    __slots__ = ("numbers", "statement")

    def __init__(self, statement: str, numbers: list[tuple[int, int]]) -> None:
        self.statement = statement
        self.numbers = numbers

    def decide(self, batch: "Batch") -> None:
        at: tuple[Any, ...] = () if self.statement == "forget_dispatches" else (batch.now,)
        for number in self.numbers:
            batch.stage(self.statement, *number, *at)


class TakeDuty(Write):
    """Takes, or goes on with, what one process does for all. The value says whether it is this owner's now."""

    __slots__ = ("duty", "lease_us", "owner")

    def __init__(self, duty: str, owner: str, lease_s: float) -> None:
        self.duty = duty
        self.owner = owner
        self.lease_us = int(lease_s * 1e6)

    def decide(self, batch: "Batch") -> bool:
        rows = batch.read("duty", duty=self.duty)
        if rows and rows[0][0] != self.owner and rows[0][1] > batch.now:
            return False
        batch.stage("save_duty", self.duty, self.owner, batch.now + self.lease_us)
        return True
