"""What makes a copy of a ledger one of its own: a new epoch, and nothing of the original's in its hands."""

from runstone.domain import codec
from runstone.store.base import Write
from runstone.store.batch import Batch


class BeginEpoch(Write):
    """Gives the ledger a new epoch, and notes where it comes from: every cursor of before gets `ledger.reset`."""

    __slots__ = ("epoch", "origin")

    def __init__(self, epoch: str, origin: dict[str, object]) -> None:
        self.epoch = epoch
        self.origin = origin

    def decide(self, batch: Batch) -> str:
        batch.stage("note_in_meta", "epoch", self.epoch)
        batch.stage("note_in_meta", "restored", codec.encode(self.origin).decode())
        return self.epoch


class DisownProcess(Write):
    """Notes that a recorded process group is the original's: nothing that uses this ledger may end it.

    Its row counts as ended, so that no attempt to come looks for it.
    """

    __slots__ = ("attempt", "pgid", "reason", "run_id")

    def __init__(self, run_id: str, attempt: int, pgid: int, reason: str) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.pgid = pgid
        self.reason = codec.clip(reason, 1_000)

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        batch.stage("disown_process", head.pk, self.attempt, self.pgid, batch.now)
        payload = {"pgid": self.pgid, "reason": self.reason}
        batch.record(head, "process.disowned", payload, attempt=self.attempt, importance=0)
