"""Two runs side by side: what each part of one is in the other, and how they differ. Pure, linear in their parts.

Parts are children and steps. They are aligned by key in the same phase, then by key anywhere, then by name and order
in the same phase; what is left is in one of the runs only. Phases are aligned by name.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, Literal

import msgspec

from runstone.domain.records import AgentRun, PhaseState, Record, Totals
from runstone.domain.state_diff import StateDiff, diff
from runstone.domain.telemetry import to_usd

MAX_PAIRS: Final = 2_000
"""Pairs that are given; of what is beyond only how many they are is said."""

MAX_VALUES: Final = 100
"""Pairs whose inputs and results are compared place by place, from the first that differ."""

Standing = Literal["same", "changed", "only_a", "only_b"]
ValueOf = Callable[["Part"], tuple[Any, Any]]
"""The input and the result of a part."""


class Part(Record, frozen=True, kw_only=True):
    """A child or a step of a run. Tokens and cost are those of a child with all below it."""

    kind: str
    name: str
    key: str
    phase: str | None
    child_run_id: str | None
    title: str | None
    status: str
    tokens: int
    cost_picousd: int
    elapsed_ms: int | None
    reused: bool
    """It was done for another run, of which this one is a fork."""
    input_name: str | None = None
    """Names the input: equal for equal ones."""
    result_name: str | None = None
    error: str | None = None


class Side(Record, frozen=True, kw_only=True):
    """One of two runs, as far as they are compared."""

    run: AgentRun
    input: Any
    result: Any
    own: Totals
    subtree: Totals
    elapsed_ms: int
    phases: tuple[PhaseState, ...]
    parts: tuple[Part, ...]


class Pair(Record, frozen=True, kw_only=True):
    """What a part of one run is in the other. `input` and `result` are set where they were compared and differ."""

    standing: Standing
    a: Part | None
    b: Part | None
    input: StateDiff | None = None
    result: StateDiff | None = None


class PhasePair(Record, frozen=True, kw_only=True):
    """A phase in both runs, with sums of its parts; what was reused is spent by neither."""

    name: str | None
    """None: parts of no phase."""
    a: "PhaseSide | None"
    b: "PhaseSide | None"
    counts: dict[Standing, int]


class PhaseSide(Record, frozen=True, kw_only=True):
    """A phase in one run."""

    status: str | None
    parts: int
    reused: int
    tokens: int
    cost_picousd: int
    elapsed_ms: int | None


class Facts(Record, frozen=True, kw_only=True):
    """What is told of a compared run as a whole. Tokens and cost are those of the run with all below it."""

    run_id: str
    name: str | None
    version: str | None
    """The version of an agent, or the hash of a definition."""
    status: str
    error: str | None
    forked_from: str | None
    forked_from_checkpoint: int | None
    tokens: int
    cost_picousd: int
    cost_complete: bool
    elapsed_ms: int
    attempts: int

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "cost_usd": to_usd(self.cost_picousd)}


class Comparison(Record, frozen=True, kw_only=True):
    """How two runs differ. `pairs` are those that differ, the first 2,000; `more` is how many there are besides."""

    a: Facts
    b: Facts
    input: StateDiff
    result: StateDiff
    phases: tuple[PhasePair, ...]
    counts: dict[Standing, int]
    pairs: tuple[Pair, ...]
    more: int = 0

    @property
    def same(self) -> bool:
        """Whether input, result, status and all parts are."""
        parts = set(self.counts) <= {"same"} and self.a.status == self.b.status
        return parts and not (self.input.changes or self.result.changes)

    def to_dict(self) -> dict[str, Any]:
        value = super().to_dict()
        return {**value, "same": self.same, "a": self.a.to_dict(), "b": self.b.to_dict()}


def compare(a: Side, b: Side, value_of: ValueOf) -> Comparison:
    """Aligns the parts of two runs, and says what differs. `value_of` is asked for few of them."""
    aligned = [(standing_of(one, other), one, other) for one, other in align(a.parts, b.parts)]
    counts: dict[Standing, int] = defaultdict(int)
    for standing, _, _ in aligned:
        counts[standing] += 1
    differing = [found for found in aligned if found[0] != "same" or _spent(*found[1:])]
    pairs = tuple(
        _pair(*found, value_of if number < MAX_VALUES else None)
        for number, found in enumerate(differing[:MAX_PAIRS])
    )
    return Comparison(
        a=_facts(a), b=_facts(b), input=diff(a.input, b.input), result=diff(a.result, b.result),
        phases=tuple(_phases(a, b, aligned)), counts=dict(counts), pairs=pairs,
        more=max(0, len(differing) - MAX_PAIRS),
    )  # fmt: skip


def align(a: Iterable[Part], b: Iterable[Part]) -> list[tuple[Part | None, Part | None]]:
    """Pairs in the order of the first run, each part of the second that has no partner after the one before it."""
    first, second = list(a), list(b)
    partner: dict[int, int] = {}
    for same in (_place_and_key, _key, _place_and_name):
        _match(first, second, partner, same)
    taken = set(partner.values())
    pairs: list[tuple[Part | None, Part | None]] = []
    rest = deque(index for index in range(len(second)) if index not in taken)
    for index, part in enumerate(first):
        there = partner.get(index)
        while there is not None and rest and rest[0] < there:
            pairs.append((None, second[rest.popleft()]))
        pairs.append((part, None if there is None else second[there]))
    return pairs + [(None, second[index]) for index in rest]


def _match(
    first: list[Part], second: list[Part], partner: dict[int, int], same: Callable[[Part], Hashable]
) -> None:
    """Pairs those that are left and alike, in their order."""
    taken = set(partner.values())
    free: dict[Hashable, deque[int]] = defaultdict(deque)
    for index, part in enumerate(second):
        if index not in taken:
            free[same(part)].append(index)
    for index, part in enumerate(first):
        if index not in partner and (found := free.get(same(part))):
            partner[index] = found.popleft()


def _place_and_key(part: Part) -> Hashable:
    return part.phase, part.key


def _key(part: Part) -> Hashable:
    return part.key


def _place_and_name(part: Part) -> Hashable:
    return part.phase, part.kind, part.name


def standing_of(a: Part | None, b: Part | None) -> Standing:
    """Whether two parts are alike in what they were given, how they stand and what they gave."""
    if a is None or b is None:
        return "only_b" if a is None else "only_a"
    if a.child_run_id is not None and a.child_run_id == b.child_run_id:
        return "same"
    alike = (a.status, a.result_name, a.error, a.phase) == (b.status, b.result_name, b.error, b.phase)
    given = a.input_name == b.input_name if a.input_name and b.input_name else a.key == b.key
    return "same" if alike and given else "changed"


def _spent(a: Part | None, b: Part | None) -> bool:
    """Whether they differ in what they had cost."""
    return a is not None and b is not None and (a.tokens, a.cost_picousd) != (b.tokens, b.cost_picousd)


def _pair(standing: Standing, a: Part | None, b: Part | None, value_of: ValueOf | None) -> Pair:
    if standing != "changed" or value_of is None or a is None or b is None:
        return Pair(standing=standing, a=a, b=b)
    (given, result), (other_given, other_result) = value_of(a), value_of(b)
    return Pair(
        standing=standing, a=a, b=b, input=_differing(given, other_given), result=_differing(result, other_result)
    )  # fmt: skip


def _differing(a: Any, b: Any) -> StateDiff | None:
    found = None if a is msgspec.UNSET or b is msgspec.UNSET else diff(a, b)
    return found if found is not None and found.changes else None


def _facts(side: Side) -> Facts:
    run = side.run
    name, version = getattr(run, "definition_id", None), getattr(run, "definition_hash", None)
    return Facts(
        run_id=run.id, name=run.agent_id or name, version=run.agent_version or version, status=run.status,
        error=(run.error or {}).get("message"), forked_from=run.forked_from,
        forked_from_checkpoint=run.forked_from_checkpoint, tokens=side.subtree.tokens,
        cost_picousd=side.subtree.cost_picousd, cost_complete=side.subtree.complete, elapsed_ms=side.elapsed_ms,
        attempts=run.attempt,
    )  # fmt: skip


def _phases(
    a: Side, b: Side, aligned: list[tuple[Standing, Part | None, Part | None]]
) -> Iterable[PhasePair]:
    known = {phase.name: phase for phase in a.phases}, {phase.name: phase for phase in b.phases}
    counts: dict[str | None, dict[Standing, int]] = {}
    sides: tuple[dict[str | None, list[Part]], dict[str | None, list[Part]]] = (
        defaultdict(list),
        defaultdict(list),
    )
    for standing, *parts in aligned:
        for side, part in zip(sides, parts, strict=True):
            if part is not None:
                side[part.phase].append(part)
        name = next(part.phase for part in parts if part is not None)
        found = counts.setdefault(name, {})
        found[standing] = found.get(standing, 0) + 1
    names = dict.fromkeys([*known[0], *known[1], *counts, *sides[0], *sides[1]])
    for name in names:
        told = [
            _phase_side(phases.get(name or ""), side.get(name, []))
            for phases, side in zip(known, sides, strict=True)
        ]
        yield PhasePair(name=name, a=told[0], b=told[1], counts=counts.get(name, {}))


def _phase_side(phase: PhaseState | None, parts: list[Part]) -> PhaseSide | None:
    if phase is None and not parts:
        return None
    own = [part for part in parts if not part.reused]
    took = None
    if phase is not None and phase.started_at is not None and phase.completed_at is not None:
        took = int((phase.completed_at - phase.started_at).total_seconds() * 1000)
    return PhaseSide(
        status=None if phase is None else phase.status, parts=len(parts), reused=len(parts) - len(own),
        tokens=sum(part.tokens for part in own), cost_picousd=sum(part.cost_picousd for part in own), elapsed_ms=took,
    )  # fmt: skip
