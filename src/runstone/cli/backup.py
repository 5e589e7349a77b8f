"""`backup` and `restore`."""

import shlex
from pathlib import Path

import click

from runstone import workspace as places
from runstone.care import backup as backups
from runstone.care import restore as restoring
from runstone.cli import text
from runstone.cli.command import Command, with_session
from runstone.cli.percent import Percent
from runstone.cli.session import Session


@click.command(cls=Command)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--keep", type=click.IntRange(min=1), metavar="N", help="Keep the newest N of .runstone/backups."
)
@click.option(
    "--verify",
    "checks",
    type=click.Choice(["quick", "full"]),
    default="quick",
    help="How the copy is checked: its file and counts (default), or each run against its events, too.",
)
@with_session
def backup(session: Session, file: Path | None, force: bool, keep: int | None, checks: str) -> None:
    """Copy the ledger into one file, while it is in use.

    Without FILE into .runstone/backups, under the time. The copy is the ledger as of one moment, with
    everything that was acknowledged before it began; it is checked, and appears only when it is whole.

    \b
    runstone backup                      into .runstone/backups
    runstone backup --keep 7             and remove all but the newest seven there
    runstone backup /mnt/usb/ledger.db   into that file
    """
    if file is not None and str(file) == "-":
        raise click.UsageError("a backup is checked before it is given away: name a file, then send that")
    session.require_folder(
        "backup", "back the database up: pg_dump; or write its runs: runstone export --all"
    )
    workspace = places.locate(session.workspace, create=False)
    with Percent(session.output, "copied") as meter:
        taken = backups.backup(
            workspace, file, force=force, full=checks == "full", keep=keep, told=meter.copied
        )
    output = session.output
    if not output.text:
        output.document(taken)
        return
    output.line(text.clean_lines(str(taken.file))[0])
    content = f"{text.counted(taken.runs, 'run')}, {text.counted(taken.events, 'event')}"
    output.note(
        f"{text.size(taken.bytes)}, {content} up to position {taken.last_position:,}, "
        f"{taken.checked} check passed, {text.duration(taken.elapsed_ms)}",
        "",
    )
    for old in taken.removed:
        output.note(f"removed {old}")
    if taken.left_out:
        names = ", ".join(str(path.relative_to(workspace.root)) for path in taken.left_out)
        output.note(f"not in it: {names}")
    output.hint(f"to restore it: runstone restore {shlex.quote(str(taken.file))} --to DIR")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The workspace to make.",
)
@click.option(
    "--replace", is_flag=True, help="Over the present ledger, which is kept aside. Nobody may have it open."
)
@with_session
def restore(session: Session, file: Path, folder: Path | None, replace: bool) -> None:
    """Make a ledger from a backup: in DIR, or in this workspace.

    What ran when the backup was taken is interrupted in the restored ledger, and can be resumed there; its
    processes belong to the original and are left alone. Cursors of the original begin anew.

    \b
    runstone restore .runstone/backups/ledger-20260102T030405Z.db --to ../looked-at
    runstone restore ledger.db --replace
    """
    if folder is not None and session.workspace is not None:
        raise click.UsageError("--to and --workspace name the same thing: give one")
    if folder is None:
        session.require_folder(
            "restore", "name a folder with --to DIR; a database is restored with pg_restore"
        )
    with Percent(session.output, "restored") as meter:
        done = restoring.restore(file, folder or session.root(), over=replace, told=meter.copied)
    output = session.output
    if not output.text:
        output.document(done)
        return
    output.line(text.clean_lines(str(done.workspace))[0])
    content = f"{text.counted(done.runs, 'run')}, {text.counted(done.events, 'event')}"
    output.note(f"{content}, new epoch {done.epoch}, {text.duration(done.elapsed_ms)}", "")
    for count, noun, what in (
        (len(done.interrupted), "run", "under way before, interrupted here"),
        (done.rejected, "open order", "rejected"),
        (done.disowned, "process group", "left to the original"),
    ):
        if count:
            output.note(f"{text.counted(count, noun)}: {what}", "")
    if done.replaced is not None:
        output.note(f"the ledger of before: {done.replaced}", "")
    if done.commands is not None:
        output.note(f"what its commands left: {done.commands}", "")
    where = f" --workspace {shlex.quote(str(done.workspace))}" if folder is not None else ""
    output.hint(f"see what there is: runstone{where} runs list")
