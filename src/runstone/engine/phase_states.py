"""The phases of a workflow run, derived from its events and children; nothing of it is stored."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from runstone.domain import codec
from runstone.domain.records import AgentRun, PhaseState, at
from runstone.store import rows
from runstone.store.forks import definition_of
from runstone.store.reads import Reader

_MICROSECOND = timedelta(microseconds=1)
_STATUS = {
    "phase.started": "running",
    "phase.completed": "completed",
    "phase.failed": "failed",
    "phase.skipped": "skipped",
}


def phase_states(reader: Reader, run: AgentRun) -> list[PhaseState]:
    """The phases in the order in which they began; those of a declarative definition that did not begin come last.

    A phase shows `running` only while the run itself does, and work in it is under way; else it is `pending`: to be
    gone on with.
    """
    pk = reader.runs.pk(run.id)
    found: dict[str, dict[str, Any]] = {}
    for kind, payload, when, attempt in reader.rows("phase_events", run=pk):
        fields = codec.decode(payload)
        phase = found.setdefault(
            fields["phase"],
            {
                "planned": None,
                "started": None,
                "ended": None,
                "reason": None,
                "concurrency": None,
                "moves": [],
            },
        )
        phase["status"], phase["attempt"] = _STATUS[kind], attempt
        phase["moves"].append((kind, when, attempt))
        if kind == "phase.started":
            phase["started"] = phase["started"] or when
            phase["planned"] = fields.get("planned", phase["planned"])
            phase["concurrency"] = fields.get("concurrency", phase["concurrency"])
        phase["ended"] = None if kind == "phase.started" else when
        phase["reason"] = fields.get("reason")
    ends = {one.number: one.ended_at for one in reader.attempts.of(run.id)} if found else {}
    children, planned = _children(reader, pk), _planned(reader, run.id)
    reused = {child for (child,) in reader.rows("reused_by", run=pk, attempt=run.attempt)}
    for phase in found.values():
        phase["active"] = _active(phase["moves"], ends)
    return [
        _as_planned(_state(run, name, found.get(name), children.get(name, []), reused), planned.get(name, {}))
        for name in dict.fromkeys((*found, *planned, *(name for name in children if name)))
    ]


def _active(moves: list[tuple[str, int, int]], ends: Mapping[int, datetime | None]) -> tuple[int, int | None]:
    """So long attempts were in the phase, in milliseconds, and since when one is that has not ended.

    An attempt that ended within the phase left it then: what lies between two attempts is no part of it.
    """
    spent, open_ = 0, dict[int, int]()
    for kind, when, attempt in moves:
        if kind == "phase.started":
            open_.setdefault(attempt, when)
        elif attempt in open_:
            spent += when - open_.pop(attempt)
    since = None
    for attempt, begun in open_.items():
        ended_at = ends.get(attempt)
        if ended_at is None:
            since = begun
        else:
            spent += max(0, (ended_at - at(begun)) // _MICROSECOND)
    return spent // 1_000, since


def _planned(reader: Reader, run_id: str) -> dict[str, dict[str, Any]]:
    """The phases in the definition that the run was last started with, by name; none for a Python workflow."""
    definition = definition_of(reader, run_id)
    return {phase["name"]: phase for phase in definition["phases"]} if definition is not None else {}


def _as_planned(state: PhaseState, phase: dict[str, Any]) -> PhaseState:
    """The phase with what its definition says of it, whether or not it began."""
    limit = state.concurrency if state.concurrency is not None else phase.get("concurrency")
    return msgspec.structs.replace(state, concurrency=limit, after=tuple(phase.get("depends_on", ())))


def _children(reader: Reader, pk: int) -> dict[str | None, list[AgentRun]]:
    by_phase: dict[str | None, list[AgentRun]] = {}
    for row in reader.runs.rows("r.parent = :pk AND r.superseded = 0", "ORDER BY r.id", pk=pk):
        record = rows.run(row)
        by_phase.setdefault(record.phase, []).append(record)
    return by_phase


def _state(
    run: AgentRun, name: str, phase: dict[str, Any] | None, children: list[AgentRun], reused: set[str]
) -> PhaseState:
    phase = phase or {
        "status": "pending",
        "attempt": 0,
        "planned": None,
        "started": None,
        "ended": None,
        "reason": None,
        "concurrency": None,
        "active": (0, None),
    }
    active_ms, since = phase["active"]
    status, counts = phase["status"], Counter(child.status for child in children)
    if status == "running" and (run.status not in ("running", "waiting") or phase["attempt"] != run.attempt):
        status = "pending"
    if (
        status == "running"
        and children
        and not counts["running"]
        and (counts["pending"] or counts["waiting"])
    ):
        status = "pending"
    return PhaseState(
        name=name, status=status, planned=phase["planned"], children=dict(counts),
        reused=sum(1 for child in children if child.id in reused),
        started_at=at(phase["started"]) if phase["started"] else None,
        completed_at=at(phase["ended"]) if phase["ended"] else None, reason=phase["reason"],
        concurrency=phase["concurrency"], active_ms=active_ms,
        active_since=at(since) if since is not None and run.status == "running" else None,
    )  # fmt: skip
