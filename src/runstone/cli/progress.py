"""How a run gets on: taken from the ledger as one record, and laid out by pure functions."""

from datetime import UTC, datetime
from typing import NamedTuple

from runstone.cli import run_tables, text
from runstone.cli.subjects import subject
from runstone.cli.table import Cell, Column, Table
from runstone.domain.records import AgentRun, PhaseState, RunTelemetry
from runstone.ledger import Ledger

_SHOWN = 6  # running children that are named below the table
_BAR = 12


class Counts(NamedTuple):
    """Children by how they stand."""

    done: int = 0
    running: int = 0
    waiting: int = 0
    failed: int = 0
    stopped: int = 0
    reused: int = 0
    planned: int = 0

    @property
    def total(self) -> int:
        """Children that there are, or more where more are planned."""
        return max(self.planned, self.done + self.running + self.waiting + self.failed + self.stopped)


class Progress(NamedTuple):
    """One look at a run."""

    run: AgentRun
    phases: list[PhaseState]
    children: Counts
    running: int
    at_work: list[tuple[AgentRun, str]]
    """The first of the running children, with what each is about."""
    telemetry: RunTelemetry
    now: datetime


def look(ledger: Ledger, run_id: str) -> Progress:
    """Reads how the run gets on. Raises `NotFound`."""
    run = ledger.get_run(run_id)
    buckets = ledger.counts(parent_id=run_id, archived=None)
    running = ledger.list_runs(
        parent_id=run_id, status="running", archived=None, limit=200, sort="created", order="asc"
    ).items
    telemetry = ledger.telemetry(run_id)
    children = Counts(
        done=buckets["completed"],
        running=len(running),
        waiting=max(0, buckets["working"] - len(running)) + buckets["needs_input"],
        failed=buckets["failed"],
        stopped=buckets["stopped"],
        reused=telemetry.reused.get("children", 0),
    )
    phases = ledger.phases(run_id) if run.kind == "workflow" else []
    at_work = [(child, subject(ledger, child)) for child in running[:_SHOWN]]
    return Progress(run, phases, children, len(running), at_work, telemetry, datetime.now(UTC))


def settled(ledger: Ledger, run: AgentRun) -> bool:
    """Whether nothing more comes of this look at a run until somebody does something."""
    return ledger.overview.settled(run)


def counts_of(phase: PhaseState) -> Counts:
    """The children of one phase."""
    by = phase.children
    waiting = sum(by.get(status, 0) for status in ("pending", "waiting", "awaiting_user", "paused"))
    return Counts(
        done=by.get("completed", 0),
        running=by.get("running", 0),
        waiting=waiting,
        failed=by.get("failed", 0),
        stopped=by.get("cancelled", 0) + by.get("interrupted", 0),
        reused=phase.reused,
        planned=phase.planned or 0,
    )


def headline(progress: Progress) -> list[Cell]:
    """Status, name, id, time, tokens and cost of the whole run."""
    run, totals = progress.run, progress.telemetry.subtree
    cells = [
        run_tables.status_cell(run.status),
        Cell(text.clean(run_tables.name_of(run)), "strong"),
        Cell(text.short_id(run.id), "dim"),
        Cell(text.duration(progress.telemetry.elapsed_ms)),
    ]
    if run.attempt > 1:
        cells.append(Cell(f"attempt {run.attempt}", "dim"))
    if totals.requests:
        cells += [Cell(f"{text.tokens(totals.tokens)} tokens"), Cell(text.cost(totals))]
    return cells


def progress_table(progress: Progress) -> Table:
    """A row for each phase, or one for all children where there are no phases."""
    right = [Column(title, rank, right=True) for title, rank in (
        ("done", 0), ("running", 1), ("waiting", 2), ("failed", 1), ("stopped", 3), ("reused", 1), ("took", 4),
    )]  # fmt: skip
    table = Table([Column("phase", least=10), Column("", 5), *right], [])
    for phase in progress.phases:
        symbol, style = run_tables.STATUS.get(phase.status, ("–", "dim"))
        took = ""
        if phase.started_at is not None:
            took = text.duration(
                ((phase.completed_at or progress.now) - phase.started_at).total_seconds() * 1000
            )
        table.add(Cell(text.clean(phase.name), style, f"{symbol} "), *_numbers(counts_of(phase)), took)
    if not progress.phases and progress.children.total:
        table.add("children", *_numbers(progress.children), "")
    return table


def _numbers(counts: Counts) -> list[Cell]:
    done = f"{counts.done}/{counts.total}" if counts.total else ""
    return [
        Cell(bar(counts.done, counts.total), "good"),
        Cell(done),
        Cell(run_tables.count(counts.running), "live"),
        Cell(run_tables.count(counts.waiting), "dim"),
        Cell(run_tables.count(counts.failed), "bad"),
        Cell(run_tables.count(counts.stopped), "warn"),
        Cell(run_tables.count(counts.reused), "good"),
    ]


def bar(done: int, total: int) -> str:
    """Ten-odd blocks; nothing where there is nothing to do."""
    if not total:
        return ""
    full = _BAR * done // total
    return "▰" * full + "▱" * (_BAR - full)


def live_lines(progress: Progress, columns: int, rows: int) -> list[list[Cell]]:
    """What a terminal shows while the run goes on: never more than `rows` lines."""
    lines: list[list[Cell]] = [headline(progress), *progress_table(progress).lines(columns)]
    for run, about in progress.at_work:
        took = run_tables.elapsed(run, progress.now)
        name = text.clean(run_tables.name_of(run, about))
        lines.append([Cell("  ●", "live"), Cell(name), Cell(took, "dim")])
    more = progress.running - len(progress.at_work)
    if more > 0:
        lines.append([Cell(f"  … and {more} more", "dim")])
    return lines[: max(1, rows - 1)]


def plain_lines(progress: Progress) -> list[str]:
    """The same for a log: a line for each phase that has begun, or one for all children."""
    begun = [phase for phase in progress.phases if phase.status != "pending"]
    lines = [f"{text.clean(phase.name)} {phase.status}{_told(counts_of(phase))}" for phase in begun]
    if not lines and progress.children.total:
        lines = [f"children{_told(progress.children)}"]
    return lines


def _told(counts: Counts) -> str:
    if not counts.total:
        return ""
    told = [f"{counts.done} of {counts.total} done"]
    told += [f"{n} {name}" for name, n in counts._asdict().items() if n and name not in ("done", "planned")]
    return ": " + ", ".join(told)


def closing_line(progress: Progress) -> list[Cell]:
    """How a run ended, in one line."""
    cells = headline(progress)
    if progress.children.total:
        reused = f", {progress.children.reused} reused" if progress.children.reused else ""
        cells.append(Cell(f"{progress.children.done} of {progress.children.total} children done{reused}"))
    if progress.run.status_reason and progress.run.status != "completed":
        cells.append(Cell(text.clean(progress.run.status_reason), "dim"))
    return cells
