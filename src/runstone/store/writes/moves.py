"""Trees that go on in another ledger: their unfinished runs are sealed here, or taken back.

A move has written a file of them before. It is worth something only if they are sealed as that file has them: so each
tree is compared, in the transaction that seals, with what the file was made from.
"""

from typing import Any, Final

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.errors import RunIsLive
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes import lineage

_REASON_BYTES: Final = 500
"""What is kept of a reason while a run is away, so that its event holds it."""


class SealTrees(Write):
    """Seals the unfinished runs of trees, all or none. The value is how many; None where a tree is not as it was.

    `trees` has, by the key of each root, its runs as they were exported (`moving_tree`). Raises `RunIsLive` where
    somebody works on one.
    """

    __slots__ = ("export", "made_at", "size", "trees")

    def __init__(self, trees: dict[int, frozenset[Row]], *, export: str, made_at: str) -> None:
        self.trees = trees
        self.export = codec.clip(export, 1_000)
        self.made_at = made_at
        self.size = 1_000 + 500 * sum(map(len, trees.values()))

    def decide(self, batch: Batch) -> int | None:
        for root, was in self.trees.items():
            if frozenset(batch.read("moving_tree", root=root)) != was:
                return None
        found = [row for was in self.trees.values() for row in sorted(was) if row[2] not in runs.ENDED]
        for _, run_id, status, *_ in found:
            if status == "running":
                raise is_worked_on(run_id)
        heads = [batch.head(run_id) for _, run_id, status, *_ in found if status in runs.MOVABLE]
        cards = [card for head in heads for card in lineage.cards_of(batch, head)]
        lineage.release_cards(batch, cards)
        for head in heads:
            batch.record(head, "run.moved", self._told(head))
        return len(heads)

    def _told(self, head: Head) -> dict[str, Any]:
        told: dict[str, Any] = {"export": self.export, "made_at": self.made_at, "status": head.status}
        if head.status_reason is not None:
            told["reason"] = codec.clip(head.status_reason, _REASON_BYTES)
        if head.wake_at is not None:
            told["wake_at"] = head.wake_at
        return told


class UnsealTrees(Write):
    """Lets the moved runs of trees go on here, with the status that they had. The value is how many there were."""

    __slots__ = ("roots",)

    def __init__(self, roots: list[str]) -> None:
        self.roots = roots

    def decide(self, batch: Batch) -> int:
        away = [
            batch.head(row[1])
            for root in self.roots
            for row in batch.read("moving_tree", root=batch.head(root).pk)
            if row[2] == "moved"
        ]
        before = [_before(batch, head) for head in away]
        for head, payload in zip(away, before, strict=True):
            batch.record(head, "run.returned", payload)
        return len(away)


def _before(batch: Batch, head: Head) -> dict[str, Any]:
    """How the run stood; `interrupted` where the event that says so was removed."""
    rows = batch.read("moved_before", run=head.pk)
    told = codec.decode(rows[0][0]) if rows and rows[0][0] is not None else {"status": "interrupted"}
    return {name: told[name] for name in ("status", "reason", "wake_at") if name in told}


def is_worked_on(run_id: str) -> RunIsLive:
    """The error for a tree that cannot be moved now."""
    return RunIsLive(
        f"run {run_id} is being worked on; nothing was moved",
        hint="end what works on it, or wait: runstone runs list --status running",
        run_id=run_id,
    )
