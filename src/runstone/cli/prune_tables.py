"""What a prune would take, and took, as tables and as JSON."""

from datetime import datetime
from typing import Any, Final

import msgspec

from runstone.care.prune import Pruned, PrunePlan
from runstone.cli import text
from runstone.cli.run_tables import status_cell
from runstone.cli.table import Cell, Column, Table

SHOWN: Final = 10
"""Trees that are listed for people; JSON has all."""


def trees(plan: PrunePlan, now: datetime) -> Table:
    """The first trees to go."""
    columns = (
        Column("id"),
        Column("status"),
        Column("agent", rank=2, least=8),
        Column("title", rank=3, least=8),
        Column("runs", right=True),
        Column("events", rank=1, right=True),
        Column("size", right=True),
        Column("last active", right=True),
    )
    table = Table(columns, [])
    for tree in plan.trees[:SHOWN]:
        table.add(
            Cell(text.short_id(tree.run_id), "strong"),
            status_cell(tree.status),
            tree.definition_id or tree.agent_id or "",
            tree.title or "",
            f"{tree.runs:,}",
            f"{tree.events:,}",
            text.size(tree.bytes),
            f"{text.age(tree.last_active_at, now)} ago",
        )
    return table


def sums(plan: PrunePlan) -> Table:
    """What goes, all in all."""
    table = Table((Column(""), Column("", right=True), Column("", rank=1, least=10)), [])
    total, first, last = plan.total, plan.trees[0], plan.trees[-1]
    days = [f"{tree.last_active_at.astimezone():%Y-%m-%d}" for tree in (first, last)]
    when = f"last active {' to '.join(dict.fromkeys(days))}"
    table.add("trees", f"{len(plan.trees):,}", when)
    table.add("runs", f"{total('runs'):,}", "their rows stay" if plan.keep_rows else "")
    for name in ("events", "messages", "checkpoints"):
        table.add(name, f"{total(name):,}", "")
    table.add("values", f"{total('blobs'):,}", "at most: those that nothing else refers to")
    space = plan.space
    table.add("space", f"about {text.size(total('bytes'))}", f"of {text.size(space.used_bytes)}")
    cost = total("cost_usd")
    told = "" if all(tree.cost_complete for tree in plan.trees) else "at least; "
    table.add("cost", text.money(round(cost * 1e12)), f"{told}it stays in runstone usage")
    table.add("stay", f"{plan.kept + plan.living:,}", f"trees; not ended: {plan.living:,}")
    return table


def document(plan: PrunePlan) -> dict[str, Any]:
    """The plan as JSON."""
    names = ("runs", "events", "messages", "checkpoints", "blobs", "bytes", "requests", "cost_usd")
    trees = msgspec.to_builtins(plan.trees)
    for tree in trees:
        del tree["last_active"]
    return {
        "keep_rows": plan.keep_rows,
        "total": {"trees": len(plan.trees), **{name: plan.total(name) for name in names}},
        "trees": trees,
        "kept": plan.kept,
        "living": plan.living,
        "space": {**msgspec.to_builtins(plan.space), "used_bytes": plan.space.used_bytes},
        "old_backups": msgspec.to_builtins(plan.old_copies),
    }


def outcome(done: Pruned, copies: int) -> dict[str, Any]:
    """What was removed, as JSON."""
    return {
        **msgspec.to_builtins(done.taken),
        "old_backup_bytes": copies,
        "skipped": [{"run_id": run_id, "reason": reason} for run_id, reason in done.skipped],
        "space": {**msgspec.to_builtins(done.space), "used_bytes": done.space.used_bytes},
        "log_emptied": done.log_emptied,
    }
