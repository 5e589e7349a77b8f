"""`boards list | show`: task boards and their cards."""

from datetime import UTC, datetime

import click

from runstone.cli import text
from runstone.cli.command import Group, with_any_session
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.domain.records import Board, Card


@click.group(cls=Group)
def boards() -> None:
    """See task boards."""


@boards.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    metavar="N",
    default=100,
    show_default=True,
    help="At most so many.",
)
@with_any_session
def list_(session: Session, limit: int) -> None:
    """List boards."""
    output = session.output
    with session.reading() as ledger:
        found = ledger.boards.list(limit=limit)
        counts = {board.id: len(ledger.boards.cards(board.id)) for board in found} if output.text else {}
    if not output.text:
        return output.items(found)
    if not found:
        return output.note("no boards yet; a program makes one: ledger.boards.create()")
    return output.table(board_table(found, counts, datetime.now(UTC)))


def board_table(found: list[Board], cards: dict[str, int], now: datetime) -> Table:
    """Boards with the number of their cards."""
    columns = [
        Column("board"),
        Column("cards", 1, right=True),
        Column("title", 2, least=10),
        Column("thread", 4),
    ]
    table = Table([*columns, Column("updated", 3, right=True)], [])
    for one in found:
        updated = text.age(one.updated_at, now)
        table.add(
            Cell(one.id, "strong"), str(cards.get(one.id, 0)), one.title or "", one.thread_id or "", updated
        )
    return table


@boards.command()
@click.argument("board")
@with_any_session
def show(session: Session, board: str) -> None:
    """Show the cards of BOARD with the runs that refer to each."""
    output = session.output
    with session.reading() as ledger:
        record = ledger.boards.get(board)
        cards = ledger.boards.cards(board)
    if output.mode == "json":
        return output.document({**record.to_dict(), "cards": cards})
    if output.mode == "jsonl":
        return output.items(cards)
    if not cards:
        return output.note("the board has no cards")
    return output.table(card_table(cards))


def card_table(cards: list[Card]) -> Table:
    """Cards in their order."""
    table = Table(
        [
            Column("card"), Column("status"), Column("title", least=12), Column("assignee", 2), Column("claimed by", 1),
            Column("runs", 3, least=8), Column("labels", 4, least=8), Column("body", 5, least=12),
        ],
        [],
    )  # fmt: skip
    for one in cards:
        claimed = text.short_id(one.claimed_by) if one.claimed_by else ""
        runs = " ".join(text.short_id(run) for run in one.run_ids)
        labels = ", ".join(f"{name}={value}" for name, value in one.labels.items())
        table.add(
            Cell(one.id, "strong"),
            one.status,
            one.title,
            one.assignee or "",
            claimed,
            runs,
            labels,
            one.body or "",
        )
    return table
