"""Events, messages and search hits as lines. Pure functions over records."""

from collections.abc import Iterable
from typing import Any

from runstone.cli import text
from runstone.cli.output import to_json
from runstone.cli.table import Cell, Column, Table
from runstone.domain.events import HIGH, LOW
from runstone.domain.records import Message, RunEvent, SearchHit

_SHORT = {"run_id", "child_run_id", "parent_run_id", "root_run_id", "command_id", "input_id"}
_LONG = {
    "key",
    "result_ref",
    "input_ref",
    "prompt_ref",
    "definition_hash",
    "arguments_ref",
    "request_id",
    "owner",
}


def event_columns() -> list[Column]:
    """What `runs events` shows; fixed widths, so that lines that come later fit below earlier ones."""
    return [
        Column("seq", right=True), Column("time"), Column("attempt", 3, right=True), Column("type"),
        Column("what", 1, least=16),
    ]  # fmt: skip


def event_table(events: Iterable[RunEvent]) -> Table:
    """Events of one run."""
    table = Table(event_columns(), [])
    for event in events:
        style = "strong" if event.importance >= HIGH else "dim" if event.importance <= LOW else ""
        table.add(
            str(event.seq), Cell(text.clock(event.timestamp), "dim"), str(event.attempt), Cell(event.type, style),
            Cell(payload_text(event.payload), "dim"),
        )  # fmt: skip
    return table


def event_line(event: RunEvent) -> list[Cell | str]:
    """One event as it comes, with places for five digits and for the usual types."""
    table = event_table([event])
    (row,) = table.lines(head=False)
    widths = (5, 8, 2, 18, 0)
    cells = [Cell(cell.text.strip(), cell.style) for cell in row]
    shown = [
        Cell(c.text.rjust(w) if w < 8 else c.text.ljust(w), c.style)
        for c, w in zip(cells, widths, strict=False)
    ]
    return list(shown)


def payload_text(payload: Any) -> str:
    """`name=value` of what a person reads; references and hashes are left to `--json`."""
    if not isinstance(payload, dict):
        return "" if payload is None else to_json(payload)
    parts = []
    for name, value in payload.items():
        if value is None or name in _LONG:
            continue
        if name == "cost_picousd":
            parts.append(f"cost={text.money(value)}")
            continue
        shown = value if isinstance(value, str) else to_json(value)
        parts.append(f"{name}={text.short_id(shown) if name in _SHORT else shown}")
    return " ".join(parts)


def message_lines(message: Message) -> list[list[Cell | str]]:
    """A message: its time and role, then its text, whose further lines are indented alike."""
    role = text.clean(message.role)
    first, *rest = text.clean_lines(message.text)
    start = [Cell(text.clock(message.timestamp), "dim"), Cell(f"{role:<9}", "calm")]
    indent = " " * (text.width(start[0].text) + 2 + text.width(start[1].text))
    further: list[list[Cell | str]] = [[indent, line] for line in rest]
    return [[*start, first], *further]


def search_table(hits: Iterable[SearchHit]) -> Table:
    """What a search found."""
    table = Table([Column("run"), Column("in"), Column("text", least=20)], [])
    for hit in hits:
        where = text.short_id(hit.run_id) if hit.run_id else text.clean(hit.message_id or "")
        table.add(Cell(where, "strong"), Cell(hit.source, "dim"), hit.excerpt)
    return table
