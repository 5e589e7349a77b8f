"""A loop of one's own that asks and leaves, in one transaction."""

from typing import Any

from runstone.domain import codec
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.writes import orders
from runstone.store.writes.inputs import Asked, AskInput
from runstone.store.writes.lifecycle import end_attempt

_REASON_BYTES = 300


class AskAndPark(Write):
    """Saves the checkpoint, asks, and parks the run as `awaiting_user`: all of it or nothing. The value is `Asked`.

    A question that has been answered (or has expired) already parks nothing and saves nothing.
    """

    __slots__ = ("ask", "checkpoint", "size")

    def __init__(self, ask: AskInput, checkpoint: Write | None) -> None:
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
