"""What a declarative workflow does next: pure, and shared by the interpreter and by `plan`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, final

import msgspec

from runstone.domain.placeholders import as_text, fill, fill_known, placeholders
from runstone.domain.workflows import PhaseDefinition, WorkflowDefinition
from runstone.errors import InputRefused

States = Mapping[str, str]
"""Status by phase name (`pending running completed failed skipped`); a phase that is not in it is pending."""
Results = Mapping[str, list[Any]]
"""The results of phases that have ended, in the order of their children; null where a child failed."""


UNKNOWN: Final = msgspec.UNSET
"""Stands for an input that a forecast cannot know."""


@final
class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A child that a phase starts; `index` is its place among the phase's children."""

    agent: str
    input: Any
    """JSON; `UNKNOWN` in a forecast where it depends on results that are not there yet."""
    index: int


@final
class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The phases that may start now, and those that never will in this attempt, with the reason."""

    start: tuple[str, ...]
    skip: tuple[tuple[str, str], ...]


def ready(definition: WorkflowDefinition, states: States) -> Ready:
    """What may start and what is to be skipped, in the order of the definition.

    After a failure with `stop` both are empty: what is left stays pending, for a resume.
    """
    now = dict(states)
    if any(_state(now, phase) == "failed" and phase.on_failure == "stop" for phase in definition.phases):
        return Ready(start=(), skip=())
    skip: dict[str, str] = {}
    for _ in definition.phases:  # a skipped phase skips what depends on it: at most one round for each
        for phase in definition.phases:
            reason = None if _state(now, phase) != "pending" else _skip_reason(definition, now, phase)
            if reason is not None:
                skip[phase.name] = reason
                now[phase.name] = "skipped"
    start = [
        phase.name
        for phase in definition.phases
        if _state(now, phase) == "pending"
        and all(now.get(above) in {"completed", "failed"} for above in phase.depends_on)
    ]
    return Ready(start=tuple(start), skip=tuple((name, skip[name]) for name in now if name in skip))


def failed_for_good(definition: WorkflowDefinition, states: States) -> list[str]:
    """The failed phases that fail the workflow: all but those with `on_failure = "continue"`."""
    return [
        phase.name
        for phase in definition.phases
        if _state(states, phase) == "failed" and phase.on_failure != "continue"
    ]


def expand(phase: PhaseDefinition, input: Any, results: Results) -> list[ChildSpec]:
    """The children of a phase, once the phases that it depends on have ended.

    Raises InputRefused where the input or a result lacks a part, or `for_each` is no list.
    """
    scope = scope_of(input, results)
    if phase.for_each is None:
        value = fill(phase.template, scope, f"phase {phase.name}: input")
        return [ChildSpec(agent=phase.agent, input=value, index=0)]
    items = fill(phase.for_each, scope, f"phase {phase.name}: for_each")
    if not isinstance(items, list):
        raise InputRefused(
            f"phase {phase.name}: for_each needs a list, but {phase.for_each} is {as_text(items):.60}"
        )
    return [
        ChildSpec(
            agent=phase.agent,
            input=fill(phase.template, {**scope, "item": item}, f"phase {phase.name}: input"),
            index=index,
        )
        for index, item in enumerate(items)
    ]


def scope_of(input: Any, results: Results) -> dict[str, Any]:
    """What placeholders see: the input, and of each phase `results` and, of the first child, `result`."""
    phases = {
        name: {"results": list(found), "result": found[0] if found else None}
        for name, found in results.items()
    }
    return {"input": input, "phases": phases}


def summarize(definition: WorkflowDefinition, input: Any, results: Results) -> str | None:
    """The summary's text; what a skipped or failed phase left empty stays as it is written."""
    if definition.summary is None:
        return None
    return fill_known(definition.summary, scope_of(input, results))


# --- what a run of the definition would do --------------------------------------------------------------------------


@final
class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal says of a child: its result, or that its failure is raised again as recorded."""

    result: Any = None
    failed: bool = False


@final
class PhaseForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a phase would do: how many children it would reuse, and which it would start."""

    name: str
    outcome: Literal["reused", "runs", "failed", "skipped", "unreached"]
    reused: int = 0
    start: tuple[ChildSpec, ...] = ()
    exact: bool = True
    """False where it is known only with results that are not there yet, whether and what it starts."""
    reason: str | None = None


Find = Callable[[PhaseDefinition, ChildSpec], Known | None]


def forecast(definition: WorkflowDefinition, input: Any, find: Find) -> list[PhaseForecast]:
    """What an attempt would start and reuse, if every child that it starts succeeds.

    `find` is asked once for each child, in order, and gives None for one that would be started.
    """
    states: dict[str, str] = {}
    results: dict[str, list[Any]] = {}
    told: dict[str, PhaseForecast] = {}
    while True:
        step = ready(definition, states)
        for name, reason in step.skip:
            states[name], results[name] = "skipped", []
            told[name] = PhaseForecast(name=name, outcome="skipped", reason=reason)
        if not step.start:
            break
        for name in step.start:
            seen = _forecast_phase(definition.phase(name), input, results, find)
            told[name] = seen
            states[name] = "failed" if seen.outcome == "failed" else "completed"
    return [told.get(p.name, PhaseForecast(name=p.name, outcome="unreached")) for p in definition.phases]


def _forecast_phase(
    phase: PhaseDefinition, input: Any, results: dict[str, list[Any]], find: Find
) -> PhaseForecast:
    """Forecasts one phase; adds its results if they are known."""
    missing = [p.path[1] for p in _needs(phase) if p.path[0] == "phases" and p.path[1] not in results]
    if missing:
        one = (ChildSpec(agent=phase.agent, input=UNKNOWN, index=0),) if phase.for_each is None else ()
        reason = f"needs the results of {missing[0]}"
        return PhaseForecast(name=phase.name, outcome="runs", start=one, exact=False, reason=reason)
    try:
        specs = expand(phase, input, results)
    except InputRefused as error:
        results[phase.name] = []
        return PhaseForecast(name=phase.name, outcome="failed", reason=str(error))
    found = [(spec, find(phase, spec)) for spec in specs]
    start = tuple(spec for spec, known in found if known is None)
    reused = sum(known is not None and not known.failed for _, known in found)
    if not start:
        results[phase.name] = [known.result for _, known in found if known is not None]
    failed = any(known is not None and known.failed for _, known in found)
    outcome: Literal["reused", "runs", "failed"] = "failed" if failed else "runs" if start else "reused"
    return PhaseForecast(name=phase.name, outcome=outcome, reused=reused, start=start)


def _needs(phase: PhaseDefinition) -> Sequence[Any]:
    return [*placeholders(phase.for_each), *placeholders(phase.template)]


def _state(states: States, phase: PhaseDefinition) -> str:
    return states.get(phase.name, "pending")


def _skip_reason(definition: WorkflowDefinition, states: States, phase: PhaseDefinition) -> str | None:
    for above in phase.depends_on:
        state = states.get(above)
        if state == "skipped":
            return f"phase {above} was skipped"
        if state == "failed" and definition.phase(above).on_failure == "skip_dependents":
            return f"phase {above} failed"
    return None
