"""`run`, `resume` and `plan`: work is started and gone on with in this process."""

from functools import partial
from typing import Any

import click

import runstone
from runstone.background import is_background
from runstone.cli import (
    arguments,
    asking_secrets,
    elsewhere,
    executing,
    exit_codes,
    options,
    plan_tables,
    resumptions,
)
from runstone.cli.command import Command, with_any_session
from runstone.cli.exec import resume_command, resume_commands
from runstone.cli.interrupts import Interrupts
from runstone.cli.session import Session
from runstone.cli.subjects import subjects
from runstone.domain.records import AgentRun
from runstone.domain.resume import Plan, ResumePolicy
from runstone.domain.runs import RESUMABLE
from runstone.domain.secrets import names_in
from runstone.engine.local import SLOTS
from runstone.errors import Misuse
from runstone.ledger import Ledger


@click.command(cls=Command)
@click.argument("name")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "--input", "given", metavar="JSON|@FILE|-", help="The whole input as JSON, from a file, or from stdin."
)
@click.option("--id", metavar="ID", help="An id of your own; with one that exists, that run goes on.")
@click.option("--title", metavar="TEXT", help="A title for people.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@options.with_options(options.BUDGET)
@options.trust
@with_any_session
def run(session: Session, name: str, pairs: tuple[str, ...], given: str | None, **more: Any) -> int:
    """Run a workflow or an agent.

    Its result is printed. Values of KEY=VALUE are JSON where they are valid JSON, else text; KEY:=JSON
    insists on JSON. KEY=@env:NAME is a secret: its name is stored, and its value is read from the variable NAME,
    or asked for, now and at each resume. Ctrl-C leaves the run interrupted: `runstone resume` goes on with it
    and does no finished work again.
    """
    budget, value = options.budget_of(more), arguments.read_input(pairs, given)
    labels = arguments.labels_of(more["label"])
    if session.url is not None:
        asked = {"run_id": more["id"], "title": more["title"], "labels": labels, "budget": budget}
        return elsewhere.run(session, name, value, **asked)
    # Before a workspace is created: a name that nobody knows must not leave one behind.
    root = session.root()
    slots = session.define(root, name, trust=more["trust"]).settings.slots
    session.require(name, root)
    with Interrupts(session.output) as interrupts, session.changing(create=True) as ledger:
        chosen = more["id"] or executing.new_id()
        secrets = asking_secrets.ask(session, names_in(value))
        begin = partial(
            runstone.run, name, value, ledger=ledger, run_id=chosen, title=more["title"], labels=labels,
            budget=budget, slots=slots or SLOTS, secrets=secrets,
        )  # fmt: skip
        return executing.drive(session.output, ledger, executing.Start(chosen, begin), interrupts)


@click.command(cls=Command)
@click.argument("run", type=arguments.RunId(), required=False)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Resume every top-level run that is interrupted, answered, queued by an order, or whose time has come.",
)
@click.option(
    "-n", "--dry-run", is_flag=True, help="With --all: show what would be resumed, and what it had cost."
)
@click.option("-d", "--detach", is_flag=True, help="Do not follow a command in the background.")
@click.option("-m", "--message", metavar="TEXT", help="What a command in the background goes on with.")
@options.with_options(options.POLICY)
@options.with_options(options.BUDGET)
@options.trust
@with_any_session
def resume(
    session: Session,
    run: str | None,
    *,
    every: bool,
    dry_run: bool,
    detach: bool,
    message: str | None,
    trust: bool,
    **more: Any,
) -> int:
    """Go on with RUN.

    Finished work is not done again; the result is printed. `runstone plan RUN` says before what would be
    reused, run again and started. A command in the background that still runs is watched again, any other is
    started again, and followed as by `runstone exec`.
    """
    if (run is None) != every:
        wrong = "name a run, or give --all" if run is None else "a run and --all exclude each other"
        raise click.UsageError(wrong)
    if dry_run and not every:
        raise click.UsageError(f"--dry-run goes with --all; for one run: runstone plan {run}")
    if session.url is not None:
        return _resume_elsewhere(session, run, dry_run=dry_run, plain=not (detach or message), **more)
    if dry_run:
        return _foretell(session, options.policy_of(more), trust)
    asked: dict[str, Any] = {"policy": options.policy_of(more), "budget": options.budget_of(more)}
    with Interrupts(session.output) as interrupts, session.changing() as ledger:
        found = runstone.resumable(ledger) if run is None else [ledger.get_run(ledger.resolve(run))]
        if run is not None and is_background(found[0]):
            return resume_command(session.output, ledger, found[0], detach=detach, message=message)
        if message is not None:
            raise click.UsageError("--message is for a command in the background; see runs steer for others")
        left, code = resume_commands(session.output, ledger, found)
        if found and not left:
            return code
        found = left
        slots = _define(session, ledger, found, trust)
        secrets = asking_secrets.ask(session, asking_secrets.names_of(ledger, found))
        begin = partial(runstone.resume, ledger=ledger, slots=slots, secrets=secrets, **asked)
        if every:
            known = _known(session, ledger, found)
            starts = [executing.Start(one.id, partial(begin, one.id, attempt=one.attempt)) for one in known]
            driven = executing.drive_all(session.output, ledger, starts, interrupts)
            return code or driven
        (one,) = found
        if one.status in RESUMABLE and not ledger.inputs.awaited(one.id):
            executing.require_name(one)
            if not executing.known(ledger, one):
                session.require(executing.name_of(one), ledger.workspace.root)
        start = executing.Start(one.id, partial(begin, one.id))
        return executing.drive(session.output, ledger, start, interrupts)


