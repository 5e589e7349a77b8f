"""Late parents, and the cards that runs hold."""

from typing import Any

from runstone.domain import codec
from runstone.domain.runs import Head
from runstone.errors import InvalidInput
from runstone.store.base import Row
from runstone.store.batch import Batch


class Orphans:
    """Runs that named a parent before it was known, with the requests that both trees report."""

    def __init__(self, batch: Batch, run_id: str, parent: Head | None) -> None:
        self.heads = [batch.head_at(pk) for (pk,) in batch.read("unattached_children", run_id=run_id)]
        if parent is not None and any(head.pk == parent.root for head in self.heads):
            raise InvalidInput(
                f"run {run_id} cannot have the parent {parent.run_id}, which is below it", run_id=run_id
            )
        self.repeated: list[Row] = []
        if self.heads:
            roots = codec.encode([head.pk for head in self.heads]).decode()
            above = None if parent is None else parent.root
            self.repeated = batch.read("repeated_requests", roots=roots, root=above)

    def attach(self, batch: Batch, parent: Head) -> None:
        """Attaches them, with all below them. Totals follow, less the requests that the tree has counted already."""
        again: dict[int, list[str]] = {}
        for row in self.repeated:
            again.setdefault(row[1], []).append(row[4])
        for head in self.heads:
            _attach(batch, head, parent, again)
        for number, run, provider, model, _, *counts, cost, source in self.repeated:
            batch.stage("forget_request", number)
            less = [1, *counts, cost or 0, int(cost is None), int(source == "priced")]
            batch.add_totals(batch.head_at(run), provider, model, [-count for count in less])


def _attach(batch: Batch, child: Head, parent: Head, again: dict[int, list[str]]) -> None:
    totals = batch.db.rows("subtree_totals", {"run": child.pk})
    tools = batch.db.rows("subtree_tools", {"run": child.pk})
    for provider, model, *counts in totals:
        batch.raise_totals(parent, provider, model, counts)
    for tool, *calls in tools:
        batch.raise_tools(parent, tool, calls)
    line = [(child, parent)]
    while line:
        head, above = line.pop()
        batch.touch(head)
        head.parent, head.root = above.pk, above.root
        payload: dict[str, Any] = {
            "parent_run_id": above.run_id,
            "root_run_id": above.root_run_id,
            "depth": above.depth + 1,
        }
        if head.pk in again:
            payload["repeated"] = again[head.pk]  # requests that count elsewhere in the tree from now on
        batch.record(head, "run.attached", payload)
        batch.stage("move_usage", head.pk, above.root)
        line += [(batch.head_at(pk), head) for (pk,) in batch.db.rows("children_pks", {"run": head.pk})]


CARD_FIELDS = (
    "pk", "card_id", "board", "title", "status", "position", "body", "body_ref", "assignee", "labels_json",
    "claimed_by", "revision", "created_at", "updated_at",
)  # fmt: skip


def cards_of(batch: Batch, head: Head) -> list[Row]:
    """The cards that a run holds. Whoever claims one refers to it, so that most ends need no query."""
    return batch.read("cards_claimed_by", run=head.pk) if head.task_card_id is not None else []


def release_cards(batch: Batch, rows: list[Row], *, done: bool = False) -> None:
    """Gives back the cards that an ended run held: done with them, or open again for another."""
    for row in rows:
        _release(batch, row, done)


def _release(batch: Batch, row: Row, done: bool) -> None:
    card = dict(zip(CARD_FIELDS, row, strict=True))
    card |= {"status": "done" if done else "todo", "claimed_by": None, "revision": card["revision"] + 1}
    card["updated_at"] = batch.now
    batch.stage("save_card", *(card[name] for name in CARD_FIELDS))
