"""`run`, `resume` and `plan`: agents and workflows by name, over a ledger, in this process."""

import asyncio
import os
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from runstone.domain import budgets, codec
from runstone.domain.observed import OPTION
from runstone.domain.orders import how_of
from runstone.domain.records import AgentRun, WorkflowRun
from runstone.domain.resume import Plan, ResumePolicy
from runstone.domain.runs import RESUMABLE, moved
from runstone.domain.secrets import Source, hidden
from runstone.engine import planning
from runstone.engine.accepting import require_fit
from runstone.engine.ambient import AMBIENT, COMMAND
from runstone.engine.asking import awaiting, waits_for_person
from runstone.engine.caps import asks_about_budget
from runstone.engine.claiming import taken_away
from runstone.engine.driving import Tree
from runstone.engine.local import SLOTS, LocalEngine
from runstone.engine.outcome import outcome_of
from runstone.engine.registry import Entry, Registry, default_registry
from runstone.engine.secrets import Vault, secret_names
from runstone.engine.simulation import LIMIT_S, Bounds
from runstone.errors import (
    AgentNotFound,
    DefinitionChanged,
    IllegalTransition,
    RunFailed,
    RunMismatch,
)
from runstone.feeds import settled
from runstone.ledger import Ledger, new_run
from runstone.store.writes.lifecycle import CreateRun, RecordEvents, ResumeRun

_LOOK_S = 1.0
"""So long a thread waits for a command at a time: a cancelled caller must not leave one that waits for hours."""


