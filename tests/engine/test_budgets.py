"""Budgets: at the cap nothing new starts, what runs finishes, and the run pauses until the budget is larger."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.errors import InvalidInput
from tests.engine.counted import Calls, attempt, statuses


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def spending(calls: Calls, *, concurrency: int = 1, budget: dict[str, Any] | None = None) -> Registry:
    """Six children, each of 10 tokens and a dollar; with `budget` below a run of its own that holds it."""
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        await ctx.usage(
            provider="p", model="m", input_tokens=10, cost_usd="1", request_id=f"{ctx.run_id} {ctx.attempt}"
        )
        await ctx.sleep(0)
        return input

    @names.workflow("six")
    async def six(ctx: Any, input: Any) -> Any:
        async with ctx.phase("work", concurrency=concurrency):
            return await ctx.map("work", range(6))

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        if budget is None:
            return await ctx.child("six")
        return await ctx.child("six", options={"budget": budget})

    return names


@pytest.mark.parametrize("parking", [None, 0.0], ids=["kept", "parked"])
@pytest.mark.parametrize(
    ("budget", "begun"),
    [({"max_cost_usd": 2.5}, 3), ({"max_tokens": 20}, 2), ({"max_children": 4}, 3)],
    ids=["cost", "tokens", "children"],
)
def test_at_the_cap_nothing_starts_and_every_holder_above_pauses(
    ledger: Ledger, calls: Calls, budget: dict[str, Any], begun: int, parking: float | None
) -> None:
    names = spending(calls)
    assert attempt(ledger, "flow", registry=names, budget=budget, park_after_s=parking) == "paused"
    row = ledger.get_run("r")
    assert (row.status_reason, ledger.lease("r")) == ("budget", None)
    assert sum(calls.take().values()) == begun
    (six,) = ledger.list_runs(parent_id="r").items
    assert (six.status, six.status_reason) == ("paused", "budget")
    assert statuses(ledger, six.id) == Counter(completed=begun, pending=6 - begun)
    assert ledger.care.verify() == []


def test_the_cap_holds_across_resumes_and_a_larger_budget_goes_on(ledger: Ledger, calls: Calls) -> None:
    names = spending(calls)
    attempt(ledger, "flow", registry=names, budget={"max_tokens": 20})
    assert sum(calls.take().values()) == 2
    for _ in range(2):
        with pytest.raises(runstone.RunPaused, match="budget"):
            asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    assert calls.take() == Counter()
    with pytest.raises(runstone.RunPaused):
        asyncio.run(runstone.resume("r", ledger=ledger, registry=names, budget={"max_tokens": 40}))
    assert sum(calls.take().values()) == 2
    assert asyncio.run(
        runstone.resume("r", ledger=ledger, registry=names, budget={"max_tokens": 1000})
    ) == list(range(6))
    assert sum(calls.take().values()) == 2
    assert ledger.telemetry("r").subtree.tokens == 60
    told = Counter(event.type for event in ledger.events("r"))
    assert told["budget.changed"] == 2


def test_children_are_counted_once_whatever_their_attempts(ledger: Ledger, calls: Calls) -> None:
    names, bad = Registry(), True

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        if bad:
            raise ValueError("bad")
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.map("work", range(3))

    for _ in range(3):
        assert attempt(ledger, "flow", registry=names, budget={"max_children": 3}) == "failed"
    bad = False
    assert attempt(ledger, "flow", registry=names, budget={"max_children": 3}) == "completed"
    assert calls.take() == Counter({0: 4, 1: 4, 2: 4})


def test_what_runs_at_the_cap_finishes(ledger: Ledger, calls: Calls) -> None:
    """Three at a time: when the first has spent the budget the other two are at work, and come to their end."""
    names = spending(calls, concurrency=3)
    assert attempt(ledger, "flow", registry=names, budget={"max_tokens": 10}) == "paused"
    (six,) = ledger.list_runs(parent_id="r").items
    begun = sum(calls.take().values())
    assert 1 <= begun <= 3
    assert statuses(ledger, six.id) == Counter(completed=begun, pending=6 - begun)


def test_a_child_that_was_parked_at_the_cap_may_finish(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("sleeps")
    async def sleeps(ctx: Any, input: Any) -> Any:
        await ctx.sleep(0.1)
        calls("woken")
        return "finished"

    @names.agent("spends")
    async def spends(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=10)

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return (await asyncio.gather(ctx.child("sleeps"), ctx.child("spends")))[0]

    assert attempt(ledger, "flow", registry=names, budget={"max_tokens": 10}, park_after_s=0.0) == "completed"
    assert calls.take() == Counter(woken=1)


@pytest.mark.parametrize("parking", [None, 0.0], ids=["kept", "parked"])
def test_a_budget_further_down_holds_for_what_is_below_it(
    ledger: Ledger, calls: Calls, parking: float | None
) -> None:
    names = spending(calls, budget={"max_tokens": 30})
    assert attempt(ledger, "flow", registry=names, park_after_s=parking) == "paused"
    assert sum(calls.take().values()) == 3


def test_a_run_that_drains_at_the_cap_pauses_too(ledger: Ledger, calls: Calls) -> None:
    names = spending(calls)

    @names.workflow("leaves")
    async def leaves(ctx: Any, input: Any) -> Any:
        ctx.map("work", range(2))
        await ctx.child("work", "first")
        return "never said before its children ended"

    assert attempt(ledger, "leaves", registry=names, budget={"max_children": 1}) == "paused"
    assert ledger.get_run("r").result_ref is None
    result = asyncio.run(runstone.resume("r", ledger=ledger, registry=names, budget={"max_children": 9}))
    assert result == "never said before its children ended"
    assert max(calls.take().values()) == 1


@pytest.mark.parametrize("budget", [{"max_dollars": 1}, {"max_tokens": -1}, {"max_children": True}, "much"])
def test_a_budget_that_says_nothing_is_refused(ledger: Ledger, budget: Any) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(runstone.run("flow", ledger=ledger, registry=spending(Calls()), budget=budget))
