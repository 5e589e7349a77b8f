"""Runs as rows: lists and trees. Pure functions over records."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from runstone.cli import questions, text
from runstone.cli.table import Cell, Column, Table
from runstone.domain.inputs import InputRequest
from runstone.domain.records import AgentRun, Totals, TreeNode

STATUS: Final[dict[str, tuple[str, str]]] = {
    "pending": ("○", "dim"),
    "running": ("●", "live"),
    "waiting": ("◌", "calm"),
    "awaiting_user": ("?", "warn"),
    "paused": ("‖", "warn"),
    "completed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "cancelled": ("■", "dim"),
    "interrupted": ("↯", "warn"),
    "moved": ("→", "dim"),
}
"""Symbol and style of each status; one that a newer Runstone wrote is shown as it is."""


class RunRow(NamedTuple):
    """A run with what a list shows beside it."""

    run: AgentRun
    about: str
    children: int
    own: Totals
    subtree: Totals


def status_cell(status: str) -> Cell:
    """Symbol and word, so that no colour is needed to read it."""
    symbol, style = STATUS.get(status, ("·", ""))
    return Cell(f"{symbol} {status}", style)


def title_of(run: AgentRun) -> str:
    """The title, unless it only repeats the agent's name."""
    return run.title or "" if run.title != agent_of(run) else ""


def elapsed_ms(run: AgentRun, now: datetime) -> float:
    """From the first start to the end, to now where it goes on, to the last change where nobody holds it."""
    if run.started_at is None:
        return 0
    stopped = run.status in ("interrupted", "paused", "moved")
    until = run.completed_at or (run.updated_at if stopped else now)
    return (until - run.started_at).total_seconds() * 1000


def elapsed(run: AgentRun, now: datetime) -> str:
    """As a text; empty for a run that never started."""
    return "" if run.started_at is None else text.duration(elapsed_ms(run, now))


def count(number: int) -> str:
    """A number; nothing for zero."""
    return str(number) if number else ""


def run_table(rows: list[RunRow], now: datetime) -> Table:
    """The list of runs. Tokens and cost are those of the run and all below it; `own` is the run's part of them."""
    table = Table(
        [
            Column("id"), Column("status"), Column("kind", 6), Column("agent", 1, least=8),
            Column("title", 2, least=12), Column("age", 3, right=True),
            Column("took", 5, right=True), Column("attempt", 8, right=True),
            Column("children", 7, right=True), Column("tokens", 4, right=True), Column("cost", 4, right=True),
            Column("own", 9, right=True),
        ],
        [],
    )  # fmt: skip
    for run, about, children, own, subtree in rows:
        spent = text.tokens(subtree.tokens) if subtree.tokens else ""
        table.add(
            Cell(text.short_id(run.id), "dim" if run.superseded else "strong"), status_cell(run.status),
            Cell(run.kind, "dim"), agent_of(run), about or run.summary or "",
            Cell(text.age(run.created_at, now), "dim"), elapsed(run, now), str(run.attempt), count(children),
            spent, text.cost(subtree), own_part(own, subtree),
        )  # fmt: skip
    return table


def own_part(own: Totals, subtree: Totals) -> Cell:
    """Tokens and cost of the run alone; nothing where that is all there is."""
    if own == subtree:
        return Cell("")
    return Cell(f"{text.tokens(own.tokens)} {text.cost(own)}" if own.requests else "–", "dim")


def incomplete(totals: Iterable[Totals]) -> str | None:
    """What `≥` and `unknown` mean, and what helps; None where the cost of every request is known."""
    if all(one.complete for one in totals):
        return None
    return "≥ or unknown: without the requests whose cost is unknown; see: runstone usage reprice --dry-run"


def agent_of(run: AgentRun) -> str:
    """The agent, or the definition of a workflow."""
    return run.agent_id or getattr(run, "definition_id", None) or ""


def tree_table(
    root: TreeNode,
    subjects: Mapping[str, str],
    now: datetime,
    *,
    limit: int,
    asked: Mapping[str, InputRequest] | None = None,
) -> Table:
    """A run and all below it, a line each; of more than `limit` lines the rest is counted in the last."""
    table = Table(
        [
            Column("run", least=24), Column("status"), Column("phase", 4, least=8), Column("id", 1),
            Column("took", 3, right=True), Column("attempt", 6, right=True), Column("tokens", 5, right=True),
            Column("cost", 5, right=True), Column("own", 7, right=True), Column("note", 2, least=10),
        ],
        [],
    )  # fmt: skip
    lines = outline(root)
    for guide, node in lines[:limit]:
        run = node.run
        spent = text.tokens(node.subtree.tokens) if node.subtree.tokens else ""
        table.add(
            Cell(name_of(run, subjects.get(run.id, "")), "" if guide else "strong", guide), status_cell(run.status),
            Cell(run.phase or "", "dim"), Cell(text.short_id(run.id), "dim"), elapsed(run, now),
            str(run.attempt), spent, text.cost(node.subtree), own_part(node.own, node.subtree),
            questions.note_of(asked[run.id])
            if asked and run.id in asked
            else questions.missed(run, now) or note_of(node),
        )  # fmt: skip
    if len(lines) > limit:
        table.add(f"… {len(lines) - limit} more", *[""] * 9)
    return table


def outline(root: TreeNode) -> list[tuple[str, TreeNode]]:
    """Every node with the guides in front of it. Iterative: a chain of runs may be deeper than Python's stack."""
    lines: list[tuple[str, TreeNode]] = []
    stack: list[tuple[str, str, TreeNode]] = [("", "", root)]
    while stack:
        lead, below, node = stack.pop()
        lines.append((lead, node))
        last = len(node.children) - 1
        for index in range(last, -1, -1):
            ends = index == last
            branch, under = ("└─ ", "   ") if ends else ("├─ ", "│  ")
            stack.append((below + branch, below + under, node.children[index]))
    return lines


def name_of(run: AgentRun, about: str = "") -> str:
    """What a tree calls a run: its agent, and what it is about."""
    agent, about = agent_of(run), about or title_of(run)
    return f"{agent}: {about}" if agent and about else about or agent or run.kind


def note_of(node: TreeNode) -> Cell:
    """What is worth knowing about a run in a tree: reused, superseded, why it stands where it stands."""
    run = node.run
    if run.superseded:
        return Cell("superseded", "dim")
    if run.status == "failed" and run.error:
        return Cell(str(run.error.get("message") or run.error.get("code") or ""), "bad")
    if node.reused:
        return Cell("↺ reused", "good")
    if run.status_reason and run.status != "completed":
        return Cell(run.status_reason, "dim")
    return Cell("")
