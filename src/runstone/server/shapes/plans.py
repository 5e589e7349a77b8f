"""What a resume or a fork would do."""

import msgspec

from runstone.domain.resume import Plan, PlanEntry
from runstone.server.shapes.totals import usd


class PlanEntryShape(msgspec.Struct, frozen=True, kw_only=True):
    """One step or child of a plan, with what it had cost."""

    kind: str
    name: str
    key: str | None
    phase: str | None
    child_run_id: str | None
    status: str | None
    tokens: int
    cost_usd: str
    parent_run_id: str | None


class PlanShape(msgspec.Struct, frozen=True, kw_only=True):
    """What would be reused, run again and started. `exact` for declarative workflows; for code it is the least."""

    run_id: str
    status: str
    reuse: list[PlanEntryShape]
    rerun: list[PlanEntryShape]
    start: list[PlanEntryShape]
    raised: list[PlanEntryShape]
    superseded: list[PlanEntryShape]
    exact: bool
    warnings: list[str]
    reused_tokens: int
    reused_cost_usd: str


def plan_of(plan: Plan) -> PlanShape:
    """The plan as the API shows it."""
    groups = {
        name: [_entry(entry) for entry in getattr(plan, name)]
        for name in ("reuse", "rerun", "start", "raised", "superseded")
    }
    return PlanShape(
        run_id=plan.run_id, status=plan.status, **groups, exact=plan.exact, warnings=list(plan.warnings),
        reused_tokens=plan.reused_tokens, reused_cost_usd=usd(plan.reused_cost_picousd),
    )  # fmt: skip


def _entry(entry: PlanEntry) -> PlanEntryShape:
    known = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "cost_picousd"}
    return PlanEntryShape(**known, cost_usd=usd(entry.cost_picousd))
