"""What was spent, as tables, bars and CSV. Pure functions over records."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from runstone.cli import text
from runstone.cli.table import GAP, Cell, Column, Table
from runstone.domain.records import Repriced, Totals, UsageRow
from runstone.domain.telemetry import COUNTS, EXACT, PICO

_BAR: Final = 24
"""Columns of the longest bar; below a third of it none is drawn."""


def total_of(rows: Iterable[UsageRow]) -> Totals:
    """The sum of all rows."""
    return sum((row.totals for row in rows), Totals())


def usage_table(by: Sequence[str], rows: Sequence[UsageRow], total: Totals) -> Table:
    """A line for each row, and their sum where there are several."""
    table = Table(
        [
            *(Column(name, least=20) for name in by),
            Column("requests", 3, right=True), Column("input", 6, right=True), Column("cache read", 7, right=True),
            Column("cache write", 8, right=True), Column("output", 5, right=True), Column("reasoning", 9, right=True),
            Column("tokens", 2, right=True), Column("cost", right=True), Column("from", 4),
        ],
        [],
    )  # fmt: skip
    for row in rows:
        names = (Cell(row.by[name] or "–", "" if row.by[name] else "dim") for name in by)
        table.add(*names, *_counts(row.totals))
    if len(rows) > 1 or not by:
        first = [Cell("total", "strong"), *[Cell("")] * (len(by) - 1)][: len(by)]
        table.add(*first, *_counts(total))
    return table


def _counts(totals: Totals) -> list[Cell]:
    tokens = [getattr(totals, name) for name in COUNTS]
    shown = [text.tokens(count) if count else "" for count in (*tokens, totals.tokens)]
    cost = Cell(text.cost(totals), "strong")
    return [Cell(f"{totals.requests:,}"), *map(Cell, shown), cost, Cell(totals.cost_source or "", "dim")]


def charted(table: Table, rows: Sequence[UsageRow], width: int | None) -> list[list[Cell]]:
    """The table's lines with a bar behind each row: its part of the largest cost, or of the most tokens where no cost
    is known. A narrow terminal has the numbers alone."""
    room = None if width is None else width - GAP - _BAR // 3
    lines = table.lines(width if room is None or room < 2 * _BAR else room)
    taken = sum(text.width(cell.text) for cell in lines[0]) + GAP * len(lines[0])
    columns = _BAR if width is None else min(_BAR, width - taken)
    by_cost = any(row.totals.cost_picousd for row in rows)
    sizes = [row.totals.cost_picousd if by_cost else row.totals.tokens for row in rows]
    if columns < _BAR // 3 or len(rows) < 2 or not any(sizes):
        return lines
    title = Cell("by cost" if by_cost else "by tokens", "head")
    bars = [title, *(Cell(bar(size, max(sizes), columns), "calm") for size in sizes)]
    return [[*line, one] for line, one in zip(lines, bars, strict=False)] + lines[len(bars) :]


def bar(size: int, largest: int, columns: int) -> str:
    """In half columns; anything above nothing is seen."""
    halves = max(2 * columns * size // largest, 1) if size else 0
    return "█" * (halves // 2) + "▌" * (halves % 2)


def lacking(total: Totals) -> str | None:
    """What is not in the sums; None where the cost of every request is known."""
    if total.complete:
        return None
    return (
        f"≥ or unknown: the cost of {total.unknown_costs:,} of {total.requests:,} requests is unknown; "
        "see what prices say: runstone usage reprice --dry-run"
    )


def usage_csv(by: Sequence[str], rows: Iterable[UsageRow]) -> str:
    """With a head; costs are exact amounts in USD, empty where nothing of a cost is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [*by, "requests", *COUNTS, "tokens", "cost_usd", "cost_source", "complete", "unknown_costs"]
    )
    for row in rows:
        totals = row.totals
        writer.writerow(
            [
                *(text.clean(row.by[name] or "") for name in by),
                totals.requests, *(getattr(totals, name) for name in COUNTS), totals.tokens,
                "" if totals.cost_source == "unknown" else exact(totals.cost_picousd), totals.cost_source,
                str(totals.complete).lower(), totals.unknown_costs,
            ]
        )  # fmt: skip
    return out.getvalue()


def exact(picousd: int) -> str:
    """Dollars with as many digits as it takes."""
    return f"{EXACT.divide(Decimal(picousd), PICO):f}"


def repriced_table(found: Iterable[Repriced]) -> Table:
    """Old and new cost by model."""
    table = Table(
        [
            Column("provider", 2), Column("model", least=12), Column("requests", 3, right=True),
            Column("changed", right=True), Column("before", right=True), Column("after", right=True),
            Column("still unknown", 1, right=True),
        ],
        [],
    )  # fmt: skip
    for one in found:
        unknown = one.after.unknown_costs
        changed = Cell(f"{one.changed:,}", "strong" if one.changed else "dim")
        table.add(
            one.provider, one.model, f"{one.after.requests:,}", changed, text.cost(one.before), text.cost(one.after),
            f"{unknown:,}" if unknown else "",
        )  # fmt: skip
    return table
