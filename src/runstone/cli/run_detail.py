"""One run in full, as lines for people. Pure functions over records."""

import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from runstone.background import OPTION, is_background
from runstone.cli import questions, run_tables, text
from runstone.cli.table import Cell, Column, Table
from runstone.domain.inputs import InputRequest
from runstone.domain.records import (
    AgentRun,
    Attempt,
    Checkpoint,
    Command,
    PhaseState,
    ProcessRecord,
    RunTelemetry,
)


class RunDetail(NamedTuple):
    """All that is known of one run."""

    run: AgentRun
    telemetry: RunTelemetry
    children: dict[str, int]
    attempts: list[Attempt]
    phases: list[PhaseState]
    processes: list[ProcessRecord]
    living: list[int]
    """Process groups of which something still runs on this machine."""
    output: dict[str, int]
    """Of a command in the background: lines of each stream, and `broken` ones of the line protocol."""
    checkpoints: list[Checkpoint]
    questions: list[InputRequest]
    commands: list[Command]
    input: Any
    prompt: str | None
    result: Any

    def to_dict(self) -> dict[str, Any]:
        """One document: the run's fields, with the rest beside them."""
        run, *rest = self
        return {**run.to_dict(), **dict(zip(self._fields[1:], rest, strict=True))}


def facts(detail: RunDetail, now: datetime) -> Table:
    """Name and value of every field that has one."""
    run = detail.run
    table = Table([Column(""), Column("", least=20)], [])
    rows: list[tuple[str, Cell | str]] = [
        ("id", Cell(run.id, "strong")),
        ("status", _status(run)),
        ("still runs", _still_runs(detail)),
        ("title", run.title or ""),
        ("kind", run.kind),
        ("agent", _versioned(run)),
        ("definition", text.clean(getattr(run, "definition_hash", None) or "")[:12]),
        ("summary", run.summary or ""),
        *_error(run),
        *_lineage(run),
        *_times(run, detail.telemetry, now),
        ("labels", ", ".join(f"{name}={value}" for name, value in run.labels.items())),
        ("prompt", detail.prompt or ""),
        *_asked(detail),
        ("result", _short(detail.result)),
        ("children", counted(detail.children)),
        ("reused", _reused(detail.telemetry)),
        ("tools", _tools(detail.telemetry)),
    ]
    for name, value in rows:
        cell = value if isinstance(value, Cell) else Cell(value)
        if cell.text:
            table.add(Cell(name, "dim"), cell)
    return table


def _status(run: AgentRun) -> Cell:
    cell = run_tables.status_cell(run.status)
    reason = f" ({run.status_reason})" if run.status_reason else ""
    return Cell(cell.text + reason, cell.style)


def _still_runs(detail: RunDetail) -> Cell:
    """Processes that outlived whoever should record them; of a run at work it goes without saying."""
    if not detail.living or detail.run.live:
        return Cell("")
    numbers = ", ".join(f"pid {number}" for number in detail.living)
    return Cell(f"its command still runs: {numbers}", "warn")


def _asked(detail: RunDetail) -> Iterator[tuple[str, str]]:
    """What the run was given to do."""
    asked = detail.input
    if not is_background(detail.run) or not isinstance(asked, dict):
        yield "options", _short(detail.run.options or None)
        yield "input", _short(asked)
        return
    yield "command", shlex.join(asked.get("command") or [])
    yield "folder", str(asked.get("cwd") or "")
    yield "git", _git(asked.get("git") or {})
    yield "machine", " ".join(str(asked[name]) for name in ("user", "host") if asked.get(name))
    if asked.get("environment"):
        yield "environment", f"{len(asked['environment'])} variables (see --json)"
    told = detail.run.options.get(OPTION) or {}
    yield "output", _output(detail.output)
    yield "time limit", "" if told.get("timeout_s") is None else text.duration(told["timeout_s"] * 1000)
    yield "restarts", "" if told.get("restart") is None else f"up to {told['restart'].get('max')} on failure"


def _output(output: dict[str, int]) -> str:
    names = {"stdout": "stdout", "stderr": "stderr", "protocol": "the line protocol"}
    parts = [f"{output[name]:,} of {shown}" for name, shown in names.items() if output.get(name)]
    broken = output.get("broken")
    told = f"lines: {', '.join(parts)}" if parts else ""
    return told + (f"; {broken:,} broken ones were kept as text" if broken else "")


def _git(git: dict[str, Any]) -> str:
    if not git:
        return ""
    commit = (git.get("commit") or "")[:12] or "no commit yet"
    branch = f" on {git['branch']}" if git.get("branch") else ""
    return f"{commit}{branch}" + (", with uncommitted changes" if git.get("dirty") else "")


