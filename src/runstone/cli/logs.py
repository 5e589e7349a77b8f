"""`runs logs`: what a run printed and said, also while it does."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import click

from runstone.cli import exit_codes, log_lines, text
from runstone.cli.arguments import Moment, RunId
from runstone.cli.command import Command, with_any_session
from runstone.cli.following import looks, no_single_document, say_ended
from runstone.cli.log_lines import LogLine
from runstone.cli.output import Output
from runstone.cli.session import Session
from runstone.domain.records import AgentRun, Message
from runstone.ledger import Ledger

_PAGE = 500


class Wanted(NamedTuple):
    """Which part of a log is asked for, and how it is shown."""

    stream: str | None = None
    since: datetime | None = None
    last: int | None = None
    timestamps: bool = False


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option("-f", "--follow", is_flag=True, help="Go on as it comes, until the run ends.")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only what was printed to this one.")
@click.option("--tail", "last", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option(
    "--since", type=Moment(), help="Only from then on: 10m, 2h, or a time such as 2025-11-23T10:00."
)
@click.option("-t", "--timestamps", is_flag=True, help="Begin each line with its time.")
@with_any_session
def logs(
    session: Session, run: str, *, follow: bool, stream: str | None, last: int | None, since: datetime | None,
    timestamps: bool,
) -> int:  # fmt: skip
    """Print what RUN printed or said.

    A command in the background may run in any process, and be gone: its lines are in the ledger. Colours are
    dropped and control characters shown; --jsonl gives the exact text. With -f the exit code says how the run
    ended, as that of `runstone runs watch` does; Ctrl-C ends the following, not the run.
    """
    output = session.output
    wanted = Wanted(stream, since, last, timestamps)
    if follow:
        no_single_document(output)
    with session.reading() as ledger:
        record = ledger.get_run(ledger.resolve(run))
        if follow:
            return _follow(ledger, record, wanted, output)
        found = select(ledger, record, wanted)
        if not output.text:
            output.items(found)
            return exit_codes.OK
        shown = 0
        for shown, entry in enumerate(found, 1):  # noqa: B007
            print_entry(entry, output, timestamps=timestamps)
    if not shown:
        output.note(_why_empty(record, wanted))
    return exit_codes.OK


def _why_empty(run: AgentRun, wanted: Wanted) -> str:
    short = text.short_id(run.id)
    if wanted != Wanted(timestamps=wanted.timestamps):
        return f"nothing of the log fits; see all of it: runstone runs logs {short}"
    return f"the run has no messages; see runstone runs events {short}, or its children: runstone runs tree {short}"


def _follow(ledger: Ledger, run: AgentRun, wanted: Wanted, output: Output) -> int:
    after = last_seq(ledger, run)
    if wanted.last is None:
        after = _first_seq(ledger, run, wanted.since) - 1
    else:
        for entry in select(ledger, run, wanted, up_to=after):
            print_entry(entry, output, timestamps=wanted.timestamps)
    for message in followed(ledger, run.id, output, after):
        if wanted.since is None or message.timestamp >= wanted.since:
            for entry in log_lines.entries([message], wanted.stream):
                print_entry(entry, output, timestamps=wanted.timestamps)
    ended = ledger.get_run(run.id)
    say_ended(ended, output)
    return exit_codes.of_status(ended.status)


def followed(
    ledger: Ledger, run_id: str, output: Output, after: int = 0, *, told: Callable[[], None] = lambda: None
) -> Iterator[Message]:
    """Messages of a run's thread after `after`, then as they come from any process, until nothing more can come.

    `told` is called now and then, at least twice a second.
    """
    for run in looks(ledger, run_id, output):
        told()
        for message in messages_after(ledger, run, after):
            after = message.seq
            yield message
            told()


def messages_after(ledger: Ledger, run: AgentRun, after: int) -> Iterator[Message]:
    """Messages of the run's thread after `after`."""
    cursor: int | None = after if run.worker_thread_id is not None else None
    while cursor is not None and run.worker_thread_id is not None:
        page = ledger.threads.messages(run.worker_thread_id, after=cursor, limit=_PAGE)
        yield from page
        cursor = page.next_cursor


def select(
    ledger: Ledger, run: AgentRun, wanted: Wanted, up_to: int | None = None
) -> Iterator[LogLine | Message]:
    """The part of the log that is wanted, in order; up to the message `up_to`."""
    if wanted.last is None:
        first = _first_seq(ledger, run, wanted.since)
        yield from log_lines.entries(messages_after(ledger, run, first - 1), wanted.stream)
        return
    end = last_seq(ledger, run) if up_to is None else up_to
    least = _first_seq(ledger, run, wanted.since)
    found: deque[LogLine | Message] = deque()
    while end >= least and len(found) < wanted.last:
        begin = max(least, end - _PAGE + 1)
        page = [message for message in _page(ledger, run, begin - 1, _PAGE) if message.seq <= end]
        found.extendleft(reversed(list(log_lines.entries(page, wanted.stream))))
        end = begin - 1
    while len(found) > wanted.last:
        found.popleft()
    yield from found


def _page(ledger: Ledger, run: AgentRun, after: int, limit: int) -> list[Message]:
    thread_id = run.worker_thread_id
    return [] if thread_id is None else ledger.threads.messages(thread_id, after=after, limit=limit).items


def last_seq(ledger: Ledger, run: AgentRun) -> int:
    """The number of the last message."""
    if run.worker_thread_id is None:
        return 0
    newest = ledger.threads.last_messages(run.worker_thread_id, 1)
    return newest[0].seq if newest else 0


def _first_seq(ledger: Ledger, run: AgentRun, since: datetime | None) -> int:
    """The number of the first message since then; found by halving, as a log may have millions."""
    low, high = 1, last_seq(ledger, run) + 1
    while since is not None and low < high:
        middle = (low + high) // 2
        found = _page(ledger, run, middle - 1, 1)
        older = bool(found) and found[0].timestamp < since
        low, high = (found[0].seq + 1, high) if older else (low, middle)
    return low


def print_entry(entry: LogLine | Message, output: Output, *, timestamps: bool = False) -> None:
    """An entry of a log as lines, or as a JSON value."""
    if output.text:
        for line in log_lines.cells(entry, timestamps=timestamps):
            output.line(*line)
    else:
        output.document(entry)


def print_messages(messages: Iterable[Message], output: Output) -> None:
    """Messages of any thread."""
    for entry in messages:
        print_entry(entry, output)
