"""Rows into records."""

from typing import Any

from runstone.domain import codec
from runstone.domain.records import (
    AgentRun,
    Attempt,
    Card,
    Command,
    JournalEntry,
    Lease,
    Output,
    ProcessRecord,
    Totals,
    WorkflowRun,
    at,
    maybe_at,
)
from runstone.store.base import Row


def json_or_none(text: str | None) -> Any:
    """The value of JSON text, or None."""
    return None if text is None else codec.decode(text)


def run(row: Row) -> AgentRun:
    """A run from the columns of `run_columns`."""
    if row[1] == "workflow":
        return WorkflowRun(**run_fields(row), definition_id=row[34], definition_hash=row[35])
    return AgentRun(**run_fields(row))


def run_fields(row: Row) -> dict[str, Any]:
    """The fields of a run's record, those of workflows left out."""
    fields: dict[str, Any] = {
        "id": row[0], "kind": row[1], "parent_run_id": row[2], "root_run_id": row[3], "depth": row[4],
        "forked_from": row[5], "parent_thread_id": row[6], "agent_id": row[7], "agent_version": row[8], "title": row[9],
        "status": row[10], "status_reason": row[11], "wake_at": maybe_at(row[12]), "phase": row[13],
        "prompt_ref": row[14], "input_ref": row[15], "options": codec.decode(row[16]), "worker_thread_id": row[17],
        "task_board_id": row[18], "task_card_id": row[19], "child_key": row[20], "labels": codec.decode(row[21]),
        "attempt": row[22], "owner": row[23], "created_at": at(row[24]), "started_at": maybe_at(row[25]),
        "updated_at": at(row[26]), "completed_at": maybe_at(row[27]), "summary": row[28], "result_ref": row[29],
        "error": json_or_none(row[30]), "superseded": bool(row[31]), "detached": bool(row[32]),
        "lease_expires_at": maybe_at(row[33]), "forked_from_checkpoint": row[42],
        "pinned": bool(row[43]), "archived": bool(row[44]),
    }  # fmt: skip
    if fields["status"] == "interrupted" and fields["status_reason"] is None:
        fields["status_reason"] = "no live lease"
    return fields


def attempt(run_id: str, row: Row) -> Attempt:
    number, owner, identity, started, ended, outcome, reason = row
    return Attempt(
        run_id=run_id, number=number, owner=owner, identity=codec.decode(identity), started_at=at(started),
        ended_at=maybe_at(ended), outcome=outcome, reason=reason,
    )  # fmt: skip


def lease(run_id: str, row: Row) -> Lease:
    number, owner, identity, expires = row[:4]
    return Lease(
        run_id=run_id, attempt=number, owner=owner, identity=codec.decode(identity), expires_at=at(expires)
    )


def process(run_id: str, row: Row) -> ProcessRecord:
    number, pgid, identity, command, started, ended, code, signal, usage = row[:9]
    return ProcessRecord(
        run_id=run_id, attempt=number, pgid=pgid, identity=codec.decode(identity), command=_command(command),
        started_at=at(started), ended_at=maybe_at(ended), exit_code=code, signal=signal,
        usage=None if usage is None else codec.decode(usage),
    )  # fmt: skip


def output(run_id: str, row: Row) -> Output:
    attempt, stream, offset, lines, broken, cut = row
    return Output(
        run_id=run_id,
        attempt=attempt,
        stream=stream,
        offset=offset,
        lines=lines,
        broken=broken,
        cut=bool(cut),
    )


def _command(text: str) -> list[str]:
    """The argument list; one that was clipped to fit the row is shown as the one text that it is."""
    return [text] if text.endswith("…") else codec.decode(text)


def card(row: Row, body: str | None) -> Card:
    return Card(
        id=row[0], board_id=row[1], title=row[2], status=row[3], position=row[4], body=body, assignee=row[7],
        labels=codec.decode(row[8]), claimed_by=row[9], run_ids=tuple(codec.decode(row[10])), revision=row[11],
        created_at=at(row[12]), updated_at=at(row[13]),
    )  # fmt: skip


def command(row: Row) -> Command:
    return Command(
        id=row[0], run_id=row[1], verb=row[2], payload=codec.decode(row[3]), idempotency_key=row[4], status=row[5],
        requested_by=row[6], reason=row[7], requested_at=at(row[8]), acknowledged_at=maybe_at(row[9]),
        ended_at=maybe_at(row[10]),
    )  # fmt: skip


def journal(row: Row) -> JournalEntry:
    return JournalEntry(
        number=row[0], key=row[1], kind=row[2], name=row[3], phase=row[4], previous=row[5], attempt=row[6],
        handled=bool(row[7]), dropped=row[8], child_pk=row[9], child_run_id=row[10], child_status=row[11],
        child_error=json_or_none(row[12]), child_tokens=row[13], child_cost_picousd=row[14], child_attempt=row[15],
        child_tries=row[16], child_by_cascade=bool(row[17]), superseded=bool(row[18]), value=row[19], ref=row[20],
        kept=bool(row[21]),
    )  # fmt: skip


def totals(counts: Row) -> Totals:
    names = ("requests", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
             "cost_picousd", "unknown_costs", "priced_costs")  # fmt: skip
    return Totals(**dict(zip(names, counts, strict=True)))
