"""`runs fork`: a new run that knows what another one knew, with another input or definition."""

import json
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import click

import runstone
from runstone.cli import (
    arguments,
    asking_secrets,
    elsewhere,
    executing,
    exit_codes,
    options,
    plan_tables,
    text,
)
from runstone.cli.arguments import RunId
from runstone.cli.command import Command, with_any_session
from runstone.cli.interrupts import Interrupts
from runstone.cli.output import Output
from runstone.cli.session import Session
from runstone.cli.subjects import subjects
from runstone.domain.records import AgentRun
from runstone.domain.resume import Plan
from runstone.domain.secrets import names_in
from runstone.engine.local import SLOTS
from runstone.errors import InvalidDefinition
from runstone.ledger import Ledger

_FILES = {".toml", ".json"}


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "--checkpoint",
    metavar="N",
    help="Begin with that state, and what was known by then; else from the start.",
)
@click.option(
    "--input", "given", metavar="JSON|@FILE|-", help="Another input as JSON, from a file, or from stdin."
)
@click.option(
    "--definition",
    metavar="FILE|NAME",
    help="Another workflow: a .toml or .json file with its phases, or the name of a registered one.",
)
@click.option("--id", "new_id", metavar="ID", help="An id of your own for the fork.")
@click.option(
    "-n", "--dry-run", is_flag=True, help="Show what would be reused and run again; change nothing."
)
@click.option(
    "--simulate", is_flag=True, help="With --dry-run: run the code of the workflow for it, as in `plan`."
)
@click.option("--resume", "goes_on", is_flag=True, help="Go on with the fork at once, and print its result.")
@options.trust
@with_any_session
def fork(
    session: Session, run: str, pairs: tuple[str, ...], goes_on: bool, dry_run: bool, **more: Any
) -> int:
    """Make a new run that knows what RUN knows.

    Finished children, steps and answers are reused, and RUN is not changed. KEY=VALUE changes fields of its input.
    The fork's id is printed; `runstone resume` goes on with it, and only what was changed runs again.

    \b
    runstone runs fork RUN path=src --dry-run          what another path would reuse, and what it had cost
    runstone runs fork RUN --checkpoint 3 --resume     once more from the third checkpoint
    runstone runs fork RUN --definition edited.toml    the same work under an edited workflow
    """
    if dry_run and goes_on:
        raise click.UsageError("--dry-run and --resume exclude each other")
    if more["simulate"] and not dry_run:
        raise click.UsageError("--simulate goes with --dry-run")
    with session.reading() as ledger:
        source = ledger.get_run(ledger.resolve(run))
        changes = _changes(ledger, source, pairs, more["given"])
    changes["checkpoint"] = _checkpoint(more["checkpoint"])
    name = more["definition"]
    if session.url is not None:
        if name is not None:
            changes["definition"] = _definition(name, source)
        return _fork_elsewhere(session, source, changes, goes_on=goes_on, dry_run=dry_run, **more)
    if dry_run or goes_on or name or "input" in changes:
        slots = session.define(session.root(), executing.name_of(source), trust=more["trust"]).settings.slots
    if name is not None:
        changes["definition"] = _definition(name, source)
    if dry_run:
        with session.reading() as ledger:
            told = runstone.fork(source.id, ledger=ledger, **changes, dry_run=True, simulate=more["simulate"])
            return _show(session.output, ledger, told)
    if goes_on:
        executing.require_name(source)
    with Interrupts(session.output) as interrupts, session.changing() as ledger:
        new_id = runstone.fork(source.id, ledger=ledger, new_id=more["new_id"], **changes)
        if not goes_on:
            return _tell(session.output, ledger.get_run(new_id))
        made = ledger.get_run(new_id)
        secrets = asking_secrets.ask(session, asking_secrets.names_of(ledger, [made]))
        begin = partial(runstone.resume, new_id, ledger=ledger, slots=slots or SLOTS, secrets=secrets)
        return executing.drive(session.output, ledger, executing.Start(new_id, begin), interrupts)


def _fork_elsewhere(
    session: Session, source: AgentRun, changes: dict[str, Any], *, goes_on: bool, dry_run: bool, **more: Any
) -> int:
    """As `fork`, done by a server."""
    if any(names_in(changes.get("input"))):
        raise click.UsageError("a secret's value does not go over HTTP; fork it on the server's machine")
    if dry_run:
        with session.reading() as ledger:
            told = elsewhere.server_of(ledger).plan_fork(source.id, **changes, simulate=more["simulate"])
            return _show(session.output, ledger, told)
    if goes_on:
        executing.require_name(source)
    made, code = elsewhere.fork(session, source.id, changes, more["new_id"], goes_on=goes_on)
    return _tell(session.output, made) if code is None else code


def _changes(ledger: Ledger, source: AgentRun, pairs: tuple[str, ...], given: str | None) -> dict[str, Any]:
    """The fork's input, where one is given: pairs change fields of the source's, or of `--input`."""
    if given is None and not pairs:
        return {}
    value = arguments.read_input(pairs, given)
    if given is None:
        before = ledger.input(source.id)
        if before is not None and not isinstance(before, dict):
            raise click.UsageError(
                f"the input of run {source.id} is no object that KEY=VALUE could change; give a whole one: --input JSON"
            )
        value = {**(before or {}), **value}
    return {"input": value}


def _checkpoint(typed: str | None) -> int | str | None:
    number = typed.removeprefix("@") if typed is not None else None
    return int(number) if number is not None and number.isascii() and number.isdigit() else typed


def _definition(typed: str, source: AgentRun) -> Any:
    """A definition's file as an object; anything else is a name."""
    file = Path(typed)
    if file.suffix not in _FILES:
        return typed
    try:
        data = file.read_bytes()
        table = tomllib.loads(data.decode()) if file.suffix == ".toml" else json.loads(data)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InvalidDefinition(f"{file} cannot be read: {error}") from error
    return _table(file, table, executing.name_of(source))


def _table(file: Path, table: Any, name: str) -> dict[str, Any]:
    """The workflow in a file: the whole of it, the only one of `[workflows.NAME]`, or the one of the run's name."""
    if isinstance(table, dict) and isinstance(table.get("workflows"), dict):
        found = table["workflows"]
        chosen = name if name in found else next(iter(found), "") if len(found) == 1 else ""
        if chosen not in found:
            raise InvalidDefinition(
                f"{file} has {len(found)} workflows and none is called {name!r}",
                hint=f"leave one in it, or call it {name}",
            )
        table = {"name": chosen, **found[chosen]} if isinstance(found[chosen], dict) else found[chosen]
    if not isinstance(table, dict) or "phases" not in table:
        raise InvalidDefinition(
            f"{file} has no phases", hint="write it as [workflows.NAME] in runstone.toml: [[phases]] ..."
        )
    return table


def _show(output: Output, ledger: Ledger, told: Plan) -> int:
    if not output.text:
        output.document(told)
        return exit_codes.OK
    children = [entry.child_run_id for entry in plan_tables.listed(told) if entry.child_run_id]
    about = subjects(ledger, [ledger.get_run(child) for child in dict.fromkeys(children)])
    plan_tables.show(told, about, output)
    return exit_codes.OK


def _tell(output: Output, made: AgentRun) -> int:
    """The id alone on stdout, so that a script can take it; what to type next on stderr."""
    if not output.text:
        output.document(made)
        return exit_codes.OK
    output.line(text.clean(made.id))
    short = text.short_id(made.id)
    output.hint(f"see what it would do: runstone plan {short}, then go on with it: runstone resume {short}")
    return exit_codes.OK
