"""`agents list | show` and `workflows list | show`: what can be run by name."""

from collections.abc import Iterable
from typing import Any

import click
import msgspec

import runstone
from runstone.cli import elsewhere, options, text
from runstone.cli.command import Group, with_any_session
from runstone.cli.definition_tables import phase_table
from runstone.cli.output import Output, to_json
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.engine.registry import Entry, Listed
from runstone.errors import WorkspaceNotFound

_TRUST = click.option(
    "--trust",
    is_flag=True,
    help="Allow the workspace's runstone.toml to import modules and start commands, from now on.",
)


@click.group(cls=Group)
def agents() -> None:
    """See which agents can be run."""


@click.group(cls=Group)
def workflows() -> None:
    """See which workflows can be run."""


@agents.command("list")
@options.trust
@with_any_session
def list_agents(session: Session, trust: bool) -> None:
    """List the agents of runstone.toml, its modules, and the bundled workflows."""
    if session.url is not None:
        return elsewhere.definitions(session, "agents")
    session.define(session.root(), None, trust=trust)
    return _list(runstone.default_registry().agents(), session.output)


@workflows.command("list")
@options.trust
@with_any_session
def list_workflows(session: Session, trust: bool) -> None:
    """List the workflows of runstone.toml, its modules, and the bundled ones."""
    if session.url is not None:
        return elsewhere.definitions(session, "workflows")
    session.define(session.root(), None, trust=trust)
    return _list(runstone.default_registry().workflows(), session.output)


def _list(found: Iterable[Listed], output: Output) -> None:
    if not output.text:
        return output.items(found)
    return output.table(definition_table(found))


def definition_table(found: Iterable[Listed]) -> Table:
    """Name, version, form and place of each."""
    table = Table(
        [Column("name"), Column("version", 2), Column("form", 1), Column("defined in", 3, least=16)], []
    )
    for one in found:
        table.add(Cell(one.name, "strong"), one.version, Cell(one.kind, "dim"), Cell(one.source, "dim"))
    return table


@agents.command("show")
@click.argument("name")
@options.trust
@with_any_session
def show_agent(session: Session, name: str, trust: bool) -> None:
    """Show the agent NAME and how its runs stand."""
    if session.url is not None:
        return elsewhere.definition(session, "agents", name)
    entry = session.find(runstone.default_registry().get_agent, name, trust=trust)
    return _show(entry, _counts(session, agent_id=name), session.output)


@workflows.command("show")
@click.argument("name")
@options.trust
@with_any_session
def show_workflow(session: Session, name: str, trust: bool) -> None:
    """Show the workflow NAME, its phases where they are declared, and how its runs stand."""
    if session.url is not None:
        return elsewhere.definition(session, "workflows", name)
    entry = session.find(runstone.default_registry().get_workflow, name, trust=trust)
    return _show(entry, _counts(session, definition_id=name), session.output)


def _counts(session: Session, **filters: str) -> dict[str, int]:
    """How its runs stand; what can be run may be asked for before there is a workspace."""
    try:
        with session.reading() as ledger:
            return ledger.counts(**filters)
    except WorkspaceNotFound:
        return {}


def _show(entry: Entry, counts: dict[str, int], output: Output) -> None:
    described = describe(entry)
    if not output.text:
        return output.document({**described, "runs": counts})
    table = Table([Column(""), Column("", least=20)], [])
    counted = ", ".join(f"{number} {bucket}" for bucket, number in counts.items() if number)
    phases = (entry.definition.to_dict()["phases"]) if entry.definition else []
    for name, value in {**described, "runs": counted or "none"}.items():
        if value and name != "definition":
            table.add(Cell(name, "dim"), value if isinstance(value, str) else to_json(value))
    output.table(table, head=False)
    if phases:
        output.line("")
        output.table(phase_table(phases))
    output.hint(f"run it: runstone run {text.clean(entry.name)} key=value ...")
    return None


def describe(entry: Entry) -> dict[str, Any]:
    """A registered definition as JSON values."""
    about = (entry.function.__doc__ or "").strip() if entry.function else ""
    return {
        "name": entry.name,
        "version": entry.version,
        "kind": entry.kind,
        "form": entry.form,
        "source": entry.source,
        "about": about,
        "command": msgspec.to_builtins(entry.command, enc_hook=str) if entry.command else None,
        "definition": entry.definition.to_dict() if entry.definition else None,
    }
