"""A run at its budget's cap asks whether to raise it; the answer changes the budget in its own transaction."""

from typing import Any

from runstone.domain import budgets, codec, runs
from runstone.domain.inputs import BUDGET_KEY, Question
from runstone.domain.runs import Head
from runstone.store.batch import Batch
from runstone.store.writes import limits
from runstone.store.writes.boards import RequestStop
from runstone.store.writes.inputs import Asked, AskInput


class AskBudget(AskInput):
    """Asks in the name of the run that holds the budget, whoever has come to its cap. The value is the question's id.

    One budget is asked about once. None where there is nothing to ask: the budget was changed, or the run has ended.
    """

    __slots__ = ("budget",)

    def __init__(self, holder_id: str, asked: Question, input_id: str, budget: dict[str, Any]) -> None:
        super().__init__(holder_id, None, asked, input_id)
        self.budget = budget

    def decide(self, batch: Batch) -> str | None:  # type: ignore[override]
        head = batch.head(self.run_id)
        if head.status in runs.ENDED or limits.budget_of(head) != self.budget:
            return None
        known = self.known(batch, head)
        if known is None:
            message = self.asked.message
            batch.record(
                head, "budget.reached", {"message": message, "input_id": self.input_id}, importance=2
            )
        found: Asked = self.stage(batch, head, known)
        return found.input_id if found.status == "open" else None


def apply_answer(batch: Batch, row: dict[str, Any], response: Any, by: str | None) -> None:
    """Stages what the answer to a question about a budget makes of it: a larger one, or an order to stop."""
    head = batch.head_at(row["run"])
    if not str(row["key"] or "").startswith(BUDGET_KEY):
        return
    budget = limits.budget_of(head)
    larger = budgets.after(budget, limits.spent(batch, head, budget), response)
    if larger is None:
        payload = {"scope": "subtree", "reason": "its budget was not raised"}
        order = f"{row['input_id']}.stop"
        RequestStop(head.run_id, order, payload, by=by, idempotency_key=None).decide(batch)
    elif larger != budget:
        change(batch, head, larger, by=by, input_id=row["input_id"])


def change(batch: Batch, head: Head, budget: dict[str, Any], **told: Any) -> None:
    """Stages another budget, with its event."""
    options = {**codec.decode(head.options_json), "budget": budget}
    batch.record(head, "run.updated", {"options": options})
    payload = {"budget": budget, **{name: value for name, value in told.items() if value is not None}}
    batch.record(head, "budget.changed", payload)
