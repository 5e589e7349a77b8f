"""What a resume would do, for people."""

from collections.abc import Iterable, Mapping

from runstone.cli import text
from runstone.cli.output import Output
from runstone.cli.table import Cell, Column, Table
from runstone.domain.resume import Plan, PlanEntry

_SHOWN = 200  # lines; --json has all

_GROUPS = (
    ("reuse", "↺ reuse", "good"),
    ("rerun", "→ run again", "live"),
    ("start", "+ start", "live"),
    ("raised", "✗ raise", "bad"),
    ("superseded", "– leave out", "dim"),
)


def listed(plan: Plan) -> list[PlanEntry]:
    """The entries that are shown by name."""
    return [entry for field, _, _ in _GROUPS for entry in getattr(plan, field)][:_SHOWN]


def show(plan: Plan, subjects: Mapping[str, str], output: Output) -> None:
    """Prints the counts, then a line for each entry; warnings go to stderr."""
    output.line(*headline(plan))
    table = plan_table(plan, subjects)
    if table.rows:
        output.line("")
        output.table(table)
    for warning in plan.warnings:
        output.warning(warning)


def headline(plan: Plan) -> list[Cell]:
    """`reuse 4 (1.2k tokens, $0.03), run again 1, start 2`, and how sure that is."""
    again = sum(e.tokens for e in plan.rerun), sum(e.cost_picousd for e in plan.rerun)
    parts = [
        f"reuse {len(plan.reuse)}{_past(plan.reused_tokens, plan.reused_cost_picousd)}",
        f"run again {len(plan.rerun)}{_past(*again)}",
        f"start {len(plan.start)}",
    ]
    if plan.raised:
        parts.append(f"raise {len(plan.raised)} recorded failures")
    if plan.superseded:
        parts.append(f"leave out {len(plan.superseded)}")
    sure = "exactly" if plan.exact else "at least: a workflow in code may ask for more"
    return [Cell(text.short_id(plan.run_id), "strong"), Cell(", ".join(parts)), Cell(f"({sure})", "dim")]


def _past(tokens: int, cost_picousd: int) -> str:
    return f" ({text.tokens(tokens)} tokens, {text.money(cost_picousd)})" if tokens or cost_picousd else ""


def plan_table(plan: Plan, subjects: Mapping[str, str]) -> Table:
    """One row for each entry, in the order reuse, run again, start, raise, leave out."""
    table = Table(
        [
            Column("what"), Column("kind", 3), Column("name", least=12), Column("phase", 2, least=8), Column("id", 1),
            Column("status", 2), Column("tokens", 4, right=True), Column("cost", 4, right=True),
        ],
        [],
    )  # fmt: skip
    left = _SHOWN
    for field, words, style in _GROUPS:
        entries: tuple[PlanEntry, ...] = getattr(plan, field)
        _add(table, entries[:left], subjects, Cell(words, style))
        if len(entries) > left:
            table.add(Cell(f"… {len(entries) - left} more", "dim"), *[""] * 7)
        left = max(0, left - len(entries))
    return table


def _add(table: Table, entries: Iterable[PlanEntry], subjects: Mapping[str, str], what: Cell) -> None:
    for entry in entries:
        about = subjects.get(entry.child_run_id or "", "")
        name = f"{entry.name}: {about}" if about else entry.name
        known = text.short_id(entry.child_run_id) if entry.child_run_id else ""
        spent = text.tokens(entry.tokens) if entry.tokens else ""
        price = text.money(entry.cost_picousd) if entry.cost_picousd else ""
        table.add(what, entry.kind, name, entry.phase or "", known, entry.status or "", spent, price)