class _Shared:
    """An engine, and how many use it."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.users = 0
        self.closing: asyncio.Task[None] | None = None


_engines: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Shared]]" = (
    weakref.WeakKeyDictionary()
)


@asynccontextmanager
async def engine_of(
    ledger: Ledger, *, slots: int = SLOTS, park_after_s: float | None = None
) -> AsyncIterator[LocalEngine]:
    """The engine of this ledger in this event loop, shared by all who use it at the same time.

    It stays as long as detached runs are at work in it.
    """
    here = _engines.setdefault(asyncio.get_running_loop(), {})
    shared = here.get(id(ledger))
    if shared is None:
        shared = here[id(ledger)] = _Shared(_new_engine(ledger, slots, park_after_s))
    shared.users += 1
    try:
        yield shared.engine
    finally:
        shared.users -= 1
        if shared.users == 0 and shared.engine.has_detached:
            shared.closing = asyncio.create_task(_close_later(here, id(ledger), shared))
        elif shared.users == 0:
            here.pop(id(ledger), None)
            await shared.engine.close()


async def _close_later(here: dict[int, _Shared], name: int, shared: _Shared) -> None:
    try:
        await shared.engine.until_detached_end()
    finally:
        if shared.users == 0 and here.get(name) is shared:
            del here[name]
            await shared.engine.close()


def _new_engine(ledger: Ledger, slots: int, park_after_s: float | None) -> LocalEngine:
    return LocalEngine(
        ledger.core, ledger.supervisor, ledger.workspace.root, slots=slots, park_after_s=park_after_s
    )


async def run(
    name: str,
    input: Any = None,
    *,
    ledger: Ledger,
    run_id: str | None = None,
    thread_id: str | None = None,
    title: str | None = None,
    labels: dict[str, str] | None = None,
    budget: dict[str, Any] | None = None,
    registry: Registry | None = None,
    slots: int = SLOTS,
    park_after_s: float | None = None,
    secrets: Source | None = None,
) -> Any:
    """Runs a workflow or an agent in this process and gives its result.

    With the `run_id` of a run that exists: a completed one gives its stored result, a live one is waited for, any other
    is resumed with the default policy; another name or input raises `RunMismatch`. `budget` holds max_cost_usd,
    max_tokens and max_children. `slots` runs execute at a time. A run whose code only waits is parked: for timers and
    children of other processes after a second, with `park_after_s` after that time and for any children. `secrets`
    gives values to the `Secret`s of the input (texts by name, or a function of a name); else the environment does.

    Raises `InputRefused`, `SecretMissing`, `RunFailed`, `RunStopped`, `RunPaused`, `AwaitingInput`.
    """
    registry = registry or default_registry()
    entry = find_entry(registry, name)
    input, values = hidden(input, entry.secrets, entry.name)
    vault, names = (
        Vault(ledger.core.redactor, secrets, ledger.core.secrets),
        secret_names(codec.encode(input)),
    )
    vault.allow(names)
    known = run_id is not None and _exists(ledger, run_id)
    run_id = ledger.core.new_id() if run_id is None else run_id
    vault.give(run_id, values)
    if not known:
        require_fit(entry, input)
        vault.require(run_id, names)
        fields = {"run_id": run_id, "thread_id": thread_id, "title": title or entry.name, "labels": labels}
        run_id = await _create(ledger, entry, input, budget, fields)
    _check_same(ledger, run_id, entry, input)
    tree = Tree(registry=registry, thread_id=thread_id, root_id=run_id, ended={}, vault=vault)
    if ledger.get_run(run_id).status in (RESUMABLE | {"moved"}) - {"pending"}:
        return await _resume(ledger, tree, None, slots, park_after_s)
    return await _drive(ledger, run_id, tree, slots, park_after_s)


async def resume(
    run_id: str,
    *,
    ledger: Ledger,
    policy: ResumePolicy | None = None,
    budget: dict[str, Any] | None = None,
    registry: Registry | None = None,
    slots: int = SLOTS,
    park_after_s: float | None = None,
    secrets: Source | None = None,
    attempt: int | None = None,
) -> Any:
    """Goes on with a run, without doing finished work again, and gives its result.

    A completed run gives its stored result; a live one is waited for. With `attempt`, the number of the last one as the
    caller saw it, a run in which another has begun since is only waited for: of two callers that saw the same run, one
    goes on with it, and both get what comes of it. `budget` replaces the run's. Without `policy` or `budget` those of
    the order that it waits to be taken for hold, if it has one. Values of secrets are not stored, so they are given
    anew: `secrets`, or the environment. Raises as `run` does, and `DefinitionChanged` where the policy refuses a
    changed definition.
    """
    if COMMAND in ledger.get_run(run_id).options:
        return await _resume_command(run_id, ledger)
    vault = Vault(ledger.core.redactor, secrets, ledger.core.secrets)
    ordered = how_of(ledger.commands.list(run_id))
    tree = Tree(
        registry=registry or default_registry(), policy=policy or ordered.policy or ResumePolicy(), root_id=run_id,
        ended={}, vault=vault,
    )  # fmt: skip
    budget = ordered.budget if budget is None else budget
    return await _resume(ledger, tree, budget, slots, park_after_s, seen=attempt)


def resumable(ledger: Ledger) -> list[AgentRun]:
    """Top-level runs that are interrupted, then those that an answer, an order or their time lets go on and nobody has.

    At most 1,000 of each, the oldest first. Runs that people have stopped or paused are not among them, nor are
    observed ones: their work is done elsewhere.
    """
    left = ledger.list_runs(status="interrupted", depth="0", sort="created", order="asc", limit=1_000).items
    found = [run for run in left if OPTION not in run.options]
    queued = [
        run_id for name in ("answered_roots", "ordered_roots") for (run_id,) in ledger.reader.rows(name)
    ]
    queued += [run_id for (run_id,) in ledger.reader.rows("left_roots", now=ledger.reader.now())]
    return [*found, *(ledger.get_run(run_id) for run_id in dict.fromkeys(queued))]


async def _resume_command(run_id: str, ledger: Ledger) -> Any:
    """Has a background command watched or started again, and waits for its end; it goes on if nobody waits any more."""
    await asyncio.to_thread(ledger.supervisor.settle, run_id)
    run = await asyncio.to_thread(ledger.resume_exec, run_id)
    while not settled(ledger.reader, ledger.workspace.folder, run):
        run = await asyncio.to_thread(ledger.wait, run_id, _LOOK_S)
    if run.status != "completed":
        raise outcome_of(run)
    return ledger.reader.values.json(run.result_ref)


async def _resume(
    ledger: Ledger,
    tree: Tree,
    budget: dict[str, Any] | None,
    slots: int,
    park_after_s: float | None,
    *,
    seen: int | None = None,
) -> Any:
    run_id = tree.root_id or ""
    await asyncio.to_thread(ledger.supervisor.settle, run_id)
    existing = ledger.get_run(run_id)
    if OPTION in existing.options:
        raise IllegalTransition(
            f"run {run_id} is observed: its work is done elsewhere, and can only go on there",
            hint="start it again where it runs; its next report opens a new attempt",
            run_id=run_id,
        )
    if seen is not None and existing.attempt != seen:
        return await _drive(ledger, run_id, tree, slots, park_after_s)
    tree.thread_id = existing.parent_thread_id
    raised = budget is not None and asks_about_budget(ledger.reader, run_id)
    if not raised and (existing.status == "awaiting_user" or waits_for_person(ledger.reader, run_id)):
        raise awaiting(ledger.reader, run_id)
    if existing.status in RESUMABLE:
        check_policy(ledger, existing, tree.policy, LocalEngine.entry_of(ledger.reader, tree, existing))
        names = secret_names(ledger.reader.values.blob(existing.input_ref) if existing.input_ref else b"")
        tree.vault.allow(names)
        tree.vault.require(run_id, names)
        await _make_ready(ledger, existing, budget, seen)
    elif existing.status == "moved":
        raise moved(run_id, existing.status_reason)
    elif budget is not None:
        raise IllegalTransition(
            f"run {run_id} is {existing.status}; its budget can be changed when it is resumed"
        )
    return await _drive(ledger, run_id, tree, slots, park_after_s)


async def _make_ready(
    ledger: Ledger, existing: AgentRun, budget: dict[str, Any] | None, seen: int | None
) -> None:
    options = None if budget is None else {**existing.options, "budget": budgets.checked(budget)}
    ready = ResumeRun(existing.id, "resumed", expect=RESUMABLE, options=options, attempt=seen)
    await ledger.core.submit(ready, [])
    if options is not None:
        changed = [("budget.changed", {"budget": options["budget"]}, 1)]
        await ledger.core.submit(RecordEvents(existing.id, None, changed), [])


def plan(
    run_id: str,
    *,
    ledger: Ledger,
    policy: ResumePolicy | None = None,
    registry: Registry | None = None,
    simulate: bool = False,
    limit_s: float = LIMIT_S,
) -> Plan:
    """What a resume would reuse, run again and start, and what the reused work had cost. Writes nothing.

    With `simulate` the code of a Python workflow is run against what is recorded, for `limit_s` seconds at most: steps
    and agents are not called, and a branch ends where it asks for what is not recorded. What the code itself does
    besides (files, requests) it does.
    """
    bounds = Bounds(workspace=ledger.workspace.root, limit_s=limit_s) if simulate else None
    return planning.plan(
        ledger.reader, run_id, policy or ResumePolicy(), registry or default_registry(), bounds
    )


async def _drive(ledger: Ledger, run_id: str, tree: Tree, slots: int, park_after_s: float | None) -> Any:
    async with engine_of(ledger, slots=slots, park_after_s=park_after_s) as engine:
        try:
            done = await engine.drive(run_id, tree)
        except asyncio.CancelledError:
            await engine.leave(tree, f"its event loop was cancelled in process {os.getpid()}")
            raise
        if done.status in ("awaiting_user", "waiting"):
            raise awaiting(ledger.reader, run_id)
        if done.status != "completed":
            raise outcome_of(done)
        return ledger.reader.values.json(done.result_ref)


def find_entry(registry: Registry, name: str) -> Entry:
    """The workflow of that name, or the agent."""
    names = {listed.name for listed in registry.workflows()}
    if name in names:
        return registry.get_workflow(name)
    if name in {listed.name for listed in registry.agents()}:
        return registry.get_agent(name)
    known = sorted(names | {listed.name for listed in registry.agents()})
    raise AgentNotFound(
        f"no workflow or agent {name!r} is registered (there are: {', '.join(known[:20]) or 'none'})"
    )


def _exists(ledger: Ledger, run_id: str) -> bool:
    return bool(ledger.reader.rows("pk_of", run_id=run_id))


async def _create(
    ledger: Ledger, entry: Entry, input: Any, budget: dict[str, Any] | None, fields: dict[str, Any]
) -> str:
    identity, kind, options = identity_of(entry, budget)
    new = new_run(ledger.core, kind=kind, parent=AMBIENT, input=input, options=options, **fields, **identity)
    await ledger.core.submit(CreateRun(new), [])
    return new.run_id


def identity_of(
    entry: Entry, budget: dict[str, Any] | None
) -> tuple[dict[str, Any], str, dict[str, Any] | None]:
    """What a run of the entry is: what it comes from, its kind, and its options."""
    options = {"budget": budgets.checked(budget)} if budget else {}
    if entry.definition is not None and entry.definition.budget is not None and not budget:
        options["budget"] = budgets.checked(codec.decode(codec.encode(entry.definition.budget)))
    identity: dict[str, Any] = {"agent_id": entry.name, "agent_version": entry.version}
    if entry.kind == "workflow":
        identity = LocalEngine.definition_of(entry)
    kind = "workflow" if entry.kind == "workflow" else "background_agent" if entry.command else "subagent"
    return identity, kind, options or None


def _check_same(ledger: Ledger, run_id: str, entry: Entry, input: Any) -> None:
    existing = ledger.get_run(run_id)
    have = existing.definition_id if isinstance(existing, WorkflowRun) else existing.agent_id
    if have != entry.name:
        raise RunMismatch(f"run {run_id} exists and runs {have}, not {entry.name}", run_id=run_id)
    stored = ledger.reader.values.json(existing.input_ref)
    if codec.canonical(stored) != codec.canonical(input):
        raise RunMismatch(f"run {run_id} exists with another input", run_id=run_id)


def check_resume(ledger: Ledger, run: AgentRun, policy: ResumePolicy, registry: Registry) -> None:
    """Raises what a resume under the policy would refuse, before anything is changed."""
    tree = Tree(registry=registry, policy=policy)
    check_policy(ledger, run, policy, LocalEngine.entry_of(ledger.reader, tree, run))


def check_policy(ledger: Ledger, existing: AgentRun, policy: ResumePolicy, entry: Entry) -> None:
    """Raises what the policy forbids, before anything is changed."""
    taken_away(ledger.reader, existing, entry.definition, policy)
    if policy.interrupted == "fail" and existing.status == "interrupted":
        raise RunFailed(f"run {existing.id} is interrupted and the policy says fail", run_id=existing.id)
    changed = (
        isinstance(existing, WorkflowRun) and LocalEngine.definition_hash(entry) != existing.definition_hash
    )
    if changed and policy.definition == "refuse":
        raise DefinitionChanged(
            f"workflow {entry.name} is not the one that run {existing.id} was started with"
        )
    bad = {"failed"} if policy.failed == "fail" else set()
    bad |= {"interrupted"} if policy.interrupted == "fail" else set()
    for record in ledger.journal(existing.id) if bad else ():
        if not record.dropped and not record.superseded and record.child_status in bad:
            raise RunFailed(
                f"child {record.child_run_id} is {record.child_status} and the policy says fail",
                run_id=existing.id,
            )
