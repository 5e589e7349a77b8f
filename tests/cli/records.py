"""Records made by hand, for renderers."""

from datetime import UTC, datetime, timedelta
from typing import Any

from runstone.domain.records import AgentRun, PhaseState, RunTelemetry, Totals, TreeNode, WorkflowRun

NOW = datetime(2030, 1, 2, 12, 0, 0, tzinfo=UTC)


def run(run_id: str = "01890000-0000-7000-8000-00000000abcd", **fields: Any) -> AgentRun:
    """A run that completed, unless `fields` say otherwise."""
    base: dict[str, Any] = dict.fromkeys(
        [
            *(
                "parent_run_id",
                "forked_from",
                "parent_thread_id",
                "agent_version",
                "status_reason",
                "wake_at",
            ),
            *("phase", "prompt_ref", "input_ref", "worker_thread_id", "task_board_id", "task_card_id"),
            *("child_key", "owner", "summary", "result_ref", "error", "lease_expires_at"),
        ]
    )
    base |= {
        "id": run_id, "kind": "subagent", "root_run_id": run_id, "depth": 0, "agent_id": "reader", "title": "Read it",
        "status": "completed", "options": {}, "labels": {}, "attempt": 1, "created_at": NOW - timedelta(minutes=5),
        "started_at": NOW - timedelta(minutes=4), "updated_at": NOW - timedelta(minutes=1),
        "completed_at": NOW - timedelta(minutes=1), "superseded": False, "detached": False,
        "pinned": False, "archived": False,
    }  # fmt: skip
    kind = WorkflowRun if fields.get("kind") == "workflow" else AgentRun
    if kind is WorkflowRun:
        base |= {"definition_id": "audit", "definition_hash": "f" * 32, "agent_id": None}
    return kind(**(base | fields))


def node(record: AgentRun, *children: TreeNode, reused: bool = False, tokens: int = 0) -> TreeNode:
    """A node of a tree."""
    spent = Totals(requests=1, input_tokens=tokens, cost_picousd=tokens * 10**6) if tokens else Totals()
    return TreeNode(run=record, subtree=spent, own=spent, reused=reused, children=children)


def phase(name: str, status: str, **fields: Any) -> PhaseState:
    """A phase without children, unless `fields` say otherwise."""
    base: dict[str, Any] = {
        "planned": None, "children": {}, "reused": 0, "started_at": None, "completed_at": None, "reason": None,
    }  # fmt: skip
    return PhaseState(name=name, status=status, **(base | fields))


def telemetry(**fields: Any) -> RunTelemetry:
    """What a run cost: nothing, unless `fields` say otherwise."""
    base: dict[str, Any] = {
        "run_id": "r", "own": Totals(), "subtree": Totals(), "models": (), "tool_counts": {}, "tool_failures": {},
        "subtree_tool_counts": {}, "elapsed_ms": 61_000, "active_ms": 61_000, "model": None, "provider": None,
        "error": None, "reused": {"children": 0, "tokens": 0, "cost_usd": 0},
    }  # fmt: skip
    return RunTelemetry(**(base | fields))
