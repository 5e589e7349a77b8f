"""Costs that were computed, computed anew. What a report told is never touched."""

from typing import Any, NamedTuple

from runstone.domain import codec
from runstone.store.base import Write
from runstone.store.batch import Batch

CHUNK = 500
"""Requests in one write: an event, a row and the sums of all levels above for each; some 20 ms."""


class NewCost(NamedTuple):
    """A request, by the integer key of its row, and what it cost after all."""

    number: int
    picousd: int


class RepriceRequests(Write):
    """Sets computed costs, with an event in each run and all sums above. The value: how many requests changed.

    What is decided on is read again here: a cost that was told or removed meanwhile stays as it is, and asking again
    changes nothing. So a repricing that was cut off is gone on with by starting it again.
    """

    __slots__ = ("costs", "prices", "size")

    def __init__(self, costs: list[NewCost], prices: str) -> None:
        self.costs = costs
        self.prices = prices
        self.size = 200 + 500 * len(costs)

    def decide(self, batch: Batch) -> int:
        new = dict(self.costs)
        rows = batch.read("priced_usage", numbers=codec.encode(list(new)).decode())
        changed = [row for row in rows if row[-1] != new[row[0]]]
        for number, run, attempt, request_id, provider, model, before in changed:
            head, cost = batch.head_at(run), new[number]
            payload: dict[str, Any] = {
                "request_id": request_id, "provider": provider, "model": model, "cost_picousd": cost,
                "cost_source": "priced", "prices": self.prices,
            }  # fmt: skip
            if before is not None:
                payload["before_picousd"] = before
            batch.record(head, "usage.repriced", payload, attempt=attempt, importance=0)
            batch.stage("reprice_usage", number, cost)
            was_unknown = int(before is None)
            moved = [0, 0, 0, 0, 0, 0, cost - (before or 0), -was_unknown, was_unknown]
            batch.add_totals(head, provider, model, moved)
        return len(changed)
