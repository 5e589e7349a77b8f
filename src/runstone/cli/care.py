"""`verify` and `completion`."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from runstone import workspace as places
from runstone.care.part_checks import leftovers
from runstone.care.repair import Repair, repair
from runstone.cli import exit_codes, text
from runstone.cli.command import Command, with_session
from runstone.cli.output import Output
from runstone.cli.percent import Percent
from runstone.cli.session import Session
from runstone.cli.table import Cell
from runstone.domain.records import Finding


@click.command(cls=Command)
@click.option("--repair", "repairs", is_flag=True, help="Write again what can be known from what is whole.")
@click.option(
    "--no-backup", is_flag=True, help="With --repair: make no copy of the ledger before the first change."
)
@click.option(
    "--upgrade", is_flag=True, help="First open the ledger for writing, which upgrades an older schema."
)
@with_session
def verify(session: Session, repairs: bool, no_backup: bool, upgrade: bool) -> int:
    """Check the ledger, and repair it.

    Its file, and that what is shown of every run equals what its events add up to. Each finding is a line:
    its code, what is wrong, and whether it can be repaired. Without --repair nothing is changed. Others may
    go on working meanwhile.

    --repair copies the ledger to .runstone/ledger-before-repair-TIME.db, and then writes rows, sums, the
    search index and counters again from the events. What cannot be known any more is named and left as it
    is. It may be stopped at any time and run again.

    Exit code 1 if something is wrong, or was left.

    \b
    runstone verify                  what is wrong, and what can be repaired
    runstone verify --repair         repair it
    runstone verify --json           for scripts
    """
    if no_backup and not repairs:
        raise click.UsageError("--no-backup goes with --repair")
    if repairs:
        session.require_folder(
            "repairing", "see what is wrong: runstone verify; then restore the database's backup"
        )
    output = session.output
    done = None
    with Percent(output, "runs") as percent:
        if repairs:
            where = places.locate(session.workspace, create=False)
            done = repair(where, backup=not no_backup, progress=percent, told=percent.say)
        with session.changing() if upgrade else session.reading() as ledger:
            findings = ledger.care.verify(percent) if done is None else done.findings
            damaged = any(
                one.code in ("file_damaged", "index_damaged") and not one.repaired for one in findings
            )
            left_over = {} if damaged else leftovers(ledger.reader)
            folder = ledger.workspace.folder
    if output.mode == "json":
        output.document(
            {"workspace": str(folder), "findings": findings, "leftovers": left_over, "repair": _told(done)}
        )
    elif output.mode == "jsonl":
        output.items(findings)
    else:
        _print(output, findings)
        _sum_up(output, folder, findings, done)
        _say_leftovers(output, left_over)
    return exit_codes.ERROR if any(not one.repaired for one in findings) else exit_codes.OK


def _told(done: Repair | None) -> dict[str, Any] | None:
    """A repair for scripts; its findings stand beside it."""
    if done is None:
        return None
    return {"writes": done.writes, "backup": done.backup and str(done.backup), "refused": done.refused}


def _print(output: Output, findings: list[Finding]) -> None:
    for one in findings:
        mark = (
            Cell("repaired", "good") if one.repaired else Cell("repairable", "warn") if one.repairable else ""
        )
        output.line(Cell(one.code, "dim"), Cell(text.clean(one.text), "" if one.repaired else "bad"), mark)


def _sum_up(output: Output, folder: Path, findings: list[Finding], done: Repair | None) -> None:
    """How many, what was done, and what to type next."""
    left = [one for one in findings if not one.repaired]
    able = sum(1 for one in left if one.repairable)
    if not findings:
        return output.note(f"{folder}: nothing is wrong", "")
    if done is None:
        output.note(f"{folder}: {text.counted(len(findings), 'finding')}, {able} of them repairable", "")
    else:
        output.note(
            f"{folder}: {len(findings) - len(left)} of {text.counted(len(findings), 'finding')} repaired", ""
        )
        for reason in done.refused:
            output.note(f"not done: {reason}")
        if done.backup is not None:
            output.note(f"the ledger as it was: {done.backup}")
    if any(one.code == "file_damaged" for one in left):
        output.note("the file is damaged: keep it, and restore a backup: runstone restore BACKUP", "")
    elif able and done is None:
        output.note("to repair: runstone verify --repair", "")
    return None


def _say_leftovers(output: Output, left: dict[str, int]) -> None:
    if left.get("blobs"):
        size = text.size(left["blob_bytes"])
        output.note(
            f"{text.counted(left['blobs'], 'value')} ({size}) that nothing refers to any more; no damage"
        )
    if left.get("orders"):
        orders = text.counted(left["orders"], "order")
        output.note(f"{orders} still open to runs that have ended; --repair rejects them")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script for SHELL's completion.

    It completes commands, options and run ids.

    \b
    bash: eval "$(runstone completion bash)"       in ~/.bashrc
    zsh:  eval "$(runstone completion zsh)"        in ~/.zshrc
    fish: runstone completion fish | source        in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "runstone", "_RUNSTONE_COMPLETE").source())
