"""A fork: a new run that knows what another one knew."""

from runstone.domain import codec
from runstone.domain.records import JournalEntry
from runstone.errors import NotFound
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.writes.lifecycle import NewRun, create


class ForkRun(Write):
    """Creates a pending run with copies of another one's finished journal records.

    The children stay the source's; the copies refer to them and, by references of their own, to their results: once the
    source is removed the copies are still finished. Nothing is added to any totals. The value is the id of the new run;
    the ledger refuses one that exists, and a source that was removed since its records were read.
    """

    __slots__ = ("entries", "new", "size")

    def __init__(self, new: NewRun, entries: list[JournalEntry]) -> None:
        self.new = new
        self.entries = entries
        self.size = 2000 + 500 * len(entries) + sum(len(blob[3]) for blob in new.blobs)

    def decide(self, batch: Batch) -> str:
        numbers = codec.encode([entry.number for entry in self.entries]).decode()
        if self.entries and batch.read("journal_count", numbers=numbers)[0][0] != len(self.entries):
            raise NotFound("the run was removed while it was forked")
        head = create(batch, self.new)
        for entry in self.entries:
            # A child's result is in its blob.
            value = None if entry.kind in ("child", "continue") and entry.ref is not None else entry.value
            batch.stage(
                "insert_journal",
                batch.number("journal"), head.pk, entry.key, entry.kind, entry.name, entry.phase, entry.previous,
                entry.child_pk, value, entry.ref, 0, batch.now,
            )  # fmt: skip
        return head.run_id
