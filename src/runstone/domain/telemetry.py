"""Tokens, cost and time. Counts are disjoint: `input_tokens` is uncached input, cache reads and writes stand apart, and
`reasoning_tokens` is the part of `output_tokens` that was reasoning.

Money inside is integer picodollars (1e-12 USD), so that sums are exact: the smallest published price per token is some
thousands of them, and 64 bits hold nine million dollars.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from runstone.domain import codec
from runstone.errors import InvalidInput

PICO: Final = Decimal(10) ** 12

EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)
"""The caller's own context may round to fewer digits."""

MAX_COST_USD: Final = 100_000
"""Of one request; the sums of a tree have 64 bits."""

COUNTS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)

COST_SOURCES: Final = ("reported", "priced", "unknown")


def to_picousd(cost_usd: float | int | str | Decimal) -> int:
    """Exact picodollars of an amount in USD; a float is taken as its shortest decimal form."""
    try:
        amount = Decimal(str(cost_usd))
    except (InvalidOperation, ValueError):
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= MAX_COST_USD:
        raise InvalidInput(
            f"cost_usd must be an amount from 0 to {MAX_COST_USD:,}, not {codec.shown(cost_usd)}"
        )
    return int(EXACT.multiply(amount, PICO).to_integral_value(context=EXACT))


def to_usd(picousd: int) -> float:
    """USD of picodollars, correctly rounded."""
    return float(EXACT.divide(Decimal(picousd), PICO))


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One provider request. `at` is microseconds UTC; `cost_picousd` is None where the cost is unknown."""

    request_id: str
    provider: str
    model: str
    at: int
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """The part of the cache writes that was to be kept for an hour, where that has a price of its own."""
    cost_picousd: int | None = None
    cost_source: str = "unknown"
    prices: str | None = None
    """What a priced cost rests on, such as `genai-prices 0.2.3`."""

    def __post_init__(self) -> None:
        for name in (*COUNTS, "cache_write_1h_tokens"):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value < 2**53:
                raise InvalidInput(f"{name} must be a whole number from 0, not {codec.shown(value)}")
        if self.reasoning_tokens > self.output_tokens:
            raise InvalidInput("reasoning_tokens is a part of output_tokens and cannot be larger")
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise InvalidInput("cache_write_1h_tokens is a part of cache_write_tokens and cannot be larger")
        if (self.cost_picousd is None) != (
            self.cost_source == "unknown"
        ) or self.cost_source not in COST_SOURCES:
            raise InvalidInput(f"cost_source {self.cost_source!r} does not fit the cost given")
        for name in ("request_id", "provider", "model"):
            value = getattr(self, name)
            if not isinstance(value, str) or not 0 < len(codec.utf8(value, name)) <= 500:
                raise InvalidInput(f"{name} must be text of 1 to 500 bytes, not {codec.shown(value)}")
            if "\0" in value:
                msgspec.structs.force_setattr(self, name, codec.row_text(value))

    def payload(self) -> dict[str, Any]:
        """The `usage.reported` event."""
        payload: dict[str, Any] = {
            "request_id": self.request_id,
            "provider": self.provider,
            "model": self.model,
        }
        counts = (*COUNTS, "cache_write_1h_tokens")
        payload |= {name: value for name in counts if (value := getattr(self, name))}
        if self.cost_picousd is not None:
            payload["cost_picousd"] = self.cost_picousd
        payload["cost_source"] = self.cost_source
        if self.prices is not None:
            payload["prices"] = self.prices
        return payload

    @classmethod
    def from_payload(cls, payload: dict[str, Any], at: int) -> "Usage":
        """The report that an event recorded."""
        fields = {name: payload[name] for name in cls.__struct_fields__ if name in payload}
        return cls(**fields, at=at)

    def columns(self) -> tuple[Any, ...]:
        """As the usage table has them, from `provider` on."""
        counts = (getattr(self, name) for name in COUNTS)
        cost = (self.cost_picousd, self.cost_source)
        return (self.provider, self.model, *counts, *cost, self.cache_write_1h_tokens)

    def counts(self) -> list[int]:
        """As totals add them: requests, tokens, cost, requests of unknown cost, requests that were priced."""
        tokens = [getattr(self, name) for name in COUNTS]
        unknown, priced = self.cost_picousd is None, self.cost_source == "priced"
        return [1, *tokens, self.cost_picousd or 0, int(unknown), int(priced)]
