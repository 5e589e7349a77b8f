"""Finished work is never done again: executions are counted, whatever happened between two attempts."""

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from tests.engine.counted import SIX, Calls, attempt, killed_while_b_runs, noted, six, start, statuses, until


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def flow(calls: Calls, code: Callable[..., Any], *, version: str = "1") -> Registry:
    """A workflow `flow` of this code, and an agent `work` that notes its input and gives it back."""
    names = Registry()

    @names.agent("work", version=version)
    async def work(ctx: Any, input: Any) -> Any:
        calls(input if isinstance(input, str) else str(input))
        return {"worked": input}

    names.workflow("flow")(code)
    return names


def gathering(names: list[str], *, fail: bool = False) -> Callable[..., Any]:
    async def code(ctx: Any, input: Any) -> Any:
        found = await asyncio.gather(*(ctx.child("work", name) for name in names))
        if fail:
            raise RuntimeError("after all children")
        return [one["worked"] for one in found]

    return code


# --- six parallel children ------------------------------------------------------------------------------------------


def test_killed_while_child_2_runs_resume_runs_one(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    with killed_while_b_runs(ledger):
        assert noted(folder) == Counter([*SIX, "six"])
        found = asyncio.run(runstone.resume("r", ledger=ledger, registry=six(folder)))
    assert found == [f"{name} inspected" for name in SIX]
    assert noted(folder) - Counter([*SIX, "six"]) == Counter(["b", "six"])
    assert ledger.care.verify() == []


def test_a_copied_workspace_runs_only_the_unfinished(ledger: Ledger, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with killed_while_b_runs(ledger):
        with runstone.open(copy) as other:
            target = other.workspace.database
        source, into = sqlite3.connect(ledger.workspace.database), sqlite3.connect(target)
        source.backup(into)
        into.close()
        source.close()
        with runstone.open(copy) as other:
            asyncio.run(runstone.resume("r", ledger=other, registry=six(copy)))
            assert other.care.verify() == []
    assert noted(copy) == Counter(["b", "six"])


def test_child_2_failed_resume_runs_one(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "fail").touch()
    assert attempt(ledger, "six", registry=six(folder)) == "failed"
    (folder / "fail").unlink()
    before = noted(folder)
    assert attempt(ledger, "six", registry=six(folder)) == "completed"
    assert noted(folder) - before == Counter(["b", "six"])


def test_an_engine_that_is_closed_leaves_the_same_behind(ledger: Ledger, calls: Calls) -> None:
    hold, reached = True, asyncio.Event()
    names = flow(calls, gathering(SIX))
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        if input == "b" and hold:
            reached.set()
            await asyncio.Event().wait()
        return {"worked": input}

    names.workflow("flow")(gathering(SIX))

    async def cancelled() -> None:
        run = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=names))
        await asyncio.wait_for(reached.wait(), 30)
        await asyncio.to_thread(until, ledger, lambda: statuses(ledger)["completed"] == 5)
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(cancelled())
    assert ledger.get_run("r").status == "interrupted"
    assert calls.take() == Counter(SIX)
    hold = False
    assert start(ledger, "flow", registry=names) == SIX
    assert calls.take() == Counter(["b"])


@pytest.mark.parametrize(
    ("second", "again"),
    [
        (["new", *SIX], ["new"]),
        (SIX[1:], []),
        (SIX[::-1], []),
        (["c", "a", "f"], []),
        ([*SIX, "a"], ["a"]),
    ],
    ids=["inserted in front", "first removed", "reversed", "three left", "one asked twice"],
)
def test_an_edit_runs_only_what_is_new(
    ledger: Ledger, calls: Calls, second: list[str], again: list[str]
) -> None:
    attempt(ledger, "flow", registry=flow(calls, gathering(SIX, fail=True)))
    assert calls.take() == Counter(SIX)
    assert start(ledger, "flow", registry=flow(calls, gathering(second))) == second
    assert calls.take() == Counter(again)


def test_sequential_calls_with_one_inserted_in_front(ledger: Ledger, calls: Calls) -> None:
    def sequence(names: list[str], *, fail: bool) -> Callable[..., Any]:
        async def code(ctx: Any, input: Any) -> Any:
            found = [(await ctx.child("work", name))["worked"] for name in names]
            if fail:
                raise RuntimeError("after all")
            return found

        return code

    attempt(ledger, "flow", registry=flow(calls, sequence(SIX, fail=True)))
    assert calls.take() == Counter(SIX)
    start(ledger, "flow", registry=flow(calls, sequence(["new", *SIX], fail=False)))
    assert calls.take() == Counter(["new"])


