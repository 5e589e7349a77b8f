"""The parts of `runs show` that are tables: spending, phases, attempts, processes, checkpoints, questions, orders."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from runstone.cli import questions, run_tables, text
from runstone.cli.run_detail import RunDetail, counted
from runstone.cli.table import Cell, Column, Table
from runstone.domain.records import (
    Attempt,
    Checkpoint,
    Command,
    PhaseState,
    ProcessRecord,
    RunTelemetry,
    Totals,
)

Section = tuple[str, Table]


def sections(detail: RunDetail, now: datetime) -> list[Section]:
    """The parts that have something in them, each with its heading."""
    parts = [
        ("Tokens and cost", spending(detail.telemetry)),
        ("Phases", phase_table(detail.phases, now)),
        ("Attempts", attempt_table(detail.attempts, now)),
        ("Processes", process_table(detail.processes, detail.living)),
        ("Checkpoints", checkpoint_table(detail.checkpoints)),
        ("Questions", questions.input_table(detail.questions, now)),
        ("Commands", command_table(detail.commands)),
    ]
    return [(title, table) for title, table in parts if table.rows]


def spending(telemetry: RunTelemetry) -> Table:
    """Tokens and cost by provider and model: own, and with all below."""
    ranks = {
        "requests": 3,
        "input": 0,
        "cache read": 4,
        "cache write": 4,
        "output": 0,
        "reasoning": 5,
        "cost": 0,
    }
    right = [Column(title, rank, right=True) for title, rank in ranks.items()]
    table = Table([Column("model", least=12), Column("of"), *right, Column("from", 2)], [])
    for model in telemetry.models:
        name = f"{model.provider}/{model.model}"
        if model.own.requests and model.own != model.subtree:
            table.add(name, Cell("own", "dim"), *_spent(model.own))
        table.add(name, Cell("subtree", "dim"), *_spent(model.subtree))
    if len(telemetry.models) > 1:
        table.add(Cell("all", "strong"), Cell("subtree", "dim"), *_spent(telemetry.subtree))
    return table


def _spent(totals: Totals) -> Sequence[str]:
    counts = (
        totals.requests, totals.input_tokens, totals.cache_read_tokens, totals.cache_write_tokens,
        totals.output_tokens, totals.reasoning_tokens,
    )  # fmt: skip
    source = totals.cost_source or ""
    return [*(f"{number:,}" if number else "" for number in counts), text.cost(totals), source]


def phase_table(phases: Iterable[PhaseState], now: datetime) -> Table:
    """The phases with their children by status."""
    table = Table(
        [Column("phase", least=10), Column("status"), Column("children", 1, least=16), Column("took", 2, right=True),
         Column("reason", 3, least=12)],
        [],
    )  # fmt: skip
    for phase in phases:
        skipped = phase.status == "skipped"
        status = Cell("– skipped", "dim") if skipped else run_tables.status_cell(phase.status)
        took = ""
        if phase.started_at is not None:
            took = text.duration(((phase.completed_at or now) - phase.started_at).total_seconds() * 1000)
        table.add(phase.name, status, children_of(phase), took, phase.reason or "")
    return table


def children_of(phase: PhaseState) -> str:
    """`3 completed, 2 pending of 8, 1 reused`."""
    planned = f" of {phase.planned}" if phase.planned and phase.planned > sum(phase.children.values()) else ""
    parts = (counted(phase.children) + planned, f"{phase.reused} reused" if phase.reused else "")
    return ", ".join(part for part in parts if part)


def attempt_table(attempts: Iterable[Attempt], now: datetime) -> Table:
    """The tries, each with its owner and how it ended."""
    table = Table(
        [Column("attempt", right=True), Column("outcome"), Column("started"), Column("took", 1, right=True),
         Column("owner", 2, least=12), Column("reason", 1, least=12)],
        [],
    )  # fmt: skip
    for one in attempts:
        took = text.duration(((one.ended_at or now) - one.started_at).total_seconds() * 1000)
        outcome = run_tables.status_cell(one.outcome) if one.outcome else Cell("● open", "live")
        table.add(str(one.number), outcome, text.moment(one.started_at), took, _owner(one), one.reason or "")
    return table


def _owner(attempt: Attempt) -> str:
    host, pid = attempt.identity.get("host"), attempt.identity.get("pid")
    return f"{host or ''} pid {pid}".strip() if pid else attempt.owner


def process_table(processes: Iterable[ProcessRecord], living: Sequence[int]) -> Table:
    """The process groups that the run started."""
    table = Table(
        [Column("group", right=True), Column("attempt", 2, right=True), Column("ended"), Column("used", 3),
         Column("command", 1, least=16)],
        [],
    )  # fmt: skip
    for one in processes:
        table.add(
            str(one.pgid), str(one.attempt), _ended(one, living), used(one.usage), " ".join(one.command)
        )
    return table


def _ended(process: ProcessRecord, living: Sequence[int]) -> Cell:
    if process.ended_at is None:
        lives = process.pgid in living
        return Cell("● runs", "live") if lives else Cell("not known to have ended", "warn")
    if process.signal:
        return Cell(f"signal {process.signal}", "bad")
    if process.exit_code is None:
        return Cell("its end was not seen", "warn")
    return Cell(f"exit {process.exit_code}", "good" if process.exit_code == 0 else "bad")


def used(usage: dict[str, Any] | None) -> str:
    """Time of the processor and the most memory that a command took."""
    told = usage or {}
    parts = [
        f"{name} {text.duration(told[key] * 1000)}"
        for name, key in (("user", "user_s"), ("system", "system_s"))
        if told.get(key) is not None
    ]
    parts += [text.size(told["max_rss_bytes"])] if told.get("max_rss_bytes") is not None else []
    return ", ".join(parts)


def checkpoint_table(checkpoints: Iterable[Checkpoint]) -> Table:
    """The saved states."""
    table = Table(
        [Column("checkpoint", right=True), Column("attempt", right=True), Column("saved"), Column("label")],
        [],
    )
    for one in checkpoints:
        table.add(str(one.number), str(one.attempt), text.moment(one.created_at), one.label or "")
    return table


def command_table(commands: Iterable[Command]) -> Table:
    """The orders to the run."""
    table = Table(
        [
            Column("command"),
            Column("status"),
            Column("requested"),
            Column("by", 1),
            Column("reason", 1, least=12),
        ],
        [],
    )
    for one in commands:
        reason = one.reason or one.payload.get("reason") or ""
        table.add(one.verb, one.status, text.moment(one.requested_at), one.requested_by or "", str(reason))
    return table
