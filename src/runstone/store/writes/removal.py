"""Removing whole ended trees: a tombstone with the folded row first, then the rest in chunks, then the rows.

Each write is short, and every state between two of them is a valid ledger: a removal that was cut off is gone on with
by asking again. Integer keys and seqs are never used again.
"""

from typing import Any

import msgspec

from runstone.domain import runs
from runstone.errors import IllegalTransition
from runstone.store.base import Write
from runstone.store.batch import Batch

CHUNK = 2_000

_OF_RUN = (
    "delete_journal_of_child", "delete_journal", "delete_usage", "delete_totals", "delete_tools", "delete_attempts",
    "delete_processes", "delete_outputs", "delete_commands", "delete_inputs", "forget_run_in_messages", "forget_run_in_texts", "leave_thread",
    "delete_thread", "delete_events", "delete_run",
)  # fmt: skip
"""What goes with a run, in the order that its references ask for."""


class PruneRun(Write):
    """Leaves a tombstone of an ended run, then removes what is below it, a chunk a time. The value: is more left."""

    __slots__ = ("run_id",)

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def decide(self, batch: Batch) -> bool:
        head = batch.head(self.run_id)
        if head.status not in (*runs.ENDED, "interrupted"):
            raise IllegalTransition(
                f"run {head.run_id} is {head.status}; only ended runs are pruned", run_id=head.run_id
            )
        floor = batch.read("pruned_floor", run=head.pk)[0][0]
        if floor is None or floor < head.last_seq:
            batch.record(head, "run.pruned", {"row": _row(head)})
            return True
        events = batch.read("old_events", run=head.pk, floor=floor, limit=CHUNK)
        messages = batch.read("old_messages", run=head.pk, limit=CHUNK)
        places = batch.read("old_places", run=head.pk, limit=CHUNK)
        for (position,) in events:
            batch.stage("delete_event", position)
        if events:
            batch.stage("removed_up_to", str(max(position for (position,) in events)))
        for message, text in messages:
            if text is not None:
                batch.stage("delete_text", text)
                batch.stage("delete_texts", text)
            batch.stage("delete_message", message)
        for place in places:
            batch.stage("delete_place", head.pk, *place)
        if not places:
            batch.stage("delete_checkpoints", head.pk)
        return bool(events or messages or places)


class RemoveRun(Write):
    """Removes a pruned run that has no children left, with all that belongs to it."""

    __slots__ = ("run_id",)

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        if batch.read("children_pks", run=head.pk):
            raise IllegalTransition(
                f"run {head.run_id} has children; they are removed first", run_id=head.run_id
            )
        newest = batch.read("newest_position_of", run=head.pk)[0][0]
        for (number,) in batch.read("old_texts", run=head.pk):
            batch.stage("delete_text", number)
            batch.stage("delete_texts", number)
        for statement in _OF_RUN:
            batch.stage(statement, head.pk)
        batch.stage("removed_up_to", str(newest))
        batch.cache.threads.clear()
        batch.cache.heads.pop(head.run_id, None)
        batch.cache.by_pk.pop(head.pk, None)


def _row(head: runs.Head) -> dict[str, Any]:
    """The folded row, so that it can still be proved, and gone on with, once its events are gone."""
    row: dict[str, Any] = msgspec.structs.asdict(head)
    for name in ("pk", "parent", "root", "last_seq", "run_id"):
        del row[name]
    return row