def test_finished_and_asked_for_in_random_order_200_times(ledger: Ledger, calls: Calls) -> None:
    chance, seed = random.Random(), random.randrange(2**32)
    print(f"seed {seed}")
    chance.seed(seed)
    names, failing = Registry(), True

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        for _ in range(chance.randrange(5)):
            await asyncio.sleep(0)
        return {"worked": input}

    @names.workflow("flow")
    async def code(ctx: Any, input: Any) -> Any:
        order = chance.sample(SIX, 6)
        found = await asyncio.gather(*(ctx.child("work", name) for name in order))
        assert [one["worked"] for one in found] == order  # no result ever lands on another child
        if failing:
            raise RuntimeError("once more")

    async def rounds() -> None:
        nonlocal failing
        for first in range(0, 200, 20):
            some = [f"r{number}" for number in range(first, first + 20)]
            failing = True
            ended = [runstone.run("flow", ledger=ledger, run_id=one, registry=names) for one in some]
            told = await asyncio.gather(*ended, return_exceptions=True)
            assert [type(error) for error in told] == [runstone.RunFailed] * 20
            failing = False
            await asyncio.gather(*(runstone.resume(one, ledger=ledger, registry=names) for one in some))

    asyncio.run(rounds())
    assert calls.take() == Counter(dict.fromkeys(SIX, 200))


# --- depth ----------------------------------------------------------------------------------------------------------

LEAVES = [f"{mid}{leaf}" for mid in "xyz" for leaf in "123"]


@pytest.mark.parametrize("broken", [*LEAVES, "x", "y", "z"])
def test_three_levels_exactly_the_failed_child_and_its_ancestors_run_again(
    ledger: Ledger, calls: Calls, broken: str
) -> None:
    names, failing = Registry(), {broken}

    @names.agent("leaf")
    async def leaf(ctx: Any, input: Any) -> Any:
        calls(input)
        if input in failing:
            raise ValueError(input)
        return input

    @names.workflow("mid")
    async def mid(ctx: Any, input: Any) -> Any:
        calls(input)
        found = await ctx.map("leaf", [f"{input}{n}" for n in "123"])
        if input in failing:
            raise ValueError(input)
        return found

    @names.workflow("top")
    async def top(ctx: Any, input: Any) -> Any:
        calls("top")
        return await ctx.map("mid", list("xyz"))

    assert attempt(ledger, "top", registry=names) == "failed"
    assert calls.take() == Counter([*LEAVES, *"xyz", "top"])
    failing.clear()
    plan = runstone.plan("r", ledger=ledger, registry=names)
    assert start(ledger, "top", registry=names) == [[f"{mid}{n}" for n in "123"] for mid in "xyz"]
    made = calls.take()
    assert made == Counter({broken, broken[0], "top"})
    assert len(plan.rerun) == sum(made.values()) - 1
    assert plan.start == ()


# --- what the key is made of ----------------------------------------------------------------------------------------


def test_a_changed_input_runs_only_what_it_changes(ledger: Ledger, calls: Calls) -> None:
    attempt(ledger, "flow", registry=flow(calls, gathering(SIX, fail=True)))
    calls.take()
    start(ledger, "flow", registry=flow(calls, gathering([*SIX[:5], "other"])))
    assert calls.take() == Counter(["other"])


def test_a_changed_agent_version_runs_all_of_that_agent(ledger: Ledger, calls: Calls) -> None:
    attempt(ledger, "flow", registry=flow(calls, gathering(SIX, fail=True)))
    calls.take()
    start(ledger, "flow", registry=flow(calls, gathering(SIX), version="2"))
    assert calls.take() == Counter(SIX)


def test_an_explicit_key_outlives_input_and_version(ledger: Ledger, calls: Calls) -> None:
    def code(input: str, *, fail: bool) -> Callable[..., Any]:
        async def keyed(ctx: Any, _: Any) -> Any:
            found = await ctx.child("work", input, key="the one")
            if fail:
                raise RuntimeError("after it")
            return found["worked"]

        return keyed

    attempt(ledger, "flow", registry=flow(calls, code("first", fail=True)))
    assert start(ledger, "flow", registry=flow(calls, code("second", fail=False), version="2")) == "first"
    assert calls.take() == Counter(["first"])


