"""What a resume would do, from what is recorded: no code is run, nothing is written."""

from typing import Any

import msgspec

from runstone.domain import codec
from runstone.domain.records import AgentRun, JournalEntry, WorkflowRun
from runstone.domain.resume import Plan, PlanEntry, ResumePolicy, action_for, plan_entry
from runstone.domain.workflows import WorkflowDefinition
from runstone.engine.claiming import taken_away
from runstone.engine.foresight import foresee
from runstone.engine.local import LocalEngine
from runstone.engine.pinned import workflow_of
from runstone.engine.registry import Entry, Registry
from runstone.engine.simulation import Bounds, simulate
from runstone.errors import NotFound
from runstone.store.reads import Reader


def plan(
    reader: Reader, run_id: str, policy: ResumePolicy, registry: Registry, simulation: Bounds | None = None
) -> Plan:
    """What a resume of the run would reuse, run again and start. "At least" for code, exact for declarative phases.

    With a `simulation`, the code of workflows is run against what is recorded, as far as that goes.

    Raises `InvalidInput` for a phase or record that the policy names and the run does not know.
    """
    run = reader.runs.get(run_id)
    found = _Found(reader, policy, registry, simulation)
    if run.status == "completed":
        found.as_recorded(run)
    else:
        found.resumed(run)
    return found.plan_for(run)


def plan_fork(
    reader: Reader,
    source: AgentRun,
    known: list[JournalEntry],
    *,
    definition: WorkflowDefinition | None,
    input: Any,
    state: Any = None,
    registry: Registry,
    simulation: Bounds | None = None,
) -> Plan:
    """What a fork of the run would reuse and do again, with what that had cost, and start.

    `known` are the records that it would take over; `definition` is the one that it is given, if it is another one.
    """
    found = _Found(reader, ResumePolicy(), registry, simulation)
    found.forked(source, known, definition, input, state)
    return found.plan_for(source)


