"""A fork: a new run that knows what another one knew."""

from typing import Any

from runstone.domain import codec
from runstone.domain.records import JournalEntry
from runstone.domain.runs import Head
from runstone.domain.state import needed
from runstone.errors import NotFound
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import decompress
from runstone.store.writes import orders
from runstone.store.writes.lifecycle import NewRun, check_whole, create


class ForkRun(Write):
    """Creates a pending run with copies of another one's finished journal records, and of the state of a checkpoint.

    The children stay the source's; the copies refer to them and, by references of their own, to their results: once the
    source is removed the copies are still finished, and say what the children had cost. The state becomes the fork's
    first checkpoint. Nothing is added to any totals. The value is the id of the new run; the ledger refuses one that
    exists, and a source or a checkpoint that was removed since it was read.
    """

    __slots__ = ("checkpoint", "entries", "new", "order", "size")

    def __init__(
        self,
        new: NewRun,
        entries: list[JournalEntry],
        *,
        checkpoint: int | None = None,
        order: tuple[str, str] | None = None,
    ) -> None:
        """`order` is the id of an order to start it, and who gives that."""
        self.new = new
        self.order = order
        self.entries = entries
        self.checkpoint = checkpoint
        self.size = 2000 + 500 * len(entries) + sum(len(blob[3]) for blob in new.blobs)

    def decide(self, batch: Batch) -> str:
        source = batch.find(self.new.identity.get("forked_from") or "")
        numbers = codec.encode([entry.number for entry in self.entries]).decode()
        known = batch.read("journal_count", numbers=numbers)[0][0] if self.entries else 0
        if known != len(self.entries) or (self.checkpoint is not None and source is None):
            raise NotFound("the run was removed while it was forked")
        saved = None
        if source is not None:
            check_whole(batch, source)
            saved = None if self.checkpoint is None else self._saved(batch, source)
        head = create(batch, self.new)
        for entry in self.entries:
            # A child's result is in its blob.
            value = None if entry.kind in ("child", "continue") and entry.ref is not None else entry.value
            batch.stage(
                "insert_known",
                batch.number("journal"), head.pk, entry.key, entry.kind, entry.name, entry.phase, entry.previous,
                entry.child_pk, value, entry.ref, 0, batch.now, entry.child_tokens, entry.child_cost_picousd,
            )  # fmt: skip
        if saved is not None:
            self._stage_state(batch, head, *saved)
        if self.order is not None:
            orders.give(batch, head, self.order[0], "start", payload={}, by=self.order[1])
        return head.run_id

    def _saved(self, batch: Batch, source: Head) -> tuple[str | None, list[Row]]:
        """The label, and the rows of the state. Read here, where no retention can take them away any more."""
        labels: dict[int, str | None] = dict(batch.read("checkpoint_labels", run=source.pk))
        if self.checkpoint not in labels:
            raise NotFound(f"checkpoint {self.checkpoint} was removed while run {source.run_id} was forked")
        rows = batch.read("places_at", run=source.pk, number=self.checkpoint)
        return labels[self.checkpoint], list(needed(rows, lambda row: int(decompress(row[2], row[3]))))

    def _stage_state(self, batch: Batch, head: Head, label: str | None, rows: list[Row]) -> None:
        newest = batch.last_number("journal")
        batch.stage("insert_checkpoint", head.pk, 1, 0, label, head.definition_hash, None, batch.now, newest)
        for path, item, number, value, ref in rows:
            batch.stage("insert_place", head.pk, path, item, 1, number, value, ref)
        payload: dict[str, Any] = {"number": 1, "copied_from": f"{head.forked_from}@{self.checkpoint}"}
        batch.record(head, "checkpoint.saved", payload | ({"label": label} if label else {}))