def test_the_order_of_an_inputs_names_is_no_difference(ledger: Ledger, calls: Calls) -> None:
    def code(input: dict[str, int], *, fail: bool) -> Callable[..., Any]:
        async def one(ctx: Any, _: Any) -> Any:
            await ctx.child("work", input)
            if fail:
                raise RuntimeError("after it")

        return one

    attempt(ledger, "flow", registry=flow(calls, code({"x": 1, "y": 2}, fail=True)))
    start(ledger, "flow", registry=flow(calls, code({"y": 2, "x": 1}, fail=False)))
    assert sum(calls.take().values()) == 1


def test_two_pipelines_with_equal_middles_in_swapped_order(ledger: Ledger, calls: Calls) -> None:
    """Each middle call gives something of its own; were they exchanged, the last calls would get other inputs."""
    names, arrival, failing = Registry(), ["p", "q"], True
    made: list[int] = []
    told: list[list[list[str]]] = []

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(str(input))
        if input != "middle":
            return input
        made.append(1)
        return f"middle {len(made)}"

    @names.workflow("flow")
    async def code(ctx: Any, input: Any) -> Any:
        turns = {name: asyncio.Event() for name in arrival}
        turns[arrival[0]].set()

        async def pipeline(name: str) -> list[str]:
            await ctx.child("work", f"{name} first")
            await turns[name].wait()
            middle = ctx.child("work", "middle")
            for other in turns.values():
                other.set()
            found = await middle
            return [found, await ctx.child("work", f"{name} last of {found}")]

        found = await asyncio.gather(pipeline("p"), pipeline("q"))
        told.append(found)
        if failing:
            raise RuntimeError("swap them")
        return found

    attempt(ledger, "flow", registry=names)
    assert sum(calls.take().values()) == 6
    for order in (["q", "p"], ["p", "q"], ["q", "p"]):
        arrival[:] = order
        attempt(ledger, "flow", registry=names)
        assert calls.take() == Counter()
    failing = False
    found = start(ledger, "flow", registry=names)
    assert calls.take() == Counter()
    middles = [one[0] for one in found]
    assert sorted(middles) == ["middle 1", "middle 2"]
    assert found == [[middle, f"{name} last of {middle}"] for name, middle in zip("pq", middles, strict=True)]
    assert told == [found] * 5, "each pipeline was always given its own, whichever was begun first"


# --- what is reused is said, and adds nothing -----------------------------------------------------------------------


def test_reuse_is_shown_apart_and_adds_nothing(ledger: Ledger, calls: Calls) -> None:
    names, failing = Registry(), True

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        await ctx.usage(
            provider="p", model="m", input_tokens=10, output_tokens=1, cost_usd="0.5", request_id=input
        )

    @names.workflow("flow")
    async def code(ctx: Any, input: Any) -> Any:
        await ctx.map("work", SIX)
        if failing:
            raise RuntimeError("again")

    attempt(ledger, "flow", registry=names)
    first = ledger.telemetry("r")
    assert (first.subtree.tokens, first.subtree.cost_usd, first.reused["children"]) == (66, 3.0, 0)
    failing = False
    start(ledger, "flow", registry=names)
    second = ledger.telemetry("r")
    assert second.subtree == first.subtree
    assert second.reused == {"children": 6, "tokens": 66, "cost_usd": 3.0}
    assert sum(node.reused for node in ledger.tree("r").walk()) == 6


def test_a_child_that_ends_while_its_parent_is_parked_is_no_reuse(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        await ctx.sleep(0.05)

    @names.workflow("flow")
    async def code(ctx: Any, input: Any) -> Any:
        await ctx.map("work", ["a", "b"])

    start(ledger, "flow", registry=names, park_after_s=0.0)
    assert len(ledger.attempts("r")) == 2
    assert ledger.telemetry("r").reused["children"] == 0
    assert not any(node.reused for node in ledger.tree("r").walk())
    assert [event.type for event in ledger.events("r")].count("child.completed") == 2


def test_a_thousand_children_of_which_one_is_left_are_resumed_by_one(ledger: Ledger, calls: Calls) -> None:
    names, failing = Registry(), True

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        if input == 500 and failing:
            raise ValueError("the one")
        return input

    @names.workflow("flow")
    async def code(ctx: Any, input: Any) -> Any:
        return await ctx.map("work", range(1000))

    attempt(ledger, "flow", registry=names)
    assert calls.take() == Counter(range(1000))
    failing = False
    assert start(ledger, "flow", registry=names) == list(range(1000))
    assert calls.take() == Counter([500])
