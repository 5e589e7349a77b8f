"""Prices: a request costs what its provider would charge for it, to the last digit, or its cost is unknown."""

import decimal
import json
import random
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain.telemetry import Usage
from runstone.engine import prices
from runstone.errors import InvalidInput, PricesMissing
from runstone.testing.clock import FakeClock

DATA = Path(__file__).with_name("data")
HAIKU_ON_BEDROCK = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVEMBER = datetime(2026, 11, 2, 10, tzinfo=UTC)

# What the providers publish, in USD per million tokens, at the time of the recorded request and for its size; and how
# its usage is to be read. Kept by hand: nothing here comes from the package that prices are taken from.
RECORDED: dict[str, tuple[dict[str, int], dict[str, str]]] = {
    # Anthropic: what was cached is not in the input; writes that are kept for an hour cost twice the input.
    "anthropic": (
        {"input_tokens": 2_095, "cache_read_tokens": 48_213, "cache_write_tokens": 5_121,
         "cache_write_1h_tokens": 1_024, "output_tokens": 503},
        {"input": "3", "read": "0.30", "write": "3.75", "write_1h": "6", "output": "15"},
    ),
    # OpenAI: the input includes what was cached, the output includes the reasoning.
    "openai_responses": (
        {"input_tokens": 36_181 - 32_640, "cache_read_tokens": 32_640, "output_tokens": 1_417,
         "reasoning_tokens": 1_088},
        {"input": "0.25", "read": "0.025", "output": "2"},
    ),
    # Above 272,000 tokens of input the whole request costs more.
    "openai_chat": (
        {"input_tokens": 300_007 - 280_000 - 10_007, "cache_read_tokens": 280_000, "cache_write_tokens": 10_007,
         "output_tokens": 2_011, "reasoning_tokens": 1_536},
        {"input": "8", "read": "0.80", "write": "10", "output": "30"},
    ),
    # Google: the prompt includes what was cached, the candidates do not include the thoughts; more above 200,000.
    "google": (
        {"input_tokens": 210_444 + 33 - 180_225, "cache_read_tokens": 180_225, "output_tokens": 907 + 2_213,
         "reasoning_tokens": 2_213},
        {"input": "2.50", "read": "0.25", "output": "15"},
    ),
    # DeepSeek, off its peak hours.
    "deepseek": (
        {"input_tokens": 1_419, "cache_read_tokens": 8_192, "output_tokens": 377},
        {"input": "0.135", "read": "0.035", "output": "0.550"},
    ),
    "mistral": (
        {"input_tokens": 4_471 - 1_024, "cache_read_tokens": 1_024, "output_tokens": 613},
        {"input": "1.50", "read": "0.15", "output": "7.50"},
    ),
    "groq": ({"input_tokens": 1_811, "output_tokens": 1_019}, {"input": "0.59", "output": "0.79"}),
    # xAI: the completion does not include the reasoning.
    "xai": (
        {"input_tokens": 687 - 320, "cache_read_tokens": 320, "output_tokens": 11 + 303, "reasoning_tokens": 303},
        {"input": "3", "read": "0.75", "output": "15"},
    ),
    "bedrock": (
        {"input_tokens": 2_204, "cache_read_tokens": 4_096, "output_tokens": 411},
        {"input": "1.10", "read": "0.11", "output": "5.50"},
    ),
}  # fmt: skip


def by_hand(counts: dict[str, int], published: dict[str, str]) -> Decimal:
    """What the provider charges, in USD."""
    hour = counts.get("cache_write_1h_tokens", 0)
    bill = {
        "input": counts.get("input_tokens", 0),
        "read": counts.get("cache_read_tokens", 0),
        "write": counts.get("cache_write_tokens", 0) - hour,
        "write_1h": hour,
        "output": counts.get("output_tokens", 0),  # the reasoning is a part of it
    }
    return (
        sum((Decimal(published[name]) * count for name, count in bill.items() if count), Decimal(0)) / 10**6
    )