def _resume_elsewhere(session: Session, run: str | None, *, dry_run: bool, plain: bool, **more: Any) -> int:
    """Has a server go on with the run, or with all that it would."""
    if not plain:
        raise click.UsageError("--detach and --message are for commands, which no server starts again")
    policy, budget = options.policy_of(more), options.budget_of(more)
    if run is not None:
        return elsewhere.resume(session, run, policy, budget)
    return elsewhere.foretell(session, policy) if dry_run else elsewhere.resume_all(session, policy, budget)


def _foretell(session: Session, policy: ResumePolicy, trust: bool) -> int:
    """Shows what `resume --all` would go on with; nothing is changed."""
    with session.reading() as ledger:
        found = runstone.resumable(ledger)
        _define(session, ledger, found, trust)
        plans = [_plan_of(ledger, one, policy) for one in found]
        spent = {one.id: ledger.telemetry(one.id).subtree for one in found}
        resumptions.show(session.output, ledger, list(zip(found, plans, strict=True)), spent)
    return exit_codes.OK


def _plan_of(ledger: Ledger, run: AgentRun, policy: ResumePolicy) -> Plan | None:
    """What a resume would do; None for a command, which starts again as a whole, and for what nothing here runs."""
    if is_background(run) or not executing.known(ledger, run):
        return None
    return runstone.plan(run.id, ledger=ledger, policy=policy)


def _define(session: Session, ledger: Ledger, found: list[AgentRun], trust: bool) -> int:
    """Registers what the runs need, and gives how many may execute at a time."""
    slots = SLOTS
    for name in {executing.name_of(one) for one in found if one.status in RESUMABLE}:
        slots = session.define(ledger.workspace.root, name, trust=trust).settings.slots or slots
    return slots


def _known(session: Session, ledger: Ledger, found: list[AgentRun]) -> list[AgentRun]:
    known = [one for one in found if executing.known(ledger, one)]
    for one in found:
        if one not in known:
            session.output.note(
                f"left out: {one.id} ({executing.name_of(one) or one.kind} is not registered)", ""
            )
    return known


@click.command(cls=Command)
@click.argument("run", type=arguments.RunId())
@click.option(
    "--simulate",
    is_flag=True,
    help="Run the code of the workflow against what is recorded: no step and no agent is called.",
)
@options.with_options(options.POLICY)
@options.trust
@with_any_session
def plan(session: Session, run: str, trust: bool, simulate: bool, **more: Any) -> None:
    """Show what a resume of RUN would do.

    What it would reuse, run again and start, and what the reused work had cost. Nothing is changed. Of a workflow in
    code that is the least; --simulate runs its code, which does what it does besides steps and agents, for 10 s at
    most.
    """
    policy = options.policy_of(more)
    with session.reading() as ledger:
        record = ledger.get_run(ledger.resolve(run))
        if is_background(record):
            again = f"a resume starts it again as a whole: runstone resume {record.id}"
            raise Misuse(f"run {record.id} is a command, of which nothing can be reused", hint=again)
        if session.url is not None:
            found = elsewhere.server_of(ledger).plan(record.id, policy=policy, simulate=simulate)
        else:
            session.define(ledger.workspace.root, executing.name_of(record), trust=trust)
            found = runstone.plan(record.id, ledger=ledger, policy=policy, simulate=simulate)
        if not session.output.text:
            return session.output.document(found)
        children = [entry.child_run_id for entry in plan_tables.listed(found) if entry.child_run_id]
        about = subjects(ledger, [ledger.get_run(child) for child in children])
    return plan_tables.show(found, about, session.output)
