"""A loop of one's own that asks and leaves, and goes on with the answer: each of the two in one transaction."""

from typing import Any

from runstone.domain import codec
from runstone.errors import AwaitingInput
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.writes import inputs, orders
from runstone.store.writes.checkpoints import SaveCheckpoint
from runstone.store.writes.inputs import Asked, AskInput
from runstone.store.writes.lifecycle import Claimed, ClaimRun, end_attempt

_REASON_BYTES = 300


class AskAndPark(Write):
    """Saves the checkpoint, asks, and parks the run as `awaiting_user`: all of it or nothing. The value is `Asked`.

    A question that has been answered (or has expired) already parks nothing and saves nothing.
    """

    __slots__ = ("ask", "checkpoint", "size")

    def __init__(self, ask: AskInput, checkpoint: SaveCheckpoint | None) -> None:
        self.ask = ask
        self.checkpoint = checkpoint
        self.size = ask.size + (checkpoint.size if checkpoint is not None else 0)

    def decide(self, batch: Batch) -> Asked:
        head, known = self.ask.look(batch)
        if known is not None and known.status != "open":
            return self.ask.stage(batch, head, known)
        ordered = orders.open_of(batch, head)
        if self.checkpoint is not None:
            self.checkpoint.decide(batch)
        asked = self.ask.stage(batch, head, known)
        payload: dict[str, Any] = {"reason": codec.clip(self.ask.asked.message, _REASON_BYTES)}
        if self.ask.asked.expires_at is not None:
            payload["wake_at"] = self.ask.asked.expires_at
        end_attempt(batch, head, "run.awaited", payload)
        orders.pause_unheld(batch, head, ordered)
        return asked


class ContinueRun(ClaimRun):
    """Opens the next attempt of a run of one's own loop, which is given the answers that there are.

    A run that still waits for one is refused with `AwaitingInput`, unless it goes on `unanswered`: then its open
    questions are withdrawn.
    """

    __slots__ = ("unanswered",)

    def __init__(self, *args: Any, unanswered: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self.unanswered = unanswered

    def decide(self, batch: Batch) -> Claimed:
        head = batch.head(self.run_id)
        waits = head.status == "awaiting_user"
        open_ = inputs.open_of(batch, head) if waits else []
        if open_ and not self.unanswered:
            row = dict(zip(inputs.FIELDS, open_[-1], strict=True))
            answer = f"answer it: runstone inputs answer {row['input_id']}"
            raise AwaitingInput(
                f"run {head.run_id} waits for an answer: {codec.clip(head.status_reason or '', 200)}",
                run_id=head.run_id,
                input_id=row["input_id"],
                hint=f"{answer}; or go on without one: continue_run(..., message=)",
            )
        claimed = super().decide(batch)
        inputs.withdraw(batch, head, open_)
        batch.stage("claim_answers", head.pk, head.attempt)
        return claimed
