"""What runs say cannot drive a terminal, and numbers are short without lying."""

import json
import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.cli import text
from runstone.domain.records import Totals
from tests.cli.records import NOW

DANGEROUS = {"Cc", "Cs", "Zl", "Zp"}
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def obeyed(shown: str) -> set[str]:
    """Characters that a terminal would act on, or that reorder what is seen."""
    return {char for char in shown if unicodedata.category(char) in DANGEROUS or char in BIDI}


@given(st.text())
def test_no_text_of_a_run_reaches_a_terminal_as_a_command(given: str) -> None:
    assert obeyed(text.clean(given)) == set()
    for line in text.clean_lines(given):
        assert obeyed(line) == set()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J\x1b[1;1H", "\\x1b[2J\\x1b[1;1H"),
        ("\x9b31m", "\\x9b31m"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("exe.\u202egnp", "exe.\\u202egnp"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("one\r\ntwo\tthree", "one two three"),
        ("👩\u200d🚀 ok", "👩\u200d🚀 ok"),
    ],
)
def test_control_and_direction_marks_are_shown_and_colours_dropped(given: str, shown: str) -> None:
    assert text.clean(given) == shown


def test_a_carriage_return_cannot_overwrite_the_line_that_it_stands_in() -> None:
    assert text.clean_lines("harmless\rEVIL\r\nnext") == ["harmless", "EVIL", "next"]


@given(st.text())
def test_json_for_a_terminal_reads_back_as_the_same_value(given: str) -> None:
    written = text.escape_json(json.dumps([given], ensure_ascii=False, indent=2))
    assert obeyed(written) <= {"\n"}
    assert json.loads(written) == [given]


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "0.0s"), (-5, "0.0s"), (420, "0.4s"), (9_990, "10.0s"), (12_300, "12s"), (59_999, "59s"), (60_000, "1m00s"),
        (185_000, "3m05s"), (7_500_000, "2h05m"), (273_600_000, "3d04h"),
    ],
)  # fmt: skip
def test_durations(ms: int, shown: str) -> None:
    assert text.duration(ms) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (59, "59s"), (60, "1m"), (7_300, "2h"), (200_000, "2d"), (-9, "0s")]
)
def test_ages(seconds: int, shown: str) -> None:
    assert text.age(NOW - timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (999, "999"), (1_000, "1.0k"), (123_456, "123k"), (3_400_000, "3.4M"), (2 * 10**9, "2.0G")],
)
def test_tokens(count: int, shown: str) -> None:
    assert text.tokens(count) == shown


@pytest.mark.parametrize(
    ("picousd", "shown"),
    [
        (0, "$0"),
        (1, "<$0.0001"),
        (4_200_000_000, "$0.0042"),
        (15 * 10**10, "$0.15"),
        (1234567 * 10**10, "$12,345.67"),
    ],
)
def test_money_is_never_rounded_down_to_nothing(picousd: int, shown: str) -> None:
    assert text.money(picousd) == shown


@pytest.mark.parametrize(
    ("totals", "shown"),
    [
        (Totals(), ""),
        (Totals(requests=2), "$0"),
        (Totals(requests=2, unknown_costs=2), "unknown"),
        (Totals(requests=2, unknown_costs=1, cost_picousd=2 * 10**12), "≥$2.00"),
    ],
)
def test_a_cost_that_is_not_wholly_known_says_so(totals: Totals, shown: str) -> None:
    assert text.cost(totals) == shown
