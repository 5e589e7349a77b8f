"""What a person types becomes exactly the value that was meant."""

import io
from pathlib import Path
from typing import Any

import click
import pytest

from runstone.cli import arguments
from runstone.domain.secrets import Secret


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("path=.", "."), ("limit=3", 3), ("on=true", True), ("none=null", None), ("id=007", "007"), ("x=", ""),
        ("list=[1,2]", [1, 2]), ("text=a=b", "a=b"), ('quoted="3"', "3"), ("big=1e999", "1e999"), ("n=NaN", "NaN"),
        ("name=3 apples", "3 apples"), ("forced:=[]", []),
    ],
)  # fmt: skip
def test_values_are_json_where_they_are_valid_json_else_text(pair: str, value: Any) -> None:
    assert list(arguments.read_input((pair,), None).values()) == [value]


def test_no_input_is_null_and_pairs_are_put_into_the_input_that_is_given() -> None:
    assert arguments.read_input((), None) is None
    assert arguments.read_input((), "[1]") == [1]
    assert arguments.read_input(("b=2",), '{"a": 1, "b": 1}') == {"a": 1, "b": 2}


def test_input_comes_from_a_file_or_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.json").write_text('{"a": "ü"}')
    assert arguments.read_input((), f"@{tmp_path}/in.json") == {"a": "ü"}
    monkeypatch.setattr("sys.stdin", io.StringIO("[2]"))
    assert arguments.read_input((), "-") == [2]


@pytest.mark.parametrize(
    ("pairs", "given"),
    [
        (("noequals",), None), (("=3",), None), (("a=1", "a=2"), None), ((), "{"), ((), "NaN"), ((), "1e999"),
        (("a=1",), "[1]"), (("a:=x",), None), ((), "@no-such-file"), ((":=1",), None),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_wrong_usage(pairs: tuple[str, ...], given: str | None) -> None:
    with pytest.raises(click.UsageError):
        arguments.read_input(pairs, given)


def test_labels_are_text() -> None:
    assert arguments.labels_of(("a=1", "b=x=y")) == {"a": "1", "b": "x=y"}
    with pytest.raises(click.UsageError):
        arguments.labels_of(("a",))


def test_a_secret_is_given_by_the_name_of_its_variable() -> None:
    assert arguments.read_input(("token=@env:GITHUB_TOKEN", 'text:="@env:x"'), None) == {
        "token": Secret("GITHUB_TOKEN"),
        "text": "@env:x",
    }
    with pytest.raises(click.UsageError, match="a secret's name"):
        arguments.read_input(("token=@env:no name",), None)
