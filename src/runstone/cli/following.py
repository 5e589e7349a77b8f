"""`runs events | watch`: what happens, also while it happens."""

import time
from collections.abc import Iterator

import click

from runstone.cli import event_lines, exit_codes, questions
from runstone.cli.arguments import RunId
from runstone.cli.command import Command, with_any_session
from runstone.cli.live import watch as watch_run
from runstone.cli.output import Output
from runstone.cli.progress import closing_line, look, settled
from runstone.cli.run_detail import next_step
from runstone.cli.session import Session
from runstone.cli.watching import watch_several
from runstone.domain.records import AgentRun, RunEvent
from runstone.ledger import Ledger

_PAGE = 500
_LOOK_S = 0.5
"""An owner that dies changes nothing in the file, so look now and then without being told."""

_UNRECORDED_S = 5.0
"""The next watcher of a command has usually begun in a fraction of that; on a full disk none can."""


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only events after this one."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    metavar="N",
    show_default=True,
    help="At most so many; not with -f.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as they come, until the run ends.")
@with_any_session
def events(session: Session, run: str, after: int, limit: int, follow: bool) -> None:
    """List the events of RUN by their number."""
    output = session.output
    with session.reading() as ledger:
        run_id = ledger.resolve(run)
        if follow:
            return _follow_events(ledger, run_id, after, output)
        page = ledger.events(run_id, after=after, limit=limit)
    if not output.text:
        return output.items(page.items, page.next_cursor)
    output.table(event_lines.event_table(page))
    if page.next_cursor is not None:
        output.hint(f"there are more: --after {page.next_cursor}")
    return None


def _follow_events(ledger: Ledger, run_id: str, after: int, output: Output) -> None:
    no_single_document(output)
    for _ in looks(ledger, run_id, output):
        for event in events_after(ledger, run_id, after):
            after = event.seq
            if output.text:
                output.line(*event_lines.event_line(event))
            else:
                output.document(event)
    say_ended(ledger.get_run(run_id), output)


def events_after(ledger: Ledger, run_id: str, after: int | None) -> Iterator[RunEvent]:
    """All events that there are after `after`."""
    while after is not None:
        page = ledger.events(run_id, after=after, limit=_PAGE)
        yield from page
        after = page.next_cursor


def looks(ledger: Ledger, run_id: str, output: Output) -> Iterator[AgentRun]:
    """The run, again and again, as soon as anything was written, until nothing more can come of it.

    What is read after a look is at least as new as the look. A warning says if nobody owns it for long.
    """
    recorded_at = time.monotonic()
    with ledger.overview.changes() as changed:
        while True:
            changed.clear()
            run = ledger.get_run(run_id)
            yield run
            if settled(ledger, run):
                return
            if run.status != "interrupted":
                recorded_at = time.monotonic()
            elif time.monotonic() - recorded_at > _UNRECORDED_S:
                output.warning(
                    "what it prints is not recorded at the moment; see what is wrong: runstone doctor"
                )
                recorded_at = float("inf")
            changed.wait(_LOOK_S)


def say_ended(run: AgentRun, output: Output) -> None:
    """A note on how the run stands, from which nothing more comes by itself, and what goes on with it."""
    if output.text:
        step = next_step(run, still=True)
        output.note(f"the run is {run.status}" + (f"; {step}" if step else ""))


def no_single_document(output: Output) -> None:
    """Refuses --json for what comes bit by bit."""
    if output.mode == "json":
        raise click.UsageError("what is followed is no single JSON document; use --jsonl")


@click.command(cls=Command)
@click.argument("runs", metavar="RUN...", type=RunId(), nargs=-1, required=True)
@click.option("--children", is_flag=True, help="Watch the children that RUN has now, not RUN itself.")
@click.option("--any", "first", is_flag=True, help="Of several, end with the first one; else with the last.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop watching then, with exit code 8."
)
@with_any_session
def watch(session: Session, runs: tuple[str, ...], children: bool, first: bool, timeout: float | None) -> int:
    """Watch RUN until it ends, or several runs until all have.

    They may run in any process; the watching ends, too, when one waits for a person. The exit code says how it
    ended; of several runs it is that of the worst one, with --any of the first. Ctrl-C ends the watching, not the
    run. With --jsonl: the events of the run and all below it as they come; of several runs each as it ends.
    """
    with session.reading() as ledger:
        ids = list(dict.fromkeys(map(ledger.resolve, runs)))
        if children:
            ids = [child for run_id in ids for child in _children(ledger, run_id)]
        if len(ids) == 1 and not children:
            return _watch_one(ledger, ids[0], session.output, timeout)
        return watch_several(ledger, ids, session.output, first=first, timeout=timeout)


def _watch_one(ledger: Ledger, run_id: str, output: Output, timeout: float | None) -> int:
    record = watch_run(ledger, run_id, output, timeout)
    if output.mode == "json":
        output.document(record)
    elif output.text:
        output.line(*closing_line(look(ledger, run_id)))
    awaited = ledger.inputs.awaited(run_id)
    asked = ledger.inputs.below(run_id) if awaited else []
    still = settled(ledger, record)
    step = questions.hint_of(asked[0]) if asked else next_step(record, still=still)
    if step and (awaited or still):
        output.hint(step)
    return exit_codes.NEEDS_INPUT if awaited else exit_codes.of_status(record.status)


def _children(ledger: Ledger, run_id: str) -> Iterator[str]:
    """The children of a run, in the order in which they were created."""
    cursor: str | None = None
    while True:
        page = ledger.list_runs(
            parent_id=run_id, sort="created", order="asc", archived=None, limit=_PAGE, cursor=cursor
        )
        yield from (child.id for child in page)
        if (cursor := page.next_cursor) is None:
            return