class _Found:
    """Records sorted by what becomes of them: reuse, rerun, raise, superseded; and what would be started."""

    def __init__(
        self, reader: Reader, policy: ResumePolicy, registry: Registry, simulation: Bounds | None
    ) -> None:
        self.reader = reader
        self.policy = policy
        self.registry = registry
        self.groups: dict[str, list[PlanEntry]] = {"reuse": [], "rerun": [], "raise": [], "superseded": []}
        self.start: list[PlanEntry] = []
        self.warnings: list[str] = []
        self.exact = True
        self.input: Any = msgspec.UNSET
        """Of the planned run, where it is another one than is recorded."""
        self.state: Any = msgspec.UNSET
        """The same of what it begins with."""
        self.simulation = simulation

    def plan_for(self, run: AgentRun) -> Plan:
        """What was found, as a plan of the run."""
        return Plan(
            run_id=run.id,
            status=run.status,
            reuse=tuple(self.groups["reuse"]),
            rerun=tuple(self.groups["rerun"]),
            raised=tuple(self.groups["raise"]),
            superseded=tuple(self.groups["superseded"]),
            start=tuple(self.start),
            exact=self.exact,
            warnings=tuple(self.warnings),
        )

    def as_recorded(self, run: AgentRun) -> None:
        """A completed run gives its stored result: nothing runs."""
        for entry in self.reader.journal.of(run.id):
            if not entry.dropped and entry.kind != "timer":
                group = "superseded" if entry.superseded else "reuse" if entry.finished else "raise"
                self.groups[group].append(plan_entry(entry))

    def resumed(self, run: AgentRun) -> None:
        """The run itself, with what the policy takes from its next attempt."""
        definition = self._definition(run)
        dropped = {entry.number for entry in taken_away(self.reader, run, definition, self.policy)}
        entries = [entry for entry in self.reader.journal.of(run.id) if not entry.dropped]
        if definition is None and self.simulation is None:
            again = [entry for entry in entries if entry.number in dropped and entry.kind == "child"]
            self.start += [plan_entry(entry) for entry in again]
        self._next(run, definition, [entry for entry in entries if entry.number not in dropped], None)

    def forked(
        self,
        source: AgentRun,
        known: list[JournalEntry],
        definition: WorkflowDefinition | None,
        input: Any,
        state: Any,
    ) -> None:
        """A fork that knows these records of its source; of the others it is told what they had cost."""
        self.input, self.state = input, state
        definition = self._definition(source) if definition is None else definition
        self._next(msgspec.structs.replace(source, error=None), definition, known, None)
        numbers = {entry.number for entry in known}
        others = [entry for entry in self.reader.journal.of(source.id) if entry.number not in numbers]
        if definition is None and self.simulation is None:
            again = [one for one in others if one.kind != "timer" and not one.dropped and not one.superseded]
            self.exact = self.exact and not again
            self.groups["rerun"] += [plan_entry(entry) for entry in again]
            return
        by_key: dict[str, list[JournalEntry]] = {}
        for entry in reversed(others):
            by_key.setdefault(entry.key, []).append(entry)
        fresh = []
        for new in self.start:
            if past := by_key.get(new.key or ""):
                self.groups["rerun"].append(plan_entry(past.pop()))
            else:
                fresh.append(new)
        self.start = fresh

    def _next(
        self,
        run: AgentRun,
        definition: WorkflowDefinition | None,
        entries: list[JournalEntry],
        parent: str | None,
    ) -> None:
        """The next attempt of a run."""
        if definition is not None:
            self._sort(run, self._foreseen(run, definition, entries, parent), parent)
            return
        if (code := self._code(run)) is not None:
            self._sort(run, self._simulated(run, code, entries, parent), parent)
            return
        self.exact = self.exact and not isinstance(run, WorkflowRun) and not entries
        self.groups["superseded"] += [plan_entry(entry, parent) for entry in entries if entry.superseded]
        self._sort(run, [entry for entry in entries if not entry.superseded], parent)

    def _definition(self, run: AgentRun) -> WorkflowDefinition | None:
        """The declarative definition as it is registered now, with a warning where it is another one."""
        if not isinstance(run, WorkflowRun):
            return None
        try:
            entry = workflow_of(self.reader, self.registry, run)
        except NotFound as error:
            self.warnings.append(str(error))
            return None
        if LocalEngine.definition_hash(entry) != run.definition_hash:
            self.warnings.append(f"the definition of {entry.name} changed since the run was started")
        return entry.definition

    def _foreseen(
        self, run: AgentRun, definition: WorkflowDefinition, entries: list[JournalEntry], parent: str | None
    ) -> list[JournalEntry]:
        """What a declarative workflow would claim; what it would leave is noted, and what it would start."""
        told = foresee(
            definition,
            self.reader.values.json(run.input_ref)
            if parent is not None or self.input is msgspec.UNSET
            else self.input,
            entries,
            policy=self.policy,
            ended_parent=_ended(run),
            registry=self.registry,
            result_of=self._result,
        )
        self.start += [msgspec.structs.replace(entry, parent_run_id=parent) for entry in told.start]
        self.exact = self.exact and told.exact
        self.warnings += told.warnings
        claimed = {entry.number for entry in told.claimed}
        left = [entry for entry in entries if entry.number not in claimed]
        self.groups["superseded"] += [plan_entry(entry, parent) for entry in left]
        return list(told.claimed)

    def _code(self, run: AgentRun) -> Entry | None:
        """The code of a workflow that is to be simulated: agents do their work in their own code."""
        if self.simulation is None:
            return None
        if not isinstance(run, WorkflowRun):
            self.warnings.append(f"{run.agent_id or run.kind} is no workflow: its code is not simulated")
            return None
        try:
            entry = workflow_of(self.reader, self.registry, run)
        except NotFound:
            return None  # `_definition` has said so
        if not entry.is_async:
            self.warnings.append(f"{entry.name} is no async function: its code is not simulated")
            return None
        return entry

    def _simulated(
        self, run: AgentRun, code: Entry, entries: list[JournalEntry], parent: str | None
    ) -> list[JournalEntry]:
        """What the code would claim; what it would start is noted, and what it would leave."""
        assert self.simulation is not None
        given = parent is None and self.input is not msgspec.UNSET
        seen = simulate(
            self.reader, self.registry, code, run, entries, policy=self.policy, ended_parent=_ended(run),
            input=self.input if given else self.reader.values.json(run.input_ref),
            state=self.state if given else self.reader.states.value(run.id), bounds=self.simulation,
        )  # fmt: skip
        self.start += [msgspec.structs.replace(entry, parent_run_id=parent) for entry in seen.start]
        self.exact = self.exact and seen.ended
        self.warnings += seen.warnings
        claimed = {entry.number for entry in seen.claimed}
        left = [entry for entry in entries if entry.number not in claimed]
        # Unless the code asks for them behind what it waits for; then the plan is not exact, and says so.
        self.groups["superseded"] += [plan_entry(entry, parent) for entry in left if entry.kind != "timer"]
        return list(seen.claimed)

    def _result(self, entry: JournalEntry) -> Any:
        return codec.decode(entry.value) if entry.value is not None else self.reader.values.json(entry.ref)

    def _sort(self, run: AgentRun, entries: list[JournalEntry], parent: str | None) -> None:
        """Sorts records that are asked for again, and those of the children that go on, by what becomes of them."""
        ended = _ended(run)
        for entry in entries:
            if entry.kind == "timer":
                continue
            action = action_for(entry, self.policy, ended)
            group = action if action in ("reuse", "raise") else "rerun"
            self.groups[group].append(plan_entry(entry, parent))
            if group == "rerun" and entry.child_run_id is not None:
                child = self.reader.runs.get(entry.child_run_id)
                below = [one for one in self.reader.journal.of(child.id) if not one.dropped]
                self._next(child, self._definition(child), below, child.id)


def _ended(run: AgentRun) -> frozenset[str]:
    """Children whose failure ended the run's last attempt."""
    return frozenset((run.error or {}).get("caused_by", ()))
