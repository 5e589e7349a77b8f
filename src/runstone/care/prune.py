"""Retention: which ended trees may go, and taking them out. Nothing is ever removed but by an explicit order.

A plan is made by reading alone. Each limit that is given protects: a tree goes only if all of them let it go.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runstone.care import space
from runstone.care.removing import Removal, Taken, require_over
from runstone.domain import codec
from runstone.domain.records import at
from runstone.domain.runs import ENDED
from runstone.domain.telemetry import to_usd
from runstone.errors import IllegalTransition, InvalidInput, NotFound
from runstone.store.base import Row

if TYPE_CHECKING:
    from runstone.ledger import Ledger

PINNED: Final = ("pinned", "true")
"""The label of a root that keeps its tree from every policy."""

PER: Final = ("agent", "workflow")
STATUSES: Final = tuple(sorted((*ENDED, "interrupted")))
OLD_COPIES: Final = "ledger-before-*.db"

_PAGE: Final = 500
_RUN_BYTES, _EVENT_BYTES, _MESSAGE_BYTES, _PLACE_BYTES, _BLOB_BYTES = 1_600, 65, 180, 40, 140
"""What a row takes besides its text, with its indexes; measured, about."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What may go. `keep` counts the newest trees, of each `per` where that is given; `labels` are of the root."""

    older_than: timedelta | None = None
    keep: int | None = None
    per: str | None = None
    max_bytes: int | None = None
    status: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    workflow: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    interrupted: bool = False
    """Also trees that stand still with interrupted runs in them: they could be resumed."""

    def __post_init__(self) -> None:
        if self.per is not None and (self.per not in PER or self.keep is None):
            raise InvalidInput(f"per goes with keep, and is one of {', '.join(PER)}, not {self.per!r}")
        for name in ("keep", "max_bytes"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 0):
                raise InvalidInput(f"{name} is a whole number from 0, not {value!r}")
        if self.older_than is not None and self.older_than < timedelta():
            raise InvalidInput(f"older_than is a time that has passed, not {self.older_than}")
        if wrong := [status for status in self.status if status not in STATUSES]:
            raise InvalidInput(f"status {wrong[0]!r} is none of {', '.join(STATUSES)}")

    @property
    def says_anything(self) -> bool:
        """Whether there is a limit or a filter at all: without one, everything that ended would go."""
        limits = (self.older_than, self.keep, self.max_bytes)
        return any(limit is not None for limit in limits) or bool(
            self.status or self.agent or self.workflow or self.labels
        )


class PlannedTree(msgspec.Struct, frozen=True, kw_only=True):
    """A tree that would go. `bytes` is about; what it cost stays in the usage report."""

    run_id: str
    status: str
    title: str | None
    agent_id: str | None
    definition_id: str | None
    last_active_at: datetime
    runs: int
    events: int = 0
    messages: int = 0
    checkpoints: int = 0
    blobs: int = 0
    bytes: int = 0
    requests: int = 0
    cost_usd: float = 0.0
    cost_complete: bool = True
    last_active: int
    """As `last_active_at`, to the microsecond: a tree that did something since then is not taken."""


class OldCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of the ledger that an upgrade made, or left unfinished."""

    path: str
    bytes: int


class PrunePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune would do. Trees are in the order in which they go: the one that was active longest ago first."""

    trees: tuple[PlannedTree, ...]
    keep_rows: bool
    kept: int
    """Ended trees that stay: a limit, a filter or the label `pinned=true` keeps them."""
    living: int
    """Trees with a run that has not ended; interrupted ones are counted here unless they may go."""
    space: space.Space
    old_copies: tuple[OldCopy, ...] = ()

    def total(self, name: str) -> Any:
        """The sum of a field over all trees."""
        return sum(getattr(tree, name) for tree in self.trees)


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune did. `skipped` are trees that changed since the plan, with the reason."""

    taken: Taken
    skipped: tuple[tuple[str, str], ...]
    space: space.Space
    log_emptied: bool


class _Tree(msgspec.Struct):
    """A root, as the policy looks at it."""

    pk: int
    run_id: str
    status: str
    title: str | None
    agent_id: str | None
    definition_id: str | None
    labels: dict[str, str]
    runs: int
    last_active: int
    living: int
    interrupted: int


Looked = Callable[[int], None]


def plan_prune(
    ledger: "Ledger",
    policy: Policy,
    *,
    keep_rows: bool = False,
    now: datetime | None = None,
    looked: Looked | None = None,
) -> PrunePlan:
    """What a prune by the policy would take at `now`. Reads only; `looked` hears how many trees it has weighed."""
    ended, living, pinned = [], 0, 0
    for tree in _trees(ledger):
        if tree.living or (tree.interrupted and not policy.interrupted):
            living += 1
        elif tree.labels.get(PINNED[0]) == PINNED[1]:
            pinned += 1
        else:
            ended.append(tree)
    size = space.measure(ledger)
    chosen = _chosen(ended, policy, now or datetime.now(UTC))
    need = None if policy.max_bytes is None else size.used_bytes - policy.max_bytes
    trees = tuple(_weighed(ledger, chosen, need, keep_rows, looked or (lambda count: None)))
    return PrunePlan(
        trees=trees, keep_rows=keep_rows, kept=len(ended) + pinned - len(trees), living=living, space=size,
        old_copies=tuple(old_copies(ledger)),
    )  # fmt: skip


def prune(ledger: "Ledger", plan: PrunePlan, *, progress: Callable[[Taken], None] | None = None) -> Pruned:
    """Carries out a plan, tree by tree; what lives, or did anything since, stays. Then gives the space back."""
    removal, skipped = Removal(ledger, progress), []
    for tree in plan.trees:
        try:
            if require_over(ledger, tree.run_id).last_active != tree.last_active:
                skipped.append((tree.run_id, "it did something since"))
                continue
            (removal.prune if plan.keep_rows else removal.remove)(tree.run_id)
        except (IllegalTransition, NotFound) as refused:
            skipped.append((tree.run_id, str(refused)))
    space.sweep(ledger, removal)
    emptied = space.give_back(ledger, tidy=bool(removal.taken.messages or removal.taken.runs))
    return Pruned(
        taken=removal.taken, skipped=tuple(skipped), space=space.measure(ledger), log_emptied=emptied
    )


def old_copies(ledger: "Ledger") -> Iterator[OldCopy]:
    """Copies of the file that upgrades made before they changed it."""
    folder = ledger.workspace.folder
    for path in sorted(folder.glob(OLD_COPIES)):
        if path.is_file() and not path.is_symlink():
            yield OldCopy(path=str(path), bytes=path.stat().st_size)


def remove_copies(copies: Iterable[OldCopy]) -> int:
    """Removes these copies; gives their bytes."""
    gone = 0
    for copy in copies:
        Path(copy.path).unlink(missing_ok=True)
        gone += copy.bytes
    return gone


# --- choosing ------------------------------------------------------------------------------------------------------


def _trees(ledger: "Ledger") -> Iterator[_Tree]:
    """All trees of the ledger, page by page."""
    after = 0
    while page := ledger.reader.rows("tree_page", after=after, limit=_PAGE):
        yield from map(_tree, page)
        after = page[-1][0]


def _tree(row: Row) -> _Tree:
    pk, run_id, status, title, agent, definition, labels, *numbers = row
    return _Tree(pk, run_id, status, title, agent, definition, codec.decode(labels), *numbers)


def _chosen(ended: list[_Tree], policy: Policy, now: datetime) -> list[_Tree]:
    """Those that every limit but the size lets go, the one that was active longest ago first."""
    fitting = sorted((t for t in ended if _fits(t, policy)), key=lambda t: (t.last_active, t.pk))
    if policy.keep is not None:
        seen: dict[str | None, int] = {}
        newest = set()
        for tree in reversed(fitting):
            group = {"agent": tree.agent_id, "workflow": tree.definition_id}.get(policy.per or "")
            seen[group] = seen.get(group, 0) + 1
            if seen[group] <= policy.keep:
                newest.add(tree.pk)
        fitting = [tree for tree in fitting if tree.pk not in newest]
    if policy.older_than is not None:
        before = now - policy.older_than
        fitting = [tree for tree in fitting if at(tree.last_active) <= before]
    return fitting


def _fits(tree: _Tree, policy: Policy) -> bool:
    return (
        (not policy.status or tree.status in policy.status)
        and (not policy.agent or tree.agent_id in policy.agent)
        and (not policy.workflow or tree.definition_id in policy.workflow)
        and all(tree.labels.get(name) == value for name, value in policy.labels.items())
    )


def _weighed(
    ledger: "Ledger", chosen: list[_Tree], need: int | None, keep_rows: bool, looked: Looked
) -> Iterator[PlannedTree]:
    """The trees with what is in them; with `need`, no more than give so many bytes."""
    for count, tree in enumerate(chosen):
        if need is not None and need <= 0:
            return
        looked(count)
        found, places = _weigh(ledger, tree, keep_rows)
        if keep_rows and not (found.events or found.messages or found.checkpoints or places):
            continue  # nothing but tombstones
        if need is not None:
            need -= found.bytes
        yield found


def _weigh(ledger: "Ledger", tree: _Tree, keep_rows: bool) -> tuple[PlannedTree, int]:
    """What is in a tree; also how many places: a removal that was cut off may have left some without a checkpoint."""
    rows = ledger.reader.rows
    events, payload, tombs = rows("tree_events", root=tree.pk)[0]
    messages, text = rows("tree_messages", root=tree.pk)[0]
    checkpoints = rows("tree_checkpoints", root=tree.pk)[0][0]
    places, values = rows("tree_places", root=tree.pk)[0]
    blobs, stored = rows("tree_blobs", root=tree.pk)[0]
    cost, unknown, requests = rows("tree_spent", root=tree.pk)[0]
    size = payload + text + values + stored + events * _EVENT_BYTES + messages * _MESSAGE_BYTES
    size += places * _PLACE_BYTES + blobs * _BLOB_BYTES + (0 if keep_rows else tree.runs * _RUN_BYTES)
    return PlannedTree(
        run_id=tree.run_id, status=tree.status, title=tree.title, agent_id=tree.agent_id,
        definition_id=tree.definition_id, last_active_at=at(tree.last_active), last_active=tree.last_active,
        runs=tree.runs, events=events - tombs if keep_rows else events, messages=messages, checkpoints=checkpoints,
        blobs=blobs, bytes=size, requests=requests, cost_usd=to_usd(cost), cost_complete=not unknown,
    ), places  # fmt: skip
