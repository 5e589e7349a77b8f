"""Tables fit their terminal, and cut nothing where there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.cli.table import Cell, Column, Table, pad
from runstone.cli.text import width

COLUMNS = [Column("id"), Column("title", 1, least=6), Column("age", 3, right=True), Column("kind", 2)]


def example(title: str = "A long title that is cut") -> Table:
    table = Table(COLUMNS, [])
    table.add("abcd", title, "5m", "subagent")
    return table


def printed(table: Table, limit: int | None) -> list[str]:
    return ["  ".join(cell.text for cell in line) for line in table.lines(limit)]


def test_without_a_terminal_nothing_is_cut() -> None:
    assert printed(example(), None)[1] == "abcd  A long title that is cut   5m  subagent"


def test_a_narrow_terminal_cuts_text_first_and_then_drops_the_least_wanted_columns() -> None:
    assert printed(example(), 30)[1] == "abcd  A long t…   5m  subagent"
    assert printed(example(), 24)[1] == "abcd  A long …  subagent"
    assert printed(example(), 14)[1] == "abcd  A long …"
    assert printed(example(), 4)[1] == "abcd"


def test_a_column_that_says_nothing_takes_no_place() -> None:
    assert printed(example(""), None) == ["id    age  kind    ", "abcd   5m  subagent"]


@given(st.integers(4, 120), st.text(max_size=40), st.text(max_size=40))
def test_no_line_is_wider_than_the_terminal(limit: int, first: str, second: str) -> None:
    table = Table(COLUMNS, [])
    table.add("abcd", first, "1d", second[:8])
    table.add("efgh", second, "", "")
    assert all(width(line) <= limit for line in printed(table, limit))


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [("abc", 5, "abc  "), ("abcdef", 4, "abc…"), ("漢字漢字", 5, "漢字…"), ("漢字", 2, "… "), ("abc", 0, "")],
)
def test_padding_counts_columns_not_characters(text: str, columns: int, shown: str) -> None:
    assert pad(text, columns) == shown
    assert width(pad(text, columns)) == columns


def test_rows_are_harmless_but_keep_the_guides_of_a_tree() -> None:
    table = Table([Column("run")], [])
    table.add(Cell("\x1b[2Jname", "", "│  ├─ "))
    assert table.rows[0][0].text == "│  ├─ \\x1b[2Jname"
