"""Whether a run may begin: its phase's concurrency and the budgets above it, counted from the ledger."""

from typing import Any

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.domain.telemetry import to_picousd, to_usd
from runstone.errors import BudgetReached, Refused
from runstone.store.batch import Batch


class PhaseFull(Refused):
    """The phase has as many children running as it may."""

    code = "phase_full"
    hint = "wait until one of them ends"


def check(batch: Batch, head: Head, limit: int | None) -> None:
    """Raises `PhaseFull` or `BudgetReached`, so that the claim is refused."""
    if limit is not None and head.parent is not None:
        count = batch.read(
            "live_siblings", parent=head.parent, phase=head.phase, now=batch.now, self=head.pk
        )[0][0]
        if count >= limit:
            raise PhaseFull(f"phase {head.phase} runs {count} of {limit} children", run_id=head.run_id)
    if head.attempt and head.status_reason in runs.WOKEN:
        return  # it was parked, and what has begun may finish
    for ancestor in batch.ancestors(head)[1:]:  # a budget is for what starts below its holder
        if '"budget"' in ancestor.options_json:
            _check_budget(batch, ancestor, head)


def _check_budget(batch: Batch, holder: Head, starting: Head) -> None:
    budget: dict[str, Any] = codec.decode(holder.options_json).get("budget") or {}
    if not budget:
        return
    spent, tokens, _unknown = batch.read("spent", run=holder.pk)[0]
    reached = []
    if budget.get("max_cost_usd") is not None and spent >= to_picousd(budget["max_cost_usd"]):
        reached.append(f"cost ${to_usd(spent):.6g} of ${budget['max_cost_usd']:g}")
    if budget.get("max_tokens") is not None and tokens >= budget["max_tokens"]:
        reached.append(f"{tokens} of {budget['max_tokens']} tokens")
    if budget.get("max_children") is not None and starting.attempt == 0:
        begun = batch.read("started_below", run=holder.pk)[0][0]
        if begun >= budget["max_children"]:
            reached.append(f"{begun} of {budget['max_children']} children")
    if reached:
        raise BudgetReached(f"run {holder.run_id} is at its cap: {', '.join(reached)}", run_id=holder.run_id)
