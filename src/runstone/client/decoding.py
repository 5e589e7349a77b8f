"""Answers of a server as the records that a ledger gives."""

from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from runstone.domain.comparison import Comparison
from runstone.domain.records import (
    AgentRun,
    Counts,
    ModelTotals,
    Page,
    RunTelemetry,
    Totals,
    TreeNode,
    TreeRow,
    WorkflowRun,
)
from runstone.domain.resume import Plan, PlanEntry

T = TypeVar("T")
_VALUES: Final = frozenset({"input", "result"})


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


def plan_of(found: dict[str, Any]) -> Plan:
    """What a resume or a fork would do."""
    groups = ("reuse", "rerun", "start", "raised", "superseded")
    entries = {name: tuple(msgspec.convert(_exact(one), PlanEntry) for one in found[name]) for name in groups}
    return Plan(
        run_id=found["run_id"], status=found["status"], **entries, exact=found["exact"],
        warnings=tuple(found["warnings"]),
    )  # fmt: skip


def comparison_of(found: dict[str, Any]) -> Comparison:
    """How two runs differ."""
    return msgspec.convert(_exact(found), Comparison)


def _exact(value: Any) -> Any:
    """The value with each cost as the whole number that it is here; what runs were given and gave stays as it is."""
    if isinstance(value, list):
        return [_exact(one) for one in value]
    if not isinstance(value, dict):
        return value
    exact = {name: one if name in _VALUES else _exact(one) for name, one in value.items()}
    if "cost_usd" in exact:
        exact["cost_picousd"] = _picousd(exact.pop("cost_usd"))
    return exact


def branches_page(found: dict[str, Any]) -> Page[TreeRow]:
    """A page of a tree."""
    items = [
        TreeRow(
            run=run_of(one["run"]), own=totals_of(one["own"]), subtree=totals_of(one["subtree"]), reused=one["reused"],
            children=one["children"],
        )
        for one in found["items"]
    ]  # fmt: skip
    return Page(items=items, next_cursor=found["next_cursor"], as_of=found["as_of"])


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
