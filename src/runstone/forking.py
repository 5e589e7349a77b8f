"""`fork`: a new run that knows what another one knew, from its start or from one of its checkpoints."""

from collections.abc import Mapping
from typing import Any, Literal, overload

import msgspec

from runstone import checkpoints
from runstone.background import is_background
from runstone.domain import workflows
from runstone.domain.codec import shown
from runstone.domain.dispatches import OPTION, Placement
from runstone.domain.records import AgentRun, Checkpoint, JournalEntry, WorkflowRun
from runstone.domain.resume import Plan
from runstone.domain.secrets import hidden
from runstone.domain.workflows import WorkflowDefinition
from runstone.engine import planning
from runstone.engine.local import LocalEngine
from runstone.engine.pinned import entry_for, own_workflow, workflow_of
from runstone.engine.registry import Entry, Registry, default_registry
from runstone.engine.simulation import Bounds
from runstone.errors import InvalidInput, Misuse, NotFound, RunMismatch
from runstone.ledger import Ledger, new_run
from runstone.store import forks
from runstone.store.writes.fork import ForkRun

Edited = str | Mapping[str, Any] | WorkflowDefinition
"""Another workflow: the name of a registered one, or a declarative definition."""


@overload
def fork(
    run_id: str,
    *,
    ledger: Ledger,
    new_id: str | None = None,
    input: Any = msgspec.UNSET,
    checkpoint: "int | str | Checkpoint | None" = None,
    definition: Edited | None = None,
    registry: Registry | None = None,
    dry_run: Literal[False] = False,
    start_by: str | None = None,
    placement: Placement | None = None,
) -> str: ...


@overload
def fork(
    run_id: str,
    *,
    ledger: Ledger,
    new_id: str | None = None,
    input: Any = msgspec.UNSET,
    checkpoint: "int | str | Checkpoint | None" = None,
    definition: Edited | None = None,
    registry: Registry | None = None,
    dry_run: Literal[True],
    start_by: str | None = None,
    placement: Placement | None = None,
    simulate: bool = False,
) -> Plan: ...


def fork(
    run_id: str,
    *,
    ledger: Ledger,
    new_id: str | None = None,
    input: Any = msgspec.UNSET,
    checkpoint: "int | str | Checkpoint | None" = None,
    definition: Edited | None = None,
    registry: Registry | None = None,
    dry_run: bool = False,
    start_by: str | None = None,
    placement: Placement | None = None,
    simulate: bool = False,
) -> str | Plan:
    """Makes a new, pending run that knows what this one knows: its finished children, steps and answers. Gives its id.

    With a `checkpoint` (its number, or `RUN@NUMBER`) it knows what was known by then, and begins with that state.
    `resume` it to go on, or `ledger.continue_run` in a loop of your own: with another `input` or `definition` only what
    that changes runs again. A declarative definition that is given stays the fork's own. The source is not changed; its
    totals begin at nothing, and `forked_from` names the source. `dry_run` gives the plan instead: what would be reused
    and what would run again, with what that had cost, and writes nothing; `simulate` runs code for it, as in `plan`.
    With `start_by`, a person's name, it is not left pending: whichever process has an engine starts it, as if that
    person had said so; with a `placement` the workers of that queue do. A fork of a run that is for workers is for
    those of its queue.

    Raises `NotFound`, `InvalidInput`, `StoreCorrupt` for a damaged state, and `RunMismatch` for an id that exists.
    """
    registry = registry or default_registry()
    source = ledger.get_run(run_id)
    if is_background(source):
        again = f"start it again as a whole: runstone resume {source.id}, or run it anew: runstone exec"
        raise Misuse(f"run {source.id} is a command, of which nothing can be forked", hint=again)
    if new_id is not None and ledger.reader.rows("pk_of", run_id=new_id):
        raise RunMismatch(f"run {new_id} exists already", run_id=new_id)
    number = _number(source, checkpoint)
    known = _known(ledger, source, number)
    entry = _edited(ledger, source, definition, registry)
    given = _input(ledger, source, input, entry, registry)
    if dry_run:
        return planning.plan_fork(
            ledger.reader, source, known, definition=None if entry is None else entry.definition, input=given,
            state=None if number is None else ledger.checkpoints.state(source.id, number), registry=registry,
            simulation=Bounds(workspace=ledger.workspace.root) if simulate else None,
        )  # fmt: skip
    new = new_run(
        ledger.core, kind="subagent" if source.kind == "workflow_child" else source.kind, run_id=new_id,
        title=source.title, prompt=ledger.prompt(source.id), input=given, labels=source.labels,
        thread_id=source.parent_thread_id, options=_options(source, placement), forked_from=source.id,
        forked_from_checkpoint=number, **_identity(ledger, source, entry),
    )  # fmt: skip
    order = None if start_by is None else (ledger.core.new_id(), ledger.core.clean("start_by", start_by, 200))
    return str(ledger.core.submit(ForkRun(new, known, checkpoint=number, order=order), []).result())


