"""`runs events | logs | watch`: what happens, also while it happens."""

from collections.abc import Iterable, Iterator

import click

from runstone.cli import event_lines, exit_codes, text
from runstone.cli.arguments import RunId
from runstone.cli.command import Command, with_session
from runstone.cli.live import watch as watch_run
from runstone.cli.output import Output
from runstone.cli.progress import SETTLED, closing_line, look
from runstone.cli.run_detail import next_step
from runstone.cli.session import Session
from runstone.domain.records import AgentRun, Message, RunEvent
from runstone.ledger import Ledger

_PAGE = 500
_LOOK_S = 0.2


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
@with_session
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
    _no_single_document(output)
    for run in looks(ledger, run_id):
        for event in events_after(ledger, run_id, after):
            after = event.seq
            if output.text:
                output.line(*event_lines.event_line(event))
            else:
                output.document(event)
        if run.status in SETTLED:
            _say_ended(run, output)


def events_after(ledger: Ledger, run_id: str, after: int | None) -> Iterator[RunEvent]:
    """All events that there are after `after`."""
    while after is not None:
        page = ledger.events(run_id, after=after, limit=_PAGE)
        yield from page
        after = page.next_cursor


def looks(ledger: Ledger, run_id: str) -> Iterator[AgentRun]:
    """The run, again and again, until it is settled. What is read after a look is at least as new as the look."""
    while True:
        run = ledger.get_run(run_id)
        yield run
        if run.status in SETTLED:
            return
        ledger.wait(run_id, timeout=_LOOK_S)


def _say_ended(run: AgentRun, output: Output) -> None:
    if output.text:
        step = next_step(run)
        output.note(f"the run is {run.status}" + (f"; {step}" if step else ""))


def _no_single_document(output: Output) -> None:
    if output.mode == "json":
        raise click.UsageError("what is followed is no single JSON document; use --jsonl")


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option("-f", "--follow", is_flag=True, help="Go on as they come, until the run ends.")
@click.option(
    "--tail",
    "last",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only the last N messages of those that there are.",
)
@with_session
def logs(session: Session, run: str, follow: bool, last: int | None) -> None:
    """Print what RUN said or printed.

    These are the messages of the run's own thread. Colours are dropped and control characters shown; --jsonl
    gives the exact text.
    """
    output = session.output
    if follow:
        _no_single_document(output)
    with session.reading() as ledger:
        record = ledger.get_run(ledger.resolve(run))
        if follow:
            return _follow_logs(ledger, record, last, output)
        found = list(messages_after(ledger, record, 0, last))
    if not output.text:
        return output.items(found)
    if not found:
        output.note(_why_empty(record))
    return print_messages(found, output)


def _why_empty(run: AgentRun) -> str:
    short = text.short_id(run.id)
    return f"the run has no messages; see runstone runs events {short}, or its children: runstone runs tree {short}"


def messages_after(ledger: Ledger, run: AgentRun, after: int, last: int | None = None) -> Iterator[Message]:
    """Messages of the run's thread after `after`; with `last`, only so many from the end."""
    thread_id = run.worker_thread_id
    if thread_id is None:
        return
    if last is not None:
        yield from ledger.threads.last_messages(thread_id, last) if last else ()
        return
    cursor: int | None = after
    while cursor is not None:
        page = ledger.threads.messages(thread_id, after=cursor, limit=_PAGE)
        yield from page
        cursor = page.next_cursor


def _follow_logs(ledger: Ledger, run: AgentRun, last: int | None, output: Output) -> None:
    after = 0
    if last is not None and run.worker_thread_id is not None:
        after = max(0, ledger.threads.get(run.worker_thread_id).messages - last)
    for seen in looks(ledger, run.id):
        for message in messages_after(ledger, seen, after):
            after = message.seq
            print_messages([message], output)
        if seen.status in SETTLED:
            _say_ended(seen, output)


def print_messages(messages: Iterable[Message], output: Output) -> None:
    """Messages as lines, or as JSON values."""
    for message in messages:
        if output.text:
            for line in event_lines.message_lines(message):
                output.line(*line)
        else:
            output.document(message)


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop watching then, with exit code 8."
)
@with_session
def watch(session: Session, run: str, timeout: float | None) -> int:
    """Watch RUN until it ends.

    It may run in any process; the watching ends, too, when it waits for a person. The exit code says how it
    ended. Ctrl-C ends the watching, not the run. With --jsonl: the events of the run and all below it as they
    come.
    """
    output = session.output
    with session.reading() as ledger:
        run_id = ledger.resolve(run)
        record = watch_run(ledger, run_id, output, timeout)
        if output.mode == "json":
            output.document(record)
        elif output.text:
            output.line(*closing_line(look(ledger, run_id)))
    step = next_step(record)
    if step and record.status in SETTLED:
        output.hint(step)
    return exit_codes.of_status(record.status)
