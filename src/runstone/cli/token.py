"""`token create | list | revoke`: who may talk to the workspace's server, and do what."""

from datetime import UTC, datetime

import click

from runstone.cli.arguments import Duration
from runstone.cli.command import Command, Group, with_session
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.server.security.roles import ROLES
from runstone.server.security.tokens import Token, Tokens


@click.group(cls=Group)
def token() -> None:
    """Make, list and revoke tokens for the workspace's server."""


@token.command(cls=Command)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    required=True,
    help="read: look at everything; ingest: report runs, too; control: everything.",
)
@click.option("--name", metavar="TEXT", default="", help="What it is for.")
@click.option("--expires", type=Duration(), metavar="DURATION", help="When it ends, such as 12h or 30d.")
@with_session
def create(session: Session, role: str, name: str, expires: float | None) -> None:
    """Make a token, and print it: it is shown once, and kept as a hash only."""
    made, text = Tokens(session.existing().folder).create(role, name or role, lifetime_s=expires)
    if not session.output.text:
        return session.output.document({**_shown(made), "token": text})
    session.output.line(text)
    session.output.note(
        f"{made.id}, role {made.role}; it is shown this once. Revoke it: runstone token revoke {made.id}"
    )
    return None


@token.command("list", cls=Command)
@with_session
def list_(session: Session) -> None:
    """List the tokens that are valid."""
    found = Tokens(session.existing().folder).valid()
    if not session.output.text:
        return session.output.items([_shown(one) for one in found])
    if not found:
        return session.output.note("no tokens; make one: runstone token create --role read")
    table = Table(
        [Column("id"), Column("role"), Column("name", least=8), Column("made", 1), Column("ends", 1)], []
    )
    for one in found:
        table.add(Cell(one.id, "strong"), one.role, one.name, _day(one.created_at), _day(one.expires_at))
    return session.output.table(table)


@token.command(cls=Command)
@click.argument("token_id", metavar="TOKEN_ID")
@with_session
def revoke(session: Session, token_id: str) -> None:
    """Make a token worthless, within a second."""
    Tokens(session.existing().folder).revoke(token_id)
    if not session.output.text:
        return session.output.document({"id": token_id})
    return session.output.note(f"revoked {token_id}", "")


def _shown(one: Token) -> dict[str, str | None]:
    return {
        "id": one.id, "role": one.role, "name": one.name, "created_at": _moment(one.created_at),
        "expires_at": _moment(one.expires_at),
    }  # fmt: skip


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _day(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC).astimezone():%Y-%m-%d %H:%M}"
