"""Which records a resumed declarative workflow would claim, and which children it would start.

No guess, but the forecast of its phases (`domain/phases.py`) against its journal.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

import msgspec

from runstone.domain import keys, phases, workflows
from runstone.domain.phases import ChildSpec, Known
from runstone.domain.records import AgentRun, JournalEntry
from runstone.domain.resume import Claims, PlanEntry, ResumePolicy, action_for, phases_from
from runstone.domain.workflows import PhaseDefinition, WorkflowDefinition
from runstone.engine.phase_states import phase_states
from runstone.engine.registry import Registry
from runstone.errors import AgentNotFound, InputRefused
from runstone.store.reads import Reader

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
    # The one child of a phase whose input is not known yet is new for certain where no record of the phase is left.
    left = {record.phase for record in claims.left}
    for phase in told:
        unknown = [spec for spec in phase.start if spec.input is phases.UNKNOWN]
        start += [_started(definition.phase(phase.name), None) for _ in unknown]
    return Foreseen(
        claimed=tuple(claimed),
        start=tuple(start),
        exact=all(phase.exact or (phase.start and phase.name not in left) for phase in told),
        warnings=tuple(f"phase {p.name}: {p.reason}" for p in told if p.reason is not None and not p.exact),
    )


def phases_again(
    reader: Reader, run: AgentRun, definition: WorkflowDefinition | None, first: str | None
) -> list[str]:
    """The phases that `from_phase` does again: `first`, and what depends on it by the definition.

    Code says nothing of dependencies: there it is every phase that had begun after it. Raises InvalidInput.
    """
    if first is None or definition is None:
        return phases_from([phase.name for phase in phase_states(reader, run)], first)
    order = [phase.name for phase in definition.phases]
    again = {*phases_from(order, first)[:1], *definition.descendants(first)}
    return [name for name in order if name in again]


def child_key(phase: PhaseDefinition, input: Any, registry: Registry) -> str | None:
    """The key that `ctx.map` gives the child; None if its agent is not registered."""
    try:
        version = registry.get_agent(phase.agent).version
    except AgentNotFound:
        return None
    return keys.child_key("child", phase.agent, version, input)


def _started(phase: PhaseDefinition, key: str | None) -> PlanEntry:
    return PlanEntry(kind="child", name=phase.agent, key=key, phase=phase.name)
