"""Questions as people see them, and what they type as values. Pure functions over records."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from runstone.cli import text
from runstone.cli.output import to_json
from runstone.cli.table import Cell, Column, Table
from runstone.domain.inputs import InputRequest
from runstone.domain.records import AgentRun
from runstone.errors import InvalidAnswer

STATUS = {
    "open": ("? open", "warn"),
    "answered": ("✓ answered", "good"),
    "expired": ("✗ expired", "bad"),
    "withdrawn": ("– withdrawn", "dim"),
}
"""How each status is shown."""


def status_cell(asked: InputRequest) -> Cell:
    """Symbol and word."""
    return Cell(*STATUS.get(asked.status, (asked.status, "")))


def plain(value: Any) -> str:
    """A value as a person types it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


def choices_of(asked: InputRequest) -> str:
    """`main | dev`; nothing where any answer will do."""
    return " | ".join(plain(one) for one in asked.choices or ())


def answer_of(asked: InputRequest) -> str:
    """The answer; for one that expired what it was taken as."""
    given = asked.status == "answered" or (asked.status == "expired" and asked.response is not None)
    return plain(asked.response) if given else ""


def input_table(found: Iterable[InputRequest], now: datetime) -> Table:
    """Questions of any runs."""
    table = Table(
        [
            Column("input"), Column("status", 4), Column("run", 2), Column("question", least=16),
            Column("choices", 1, least=8), Column("answer", 3, least=6), Column("age", 5, right=True),
        ],
        [],
    )  # fmt: skip
    for one in found:
        table.add(
            Cell(text.short_id(one.id), "strong"), status_cell(one), Cell(text.short_id(one.run_id), "dim"),
            one.message, Cell(choices_of(one), "dim"), answer_of(one), Cell(text.age(one.asked_at, now), "dim"),
        )  # fmt: skip
    return table


def facts(asked: InputRequest, now: datetime) -> Table:
    """Name and value of every field of a question that has one, but for its message and choices."""
    table = Table([Column(""), Column("", least=20)], [])
    by = f" by {asked.answered_by}" if asked.answered_by else ""
    rows: list[tuple[str, Cell | str]] = [
        ("id", Cell(asked.id, "strong")),
        ("status", status_cell(asked)),
        ("run", f"{asked.run_id} (attempt {asked.attempt})"),
        ("key", asked.key or ""),
        ("reason", asked.reason or ""),
        ("asked", f"{text.moment(asked.asked_at)} ({text.age(asked.asked_at, now)} ago)"),
        ("expires", text.moment(asked.expires_at)),
        ("then taken as", plain(asked.to_dict()["default"]) if "default" in asked.to_dict() else ""),
        ("schema", to_json(asked.response_schema) if asked.response_schema is not None else ""),
        ("answer", answer_of(asked)),
        ("answered", f"{text.moment(asked.answered_at)}{by}" if asked.answered_at is not None else ""),
    ]
    for name, value in rows:
        cell = value if isinstance(value, Cell) else Cell(value)
        if cell.text:
            table.add(Cell(name, "dim"), cell)
    return table


def question_lines(asked: InputRequest) -> list[list[Cell]]:
    """The message in full, and its choices numbered."""
    lines: list[list[Cell]] = [[Cell(line, "strong")] for line in text.clean_lines(asked.message)]
    if asked.reason:
        lines += [[Cell(line, "dim")] for line in text.clean_lines(asked.reason)]
    for number, one in enumerate(asked.choices or (), 1):
        lines.append([Cell(f"{number:>3})", "calm"), Cell(text.clean(plain(one)))])
    return lines


def hint_of(asked: InputRequest) -> str:
    """What to type to answer it."""
    return f"answer it: runstone inputs answer {text.short_id(asked.id)}"


def note_of(asked: InputRequest) -> Cell:
    """An open question in a line about its run, with the id to type."""
    choices = f" ({choices_of(asked)})" if asked.choices else ""
    return Cell(f"? {text.clean(asked.message)}{choices} [input {text.short_id(asked.id)}]", "warn")


def missed(run: AgentRun, now: datetime) -> Cell | None:
    """A line about a run whose question nobody answered in time, until a process goes on with it; else None."""
    if run.status != "awaiting_user" or run.wake_at is None or run.wake_at > now:
        return None
    return Cell(f"? nobody answered in time; go on: runstone resume {text.short_id(run.id)}", "warn")


def by_run(open_: Iterable[InputRequest]) -> dict[str, InputRequest]:
    """Of each run the open question that waits longest."""
    found: dict[str, InputRequest] = {}
    for one in open_:
        found.setdefault(one.run_id, one)
    return found


def value_of(asked: InputRequest, typed: str) -> Any:
    """What was typed, as a value: the choice that reads so; JSON where the schema takes no text; else the text."""
    for one in asked.choices or ():
        if plain(one) == typed:
            return one
    kinds = (asked.response_schema or {}).get("type", "string")
    if asked.choices is not None or "string" in kinds:
        return typed
    try:
        return json.loads(typed)
    except ValueError:
        raise InvalidAnswer(f"the answer must be JSON ({plain(kinds)}), not {typed!r:.80}") from None


def numbered(asked: InputRequest, number: int) -> Any:
    """The choice of that number. Raises `InvalidAnswer`."""
    choices = asked.choices or ()
    if not 1 <= number <= len(choices):
        told = f"it has {len(choices)}" if choices else "it has no choices"
        raise InvalidAnswer(f"the question has no choice {number}: {told}")
    return choices[number - 1]


def typed_at_prompt(asked: InputRequest, typed: str) -> Any:
    """What a person typed below the numbered choices: a number of one, or the answer itself."""
    as_text = value_of(asked, typed)
    is_choice = any(one == as_text for one in asked.choices or ())
    if asked.choices is not None and not is_choice and typed.isdecimal() and len(typed) < 6:
        return numbered(asked, int(typed))
    return as_text
