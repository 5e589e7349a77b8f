"""Whether a run may begin: its phase's concurrency and the budgets above it, counted from the ledger."""

from typing import Any

from runstone.domain import budgets, codec, runs
from runstone.domain.budgets import Spent
from runstone.domain.runs import Head
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
    budget = budget_of(holder)
    if budget and (
        caps := budgets.reached(budget, spent(batch, holder, budget, children=starting.attempt == 0))
    ):
        told = ", ".join(caps.values())
        raise BudgetReached(
            f"run {holder.run_id} is at its cap: {told}", run_id=holder.run_id, budget=budget, caps=caps
        )


def budget_of(head: Head) -> dict[str, Any]:
    """The run's budget; empty where it has none."""
    return (codec.decode(head.options_json).get("budget") or {}) if '"budget"' in head.options_json else {}


def spent(batch: Batch, holder: Head, budget: dict[str, Any], *, children: bool = True) -> Spent:
    """What the run and all below it have spent. Counts children only where there is a cap for them. Reads."""
    picousd, tokens, _unknown = batch.read("spent", run=holder.pk)[0]
    counted = children and budget.get("max_children") is not None
    begun = batch.read("started_below", run=holder.pk)[0][0] if counted else None
    return Spent(picousd, tokens, begun)
