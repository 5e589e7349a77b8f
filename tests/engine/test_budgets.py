"""Budgets: at the cap nothing new starts, what runs finishes, and a person is asked whether to raise it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.domain.inputs import InputRequest
from runstone.engine import children
from runstone.errors import AlreadyAnswered, BudgetReached, InvalidAnswer, InvalidInput
from tests.engine.counted import Calls, attempt, statuses, until


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
def test_at_the_cap_nothing_starts_and_the_holder_asks_while_those_below_pause(
    ledger: Ledger, calls: Calls, budget: dict[str, Any], begun: int, parking: float | None
) -> None:
    names = spending(calls)
    assert attempt(ledger, "flow", registry=names, budget=budget, park_after_s=parking) == "awaiting_user"
    assert ledger.lease("r") is None
    (asked,) = ledger.inputs.list().items
    assert (asked.run_id, asked.choices) == ("r", ("raise", "stop"))
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
        with pytest.raises(runstone.AwaitingInput, match="budget"):
            asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    assert calls.take() == Counter()
    with pytest.raises(runstone.AwaitingInput):
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
    assert attempt(ledger, "flow", registry=names, budget={"max_tokens": 10}) == "awaiting_user"
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
    assert attempt(ledger, "flow", registry=names, park_after_s=parking) == "waiting"
    (six,) = ledger.list_runs(parent_id="r").items
    assert (six.status, ledger.inputs.list().items[0].run_id) == ("awaiting_user", six.id)
    assert sum(calls.take().values()) == 3


def test_a_run_that_parks_just_before_it_asks_about_a_child_that_is_tried_again_stands_still(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, spent = Registry(), asyncio.Event()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=10, request_id=ctx.run_id)
        spent.set()
        await asyncio.Event().wait() if ctx.attempt == 1 else None

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.child("work")

    async def killed() -> None:
        run = runstone.run("flow", ledger=ledger, run_id="r", registry=names, budget={"max_tokens": 10})
        task = asyncio.create_task(run)
        await spent.wait()
        task.cancel()
        await asyncio.wait([task])

    ask = children.at_cap

    async def late(ctx: Any, call: Any, reached: BudgetReached) -> None:
        call.live -= 1  # its child is nobody's for a moment, in which the run parks
        await asyncio.to_thread(until, ledger, lambda: ledger.get_run("r").status == "waiting")
        call.live += 1
        await ask(ctx, call, reached)

    asyncio.run(killed())
    assert statuses(ledger) == Counter(interrupted=1)
    monkeypatch.setattr(children, "at_cap", late)
    assert attempt(ledger, "flow", registry=names, park_after_s=0.0) == "awaiting_user"
    monkeypatch.undo()
    (asked,) = ledger.inputs.list().items
    ledger.answer(asked.id, "raise")
    assert attempt(ledger, "flow", registry=names) == "completed"
    assert ledger.care.verify() == []


def test_a_run_that_drains_at_the_cap_asks_too(ledger: Ledger, calls: Calls) -> None:
    names = spending(calls)

    @names.workflow("leaves")
    async def leaves(ctx: Any, input: Any) -> Any:
        ctx.map("work", range(2))
        await ctx.child("work", "first")
        return "never said before its children ended"

    assert attempt(ledger, "leaves", registry=names, budget={"max_children": 1}) == "awaiting_user"
    assert ledger.get_run("r").result_ref is None
    result = asyncio.run(runstone.resume("r", ledger=ledger, registry=names, budget={"max_children": 9}))
    assert result == "never said before its children ended"
    assert max(calls.take().values()) == 1


@pytest.mark.parametrize("budget", [{"max_dollars": 1}, {"max_tokens": -1}, {"max_children": True}, "much"])
def test_a_budget_that_says_nothing_is_refused(ledger: Ledger, budget: Any) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(runstone.run("flow", ledger=ledger, registry=spending(Calls()), budget=budget))


# --- raising it ------------------------------------------------------------------------------------------------------


def only(ledger: Ledger) -> InputRequest:
    (asked,) = ledger.inputs.list().items
    return asked


def told(ledger: Ledger, run_id: str = "r") -> "Counter[str]":
    return Counter(event.type for event in ledger.events(run_id, limit=10_000))


@pytest.mark.parametrize("parking", [None, 0.0], ids=["kept", "parked"])
@pytest.mark.parametrize("holder", ["r", "six"])
def test_an_answer_of_another_process_raises_the_budget_and_the_run_goes_on(
    ledger: Ledger, tmp_path: Path, calls: Calls, parking: float | None, holder: str
) -> None:
    below = holder == "six"
    names = spending(calls, budget={"max_tokens": 20} if below else None)
    more: dict[str, Any] = {} if below else {"budget": {"max_tokens": 20}}
    attempt(ledger, "flow", registry=names, park_after_s=parking, **more)
    asked = only(ledger)
    assert asked.message == "The budget is reached: 20 of 20 tokens. Raise it?"
    with runstone.open(tmp_path) as other:
        other.answer(asked.id, "raise", by="ana")
        assert other.get_run(asked.run_id).options["budget"] == {"max_tokens": 40}
        assert [run.id for run in runstone.resumable(other)] == ["r"]
    with pytest.raises(runstone.AwaitingInput, match="40 of 40"):
        asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    second = only(ledger)
    ledger.answer(second.id, {"max_tokens": 1_000}, by="ben")
    assert asyncio.run(runstone.resume("r", ledger=ledger, registry=names)) == list(range(6))
    assert calls.take() == Counter(range(6))
    events = told(ledger, asked.run_id)
    assert (events["input.requested"], events["budget.changed"], events["budget.reached"]) == (2, 2, 2)
    changed = [
        event.payload for event in ledger.events(asked.run_id, limit=10_000) if event.type == "budget.changed"
    ]
    assert [(one["budget"], one["by"], one["input_id"]) for one in changed] == [
        ({"max_tokens": 40}, "ana", asked.id), ({"max_tokens": 1_000}, "ben", second.id),
    ]  # fmt: skip
    assert ledger.care.verify() == []


def test_a_run_that_still_works_goes_on_as_soon_as_it_is_answered(ledger: Ledger, calls: Calls) -> None:
    names = spending(calls)

    @names.workflow("works-on")
    async def works_on(ctx: Any, input: Any) -> Any:
        async def answer() -> None:
            await asyncio.to_thread(until, ledger, lambda: ledger.inputs.list().items, "the question")
            assert ledger.get_run("r").status == "running"
            ledger.answer(only(ledger).id, "raise")

        found, _ = await asyncio.gather(ctx.map("work", range(2)), answer())
        return found

    result = runstone.run("works-on", ledger=ledger, run_id="r", registry=names, budget={"max_children": 1})
    assert asyncio.run(result) == [0, 1]
    assert ledger.get_run("r").attempt == 1
    assert ledger.care.verify() == []


def test_a_run_whose_budget_is_not_raised_is_stopped_with_all_below_it(ledger: Ledger, calls: Calls) -> None:
    names = spending(calls)
    attempt(ledger, "flow", registry=names, budget={"max_tokens": 20})
    asked = only(ledger)
    ledger.answer(asked.id, "stop", by="ana")
    assert {node.run.status for node in ledger.tree("r").walk()} == {"cancelled", "completed"}
    assert ledger.get_run("r").status_reason == "its budget was not raised"
    assert [(one.verb, one.status, one.requested_by) for one in ledger.commands.list("r")] == [
        ("stop", "applied", "ana")
    ]
    with pytest.raises(AlreadyAnswered):
        ledger.answer(asked.id, "raise")
    assert ledger.care.verify() == []


def test_an_answer_that_is_no_budget_changes_nothing(ledger: Ledger, calls: Calls) -> None:
    attempt(ledger, "flow", registry=spending(calls), budget={"max_tokens": 20})
    asked, before = only(ledger), ledger.events("r", limit=10_000).items
    for wrong in (
        "yes",
        "",
        40,
        None,
        {},
        {"max_dollars": 4},
        {"max_tokens": -1},
        {"max_tokens": "40"},
        ["raise"],
        True,
    ):
        with pytest.raises(InvalidAnswer) as refused:
            ledger.answer(asked.id, wrong)
        assert "runstone inputs show" in refused.value.hint
    assert ledger.events("r", limit=10_000).items == before
    assert ledger.get_run("r").options == {"budget": {"max_tokens": 20}}
    with pytest.raises(InvalidInput, match="budget"):
        ledger.start_run(run_id="other").ask("Raise it?", key=asked.key)


def test_a_larger_budget_given_with_a_resume_withdraws_the_question(ledger: Ledger, calls: Calls) -> None:
    names = spending(calls)
    attempt(ledger, "flow", registry=names, budget={"max_tokens": 20})
    asked = only(ledger)
    assert asyncio.run(
        runstone.resume("r", ledger=ledger, registry=names, budget={"max_tokens": 99})
    ) == list(range(6))
    assert ledger.inputs.get(asked.id).status == "withdrawn"
    assert ledger.care.verify() == []


def test_a_single_agent_asks_before_its_next_step_and_repeats_none(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("alone")
    async def alone(ctx: Any, input: Any) -> Any:
        found = []
        for number in range(4):
            found.append(await ctx.step("turn", lambda number=number: calls(number) or number, number))
            ctx.usage(provider="p", model="m", input_tokens=10, request_id=f"q{number}").result()
        return found

    assert attempt(ledger, "alone", registry=names, budget={"max_tokens": 20}) == "awaiting_user"
    assert calls.take() == Counter([0, 1])
    for _ in range(2):  # nothing is done, and nothing is asked again
        assert attempt(ledger, "alone", registry=names) == "awaiting_user"
    assert (only(ledger).run_id, calls.take()) == ("r", Counter())
    ledger.answer(only(ledger).id, "raise")
    assert attempt(ledger, "alone", registry=names) == "completed"
    assert ledger.result("r") == [0, 1, 2, 3]
    assert calls.take() == Counter([2, 3])
    assert told(ledger)["input.requested"] == 1
    assert ledger.care.verify() == []


def test_a_loop_of_ones_own_asks_with_its_state_and_goes_on(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r", options={"budget": {"max_cost_usd": 1}, "model": "small"})
    assert not run.ask_budget(state={"n": 0})
    run.usage(provider="p", model="m", cost_usd="1.50").result()
    assert run.ask_budget(state={"n": 1})
    assert ledger.get_run("r").status == "awaiting_user"
    with pytest.raises(runstone.AwaitingInput):
        ledger.continue_run("r")
    ledger.answer(only(ledger).id, "raise")
    assert ledger.get_run("r").options == {"budget": {"max_cost_usd": 2.5}, "model": "small"}
    with ledger.continue_run("r") as run:
        assert (run.state, run.answer) == ({"n": 1}, None)
        assert not run.ask_budget()
    assert ledger.care.verify() == []
