"""`migrate`: the ledger's schema brought up to date, its move into PostgreSQL, and the roles of a database."""

import click

import runstone
from runstone import workspace as places
from runstone.cli import text
from runstone.cli.command import Command, with_session
from runstone.cli.percent import Percent
from runstone.cli.session import Session
from runstone.cli.table import Cell
from runstone.errors import InvalidInput


@click.command(cls=Command)
@click.option("--to", metavar="DSN", help="Move all of the workspace into this PostgreSQL database.")
@click.option("--undo", is_flag=True, help="Let a workspace that was moved go on here.")
@click.option("--roles", is_flag=True, help="Make the roles for servers, workers and readers (with --dsn).")
@with_session
def migrate(session: Session, to: str | None, undo: bool, roles: bool) -> None:
    """Bring the ledger up to date, or move it from the workspace's folder into PostgreSQL.

    A move takes everything: ids, order, history, values, open questions, and what is to be resumed. Nobody may be
    working on a run. The folder can only be read afterwards; a move that was cut off is finished by doing it again.

    \b
    runstone migrate --to postgresql://runstone@db/ledger
    runstone --dsn postgresql://runstone@db/ledger runs list
    runstone --dsn postgresql://owner@db/ledger migrate --roles
    """
    if sum([to is not None, undo, roles]) > 1:
        raise click.UsageError("--to, --undo and --roles exclude each other")
    if to is not None:
        _move(session, to)
    elif undo:
        _undo(session)
    elif roles:
        _roles(session)
    else:
        with session.changing() as ledger:
            schema = ledger.reader.rows("snapshot_facts")[0][3]
            if not session.output.text:
                session.output.document({"ledger": ledger.workspace.name, "schema": schema})
            session.output.note(f"{ledger.workspace.name} has schema {schema}", "")


def _move(session: Session, to: str) -> None:
    from runstone.care import moving

    if not places.is_dsn(to):
        raise InvalidInput(
            f"--to takes the DSN of a PostgreSQL database, not {places.shown_dsn(to)!r:.80}",
            hint="write it as postgresql://USER@HOST:PORT/DATABASE",
        )
    source, output = session.existing(), session.output
    with runstone.open(to) as target, Percent(output, "moved") as meter:
        done = moving.move(source, target, meter)
    if not output.text:
        output.document(done)
        return
    came = done.imported
    output.line(Cell(done.target, "strong"))
    parts = ((came.runs, "run"), (came.messages, "message"), (came.cards, "card"))
    content = ", ".join(text.counted(count, noun) for count, noun in parts)
    known = f", {text.counted(came.present, 'run')} there already" if came.present else ""
    output.note(f"{content}{known}, {text.duration(done.elapsed_ms)}; {done.source} can only be read now", "")
    output.hint("go on there: export RUNSTONE_DSN=DSN")


def _undo(session: Session) -> None:
    from runstone.care import moving

    source = session.existing()
    if source.dsn is not None:
        raise InvalidInput("a move is undone where it began", hint="runstone --workspace DIR migrate --undo")
    to = moving.undo(source)
    if not session.output.text:
        session.output.document({"workspace": str(source.root), "moved_to": to})
    elif to is None:
        session.output.note(f"{source.root} was not moved", "")
    else:
        session.output.note(f"{source.root} goes on; what was moved to {to} stays there, too", "")


def _roles(session: Session) -> None:
    from runstone.store import backends

    dsn = session.dsn
    if dsn is None:
        raise InvalidInput("roles are of a database", hint="runstone --dsn DSN migrate --roles")
    made = backends.roles(dsn)
    if not session.output.text:
        session.output.document({"roles": made})
        return
    for role, may in made.items():
        session.output.line(Cell(role, "strong"), may)
    session.output.hint("give one to a user: GRANT runstone_worker TO somebody")
