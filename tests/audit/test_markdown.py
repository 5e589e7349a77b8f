"""Names and messages of an audited repository can't break out of the report's Markdown."""

import pytest

from runstone.audit.markdown import code, plain, table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.py", "`a.py`"),
        ("a`b", "`` a`b ``"),
        ("a|b", "`a\\|b`"),
        ("line\nbreak", "`line\\nbreak`"),
        ("\u202eevil", "`\\u202eevil`"),
        (" lead", "`  lead `"),
        ("", "`  `"),
    ],
)
def test_a_name_stays_inside_its_code_span(text: str, expected: str) -> None:
    assert code(text) == expected


def test_text_has_no_markup_and_no_line_breaks() -> None:
    assert plain("<b>|`x`\n[a](b)") == "\\<b\\>\\|\\`x\\`\\\\n\\[a\\](b)"


def test_a_table_has_as_many_cells_in_every_row() -> None:
    drawn = table(("a", "b"), [("1", code("x|y"))], right={0})
    assert drawn == "| a | b |\n| ---: | --- |\n| 1 | `x\\|y` |"