def _versioned(run: AgentRun) -> str:
    name = run_tables.agent_of(run)
    return f"{name} (version {run.agent_version})" if name and run.agent_version else name


def _error(run: AgentRun) -> Iterator[tuple[str, Cell | str]]:
    error = run.error or {}
    if error:
        yield (
            "error",
            Cell(f"{error.get('message', '')} [{error.get('code') or error.get('type', '')}]", "bad"),
        )
        hint = str(error.get("hint") or "")
        yield "hint", re.sub(r"\bRUN\b", lambda _: text.short_id(run.id), hint)
        yield "caused by", ", ".join(str(cause) for cause in error.get("caused_by") or ())


def _lineage(run: AgentRun) -> Iterator[tuple[str, str]]:
    yield "parent", run.parent_run_id or ""
    yield "root", run.root_run_id if run.root_run_id != run.id else ""
    yield "forked from", _source(run)
    yield "phase", run.phase or ""
    yield "thread", run.worker_thread_id or ""
    yield "parent thread", run.parent_thread_id or ""
    yield "board", run.task_board_id or ""
    yield "card", run.task_card_id or ""
    yield "marks", ", ".join(mark for mark in ("superseded", "detached") if getattr(run, mark))


def _source(run: AgentRun) -> str:
    """What it is a fork of, and from which checkpoint."""
    if run.forked_from is None or run.forked_from_checkpoint is None:
        return run.forked_from or ""
    return f"{run.forked_from} at checkpoint {run.forked_from_checkpoint}"


def _times(run: AgentRun, telemetry: RunTelemetry, now: datetime) -> Iterator[tuple[str, str]]:
    yield "created", f"{text.moment(run.created_at)} ({text.age(run.created_at, now)} ago)"
    yield "started", text.moment(run.started_at)
    yield "ended", text.moment(run.completed_at)
    yield "wakes", text.moment(run.wake_at)
    if run.started_at is not None:
        yield "took", f"{text.duration(telemetry.elapsed_ms)} (active {text.duration(telemetry.active_ms)})"


def _short(value: Any) -> str:
    """JSON on one line; nothing for null. `clean` cuts it, `--json` has all of it."""
    from runstone.cli.output import to_json

    return "" if value is None else to_json(value)


def counted(counts: dict[str, int]) -> str:
    """`3 completed, 1 failed`; what is zero is left out."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)


def _reused(telemetry: RunTelemetry) -> str:
    reused = telemetry.reused
    if not reused.get("children"):
        return ""
    spent = [f"{text.tokens(reused['tokens'])} tokens"] if reused.get("tokens") else []
    spent += [text.money(round(reused["cost_usd"] * 1e12))] if reused.get("cost_usd") else []
    return f"{reused['children']} children" + (f" ({', '.join(spent)} not spent again)" if spent else "")


def _tools(telemetry: RunTelemetry) -> str:
    counts = telemetry.subtree_tool_counts or telemetry.tool_counts
    failed = telemetry.tool_failures
    return ", ".join(
        f"{tool} {n}" + (f" ({failed[tool]} failed)" if tool in failed else "") for tool, n in counts.items()
    )


def next_step_of(detail: RunDetail, *, still: bool) -> str | None:
    """As `next_step`; for a run that asks, how to answer it."""
    asked = next((one for one in detail.questions if one.status == "open"), None)
    return next_step(detail.run, still=still) if asked is None else questions.hint_of(asked)


def next_step(run: AgentRun, *, still: bool) -> str | None:
    """The command that helps on with a run; `still`: nothing more comes of it by itself."""
    short = text.short_id(run.id)
    if is_background(run):
        return _next_step_of_command(run.status, short, still=still)
    return {
        "interrupted": f"go on with it: runstone resume {short}",
        "moved": f"go on with it where it was imported; or here after all: runstone export --move --undo {short}",
        "failed": f"see what a resume would do: runstone plan {short}, then: runstone resume {short}",
        "cancelled": f"go on with it: runstone resume {short}",
        "paused": f"go on with it: runstone resume {short}",
        "awaiting_user": f"nobody answered in time; go on with it: runstone resume {short}",
        "running": f"follow it: runstone runs watch {short}",
        "waiting": f"follow it: runstone runs watch {short}",
    }.get(run.status)


def _next_step_of_command(status: str, short: str, *, still: bool) -> str | None:
    if status == "completed":
        return None
    if not still:
        return f"follow it: runstone runs logs -f {short}"
    if status in ("pending", "waiting"):
        return f"its keeper is gone, and nobody else starts it; go on with it: runstone resume {short}"
    again = "go on with it" if status in ("interrupted", "paused") else "start it again"
    return f"{again}: runstone resume {short}"
