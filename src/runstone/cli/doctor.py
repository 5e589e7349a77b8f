"""`doctor`."""

import shlex
from collections import Counter
from typing import Final

import click
import msgspec

from runstone import workspace as places
from runstone.care.doctor import SEVERITIES, Check, examine
from runstone.cli import exit_codes, text
from runstone.cli.command import Command, with_session
from runstone.cli.output import Output
from runstone.cli.session import Session
from runstone.cli.table import Cell
from runstone.client.doctor import check_spools
from runstone.errors import WorkspaceNotFound

_STYLES: Final = {"problem": "bad", "warning": "warn", "note": "calm", "ok": "good"}


@click.command(cls=Command)
@click.option("--all", "everything", is_flag=True, help="Show also what is as it should be.")
@with_session
def doctor(session: Session, everything: bool) -> int:
    """Look at everything that the ledger rests on, and say what to type.

    Versions, the file system and its locks, the ledger's file or its database server, who has it open, processes
    and runs that have lost each other, where the bytes are, rights, settings, the clock. Nothing is changed. Exit
    code 1 if there is a problem; warnings and notes are no errors.

    \b
    runstone doctor                what is worth knowing
    runstone doctor --all --json   everything, for a program
    """
    try:
        workspace = places.locate(session.workspace, create=False)
    except WorkspaceNotFound:
        workspace = None
    root = workspace.root if workspace is not None else session.root()
    looks = [*examine(workspace, root), *check_spools()]
    found = [_there(check, session.workspace) for check in looks]
    output = session.output
    shown = [check for check in found if everything or not output.text or check.severity != "ok"]
    shown.sort(key=lambda check: SEVERITIES.index(check.severity))
    if output.mode == "json":
        output.document({"workspace": _name(workspace), "checks": shown})
    elif output.mode == "jsonl":
        output.items(shown)
    else:
        for check in shown:
            _line(output, check)
        counts = Counter(check.severity for check in found)
        place = _name(workspace) or root
        output.note(
            f"{place}: " + ", ".join(_counted(counts[one], one) for one in SEVERITIES if counts[one]), ""
        )
    return exit_codes.ERROR if any(check.severity == "problem" for check in found) else exit_codes.OK


def _name(workspace: places.Workspace | None) -> str | None:
    if workspace is None:
        return None
    return str(workspace.folder) if workspace.dsn is None else workspace.name


def _counted(number: int, severity: str) -> str:
    return f"{number:,} ok" if severity == "ok" else text.counted(number, severity)


def _there(check: Check, named: str | None) -> Check:
    """The check with a command that works from here, where the workspace was named."""
    if named is None or check.command is None or not check.command.startswith("runstone "):
        return check
    words = check.command.removeprefix("runstone ")
    option = "--dsn" if places.is_dsn(named) else "--workspace"
    return msgspec.structs.replace(
        check, command=f"runstone {option} {shlex.quote(places.shown_dsn(named))} {words}"
    )


def _line(output: Output, check: Check) -> None:
    output.line(Cell(f"{check.severity:<8}", _STYLES[check.severity]), text.clean(check.text))
    if check.command is not None:
        output.line(" " * 8, Cell(text.clean(check.command), "strong"))
