"""Two runs side by side, with costs as everywhere in the API."""

from typing import Any, TypeVar

import msgspec

from runstone.domain.comparison import Comparison, Facts, Pair, Part, PhasePair, PhaseSide, Standing
from runstone.domain.state_diff import StateDiff
from runstone.server.shapes.totals import usd

T = TypeVar("T", "FactsShape", "PartShape", "PhaseSideShape")


class FactsShape(msgspec.Struct, frozen=True, kw_only=True):
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
    cost_usd: str
    cost_complete: bool
    """Where it is false, some cost is unknown, and `cost_usd` is a lower bound."""
    elapsed_ms: int
    attempts: int


class PartShape(msgspec.Struct, frozen=True, kw_only=True):
    """A child or a step of a run."""

    kind: str
    name: str
    key: str
    phase: str | None
    child_run_id: str | None
    title: str | None
    status: str
    tokens: int
    cost_usd: str
    elapsed_ms: int | None
    reused: bool
    """It was done for another run, of which this one is a fork."""
    input_name: str | None
    """Names the input: equal for equal ones."""
    result_name: str | None
    error: str | None


class PairShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of one run is in the other. `input` and `result` are there where they were compared and differ."""

    standing: Standing
    a: PartShape | None
    b: PartShape | None
    input: StateDiff | None
    result: StateDiff | None


class PhaseSideShape(msgspec.Struct, frozen=True, kw_only=True):
    """A phase in one run."""

    status: str | None
    parts: int
    reused: int
    tokens: int
    cost_usd: str
    elapsed_ms: int | None


class PhasePairShape(msgspec.Struct, frozen=True, kw_only=True):
    """A phase in both runs; null: parts of no phase."""

    name: str | None
    a: PhaseSideShape | None
    b: PhaseSideShape | None
    counts: dict[Standing, int]


class ComparisonShape(msgspec.Struct, frozen=True, kw_only=True):
    """How two runs differ. `pairs` are those that differ, the first 2,000; `more` is how many there are besides."""

    same: bool
    a: FactsShape
    b: FactsShape
    input: StateDiff
    result: StateDiff
    phases: list[PhasePairShape]
    counts: dict[Standing, int]
    pairs: list[PairShape]
    more: int


def comparison_of(found: Comparison) -> ComparisonShape:
    """The comparison as the API shows it."""
    return ComparisonShape(
        same=found.same, a=_priced(found.a, FactsShape), b=_priced(found.b, FactsShape), input=found.input,
        result=found.result, phases=[_phases(pair) for pair in found.phases], counts=found.counts,
        pairs=[_pair(pair) for pair in found.pairs], more=found.more,
    )  # fmt: skip


def _pair(pair: Pair) -> PairShape:
    a, b = (None if part is None else _priced(part, PartShape) for part in (pair.a, pair.b))
    return PairShape(standing=pair.standing, a=a, b=b, input=pair.input, result=pair.result)


def _phases(pair: PhasePair) -> PhasePairShape:
    a, b = (None if side is None else _priced(side, PhaseSideShape) for side in (pair.a, pair.b))
    return PhasePairShape(name=pair.name, a=a, b=b, counts=pair.counts)


def _priced(record: Facts | Part | PhaseSide, shape: type[T]) -> T:
    """The record's fields that the shape has, its cost as text."""
    names = [name for name in shape.__struct_fields__ if name != "cost_usd"]
    fields: dict[str, Any] = {name: getattr(record, name) for name in names}
    return shape(**fields, cost_usd=usd(record.cost_picousd))
