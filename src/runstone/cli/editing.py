"""`runs edit`: what people say of a run."""

from typing import Any

import click

from runstone.cli import text
from runstone.cli.arguments import RunId, labels_of
from runstone.cli.command import Command, with_any_session
from runstone.cli.run_tables import status_cell
from runstone.cli.session import Session
from runstone.cli.table import Cell


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option("--title", metavar="TEXT", help="Another title.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Add this label, or change it; NAME= removes it.",
)
@click.option("--pin/--unpin", "pinned", default=None, help="Keep it at hand, or no longer.")
@click.option(
    "--archive/--unarchive", "archived", default=None, help="Leave it out of lists and counts, or not."
)
@with_any_session
def edit(session: Session, run: str, labels: tuple[str, ...], **changes: Any) -> None:
    """Change what RUN is called and how it is listed; what it did stays as it is.

    \b
    runstone runs edit RUN --title "Nightly audit" --label team=core
    runstone runs edit RUN --archive
    """
    if not labels and all(value is None for value in changes.values()):
        raise click.UsageError("nothing to change: give --title, --label, --pin or --archive")
    output = session.output
    with session.changing() as ledger:
        run_id = ledger.resolve(run)
        if labels:
            known = ledger.get_run(run_id).labels | labels_of(labels)
            changes["labels"] = {name: value for name, value in known.items() if value}
        found = ledger.update_run(run_id, **changes)
    if not output.text:
        return output.document(found)
    output.line(Cell(text.short_id(found.id), "strong"), status_cell(found.status), found.title or "")
    return None
