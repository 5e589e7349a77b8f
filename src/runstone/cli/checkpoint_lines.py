"""Checkpoints and what differs between two states, as tables and lines: pure functions of records."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import UNSET

from runstone.cli import text
from runstone.cli.output import to_json
from runstone.cli.table import Cell, Column, Table
from runstone.domain.records import Checkpoint
from runstone.domain.state_diff import Change, StateDiff

_VALUE: Final = 300
"""Characters of a value in a line."""

_SIGNS: Final = {
    "added": ("+", "good"),
    "removed": ("-", "bad"),
    "changed": ("~", "warn"),
    "moved": (">", "calm"),
}


def table(found: Iterable[Checkpoint]) -> Table:
    """The saved states of a run."""
    made = Table(
        [
            Column("number", right=True),
            Column("label", least=8),
            Column("attempt", 1, right=True),
            Column("saved"),
            Column("stored", 2, right=True),
        ],
        [],
    )
    for one in found:
        label = Cell(one.label or "", "strong")
        saved = text.moment(one.created_at)
        made.add(str(one.number), label, str(one.attempt), saved, text.size(one.stored_bytes))
    return made


def ranges(numbers: Sequence[int]) -> str:
    """`1-40, 42, 44-46`; of very many the first and the last ones."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in parts]
    return ", ".join(shown if len(shown) <= 12 else [*shown[:6], "…", *shown[-5:]])


def summary(found: StateDiff) -> str:
    """`2 added, 1 changed`."""
    counts = ", ".join(f"{count:,} {action}" for action, count in found.counts.items())
    return (counts or "no difference") + (", and more" if found.more else "")


def lines(found: StateDiff) -> Iterator[Cell]:
    """A line for each change, with a sign before the colour; of long texts the lines that differ."""
    for change in found.changes:
        sign, style = _SIGNS[change.action]
        path = text.clean(change.path) or "(the whole state)"
        if change.text:
            yield Cell(f"{sign} {path}", style)
            yield from _text(change.text)
        elif change.action == "changed":
            yield Cell(f"{sign} {path}", style)
            yield Cell(f"    - {_shown(change.before)}", "bad")
            yield Cell(f"    + {_shown(change.after)}", "good")
        elif change.action == "moved":
            yield Cell(f"{sign} {path} → {text.clean(change.moved_to or '')}: {_shown(change.after)}", style)
        else:
            yield Cell(f"{sign} {path}: {_value(change)}", style)
    if found.more:
        yield Cell("… and more; all of both states: runstone runs state RUN --number N", "dim")


def _text(found: Sequence[str]) -> Iterator[Cell]:
    styles = {"+": "good", "-": "bad", "@": "calm"}
    for line in found:
        (shown,) = text.clean_lines(line.replace("\r", "\\r")) or [""]
        yield Cell(f"    {shown}", styles.get(line[:1], ""))


def _value(change: Change) -> str:
    return _shown(change.before if change.before is not UNSET else change.after)


def _shown(value: Any) -> str:
    """A value as JSON on one line; of a long one its beginning and its length."""
    if isinstance(value, list | dict) and len(value) > _VALUE:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,}"
    if isinstance(value, str) and len(value) > _VALUE:
        return text.clean(to_json(value[:_VALUE])[:-1]) + f"… ({len(value):,} characters)"
    found = to_json(value)
    return text.clean(found[:_VALUE]) + (f"… ({len(found):,} characters)" if len(found) > _VALUE else "")
