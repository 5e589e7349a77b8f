"""Retries of a child by its own rule: with backoff, parked in between, and ended where a try brings nothing new."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from tests.engine.counted import Calls, attempt


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def retried(work: Any, max_attempts: int = 3) -> Registry:
    names = Registry()
    names.agent("work")(work)

    @names.agent("part")
    async def part(ctx: Any, input: Any) -> Any:
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.child("work", retry={"max_attempts": max_attempts, "backoff_s": 0.02})

    return names


def child(ledger: Ledger) -> Any:
    return ledger.list_runs(parent_id="r").items[0]


def test_a_failed_child_is_tried_again_after_a_while(ledger: Ledger, calls: Calls) -> None:
    async def work(ctx: Any, input: Any) -> Any:
        calls(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError(f"failure {ctx.attempt}")
        return "at last"

    assert attempt(ledger, "flow", registry=retried(work)) == "completed"
    assert ledger.result("r") == "at last"
    assert calls.take() == Counter([1, 2, 3])
    events = [event for event in ledger.events(child(ledger).id) if event.type == "run.waiting"]
    assert [event.payload["reason"] for event in events] == ["retry", "retry"]
    assert [one.outcome for one in ledger.attempts(child(ledger).id)] == ["failed", "failed", "completed"]
    assert len(ledger.attempts("r")) == 1


def test_the_last_failure_is_the_childs(ledger: Ledger, calls: Calls) -> None:
    async def work(ctx: Any, input: Any) -> Any:
        calls(ctx.attempt)
        raise ValueError(f"failure {ctx.attempt}")

    assert attempt(ledger, "flow", registry=retried(work)) == "failed"
    assert calls.take() == Counter([1, 2, 3])
    assert child(ledger).error["message"] == "failure 3"


def test_an_attempt_without_progress_stops_its_retries(ledger: Ledger, calls: Calls) -> None:
    async def work(ctx: Any, input: Any) -> Any:
        calls(ctx.attempt)
        raise ValueError("the same")

    assert attempt(ledger, "flow", registry=retried(work, 10)) == "failed"
    assert calls.take() == Counter([1, 2])
    assert child(ledger).status_reason == "no_progress"
    assert [e.payload["reason"] for e in ledger.events(child(ledger).id) if e.type == "retry.stopped"] == [
        "no_progress"
    ]


@pytest.mark.parametrize("progress", ["step", "child", "checkpoint", "child of a child"])
def test_an_attempt_that_recorded_something_is_progress(ledger: Ledger, calls: Calls, progress: str) -> None:
    names = Registry()

    async def work(ctx: Any, input: Any) -> Any:
        calls(ctx.attempt)
        if progress == "step":
            await ctx.step("part", lambda n: n, ctx.attempt)
        elif progress == "child":
            await ctx.child("part", ctx.attempt)
        elif progress == "checkpoint":
            await ctx.checkpoint({"attempt": ctx.attempt})
        else:
            await ctx.child("parts")
        raise ValueError("the same")

    names = retried(work, 4)

    @names.workflow("parts")
    async def parts(ctx: Any, input: Any) -> Any:
        await ctx.child("part", ctx.attempt)
        raise ValueError("the same below")

    assert attempt(ledger, "flow", registry=names) == "failed"
    assert calls.take() == Counter([1, 2, 3, 4])
    assert child(ledger).status_reason != "no_progress"


def test_a_retry_reuses_what_the_failed_try_had_finished(ledger: Ledger, calls: Calls) -> None:
    async def work(ctx: Any, input: Any) -> Any:
        for name in ("a", "b", "c"):
            await ctx.step(name, calls, name)
            if name == "b" and ctx.attempt == 1:
                raise ValueError("after b")
        return "done"

    assert attempt(ledger, "flow", registry=retried(work)) == "completed"
    assert calls.take() == Counter("abc")


def test_a_resume_gives_a_child_whose_tries_are_spent_one_more(ledger: Ledger, calls: Calls) -> None:
    async def work(ctx: Any, input: Any) -> Any:
        calls(ctx.attempt)
        raise ValueError(f"failure {ctx.attempt}")

    names = retried(work, 2)
    attempt(ledger, "flow", registry=names)
    assert calls.take() == Counter([1, 2])
    attempt(ledger, "flow", registry=names)
    assert calls.take() == Counter([3])


def test_a_run_that_waits_for_its_next_try_survives_its_process(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError("once")
        return "then"

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.child("work", retry={"max_attempts": 3, "backoff_s": 0.3})

    async def begun() -> None:
        run = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=names))
        async for _ in ledger.tail(after=None, timeout=30):
            found = ledger.list_runs(parent_id="r").items
            if found and found[0].status == "waiting":
                break
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(begun())
    assert child(ledger).status == "waiting"
    assert asyncio.run(runstone.resume("r", ledger=ledger, registry=names)) == "then"
    assert calls.take() == Counter([1, 2])
