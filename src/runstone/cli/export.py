"""`export` and `import`."""

import shlex
import sys
from pathlib import Path
from typing import IO

import click

from runstone.care import export as exports
from runstone.care import import_ as imports
from runstone.care import sealing
from runstone.cli import text
from runstone.cli.command import Command, with_session
from runstone.cli.percent import Percent
from runstone.cli.session import Session
from runstone.errors import NotFound


@click.command(cls=Command)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--all", "everything", is_flag=True, help="Every run, with all boards and threads.")
@click.option(
    "--subtree/--only",
    default=True,
    help="With all runs below those that are named (default), or without them.",
)
@click.option(
    "-o", "--out", "file", default="-", metavar="FILE|-", type=click.Path(path_type=Path, dir_okay=True),
    help="The file to make; .zst and .gz are compressed. Without it the lines go to stdout.",
)  # fmt: skip
@click.option(
    "--redact", is_flag=True, help="Mask secrets in values, too. Such an export is for reading only."
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "--move", is_flag=True, help="The runs go on where FILE is imported: what is unfinished is sealed here."
)
@click.option("--undo", is_flag=True, help="With --move: let runs that were moved go on here.")
@with_session
def export(session: Session, runs: tuple[str, ...], file: Path, **options: bool) -> None:
    """Write runs as JSON Lines, with events, values, messages, checkpoints and questions.

    The file can be read by people and programs, and taken in by another ledger: runstone import FILE. Inputs, results
    and states are in it as they were given.

    \b
    runstone export 3fa9 -o audit.jsonl        a run with all below it
    runstone export --all -o all.jsonl.zst     everything
    runstone export 3fa9 | jq -r .record       to look at it
    runstone export 3fa9 --move -o run.jsonl   to go on elsewhere
    runstone export --move --undo 3fa9         to go on here after all
    """
    if options["undo"]:
        _undo(session, runs, file, **options)
        return
    everything = options["everything"]
    if everything == bool(runs):
        raise click.UsageError("name runs, or everything with --all (see them: runstone runs list)")
    if everything and not options["subtree"]:
        raise click.UsageError("--all and --only exclude each other")
    if options["move"]:
        _move(session, None if everything else runs, file, **options)
        return
    output, streamed = session.output, str(file) == "-"
    target: Path | IO[bytes] = sys.stdout.buffer if streamed else file
    with session.reading() as ledger, Percent(output, "exported") as meter:
        chosen = None if everything else [ledger.resolve(run) for run in runs]
        done = exports.export(
            ledger,
            target,
            chosen,
            subtree=options["subtree"],
            redact=options["redact"],
            force=options["force"],
            told=_quiet if streamed and sys.stdout.isatty() else meter,
        )
    if streamed:
        return
    if not output.text:
        output.document(done)
        return
    output.line(text.clean_lines(str(file))[0])
    parts = ((done.runs, "run"), (done.events, "event"), (done.messages, "message"))
    content = ", ".join(text.counted(count, noun) for count, noun in parts)
    output.note(f"{text.size(done.bytes)}, {content}, {text.duration(done.elapsed_ms)}", "")
    if options["redact"]:
        output.note("secrets in it are masked: it is for reading, and cannot be imported", "")
    else:
        output.hint(f"to take it in elsewhere: runstone --workspace DIR import {shlex.quote(str(file))}")


def _move(session: Session, runs: tuple[str, ...] | None, file: Path, **options: bool) -> None:
    """Exports whole trees, and seals them here."""
    for name, refused in (("only", not options["subtree"]), ("redact", options["redact"])):
        if refused:
            raise click.UsageError(
                f"--move and --{name} exclude each other: a move takes whole trees as they are"
            )
    if options["force"]:
        raise click.UsageError("--move replaces no file: that may be all that there is of another move")
    if str(file) == "-":
        raise click.UsageError("--move needs -o FILE: the runs are sealed once that is on the disk")
    output = session.output
    with session.changing() as ledger, Percent(output, "exported") as meter:
        chosen = None if runs is None else [ledger.resolve(run) for run in runs]
        done = sealing.move(ledger, file, chosen, told=meter)
    if not output.text:
        output.document(done)
        return
    output.line(text.clean_lines(str(file))[0])
    told = f"{text.counted(done.moved, 'run')} of {done.runs} unfinished, and sealed here"
    output.note(f"{text.size(done.bytes)}, {told}, {text.duration(done.elapsed_ms)}", "")
    output.hint(f"to go on with them elsewhere: runstone --workspace DIR import {shlex.quote(str(file))}")


def _undo(session: Session, runs: tuple[str, ...], file: Path, **options: bool) -> None:
    """Lets trees that were moved go on here."""
    if not options["move"] or str(file) != "-" or options["redact"] or options["force"]:
        raise click.UsageError("--undo goes with --move, and with runs or --all alone")
    if options["everything"] == bool(runs):
        raise click.UsageError("name runs, or all that were moved with --all")
    with session.changing() as ledger:
        chosen = None if options["everything"] else [ledger.resolve(run) for run in runs]
        taken = sealing.take_back(ledger, chosen)
    if not session.output.text:
        session.output.document({"returned": taken})
    elif not taken:
        session.output.note("none of them was moved", "")
    else:
        went = text.counted(taken, "run")
        session.output.note(f"{went} can go on here; where the file was imported, they can, too", "")


@click.command("import", cls=Command)
@click.argument("file", metavar="FILE|-", type=click.Path(path_type=Path))
@with_session
def import_(session: Session, file: Path) -> None:
    """Take in the runs of an export; those that are here already are left as they are.

    The file is checked and compared first: if it was changed or cut off, or a run is here with another content,
    nothing is changed. What was running when it was exported is interrupted here, and can be resumed.

    \b
    runstone import audit.jsonl
    runstone --workspace ../elsewhere import all.jsonl.zst
    ssh host runstone export --all | runstone import -
    """
    output, streamed = session.output, str(file) == "-"
    if not streamed and not file.exists():  # before a workspace is made for it
        raise NotFound(f"there is no file {file}", hint="make one: runstone export --all -o FILE")
    source: Path | IO[bytes] = sys.stdin.buffer if streamed else file
    with session.changing(create=True) as ledger, Percent(output, "imported") as meter:
        done = imports.import_(ledger, source, told=meter)
    if not output.text:
        output.document(done)
        return
    for count, noun, what in (
        (done.runs, "run", "came in"),
        (done.present, "run", "here already"),
        (done.messages, "message", "came in"),
        (done.cards, "card", "came in"),
        (done.interrupted, "run", "under way before, interrupted here"),
        (done.rejected, "open order", "rejected"),
        (done.disowned, "process group", "left to the original"),
    ):
        if count or (noun, what) == ("run", "came in"):
            output.note(f"{text.counted(count, noun)}: {what}", "")
    where = f" --workspace {shlex.quote(session.workspace)}" if session.workspace else ""
    output.hint(f"see what there is: runstone{where} runs list")


def _quiet(done: int, of: int) -> None:
    """No meter among lines that go to the same terminal."""
