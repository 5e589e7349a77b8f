"""`runs checkpoints | state | diff-state`: what runs saved, what differs between two of them, and removing old ones."""

import sys
from typing import Any

import click

from runstone.care.thinning import Thinned
from runstone.checkpoints import split
from runstone.cli import checkpoint_lines, exit_codes, text
from runstone.cli.arguments import RunId
from runstone.cli.command import Command, with_any_session
from runstone.cli.output import Output, to_json
from runstone.cli.session import Session
from runstone.domain.records import Checkpoint
from runstone.ledger import Ledger


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Remove all but the last N, and those with a label. The newest one always stays.",
)
@click.option("--labelled-too", is_flag=True, help="With --keep: labelled ones do not stay for their label.")
@click.option("--dry-run", is_flag=True, help="With --keep: show what would go, and nothing more.")
@click.option("-y", "--yes", is_flag=True, help="With --keep: do not ask.")
@with_any_session
def checkpoints(
    session: Session, run: str, *, keep: int | None, labelled_too: bool, dry_run: bool, yes: bool
) -> int:
    """List the saved states of RUN, or remove old ones.

    The run may be working: what stays loads as it was saved. `stored` is what a checkpoint added to the ledger.

    \b
    runstone runs checkpoints RUN                         the list
    runstone runs checkpoints RUN --keep 10 --dry-run     what --keep 10 would remove
    runstone runs checkpoints RUN --keep 1 --labelled-too --yes
    """
    if keep is None:
        if dry_run or yes or labelled_too:
            raise click.UsageError("--labelled-too, --dry-run and --yes go with --keep N")
        with session.reading() as ledger:
            found = ledger.checkpoints.list(ledger.resolve(run))
        _show(session.output, found)
        return exit_codes.OK
    return _thin(session, run, {"keep": keep, "keep_labelled": not labelled_too}, dry_run=dry_run, yes=yes)


def _show(output: Output, found: list[Checkpoint]) -> None:
    if not output.text:
        return output.items(found)
    if not found:
        return output.note(
            "no state was saved; an agent does it with run.checkpoint(state) or ctx.checkpoint(state)"
        )
    output.table(checkpoint_lines.table(found))
    output.hint(f"see one: runstone runs state {found[-1].run_id} --number {found[-1].number}")
    return None


def _thin(session: Session, typed: str, policy: dict[str, Any], *, dry_run: bool, yes: bool) -> int:
    output = session.output
    with session.reading() as ledger:
        run_id = ledger.resolve(typed)
        said = ledger.checkpoints.thin(run_id, **policy, dry_run=True)
    if dry_run or not (said.removed or said.rows):
        _tell(output, said, "would remove")
        return exit_codes.OK
    if not yes:
        if not (output.text and sys.stdin.isatty() and sys.stderr.isatty()):
            raise click.UsageError(
                "removing asks first, and there is nobody to ask: nothing was removed; give --yes, or --dry-run"
            )
        _tell(output, said, "this removes")
        click.confirm("Remove them for good?", abort=True, err=True)
    with session.changing() as ledger:
        _tell(output, ledger.checkpoints.thin(run_id, **policy), "removed")
    return exit_codes.OK


def _tell(output: Output, done: Thinned, verb: str) -> None:
    if not output.text:
        if verb != "this removes":
            output.document({"dry_run": verb != "removed", **_plain(done)})
        return
    count = len(done.removed)
    if not count and not done.rows:
        output.note(f"nothing to remove: {done.kept} stay", "")
        return
    which = f" ({checkpoint_lines.ranges(done.removed)})" if count else ""
    output.note(
        f"{verb} {count:,} {'checkpoint' if count == 1 else 'checkpoints'}{which}, {text.size(done.bytes)} that "
        f"only they need; {done.kept:,} stay",
        "",
    )


def _plain(done: Thinned) -> dict[str, Any]:
    return {name: getattr(done, name) for name in done.__struct_fields__}


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option("--number", type=click.IntRange(min=1), metavar="N", help="That checkpoint; else the newest.")
@with_any_session
def state(session: Session, run: str, number: int | None) -> None:
    """Print a saved state of RUN, as JSON."""
    output = session.output
    with session.reading() as ledger:
        run_id = ledger.resolve(run)
        number = number or ledger.checkpoints.newest(run_id)
        value = ledger.checkpoints.state(run_id, number)
    if not output.text:
        return output.document(value)
    for line in text.clean_lines(to_json(value, indent=2)):
        output.line(line)
    return None


@click.command("diff-state", cls=Command)
@click.argument("before", metavar="RUN[@N]")
@click.argument("after", metavar="[RUN][@N]", required=False)
@with_any_session
def diff_state(session: Session, before: str, after: str | None) -> None:
    """Show what differs between two saved states.

    @N is a checkpoint's number; without it the newest is meant. With one state it is compared with the one before it.

    \b
    runstone runs diff-state RUN              what the last save changed
    runstone runs diff-state RUN@3 @7         between checkpoints 3 and 7 of one run
    runstone runs diff-state RUN@3 OTHER      with the newest state of another run
    """
    output = session.output
    with session.reading() as ledger:
        first, second = _two(ledger, before, after)
        found = ledger.checkpoints.diff(first, second)
    if output.mode == "json":
        counts = found.counts
        return output.document(
            {"before": first, "after": second, "counts": counts, "more": found.more, "changes": found.changes}
        )
    if output.mode == "jsonl":
        return output.items(found.changes)
    output.note(f"{text.clean(first)} → {text.clean(second)}: {checkpoint_lines.summary(found)}", "")
    for cell in checkpoint_lines.lines(found):
        output.line(cell)
    return None


def _two(ledger: Ledger, before: str, after: str | None) -> tuple[str, str]:
    """References of the two states, each with its number."""
    first = _reference(ledger, before, None)
    if after is not None:
        return first, _reference(ledger, after, split(first)[0])
    run_id, number = split(first)
    earlier = [one.number for one in ledger.checkpoints.list(run_id) if one.number < (number or 0)]
    if not earlier:
        raise click.UsageError(f"checkpoint {number} is the first of run {run_id}; name two states")
    return f"{run_id}@{earlier[-1]}", first


def _reference(ledger: Ledger, typed: str, same: str | None) -> str:
    name, number = split(typed)
    run_id = same if not name and same is not None else ledger.resolve(name)
    return f"{run_id}@{number or ledger.checkpoints.newest(run_id)}"
