"""`threads list | show`: conversations."""

from datetime import UTC, datetime

import click

from runstone.cli import text
from runstone.cli.command import Group, with_any_session
from runstone.cli.logs import print_messages
from runstone.cli.options import PAGE, with_options
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.domain.records import Thread


@click.group(cls=Group)
def threads() -> None:
    """See conversations."""


@threads.command("list")
@with_options(PAGE)
@with_any_session
def list_(session: Session, limit: int, cursor: str | None) -> None:
    """List threads, the newest first."""
    output = session.output
    with session.reading() as ledger:
        page = ledger.threads.list(limit=limit, cursor=cursor)
    if not output.text:
        return output.items(page.items, page.next_cursor)
    if not page.items:
        return output.note("no threads yet; a run's first message makes one")
    output.table(thread_table(page.items, datetime.now(UTC)))
    if page.next_cursor is not None:
        output.hint(f"there are more: --cursor {page.next_cursor}")
    return None


def thread_table(found: list[Thread], now: datetime) -> Table:
    """Threads with their run and how much is in them. Ids are whole: they are what `threads show` takes."""
    columns = [
        Column("thread"),
        Column("messages", 1, right=True),
        Column("run", 2),
        Column("title", 3, least=10),
    ]
    table = Table([*columns, Column("updated", 4, right=True)], [])
    for one in found:
        run = text.short_id(one.run_id) if one.run_id else ""
        table.add(
            Cell(one.id, "strong"), str(one.messages), run, one.title or "", text.age(one.updated_at, now)
        )
    return table


@threads.command()
@click.argument("thread")
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only messages after this one."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    metavar="N",
    default=100,
    show_default=True,
    help="At most so many.",
)
@click.option("--tail", "last", type=click.IntRange(min=1), metavar="N", help="Only the last N messages.")
@with_any_session
def show(session: Session, thread: str, after: int, limit: int, last: int | None) -> None:
    """Print the messages of THREAD."""
    output = session.output
    with session.reading() as ledger:
        record = ledger.threads.get(thread)
        page = ledger.threads.messages(thread, after=after, limit=limit)
        found = page.items if last is None else ledger.threads.last_messages(thread, last)
    if output.mode == "json":
        cursor = page.next_cursor if last is None else None
        return output.document({**record.to_dict(), "items": found, "next_cursor": cursor})
    print_messages(found, output)
    if last is None and page.next_cursor is not None:
        output.hint(f"there are more: --after {page.next_cursor}")
    return None
