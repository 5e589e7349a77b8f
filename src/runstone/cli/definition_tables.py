"""Phases of a definition, for people."""

from typing import Any

from runstone.cli.output import to_json
from runstone.cli.table import Cell, Column, Table


def phase_table(phases: list[dict[str, Any]]) -> Table:
    """A row for each phase."""
    table = Table(
        [Column("phase"), Column("agent"), Column("after", 1), Column("for each", 2, least=8), Column("at once", 3),
         Column("on failure", 3)],
        [],
    )  # fmt: skip
    for phase in phases:
        each = phase.get("for_each")
        table.add(
            Cell(phase["name"], "strong"), phase["agent"], ", ".join(phase.get("depends_on") or ()),
            each if isinstance(each, str) else to_json(each) if each else "", str(phase.get("concurrency") or ""),
            str(phase.get("on_failure") or ""),
        )  # fmt: skip
    return table
