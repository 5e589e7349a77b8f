"""Which records a resumed declarative workflow would claim, and which children it would start.

No guess, but the forecast of its phases (`domain/phases.py`) against its journal.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

import msgspec

from runstone.domain import keys, phases, workflows
from runstone.domain.phases import ChildSpec, Known
from runstone.domain.records import JournalEntry
from runstone.domain.resume import Claims, PlanEntry, ResumePolicy, action_for
from runstone.domain.workflows import PhaseDefinition, WorkflowDefinition
from runstone.engine.registry import Registry
from runstone.errors import AgentNotFound, InputRefused

ResultOf = Callable[[JournalEntry], Any]
"""The stored result of a finished record."""


@final
class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """`claimed` are the records that the attempt would take, in order; `start` the children that it would start.

    `exact` is False where what starts depends on results that are not there yet; `start` is then the least.
    """

    claimed: tuple[JournalEntry, ...] = ()
    start: tuple[PlanEntry, ...] = ()
    exact: bool = True
    warnings: tuple[str, ...] = ()


def foresee(
    definition: WorkflowDefinition,
    input: Any,
    entries: Sequence[JournalEntry],
    *,
    policy: ResumePolicy,
    ended_parent: frozenset[str],
    registry: Registry,
    result_of: ResultOf,
) -> Foreseen:
    """What the next attempt would claim and start, if every child that it runs succeeds."""
    try:
        given = workflows.check_input(definition, input)
    except InputRefused as error:
        return Foreseen(warnings=(str(error),))
    claims, claimed, start = Claims(entries), list[JournalEntry](), list[PlanEntry]()

    def find(phase: PhaseDefinition, spec: ChildSpec) -> Known | None:
        key = child_key(phase, spec.input, registry)
        record = claims.claim(key, phase.name, None) if key is not None else None
        if record is None:
            start.append(_started(phase, key))
            return None
        claimed.append(record)
        action = action_for(record, policy, ended_parent)
        if action == "reuse":
            return Known(result=result_of(record))
        return Known(failed=True) if action == "raise" else None

    told = phases.forecast(definition, given, find)
    for phase in told:
        unknown = [spec for spec in phase.start if spec.input is phases.UNKNOWN]
        start += [_started(definition.phase(phase.name), None) for _ in unknown]
    return Foreseen(
        claimed=tuple(claimed),
        start=tuple(start),
        exact=all(phase.exact for phase in told),
        warnings=tuple(f"phase {p.name}: {p.reason}" for p in told if p.reason is not None and not p.exact),
    )


def affected(definition: WorkflowDefinition, first: str) -> list[str]:
    """The phases that `from_phase` does again: that one, and what depends on it. Raises InvalidDefinition."""
    below = definition.descendants(definition.phase(first).name) | {first}
    return [phase.name for phase in definition.phases if phase.name in below]


def child_key(phase: PhaseDefinition, input: Any, registry: Registry) -> str | None:
    """The key that `ctx.map` gives the child; None if its agent is not registered."""
    try:
        version = registry.get_agent(phase.agent).version
    except AgentNotFound:
        return None
    options = {} if phase.retry is None else {"retry": msgspec.to_builtins(phase.retry)}
    return keys.child_key("child", phase.agent, version, input, options)


def _started(phase: PhaseDefinition, key: str | None) -> PlanEntry:
    return PlanEntry(kind="child", name=phase.agent, key=key, phase=phase.name)
