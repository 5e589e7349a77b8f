"""Runs as the API shows them: the fields of the record, and what people want to know beside them."""

from datetime import datetime
from typing import Any

import msgspec

from runstone.domain.records import AgentRun, WorkflowRun


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run."""

    id: str
    kind: str
    parent_run_id: str | None
    root_run_id: str
    depth: int
    forked_from: str | None
    parent_thread_id: str | None
    agent_id: str | None
    agent_version: str | None
    title: str | None
    status: str
    """As shown: a run whose owner holds no live lease reads `interrupted`."""
    status_reason: str | None
    wake_at: datetime | None
    phase: str | None
    prompt_ref: str | None
    input_ref: str | None
    options: dict[str, Any]
    worker_thread_id: str | None
    task_board_id: str | None
    task_card_id: str | None
    child_key: str | None
    labels: dict[str, str]
    attempt: int
    owner: str | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    summary: str | None
    result_ref: str | None
    error: dict[str, Any] | None
    superseded: bool
    detached: bool
    lease_expires_at: datetime | None
    definition_id: str | None
    definition_hash: str | None


def run_of(record: AgentRun) -> Run:
    """The run as the API shows it."""
    known = {name: getattr(record, name) for name in AgentRun.__struct_fields__}
    definition = (
        (record.definition_id, record.definition_hash) if isinstance(record, WorkflowRun) else (None, None)
    )
    return Run(**known, definition_id=definition[0], definition_hash=definition[1])
