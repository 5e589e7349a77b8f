"""Orders beside stop: pause, resume, retry and steer, and the look at which a run takes what it was told."""

from contextlib import suppress
from typing import Any

from runstone.domain import codec, runs
from runstone.domain.orders import check_fits, reason_of
from runstone.domain.runs import Head
from runstone.errors import IllegalTransition
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes import lifecycle, orders
from runstone.store.writes.boards import RequestStop
from runstone.store.writes.events import AppendMessages, NewMessage


class GiveOrder(Write):
    """Orders a run to pause, resume, retry, or hear a message. The value is the command's id.

    A pause of a run that nobody holds takes effect in this transaction; resume and retry make the run `pending`, and
    stay `requested` until a process takes it. What does not fit the run's status is refused, and nothing is kept of it.
    """

    __slots__ = ("by", "command_id", "idempotency_key", "payload", "run_id", "size", "verb")

    def __init__(
        self,
        run_id: str,
        command_id: str,
        verb: str,
        payload: dict[str, Any],
        *,
        by: str | None,
        idempotency_key: str | None = None,
    ) -> None:
        self.run_id = run_id
        self.command_id = command_id
        self.verb = verb
        self.payload = payload
        self.by = by
        self.idempotency_key = idempotency_key
        self.size = 6000

    def decide(self, batch: Batch) -> str:
        head = batch.head(self.run_id)
        known = orders.known(batch, head, self.idempotency_key, self.verb, self.payload)
        open_ = orders.open_of(batch, head)
        if known is None and self.verb == "pause":  # a pause that is under way is not given twice
            known = next((row for row in open_ if row[3] == "pause"), None)
        if known is not None:
            return str(known[1])
        runs.check_here(head)
        check_fits(self.verb, head.run_id, head.status)
        if self.verb == "retry":
            _check_parents(batch, head)
        if self.verb in ("resume", "retry"):
            lifecycle.check_whole(batch, head)
        row = orders.give(
            batch,
            head,
            self.command_id,
            self.verb,
            payload=self.payload,
            by=self.by,
            key=self.idempotency_key,
        )
        self._carry_out(batch, head, [*open_, row])
        return self.command_id

    def _carry_out(self, batch: Batch, head: Head, rows: list[Row]) -> None:
        """Stages what of the order can be done at once."""
        if self.verb == "pause" and not head.live:
            orders.pause_unheld(batch, head, rows)
        elif self.verb in ("resume", "retry"):
            reason = reason_of(self.verb, self.by, self.payload)
            batch.stage("delete_waits", head.pk)
            batch.record(head, "run.resumed", {"reason": reason, "from": head.status})


class GiveOrders(Write):
    """Gives an order to a run and to those below it in one transaction, so that no half of it is left by a death.

    The value is the id of the first one's command, or of the same one that was given before: then nothing is handed
    down. Below, a run that has ended meanwhile, or has nothing that could be paused, is left alone.
    """

    __slots__ = ("below", "first", "size")

    def __init__(self, first: RequestStop | GiveOrder | None, below: list[RequestStop | GiveOrder]) -> None:
        self.first = first
        self.below = below
        self.size = 6000 * (1 + len(below))

    def decide(self, batch: Batch) -> str:
        given = ""
        if self.first is not None:
            found = self.first.decide(batch)
            given = found if isinstance(found, str) else found[0]
            if given != self.first.command_id:
                return given
        for order in self.below:
            with suppress(IllegalTransition):
                order.decide(batch)
        return given


def _check_parents(batch: Batch, head: Head) -> None:
    """Raises `IllegalTransition` below a run at work: it has had the failure, and would never ask for the result."""
    above = [] if head.detached else batch.ancestors(head)[1:]
    for parent in above:
        if parent.live:
            raise IllegalTransition(
                f"run {head.run_id} cannot be tried again while {parent.run_id}, above it, is at work",
                hint=f"retry it once that has ended: runstone runs watch {parent.run_id}",
                run_id=head.run_id,
                status=head.status,
            )


class TakeSteering(Write):
    """Takes the messages that the run was sent and has not had: into its worker thread, and applied, in one go.

    The value lists their texts, in the order in which they were sent.
    """

    __slots__ = ("attempt", "run_id", "thread_id")

    def __init__(self, run_id: str, attempt: int, thread_id: str) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.thread_id = thread_id

    def decide(self, batch: Batch) -> list[str]:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        sent = [row for row in orders.open_of(batch, head) if row[3] == "steer"]
        texts = [str(codec.decode(row[4])["message"]) for row in sent]
        for row, text in zip(sent, texts, strict=True):
            extra = codec.encode({"command_id": row[1], "by": row[7]})
            message = NewMessage("user", text, batch.now, extra)
            told = AppendMessages(
                self.thread_id, [message], run_id=self.run_id, attempt=self.attempt, worker=True
            )
            told.decide(batch)
            orders.move(batch, head, row, "applied")
        return texts