def _options(source: AgentRun, placement: Placement | None) -> dict[str, Any]:
    return source.options if placement is None else {OPTION: placement.option(), **source.options}


def _number(source: AgentRun, checkpoint: "int | str | Checkpoint | None") -> int | None:
    """The number of a checkpoint of the run; None for its start. Raises `InvalidInput` for another run's."""
    if checkpoint is None or type(checkpoint) is int:
        return checkpoint
    hint = f"name one of the run's own: runstone runs checkpoints {source.id}"
    if not isinstance(checkpoint, str | Checkpoint):
        raise InvalidInput(f"a checkpoint is a number or RUN@NUMBER, not {shown(checkpoint)}", hint=hint)
    owner, number = checkpoints.split(checkpoint)
    if number is None and owner.isascii() and owner.isdigit() and len(owner) < 19:
        return int(owner)
    if number is None or owner != source.id:
        raise InvalidInput(f"{shown(checkpoint)} is no checkpoint of run {source.id}", hint=hint)
    return number


def _known(ledger: Ledger, source: AgentRun, number: int | None) -> list[JournalEntry]:
    """The finished records that a fork takes over. Raises `NotFound`, and `StoreCorrupt` for a damaged state."""
    newest = None
    if number is not None:
        newest = forks.known_at(ledger.reader, source.id, number)
        ledger.checkpoints.state(source.id, number)
    journal = [entry for entry in ledger.journal(source.id) if entry.finished and not entry.dropped]
    return [entry for entry in journal if newest is None or entry.number <= newest]


def _edited(ledger: Ledger, source: AgentRun, definition: Edited | None, registry: Registry) -> Entry | None:
    """The workflow that the fork is given; None for that of its source, as it is registered."""
    if definition is None:
        return own_workflow(ledger.reader, source) if isinstance(source, WorkflowRun) else None
    if not isinstance(source, WorkflowRun):
        raise InvalidInput(
            f"run {source.id} is a {source.kind}, which has no definition",
            hint="fork it with another input, or fork the workflow above it",
        )
    if isinstance(definition, str):
        entry = registry.get_workflow(definition)
    elif isinstance(definition, WorkflowDefinition):
        entry = entry_for(definition, "a fork")
    elif isinstance(definition, Mapping):
        name = definition.get("name") or source.definition_id
        entry = entry_for(workflows.parse(str(name), definition, place="definition"), "a fork")
    else:
        raise InvalidInput(f"a definition is a name or an object, not {shown(definition)}")
    if entry.definition is not None:
        names = {listed.name for listed in (*registry.agents(), *registry.workflows())}
        workflows.check_agents(entry.definition, names, place="definition")
    return entry


def _input(ledger: Ledger, source: AgentRun, input: Any, entry: Entry | None, registry: Registry) -> Any:
    """The fork's input, with references in the fields that are declared secret; their values are given at the resume.

    Raises `InputRefused` where the definition that the fork is given asks for another shape.
    """
    if input is msgspec.UNSET:
        given = ledger.input(source.id)
    else:
        fields, name = _secret_fields(ledger, source, entry, registry)
        given = hidden(input, fields, name)[0]
    if entry is not None and entry.definition is not None:
        workflows.check_input(entry.definition, given)
    return given


def _secret_fields(
    ledger: Ledger, source: AgentRun, entry: Entry | None, registry: Registry
) -> tuple[tuple[str, ...], str]:
    try:
        if entry is None and isinstance(source, WorkflowRun):
            entry = workflow_of(ledger.reader, registry, source)
        elif entry is None:
            entry = registry.get_agent(source.agent_id or "")
    except NotFound:
        return (), ""
    return entry.secrets, entry.name


def _identity(ledger: Ledger, source: AgentRun, entry: Entry | None) -> dict[str, Any]:
    """What the fork is an execution of; a declarative definition that it is given is kept with it."""
    if not isinstance(source, WorkflowRun):
        return {"agent_id": source.agent_id, "agent_version": source.agent_version}
    if entry is not None:
        pinned = {"pinned": True} if entry.definition is not None else {}
        return {**LocalEngine.definition_of(entry), **pinned}
    content = forks.definition_of(ledger.reader, source.id)
    told: dict[str, Any] = {"definition_id": source.definition_id, "definition_hash": source.definition_hash}
    return told if content is None else {**told, "definition": content}
