"""What a resume would do, from what is recorded: no code is run, nothing is written."""

from typing import Any

from runstone.domain.records import AgentRun, JournalEntry, WorkflowRun
from runstone.domain.resume import Plan, PlanEntry, ResumePolicy, action_for, phases_from, plan_entry, unusable
from runstone.engine.local import LocalEngine
from runstone.engine.phase_states import phase_states
from runstone.engine.registry import Registry
from runstone.errors import NotFound, RunstoneError
from runstone.store.reads import Reader


def plan(reader: Reader, run_id: str, policy: ResumePolicy, registry: Registry) -> Plan:
    """What a resume of the run would reuse, run again and start. "At least" for code, exact for declarative phases."""
    run = reader.run(run_id)
    found: dict[str, list[PlanEntry]] = {"reuse": [], "rerun": [], "raise": [], "superseded": []}
    entries = reader.journal(run_id)
    order = [phase.name for phase in phase_states(reader, run)]
    dropped = {e.number for e in unusable(entries, policy, phases_from(order, policy.from_phase))}
    _sort(reader, run, [e for e in entries if e.number not in dropped], policy, found, None)
    return Plan(
        run_id=run_id,
        status=run.status,
        reuse=tuple(found["reuse"]),
        rerun=tuple(found["rerun"]),
        raised=tuple(found["raise"]),
        superseded=tuple(found["superseded"]),
        start=tuple(plan_entry(e) for e in entries if e.number in dropped and e.kind == "child"),
        warnings=tuple(_warnings(run, registry)),
    )


def _sort(
    reader: Reader,
    run: AgentRun,
    entries: list[JournalEntry],
    policy: ResumePolicy,
    found: dict[str, list[PlanEntry]],
    parent: str | None,
) -> None:
    """Sorts a run's records, and those of the children that would go on, by what becomes of them."""
    ended = frozenset((run.error or {}).get("caused_by", ()))
    for entry in entries:
        if entry.dropped or entry.kind == "timer":
            continue
        shown = plan_entry(entry, parent)
        if entry.superseded:
            found["superseded"].append(shown)
            continue
        action = action_for(entry, policy, ended)
        if action in ("reuse", "raise"):
            found[action].append(shown)
            continue
        found["rerun"].append(shown)
        if entry.child_run_id is not None:
            child = reader.run(entry.child_run_id)
            _sort(reader, child, reader.journal(child.id), policy, found, child.id)


def _warnings(run: AgentRun, registry: Registry) -> list[str]:
    warnings: list[str] = []
    if not isinstance(run, WorkflowRun):
        return warnings
    entry: Any = None
    try:
        entry = registry.get_workflow(run.definition_id or "")
    except NotFound as error:
        return [str(error)]
    except RunstoneError as error:
        return [f"{error}"]
    if LocalEngine.definition_hash(entry) != run.definition_hash:
        warnings.append(f"the definition of {entry.name} changed since the run was started")
    return warnings
