"""What `resume --all` would go on with, for people and as JSON."""

from typing import Any

from runstone.background import is_background
from runstone.cli import text
from runstone.cli.executing import name_of
from runstone.cli.output import Output
from runstone.cli.run_tables import status_cell
from runstone.cli.subjects import subject
from runstone.cli.table import Column, Table
from runstone.domain.records import AgentRun, Totals
from runstone.domain.resume import Plan
from runstone.ledger import Ledger


def show(
    output: Output,
    ledger: Ledger,
    found: list[tuple[AgentRun, Plan | None]],
    spent: dict[str, Totals],
    *,
    commands: bool = True,
) -> None:
    """One row for each run: its title, what it had cost, and what would be reused and done again.

    Commands in the background go on, too, where `commands` says so.
    """
    if not output.text:
        return output.items([_document(run, plan, spent[run.id], commands) for run, plan in found])
    if not found:
        return output.note(
            "nothing is to be resumed: no top-level run is interrupted, answered, queued or due", ""
        )
    columns = [Column("id"), Column("status", 2), Column("title", least=12), Column("cost", 1, right=True)]
    counts = [Column(name, rank, right=True) for name, rank in (("reuse", 1), ("again", 1), ("start", 3))]
    table = Table([*columns, *counts], [])
    for run, plan in found:
        parts = (
            ["", "", ""]
            if plan is None
            else [str(len(part)) for part in (plan.reuse, plan.rerun, plan.start)]
        )
        about = (subject(ledger, run) or name_of(run)) + _left_out(run, plan, commands)
        table.add(text.short_id(run.id), status_cell(run.status), about, text.cost(spent[run.id]), *parts)
    output.table(table)
    output.hint("go on with them: runstone resume --all")
    return None


def _left_out(run: AgentRun, plan: Plan | None, commands: bool) -> str:
    if plan is not None:
        return ""
    if is_background(run) and commands:
        return " (a command: it is watched again if it still runs, else started again)"
    return f" (left out: {why_left_out(run)})"


def why_left_out(run: AgentRun) -> str:
    """Why nothing here goes on with the run."""
    if is_background(run):
        return "a command in the background, which no server starts"
    return f"{name_of(run) or run.kind} is not registered here"


def _document(run: AgentRun, plan: Plan | None, spent: Totals, commands: bool) -> dict[str, Any]:
    resumed = plan is not None or (commands and is_background(run))
    return {"run": run, "resumed": resumed, "spent": spent, "plan": plan}
