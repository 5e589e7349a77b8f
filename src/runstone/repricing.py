"""Computed costs, computed anew: what was unknown when it was reported may have a price by now."""

from runstone.domain.records import Repriced, Totals
from runstone.domain.telemetry import COUNTS, Usage
from runstone.engine import prices
from runstone.engine.core import Core
from runstone.reports import Filter, Moment, chosen, span
from runstone.store.reads import Reader
from runstone.store.writes.repricing import CHUNK, NewCost, RepriceRequests


def reprice(
    reader: Reader,
    core: Core | None,
    *,
    since: Moment = None,
    until: Moment = None,
    provider: Filter = None,
    model: Filter = None,
) -> list[Repriced]:
    """Goes through the requests that were reported before now; without `core` nothing is changed."""
    listed = prices.load()
    params = {**span(since, until), "provider": chosen("provider", provider), "model": chosen("model", model)}
    sums: dict[tuple[str, str], _Sums] = {}
    after, last = 0, int(reader.rows("last_usage")[0][0])
    while after < last and (page := reader.rows("usage_to_price", after=after, limit=CHUNK, **params)):
        new: list[NewCost] = []
        for number, *request, before in page:
            usage = _usage(request)
            cost = listed.cost(usage)
            cost = before if cost is None else cost  # a price that the list has lost stays as it was
            if cost != before and cost is not None:
                new.append(NewCost(number, cost))
            sums.setdefault((usage.provider, usage.model), _Sums()).add(usage, before, cost)
        if new and core is not None:
            core.submit(RepriceRequests(new, listed.basis), []).result()
        after = page[-1][0]
    return [sums[key].record(*key) for key in sorted(sums)]


def _usage(request: list[object]) -> Usage:
    request_id, provider, model, at, *counts = request
    fields = dict(zip((*COUNTS, "cache_write_1h_tokens"), counts, strict=True))
    return Usage(request_id=request_id, provider=provider, model=model, at=at, **fields)  # type: ignore[arg-type]


class _Sums:
    """The sums of a model, before and after."""

    def __init__(self) -> None:
        self._counts = [0] * (1 + len(COUNTS))
        self._before = [0, 0]
        self._after = [0, 0]
        self._changed = 0

    def add(self, usage: Usage, before: int | None, after: int | None) -> None:
        """Adds a request."""
        self._counts = [have + one for have, one in zip(self._counts, usage.counts(), strict=False)]
        for sums, cost in ((self._before, before), (self._after, after)):
            sums[0] += cost or 0
            sums[1] += cost is None
        self._changed += before != after

    def record(self, provider: str, model: str) -> Repriced:
        """As it is shown."""
        before, after = (self._totals(*sums) for sums in (self._before, self._after))
        return Repriced(provider=provider, model=model, before=before, after=after, changed=self._changed)

    def _totals(self, cost: int, unknown: int) -> Totals:
        requests, *tokens = self._counts
        counts = dict(zip(COUNTS, tokens, strict=True))
        priced = requests - unknown
        return Totals(
            requests=requests, cost_picousd=cost, unknown_costs=unknown, priced_costs=priced, **counts
        )
