"""What a request cost by published prices, where its report does not say. The only importer of genai-prices (an extra).

The list comes with the installed package, and nothing is ever fetched. Its arithmetic is done here, on integers and
exact decimals: the package takes 80 µs for a request, this 5; a test compares the two over all of its models.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from runstone.domain.telemetry import EXACT, MAX_COST_USD, PICO, Usage
from runstone.errors import PricesMissing
from runstone.store.writes.events import ReportUsage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

_PER_TOKEN: Final = PICO / 10**6  # picodollars for each dollar per million tokens
_PER_REQUEST: Final = PICO / 10**3  # and per thousand requests
_MODELS_KEPT: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Prices:
    """One price list. Thread-safe. Raises ImportError where the extra is not installed."""

    def __init__(self) -> None:
        import genai_prices

        self.basis = f"genai-prices {genai_prices.__version__}"
        """What its prices rest on, as the ledger records it."""
        self._snapshot = _snapshot()
        self._found: dict[tuple[str, str], ModelInfo | None] = {}

    def cost(self, usage: Usage) -> int | None:
        """Picodollars of the request by the prices of its time; None where they do not say all that it takes."""
        model = self._model(usage.provider, usage.model)
        if model is None:
            return None
        return _cost(model.get_prices(_EPOCH + timedelta(microseconds=usage.at)), model.id, usage)

    def _model(self, provider: str, name: str) -> "ModelInfo | None":
        key = (provider, name)
        try:
            return self._found[key]
        except KeyError:
            pass
        if len(self._found) >= _MODELS_KEPT:  # somebody makes names up; the snapshot remembers them, too
            self._found, self._snapshot = {}, _snapshot()
        found = self._found[key] = self._look_up(provider, name)
        return found

    def _look_up(self, provider: str, name: str) -> "ModelInfo | None":
        """The model as the provider sells it. Who the provider is is never guessed from the model's name: the same
        weights cost something else at another provider, and nothing on one's own machine."""
        seller = self._provider(provider)
        prefix, slash, rest = name.partition("/")
        names = [name, rest] if slash and seller is not None and self._provider(prefix) == seller else [name]
        for one in names:
            try:
                return self._snapshot.find_provider_model(one, None, seller or provider, None)[1]
            except LookupError:
                continue
        return None

    def _provider(self, name: str) -> str | None:
        """The list's id for a provider; `x_ai` is what OpenTelemetry calls `x-ai`."""
        for one in (name, name.replace("_", "-")):
            try:
                return self._snapshot.find_provider(None, one, None).id
            except LookupError:
                continue
        return None


def _snapshot() -> "DataSnapshot":
    """One of our own: the package's global one changes when another library of this process updates it."""
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)


def _cost(prices: "ModelPrice", model_id: str, usage: Usage) -> int | None:
    """Counts of which no price is known make the cost unknown, and so does a report without any count."""
    inputs = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    if not inputs and not usage.output_tokens:
        return None
    listed = {key: price for key, price in vars(prices).items() if price is not None}
    if not listed:  # says nothing, unless the model is sold under a name that says it all
        return 0 if model_id.endswith(":free") else None
    cost = Decimal(0)
    for count, keys in (
        (usage.input_tokens, ("input_mtok",)),
        (usage.cache_read_tokens, ("cache_read_mtok", "input_mtok")),
        (usage.cache_write_tokens - usage.cache_write_1h_tokens, ("cache_write_mtok", "input_mtok")),
        (usage.cache_write_1h_tokens, ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok")),
        (usage.output_tokens - usage.reasoning_tokens, ("output_mtok",)),
        (usage.reasoning_tokens, ("output_reasoning_mtok", "output_mtok")),
    ):
        if count:
            rate = _rate(next((listed[key] for key in keys if key in listed), None), inputs)
            if rate is None:
                return None
            cost = EXACT.fma(EXACT.multiply(rate, _PER_TOKEN), count, cost)
    if "requests_kcount" in listed:
        cost = EXACT.fma(_rate(listed["requests_kcount"], inputs) or 0, _PER_REQUEST, cost)
    whole = int(cost.to_integral_value(context=EXACT))
    return whole if whole <= MAX_COST_USD * PICO else None


def _rate(price: object, inputs: int) -> Decimal | None:
    """A price that may depend on the size of the whole input."""
    if price is None or isinstance(price, Decimal):
        return price
    rate: Decimal = price.base  # type: ignore[attr-defined]
    for tier in price.tiers:  # type: ignore[attr-defined]
        if inputs > tier.start:
            rate = tier.price
    return rate


# --- the list of this process ------------------------------------------------------------------------------------


class _State:
    """Loaded once, on first use. Two threads that load at once do the same twice."""

    prices: Prices | None = None
    why: str | None = None
    """Why there are none."""


def load() -> Prices:
    """The price list. Takes some 150 ms the first time. Raises `PricesMissing`."""
    if _State.prices is None and _State.why is None:
        try:
            _State.prices = Prices()
        except (
            Exception
        ) as error:  # whatever another version of the package does, tokens must be accounted for
            _State.why = str(error) or type(error).__name__
    if _State.prices is None:
        raise PricesMissing(f"there are no prices: {_State.why}")
    return _State.prices


def price(usage: Usage) -> Usage:
    """The report with its cost, where it has none and the prices know it; else as it is."""
    if usage.cost_source == "reported":
        return usage
    try:
        prices = load()
        cost = prices.cost(usage)
    except Exception:  # an unknown cost is told as such; a report must never fail for the want of a price
        return usage
    if cost is None:
        return usage
    return msgspec.structs.replace(usage, cost_picousd=cost, cost_source="priced", prices=prices.basis)


def report(run_id: str, attempt: int | None, usage: Usage, *, new_id: bool = False) -> ReportUsage:
    """The write that accounts for a request, priced where its cost is not told.

    The first one loads the list. An event loop does not wait for that: its report is priced where it is committed.
    """
    if usage.cost_source == "reported" or (_State.prices is None and _State.why is not None):
        return ReportUsage(run_id, attempt, usage, new_id=new_id)
    if _State.prices is None and _in_loop():
        return ReportUsage(run_id, attempt, usage, new_id=new_id, price=price)
    return ReportUsage(run_id, attempt, price(usage), new_id=new_id)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
