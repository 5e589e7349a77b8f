"""Late parents, and the cards that runs hold."""

from runstone.domain.runs import Head
from runstone.store.base import Row
from runstone.store.batch import Batch


def attach(batch: Batch, child: Head, parent: Head) -> None:
    """Attaches a run, with all below it, to the parent that it had named before that was known. Totals follow."""
    totals = batch.db.rows("subtree_totals", {"run": child.pk})
    tools = batch.db.rows("subtree_tools", {"run": child.pk})
    for provider, model, *counts in totals:
        batch.raise_totals(parent, provider, model, counts)
    for tool, *calls in tools:
        batch.raise_tools(parent, tool, calls)
    child.parent = parent.pk
    line = [(child, parent)]
    while line:
        head, above = line.pop()
        batch.touch(head)
        head.root = above.root
        payload = {"parent_run_id": above.run_id, "root_run_id": above.root_run_id, "depth": above.depth + 1}
        batch.record(head, "run.attached", payload)
        batch.stage("move_usage", head.pk, above.root)
        line += [(batch.head_at(pk), head) for (pk,) in batch.db.rows("children_pks", {"run": head.pk})]


CARD_FIELDS = (
    "pk", "card_id", "board", "title", "status", "position", "body", "body_ref", "assignee", "labels_json", "claimed_by",
    "revision", "created_at", "updated_at",
)  # fmt: skip


def release_card(batch: Batch, row: Row, *, done: bool) -> None:
    """Gives back the card that an ended run held: done with it, or open again for another."""
    card = dict(zip(CARD_FIELDS, row, strict=True))
    card |= {"status": "done" if done else "todo", "claimed_by": None, "revision": card["revision"] + 1}
    card["updated_at"] = batch.now
    batch.stage("save_card", *(card[name] for name in CARD_FIELDS))
