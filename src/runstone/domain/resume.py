"""Resuming: which record a durable call takes, what becomes of it by policy, and what a resume would do.

A run's records under equal keys are a bag, never numbered by position. A call claims one when it is called: the one
whose hint fits (phase, and the durable call before it in the same task), else a finished one, else a live one, else by
policy. Hints are preferences, so an inserted, removed or reordered call takes nobody's result away.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from runstone.domain.records import JournalEntry
from runstone.errors import InvalidInput

Action = Literal["start", "reuse", "attach", "retry", "raise"]

FAILED: Final = ("retry", "keep", "fail")
INTERRUPTED: Final = ("retry", "fail")
CANCELLED: Final = ("by_cause", "retry", "raise")
DEFINITION: Final = ("accept", "refuse")
FAILURES: Final = ("unhandled", "all")


class ResumePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a resume does with what it finds.

    `failed`: `retry` the failed children, `keep` them (their failure is raised again as recorded), or `fail` at once.
    `interrupted`: `retry` or `fail`. `cancelled`: `by_cause` raises for what a person stopped and retries what was
    stopped with its parent. `failures`: a failure that the code had handled is raised again as recorded; with `all` it
    is tried again, too. `from_phase` and `rerun` (child ids, keys or step names) make records unusable for the new
    attempt, they are not deleted. `max_attempts` counts failed tries of a child only.
    """

    failed: str = "retry"
    interrupted: str = "retry"
    cancelled: str = "by_cause"
    failures: str = "unhandled"
    from_phase: str | None = None
    rerun: tuple[str, ...] = ()
    definition: str = "accept"
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("failed", FAILED),
            ("interrupted", INTERRUPTED),
            ("cancelled", CANCELLED),
            ("failures", FAILURES),
            ("definition", DEFINITION),
        ):
            if getattr(self, name) not in allowed:
                raise InvalidInput(f"{name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if self.max_attempts is not None and (type(self.max_attempts) is not int or self.max_attempts < 1):
            raise InvalidInput(f"max_attempts is a whole number from 1, not {self.max_attempts!r}")
        if not all(isinstance(text, str) for text in self.rerun):
            raise InvalidInput("rerun is a list of child ids, keys or step names")


def action_for(
    entry: JournalEntry, policy: ResumePolicy, ended_parent: frozenset[str] = frozenset()
) -> Action:
    """What a call does with the record that it claimed. `ended_parent` are children whose failure ended the parent."""
    if entry.finished:
        return "reuse"
    status = entry.child_status
    if status == "failed":
        handled = entry.handled and entry.child_run_id not in ended_parent and policy.failures != "all"
        spent = policy.max_attempts is not None and entry.child_tries >= policy.max_attempts
        return "raise" if policy.failed != "retry" or handled or spent else "retry"
    if status == "cancelled":
        retried = policy.cancelled == "retry" or (policy.cancelled == "by_cause" and entry.child_by_cascade)
        return "retry" if retried else "raise"
    if status == "interrupted":
        return "retry" if policy.interrupted == "retry" else "raise"
    return "attach"


class Claims:
    """The bag of a run's records during one attempt. Each is claimed at most once."""

    def __init__(self, entries: Iterable[JournalEntry]) -> None:
        self._bag: dict[str, list[JournalEntry]] = {}
        self.claimed: dict[int, JournalEntry] = {}
        self.newest = 0
        """The newest record of all, also of those that may not be used."""
        for entry in entries:
            self.newest = max(self.newest, entry.number)
            if not entry.dropped:
                self._bag.setdefault(entry.key, []).append(entry)

    def claim(self, key: str, phase: str | None, previous: str | None) -> JournalEntry | None:
        """The record for a call, or None: then it starts anew."""
        candidates = self._bag.get(key)
        if not candidates:
            return None
        best = min(candidates, key=lambda entry: _rank(entry, phase, previous))
        candidates.remove(best)
        self.claimed[best.number] = best
        return best

    def known(self, key: str) -> bool:
        """Whether an unclaimed record has this key."""
        return bool(self._bag.get(key))

    @property
    def left(self) -> list[JournalEntry]:
        """Records that nobody has claimed yet."""
        return [entry for entries in self._bag.values() for entry in entries]


def _rank(entry: JournalEntry, phase: str | None, previous: str | None) -> tuple[bool, bool, bool, bool, int]:
    hinted = entry.phase == phase and entry.previous == previous
    live = entry.child_status in ("running", "pending", "waiting")
    return not hinted, not entry.finished, not live, entry.phase != phase, entry.number


def unusable(
    entries: Sequence[JournalEntry], policy: ResumePolicy, phases: Sequence[str]
) -> list[JournalEntry]:
    """Records that the policy takes from the new attempt. `phases` are those from `from_phase` on."""
    asked = set(policy.rerun)
    found = [
        entry
        for entry in entries
        if not entry.dropped
        and (entry.phase in phases or asked & {entry.key, entry.name, entry.child_run_id})
    ]
    named = {text for entry in found for text in (entry.key, entry.name, entry.child_run_id)}
    if missing := asked - named:
        raise InvalidInput(f"rerun names nothing that the run knows: {', '.join(sorted(missing))}")
    return found


def phases_from(order: Sequence[str], first: str | None) -> list[str]:
    """The phases of `order` from `first` on. Raises `InvalidInput` for one that there is not."""
    if first is None:
        return []
    if first not in order:
        raise InvalidInput(
            f"from_phase {first!r} is none of the run's phases: {', '.join(order) or 'it has none'}"
        )
    return list(order[order.index(first) :])


class PlanEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One record or child of a plan, with what it had cost."""

    kind: str
    name: str
    key: str | None = None
    phase: str | None = None
    child_run_id: str | None = None
    status: str | None = None
    tokens: int = 0
    cost_picousd: int = 0
    parent_run_id: str | None = None
    """The run below the resumed one that asks for it; None for the resumed run itself."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a resume would do. `exact` for declarative workflows; for code it is the least that will happen."""

    run_id: str
    status: str
    reuse: tuple[PlanEntry, ...] = ()
    rerun: tuple[PlanEntry, ...] = ()
    start: tuple[PlanEntry, ...] = ()
    raised: tuple[PlanEntry, ...] = ()
    """Children whose recorded failure is raised again."""
    superseded: tuple[PlanEntry, ...] = ()
    exact: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def reused_tokens(self) -> int:
        """Tokens that the reused work had cost."""
        return sum(entry.tokens for entry in self.reuse)

    @property
    def reused_cost_picousd(self) -> int:
        """Picodollars that the reused work had cost."""
        return sum(entry.cost_picousd for entry in self.reuse)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        value = msgspec.to_builtins(self)
        assert isinstance(value, dict)
        return {
            **value,
            "reused_tokens": self.reused_tokens,
            "reused_cost_usd": self.reused_cost_picousd / 1e12,
        }


def plan_entry(entry: JournalEntry, parent_run_id: str | None = None) -> PlanEntry:
    """A record as a plan shows it."""
    return PlanEntry(
        kind=entry.kind,
        name=entry.name,
        key=entry.key,
        phase=entry.phase,
        child_run_id=entry.child_run_id,
        status=entry.child_status or "completed",
        tokens=entry.child_tokens,
        cost_picousd=entry.child_cost_picousd,
        parent_run_id=parent_run_id,
    )
