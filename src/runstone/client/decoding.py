"""Answers of a server as the records that a ledger gives."""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from runstone.domain.records import (
    AgentRun,
    Counts,
    ModelTotals,
    Page,
    RunTelemetry,
    Totals,
    TreeNode,
    WorkflowRun,
)

T = TypeVar("T")


def records(found: list[Any], kind: type[T]) -> list[T]:
    """Records of one kind."""
    return msgspec.convert(found, list[kind])  # type: ignore[valid-type]


def run_of(found: dict[str, Any]) -> AgentRun:
    """A run; a `WorkflowRun` for a workflow."""
    return msgspec.convert(found, WorkflowRun if found["kind"] == "workflow" else AgentRun)


def runs_page(found: dict[str, Any]) -> Page[AgentRun]:
    """A page of runs."""
    items = [run_of(one) for one in found["items"]]
    return Page(items=items, next_cursor=found["next_cursor"], as_of=found["as_of"])


def counts_of(found: dict[str, Any]) -> Counts:
    """How many runs are in each bucket."""
    counts = Counts(found["counts"])
    counts.complete, counts.as_of = found["complete"], found["as_of"]
    return counts


def totals_of(found: dict[str, Any]) -> Totals:
    """Sums; the cost is exact."""
    names = (
        "requests",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
    )
    return Totals(
        **{name: found[name] for name in names}, cost_picousd=_picousd(found["cost_usd"]),
        unknown_costs=found["unknown_costs"], priced_costs=found["priced_costs"],
    )  # fmt: skip


def _picousd(text: str | None) -> int:
    return 0 if text is None else int(Decimal(text).scaleb(12))


def telemetry_of(found: dict[str, Any]) -> RunTelemetry:
    """What a run cost."""
    cost = found["reused_cost_usd"]
    reused = {"children": found["reused_children"], "tokens": found["reused_tokens"]}
    names = ("run_id", "tool_counts", "tool_failures", "subtree_tool_counts", "elapsed_ms", "active_ms", "model",
             "provider", "error")  # fmt: skip
    models = tuple(
        ModelTotals(
            provider=one["provider"],
            model=one["model"],
            own=totals_of(one["own"]),
            subtree=totals_of(one["subtree"]),
        )
        for one in found["models"]
    )
    return RunTelemetry(
        **{name: found[name] for name in names}, own=totals_of(found["own"]), subtree=totals_of(found["subtree"]),
        models=models, reused=reused | ({} if cost is None else {"cost_usd": float(cost)}),
    )  # fmt: skip


def tree_of(found: list[dict[str, Any]]) -> TreeNode:
    """The run with all below it, of nodes that come parents first."""
    below: dict[str, list[TreeNode]] = {}
    node: TreeNode | None = None
    for one in reversed(found):  # children are made before their parents
        run = run_of(one["run"])
        children = tuple(reversed(below.pop(run.id, [])))
        node = TreeNode(
            run=run, own=totals_of(one["own"]), subtree=totals_of(one["subtree"]), reused=one["reused"],
            children=children,
        )  # fmt: skip
        below.setdefault(run.parent_run_id or "", []).append(node)
    assert node is not None
    return node
