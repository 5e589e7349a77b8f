"""Sums of tokens and costs. A cost is a decimal text in USD, exact; null where nothing of it is known, and never 0."""

from decimal import Decimal
from typing import Any

import msgspec

from runstone.domain.records import RunTelemetry, Totals


def usd(picousd: int) -> str:
    """A cost as a decimal text, exact to the picodollar: `0.0123`."""
    text = f"{Decimal(picousd).scaleb(-12):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class TotalsShape(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of requests."""

    requests: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    tokens: int
    """Input (cached or not) and output tokens."""
    cost_usd: str | None
    """Where `complete` is false, some cost is unknown, and this is a lower bound."""
    cost_source: str | None
    """reported, priced, unknown or mixed; null without a request."""
    unknown_costs: int
    """Requests whose cost is unknown."""
    priced_costs: int
    """Requests whose cost was computed from published prices."""
    complete: bool


def totals_of(totals: Totals) -> TotalsShape:
    """The sums as the API shows them."""
    return TotalsShape(
        requests=totals.requests,
        input_tokens=totals.input_tokens,
        cache_read_tokens=totals.cache_read_tokens,
        cache_write_tokens=totals.cache_write_tokens,
        output_tokens=totals.output_tokens,
        reasoning_tokens=totals.reasoning_tokens,
        tokens=totals.tokens,
        cost_usd=None if totals.cost_source == "unknown" else usd(totals.cost_picousd),
        cost_source=totals.cost_source,
        unknown_costs=totals.unknown_costs,
        priced_costs=totals.priced_costs,
        complete=totals.complete,
    )


class ModelShape(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of one provider and model."""

    provider: str
    model: str
    own: TotalsShape
    subtree: TotalsShape


class TelemetryShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a run cost, by itself and with all below it."""

    run_id: str
    own: TotalsShape
    subtree: TotalsShape
    models: list[ModelShape]
    tool_counts: dict[str, int]
    tool_failures: dict[str, int]
    subtree_tool_counts: dict[str, int]
    elapsed_ms: int
    active_ms: int
    model: str | None
    provider: str | None
    error: dict[str, Any] | None
    reused_children: int
    """What the current attempt reused; no part of the sums."""
    reused_tokens: int
    reused_cost_usd: str | None


def telemetry_of(found: RunTelemetry) -> TelemetryShape:
    """The telemetry as the API shows it."""
    cost = found.reused.get("cost_usd")
    return TelemetryShape(
        run_id=found.run_id,
        own=totals_of(found.own),
        subtree=totals_of(found.subtree),
        models=[
            ModelShape(provider=m.provider, model=m.model, own=totals_of(m.own), subtree=totals_of(m.subtree))
            for m in found.models
        ],
        tool_counts=found.tool_counts,
        tool_failures=found.tool_failures,
        subtree_tool_counts=found.subtree_tool_counts,
        elapsed_ms=found.elapsed_ms,
        active_ms=found.active_ms,
        model=found.model,
        provider=found.provider,
        error=found.error,
        reused_children=int(found.reused.get("children", 0)),
        reused_tokens=int(found.reused.get("tokens", 0)),
        reused_cost_usd=None if cost is None else f"{Decimal(str(cost)):f}",
    )