def usage(provider: str, model: str, at: datetime = NOVEMBER, **counts: Any) -> Usage:
    whole = int(at.timestamp()) * 10**6
    return Usage(request_id="q", provider=provider, model=model, at=whole, **counts)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_request_costs_what_its_provider_charges_to_the_last_digit(
    name: str, tmp_path: Path
) -> None:
    recorded = json.loads((DATA / f"usage_{name}.json").read_text())
    counts, published = RECORDED[name]
    assert runstone.usage_from(recorded["usage"]) == counts
    clock = FakeClock(int(datetime.fromisoformat(recorded["at"]).timestamp()) * 10**6)
    with runstone.open(tmp_path, clock=clock) as ledger:
        run = ledger.start_run(run_id="r")
        run.usage(
            provider=recorded["provider"], model=recorded["model"], **runstone.usage_from(recorded["usage"])
        )
        run.complete().result()
        own = ledger.telemetry("r").own
        assert Decimal(own.cost_picousd) == by_hand(counts, published) * 10**12
        assert (own.cost_source, own.complete) == ("priced", True)
        (told,) = [event.payload for event in ledger.events("r") if event.type == "usage.reported"]
        assert told["prices"] == prices.load().basis
        assert ledger.care.verify() == []


def test_every_model_costs_what_the_package_itself_would_say() -> None:
    """Our arithmetic is our own, for its speed: here it is compared, over all models, sizes and times."""
    from genai_prices import Usage as Theirs
    from genai_prices.data import providers

    chance, compared = random.Random(7), 0
    for provider in providers:
        for model in provider.models:
            for size in (60, 4_000, 500_000):
                names = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
                counts = {name: chance.randrange(size) for name in names}
                output = 1 + chance.randrange(size)
                reasoning, hour = chance.randrange(output), chance.randrange(counts["cache_write_tokens"] + 1)
                at = datetime.fromtimestamp(chance.randrange(1_700_000_000, 1_800_000_000), UTC)
                mine = usage(provider.id, model.id, at, output_tokens=output, reasoning_tokens=reasoning,
                             cache_write_1h_tokens=hour, **counts)  # fmt: skip
                found = prices._cost(model.get_prices(at), model.id, mine)
                if found is None:
                    continue
                theirs = Theirs(**{**counts, "input_tokens": sum(counts.values())}, output_tokens=output,
                                output_reasoning_tokens=reasoning, cache_write_1h_tokens=hour)  # fmt: skip
                price = model.calc_price(theirs, provider, genai_request_timestamp=at).total_price
                assert found == (price * 10**12).to_integral_value(), (provider.id, model.id, mine)
                compared += bool(found)
    assert compared > 5_000


def test_a_request_costs_what_it_did_at_its_time(tmp_path: Path) -> None:
    """The price of o3 fell to a fifth on 2025-06-10."""
    clock = FakeClock(int(datetime(2025, 6, 9, 23, 59, tzinfo=UTC).timestamp()) * 10**6)
    with runstone.open(tmp_path, clock=clock) as ledger:
        run = ledger.start_run(run_id="r")
        run.usage(provider="openai", model="o3", input_tokens=1_000_000, output_tokens=100_000).result()
        before = ledger.telemetry("r").own.cost_picousd
        clock.advance(120)
        run.usage(provider="openai", model="o3", input_tokens=1_000_000, output_tokens=100_000).result()
        after = ledger.telemetry("r").own.cost_picousd - before
        assert (before, after) == (14 * 10**12, int(Decimal("2.8") * 10**12))
        run.complete().result()
        clock.advance(400 * 86_400)
        assert ledger.reprice()[0].changed == 0, (
            "a repricing looks at the time of the request, not at the clock"
        )


@pytest.mark.parametrize(
    ("provider", "model", "counts"),
    [
        ("openai", "gpt-99-unheard-of", {"input_tokens": 5}),
        ("nobody", "gpt-4o", {"input_tokens": 5}),
        ("ollama", "gpt-oss:20b", {"input_tokens": 5, "output_tokens": 5}),
        ("anthropic", "gpt-4o", {"input_tokens": 5}),
        ("github-copilot", "gpt-4o", {"input_tokens": 5}),  # known, and paid for in another way
        (
            "openai",
            "text-embedding-3-small",
            {"input_tokens": 5, "output_tokens": 1},
        ),  # no price for one count
        ("openai", "gpt-4o", {}),  # nothing was counted: that does not say that it was nothing
        ("openai", "gpt-4o", {"output_tokens": 2**52}),  # no request costs that
        ("p\x00", "m" * 500, {"input_tokens": 5}),
    ],
)
def test_what_the_prices_do_not_know_is_unknown_and_never_nothing(
    provider: str, model: str, counts: dict[str, int]
) -> None:
    told = usage(provider, model, **counts)
    assert prices.load().cost(told) is None
    assert prices.price(told) is told


