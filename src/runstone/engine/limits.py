"""Whether a run has spent its own budget, as the ledger shows it."""

from typing import Any

from runstone.domain import budgets, codec
from runstone.domain.budgets import Spent
from runstone.errors import BudgetReached
from runstone.store.reads import Reader


def own_cap(
    reader: Reader, run_id: str, options_json: str, *, children: bool = False
) -> BudgetReached | None:
    """That the run has spent its own budget; how many children it may start is said where one is started.

    With `children` one more child counts, too.
    """
    budget: dict[str, Any] = codec.decode(options_json).get("budget") or {}
    if not budget:
        return None
    pk = reader.runs.pk(run_id)
    picousd, tokens, _unknown = reader.rows("spent", run=pk)[0]
    counted = children and budget.get("max_children") is not None
    begun = reader.rows("started_below", run=pk)[0][0] if counted else None
    caps = budgets.reached(budget, Spent(picousd, tokens, begun))
    if not caps:
        return None
    told = ", ".join(caps.values())
    return BudgetReached(f"run {run_id} is at its cap: {told}", run_id=run_id, budget=budget, caps=caps)
