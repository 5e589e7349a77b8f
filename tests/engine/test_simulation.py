"""A simulation takes what is recorded, tells what would be started, and does nothing at all."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import ChildrenFailed, Ledger, Plan, Registry
from tests.engine.counted import Calls, attempt


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def flow(calls: Calls, code: Callable[..., Any]) -> Registry:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(str(input))
        await ctx.usage(provider="p", model="m", input_tokens=2, cost_usd="0.5", request_id=ctx.run_id)
        if input == "bad":
            raise ValueError("bad")
        return f"{input} done"

    names.workflow("flow")(code)
    return names


def simulated(ledger: Ledger, names: Registry, **more: Any) -> Plan:
    return runstone.plan("r", ledger=ledger, registry=names, simulate=True, **more)


def shown(plan: Plan) -> dict[str, list[str]]:
    groups = ("reuse", "rerun", "start", "raised", "superseded")
    return {name: [one.name for one in getattr(plan, name)] for name in groups if getattr(plan, name)}


def test_nothing_is_written_and_nothing_is_called(ledger: Ledger, calls: Calls) -> None:
    fails = True

    async def code(ctx: Any, input: Any) -> Any:
        ctx.set_summary("all")
        await ctx.emit("work.begun", {"n": 1})
        ctx.emit_many([("work.begun", {"n": 2})])
        await ctx.usage(provider="p", model="m", output_tokens=1)
        await ctx.message("assistant", "hello")
        await ctx.checkpoint({"at": ctx.state})
        assert ctx.steering() == []
        first = await ctx.step("first", lambda: calls("first") or "one")
        async with ctx.phase("work", concurrency=2):
            found = await ctx.map("work", ["a", "b"])
        if fails:
            raise ValueError("the first time")
        await ctx.skip_phase("none", "because")
        return await asyncio.gather(ctx.child("work", [first, *found]), ctx.step("second", calls, "second"))

    names = flow(calls, code)
    attempt(ledger, "flow", registry=names)
    fails = False
    calls.take()
    ledger.flush()
    with sqlite3.connect(ledger.workspace.database) as db:

        def standing() -> list[Any]:
            counted = [
                db.execute(f"SELECT count(*) FROM {t}").fetchone()
                for t in ("events", "runs", "journal", "places")
            ]
            return [*db.execute("PRAGMA data_version"), *counted]

        before = standing()
        plan = simulated(ledger, names)
        with runstone.open(ledger.workspace.root, readonly=True) as reading:
            assert runstone.plan("r", ledger=reading, registry=names, simulate=True) == plan
        assert standing() == before
    assert calls.take() == Counter()
    assert shown(plan) == {"reuse": ["first", "work", "work"], "start": ["work", "second"]}
    assert (plan.reused_tokens, plan.exact) == (4, False)
    assert runstone.plan("r", ledger=ledger, registry=names).start == ()
    asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    assert sum(calls.take().values()) == 2


def test_what_the_code_does_not_ask_for_again_is_left_out(ledger: Ledger, calls: Calls) -> None:
    asked, fails = ["a", "b", "c"], True

    async def code(ctx: Any, input: Any) -> Any:
        found = await asyncio.gather(*(ctx.child("work", one) for one in asked))
        if fails:
            raise ValueError("once")
        return found

    names = flow(calls, code)
    attempt(ledger, "flow", registry=names)
    asked, fails = ["c", "a"], False
    plan = simulated(ledger, names)
    assert plan.exact
    assert shown(plan) == {"reuse": ["work", "work"], "superseded": ["work"]}
    asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    assert [run.superseded for run in ledger.list_runs(parent_id="r", sort="created", order="asc").items] == [
        False,
        True,
        False,
    ]


def test_recorded_failures_are_raised_and_others_run_again(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        try:
            await ctx.map("work", ["a", "bad"])
        except ChildrenFailed:
            await ctx.step("mend", calls, "mend")
        await ctx.child("work", "bad", key="second")

    names = flow(calls, code)
    attempt(ledger, "flow", registry=names)
    plan = simulated(ledger, names)
    assert shown(plan) == {"reuse": ["work", "mend"], "raised": ["work"], "rerun": ["work"]}
    kept = simulated(ledger, names, policy=runstone.ResumePolicy(failed="keep"))
    assert kept.exact
    assert "ChildFailed" in kept.warnings[0]


def test_answers_and_timers_are_taken_and_open_questions_wait(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        await ctx.sleep(0)
        answer = await ctx.ask("Which?", key="which")
        await ctx.child("work", answer)
        await ctx.ask("And then?")

    names = flow(calls, code)
    attempt(ledger, "flow", registry=names)
    assert simulated(ledger, names).start[0].kind == "answer"
    ledger.answer(ledger.inputs.list().items[0].id, "main")
    assert shown(simulated(ledger, names)) == {"reuse": ["which"], "start": ["work"]}
    assert ledger.inputs.list().items == []


@pytest.mark.parametrize("how", ["without end", "without waiting", "for the clock", "ignoring its end"])
def test_code_that_loops_is_left_in_time(ledger: Ledger, calls: Calls, how: str) -> None:
    looping = False

    async def code(ctx: Any, input: Any) -> Any:
        await ctx.step("once", calls, "once")
        if not looping:
            raise ValueError("once")
        while True:
            if how == "without end":
                await ctx.emit("still.here", {})
            elif how == "for the clock":
                await asyncio.sleep(60)
            elif how == "ignoring its end":
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    ctx.emit("still.here", {})

    names = flow(calls, code)
    attempt(ledger, "flow", registry=names)
    looping = True
    began = time.monotonic()
    plan = simulated(ledger, names, limit_s=0.2)
    assert time.monotonic() - began < 5
    assert not plan.exact
    assert shown(plan) == {"reuse": ["once"]}
    assert "still at work after 0.2 s" in plan.warnings[0]
    assert ledger.get_run("r").status == "failed"


def test_a_child_workflow_that_goes_on_is_simulated_too(ledger: Ledger, calls: Calls) -> None:
    fails = True

    async def code(ctx: Any, input: Any) -> Any:
        return await ctx.child("inner", "x")

    names = flow(calls, code)

    @names.workflow("inner")
    async def inner(ctx: Any, input: Any) -> Any:
        await ctx.child("work", "a")
        if fails:
            raise ValueError("once")
        return await ctx.child("work", "new")

    attempt(ledger, "flow", registry=names)
    fails = False
    plan = simulated(ledger, names)
    assert shown(plan) == {"reuse": ["work"], "rerun": ["inner"], "start": ["work"]}
    assert plan.start[0].parent_run_id == plan.rerun[0].child_run_id
    calls.take()
    asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    assert calls.take() == Counter(["new"])


def test_a_fork_is_simulated_with_its_input_and_state(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        done = (ctx.state or {"done": 0})["done"]
        for number, one in enumerate(input[done:], done + 1):
            await ctx.child("work", one)
            await ctx.checkpoint({"done": number})
        return len(input)

    names = flow(calls, code)
    attempt(ledger, "flow", ["a", "b", "c"], registry=names)
    told = runstone.fork(
        "r", ledger=ledger, input=["a", "b", "d"], checkpoint=2, registry=names, dry_run=True, simulate=True
    )
    assert shown(told) == {"start": ["work"], "superseded": ["work", "work"]}
    whole = runstone.fork("r", ledger=ledger, registry=names, dry_run=True, simulate=True)
    assert (len(whole.reuse), whole.exact, whole.start) == (3, True, ())
    assert len(ledger.list_runs(depth="0").items) == 1


def test_an_agents_own_code_is_not_run(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("alone")
    async def alone(ctx: Any, input: Any) -> Any:
        calls("alone")
        raise ValueError("once")

    attempt(ledger, "alone", registry=names)
    calls.take()
    assert "not simulated" in simulated(ledger, names).warnings[0]
    assert calls.take() == Counter()


def test_it_runs_inside_a_running_loop_and_knows_no_ambient_run(ledger: Ledger, calls: Calls) -> None:
    seen: list[Any] = []

    async def code(ctx: Any, input: Any) -> Any:
        run = runstone.current_run()
        assert run is not None
        seen.append(run.id)
        run.emit("work.begun", {})
        await ctx.child("work", "a")
        return None

    names = flow(calls, code)
    attempt(ledger, "flow", registry=names)
    before = len(ledger.events("r", limit=1000).items)

    async def inside() -> Plan:
        fork = runstone.fork("r", ledger=ledger)
        return runstone.plan(fork, ledger=ledger, registry=names, simulate=True)

    assert asyncio.run(inside()).exact
    assert len(seen) == 2
    assert len(ledger.events("r", limit=1000).items) == before
