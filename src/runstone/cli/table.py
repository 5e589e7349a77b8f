"""A table as data: made by pure functions, laid out for a width, printed by `output.py`."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from runstone.cli.text import clean, width

GAP: Final = 2


class Cell(NamedTuple):
    """One line of text with the name of a style (see `output.STYLES`); `lead` is put in front as it is."""

    text: str
    style: str = ""
    lead: str = ""


class Column(NamedTuple):
    """`rank` 0 is always shown; where a terminal is too narrow, the highest ranks go first.

    `least` is the narrowest useful width of a column whose text may be cut; 0 means never cut.
    """

    title: str
    rank: int = 0
    least: int = 0
    right: bool = False


class Table(NamedTuple):
    """Columns and rows; every row has a cell for every column. Texts are made harmless when a row is added."""

    columns: Sequence[Column]
    rows: list[list[Cell]]

    def add(self, *cells: Cell | str) -> None:
        """Appends a row."""
        assert len(cells) == len(self.columns)
        row = [cell if isinstance(cell, Cell) else Cell(cell) for cell in cells]
        self.rows.append([Cell(lead + clean(text), style) for text, style, lead in row])

    def natural(self) -> list[int]:
        """The width that each column would like to have."""
        return [
            max([width(column.title), *(width(row[index].text) for row in self.rows)])
            for index, column in enumerate(self.columns)
        ]

    def lines(self, limit: int | None = None, *, head: bool = True) -> list[list[Cell]]:
        """Laid-out rows of padded cells; with `limit`, columns are dropped and cut until they fit that width."""
        shown, widths = layout(self, limit)
        titles = [[Cell(column.title, "head") for column in self.columns]] if head else []
        return [
            [
                Cell(pad(row[index].text, widths[index], right=self.columns[index].right), row[index].style)
                for index in shown
            ]
            for row in (*titles, *self.rows)
        ]


def layout(table: Table, limit: int | None) -> tuple[list[int], list[int]]:
    """Indexes of the columns to show, and the width of every column."""
    widths = table.natural()
    # A column that says nothing in any row takes no place.
    shown = [i for i, c in enumerate(table.columns) if c.rank == 0 or any(row[i].text for row in table.rows)]
    if limit is None:
        return shown, widths
    least = [min(c.least, w) if c.least else w for c, w in zip(table.columns, widths, strict=True)]
    while _sum(shown, least) > limit and any(table.columns[i].rank for i in shown):
        shown.remove(
            max((i for i in shown if table.columns[i].rank), key=lambda i: (table.columns[i].rank, i))
        )
    excess = _sum(shown, widths) - limit
    for index in sorted((i for i in shown if table.columns[i].least), key=lambda i: -widths[i]):
        cut = min(max(excess, 0), widths[index] - least[index])
        widths[index] -= cut
        excess -= cut
    return shown, widths


def _sum(shown: list[int], widths: list[int]) -> int:
    return sum(widths[i] for i in shown) + GAP * max(0, len(shown) - 1)


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """The text in exactly `columns` columns, cut with `…` where it is longer."""
    over = width(text) - columns
    if over > 0:
        while text and width(text) > columns - 1:
            text = text[:-1]
        text += "…" if columns else ""
        over = width(text) - columns
    return " " * -over + text if right else text + " " * -over