@pytest.mark.parametrize(
    ("provider", "model", "like"),
    [
        ("Anthropic", "Claude-Sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("anthropic", "claude-sonnet-4-5-20250929", ("anthropic", "claude-sonnet-4-5")),
        ("anthropic", "anthropic/claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("google-vertex", "claude-sonnet-4-5@20250929", ("google", "claude-sonnet-4-5")),
        ("gcp.vertex_ai", "gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("gcp.gemini", "gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("bedrock", HAIKU_ON_BEDROCK, ("aws", HAIKU_ON_BEDROCK)),
        ("x_ai", "grok-4", ("x-ai", "grok-4-0709")),
        ("xai", "grok-4", ("x-ai", "grok-4-0709")),
        ("mistral_ai", "mistral-medium-latest", ("mistral", "mistral-medium-latest")),
        ("azure.ai.openai", "gpt-4o", ("openai", "gpt-4o")),
        ("openrouter", "openrouter/anthropic/claude-sonnet-4.5", ("openrouter", "anthropic/claude-sonnet-4.5")),
        ("litellm", "openai/gpt-4o", ("openai", "gpt-4o")),
        ("openai", "gpt-5-mini-2025-08-07", ("openai", "gpt-5-mini")),
    ],
)  # fmt: skip
def test_other_names_of_a_provider_or_model_cost_the_same(
    provider: str, model: str, like: tuple[str, str]
) -> None:
    listed = prices.load()
    counts = {"input_tokens": 1_234, "cache_read_tokens": 321, "output_tokens": 77}
    known = listed.cost(usage(*like, **counts))
    assert known
    assert listed.cost(usage(provider, model, **counts)) == known


def test_free_is_free_only_where_it_is_said(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger, ledger.start_run(run_id="r") as run:
        run.usage(provider="openrouter", model="deepseek/deepseek-r1:free", input_tokens=5)
        run.usage(provider="ollama", model="llama3", input_tokens=5, cost_usd=0)
        run.usage(provider="ollama", model="llama3", input_tokens=5).result()
        own = ledger.telemetry("r").own
        assert (own.requests, own.cost_picousd, own.priced_costs, own.unknown_costs) == (3, 0, 1, 1)
        assert (own.cost_source, own.complete) == ("mixed", False)


def test_what_was_told_is_kept_whatever_the_prices_say(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        run.usage(provider="openai", model="gpt-4o", input_tokens=10**6, cost_usd="0.000000000001").result()
        run.complete().result()
        assert ledger.reprice() == []
        own = ledger.telemetry("r").own
        assert (own.cost_picousd, own.cost_source) == (1, "reported")


def test_a_cost_does_not_depend_on_the_callers_decimal_context() -> None:
    told = usage("anthropic", "claude-sonnet-4-5", input_tokens=123_457, output_tokens=98_765)
    exact = prices.load().cost(told)
    with decimal.localcontext(prec=2):
        assert prices.load().cost(told) == exact


def test_made_up_names_do_not_grow_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "_MODELS_KEPT", 10)
    listed = prices.Prices()
    for number in range(100):
        assert listed.cost(usage("openai", f"made-up-{number}", input_tokens=1)) is None
        assert len(listed._found) <= 10
    assert listed.cost(usage("openai", "gpt-4o", input_tokens=1)) == 2_500_000


@pytest.mark.parametrize(
    "given",
    [{}, {"tokens": 5}, [], "x", {"prompt_tokens": -1}, {"input_tokens": 1.5}, {"prompt_tokens": "7"},
     {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}, {"input_tokens": True}],
)  # fmt: skip
def test_what_is_no_usage_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput):
        runstone.usage_from(given)


def test_what_a_provider_leaves_out_or_nulls_counts_nothing() -> None:
    assert runstone.usage_from({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}) == {
        "input_tokens": 5, "output_tokens": 2,
    }  # fmt: skip
    anthropic = {
        "input_tokens": 5,
        "output_tokens": 2,
        "cache_read_input_tokens": None,
        "cache_creation": None,
    }
    assert runstone.usage_from(anthropic) == {"input_tokens": 5, "output_tokens": 2}


# --- in processes of their own -----------------------------------------------------------------------------------

WITHOUT = "import sys; sys.modules['genai_prices'] = None\n"


def python(code: str, *arguments: object) -> str:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_extra_costs_are_unknown_and_a_later_repricing_fills_them(tmp_path: Path) -> None:
    python(
        WITHOUT
        + """
import runstone
from runstone.errors import PricesMissing
with runstone.open(sys.argv[1]) as ledger, ledger.start_run(run_id="top") as top:
    with ledger.start_run(run_id="below", parent=top) as below:
        below.usage(provider="openai", model="gpt-4o", input_tokens=1000, request_id="1")
        below.usage(provider="openai", model="gpt-4o", input_tokens=1000, cost_usd="0.5", request_id="2")
    top.usage(provider="nobody", model="knows", input_tokens=1000, request_id="3")
    try:
        ledger.reprice(dry_run=True)
    except PricesMissing as error:
        assert "pip install" in error.hint
    else:
        raise SystemExit("it repriced without prices")
""",
        tmp_path,
    )
    with runstone.open(tmp_path) as ledger:
        own = ledger.telemetry("below").own
        assert (own.cost_picousd, own.unknown_costs) == (5 * 10**11, 1)
        (known, unknown) = sorted(ledger.reprice(), key=lambda one: -one.changed)
        assert (known.model, known.changed, known.before.to_dict()["cost_usd"]) == ("gpt-4o", 1, None)
        assert (unknown.changed, unknown.after.unknown_costs) == (0, 1)
        below, top = ledger.telemetry("below").subtree, ledger.telemetry("top").subtree
        assert (below.cost_picousd, below.complete, below.cost_source) == (
            5 * 10**11 + 25 * 10**8,
            True,
            "mixed",
        )
        assert (top.cost_picousd, top.complete) == (below.cost_picousd, False)
        assert ledger.care.verify() == []


def test_prices_that_do_not_load_cost_no_report(tmp_path: Path) -> None:
    (tmp_path / "genai_prices.py").write_text("__version__ = '99'")
    out = python(
        """
        import sys
        sys.path.insert(0, sys.argv[2])
        import runstone
        from runstone.errors import PricesMissing
        with runstone.open(sys.argv[1]) as ledger, ledger.start_run(run_id="r") as run:
            run.usage(provider="openai", model="gpt-4o", input_tokens=1000).result()
            print(ledger.telemetry("r").own.cost_source)
            try:
                ledger.reprice()
            except PricesMissing as error:
                print(error)
        """,
        tmp_path / "workspace",
        tmp_path,
    )
    assert out.startswith("unknown\nthere are no prices: ")


def test_the_first_price_is_found_off_the_event_loop_and_nothing_is_fetched(tmp_path: Path) -> None:
    out = python(
        """
        import asyncio, sys, threading
        import runstone
        loaded, network = [], []

        def watch(event, args):
            if event == "import" and args[0] == "genai_prices":
                loaded.append(threading.current_thread().name)
            elif event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
                network.append(event)

        sys.addaudithook(watch)

        async def main(ledger):
            async with ledger.start_run(run_id="r") as run:
                for number in range(3):
                    await run.usage(provider="openai", model="gpt-4o", input_tokens=1000, request_id=str(number))

        with runstone.open(sys.argv[1]) as ledger:
            assert not loaded
            asyncio.run(main(ledger))
            own = ledger.telemetry("r").own
            print(len(loaded), "MainThread" in loaded, network, own.cost_picousd, own.cost_source)
        """,
        tmp_path,
    )
    assert out == "1 False [] 7500000000 priced\n"


def test_the_error_names_the_extra() -> None:
    assert "runstone[prices]" in PricesMissing().hint
