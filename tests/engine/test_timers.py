"""Timers and answers of parked trees whose process is gone: any engine brings them on, and each once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.store.writes.lifecycle import ParkRun
from runstone.testing.clock import FakeClock
from tests.engine.counted import Calls, until

DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def sleeping(calls: Calls) -> Registry:
    names = Registry()

    @names.agent("sleeps")
    async def sleeps(ctx: Any, input: Any) -> Any:
        await ctx.step("before", lambda: calls("before"))
        await ctx.sleep(DAY_S)
        calls("after")
        return "woken"

    @names.agent("asks")
    async def asks(ctx: Any, input: Any) -> Any:
        return await ctx.ask("Go on?")

    @names.workflow("nested")
    async def nested(ctx: Any, input: Any) -> Any:
        return [await ctx.child("sleeps"), await ctx.step("end", lambda: calls("end"))]

    @names.workflow("busy")
    async def busy(ctx: Any, input: Any) -> Any:
        calls("busy")
        await asyncio.to_thread(input["until"].wait, 60)

    return names


def park(ledger: Ledger, names: Registry, name: str, run_id: str) -> None:
    """Has it parked by an engine that then is gone."""

    async def scene() -> None:
        run = asyncio.create_task(
            runstone.run(name, ledger=ledger, run_id=run_id, registry=names, park_after_s=0.0)
        )
        parked = asyncio.to_thread(until, ledger, lambda: _stands(ledger, run_id))
        await asyncio.wait([asyncio.ensure_future(parked), run], return_when=asyncio.FIRST_COMPLETED)
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(scene())
    assert not ledger.reader.attempts.leases()


def _stands(ledger: Ledger, run_id: str) -> bool:
    rows = ledger.list_runs(root_id=run_id).items
    return bool(rows) and all(run.status in ("waiting", "awaiting_user") for run in rows)


@pytest.mark.parametrize("name", ["sleeps", "nested"])
def test_resume_all_takes_what_is_due_and_nothing_before(
    ledger: Ledger, clock: FakeClock, calls: Calls, name: str
) -> None:
    names = sleeping(calls)
    park(ledger, names, name, "r")
    assert runstone.resumable(ledger) == []
    clock.advance(DAY_S - 1)
    assert runstone.resumable(ledger) == []
    clock.advance(2)
    (found,) = runstone.resumable(ledger)
    assert (found.id, calls.take()) == ("r", Counter(before=1))
    asyncio.run(runstone.resume("r", ledger=ledger, registry=names, attempt=found.attempt))
    assert calls.take() == Counter(after=1, end=1) if name == "nested" else Counter(after=1)
    assert runstone.resumable(ledger) == []
    assert ledger.care.verify() == []


async def _other_work(ledger: Ledger, names: Registry, done: Any) -> None:
    """An engine that works on something else, until it is met; with its ledger's other runs."""
    gate = asyncio.Event()

    @names.workflow("other")
    async def other(ctx: Any, input: Any) -> Any:
        await gate.wait()

    work = asyncio.create_task(runstone.run("other", ledger=ledger, registry=names))
    await asyncio.to_thread(until, ledger, done, "the timer")
    gate.set()
    await work


def test_an_engine_that_works_on_something_else_fires_it_once_and_the_parents_go_on(
    ledger: Ledger, clock: FakeClock, calls: Calls
) -> None:
    names = sleeping(calls)
    park(ledger, names, "nested", "r")
    calls.take()
    clock.advance(DAY_S + 1)
    asyncio.run(_other_work(ledger, names, lambda: ledger.get_run("r").status == "completed"))
    assert ledger.result("r") == ["woken", None]
    assert calls.take() == Counter(after=1, end=1)
    assert ledger.care.verify() == []


def test_two_engines_fire_a_timer_once(
    ledger: Ledger, tmp_path: Path, clock: FakeClock, calls: Calls
) -> None:
    names, others = sleeping(calls), sleeping(calls)
    park(ledger, names, "sleeps", "r")
    calls.take()
    clock.advance(DAY_S + 1)

    async def both() -> None:
        with runstone.open(tmp_path, clock=clock) as second:

            def done() -> bool:
                return ledger.get_run("r").status == "completed"

            await asyncio.gather(_other_work(ledger, names, done), _other_work(second, others, done))

    asyncio.run(both())
    assert calls.take() == Counter(after=1)
    assert ledger.get_run("r").attempt == 2
    assert ledger.care.verify() == []


def test_an_answer_to_a_run_whose_process_is_gone_is_taken_by_any_engine(
    ledger: Ledger, calls: Calls
) -> None:
    names = sleeping(calls)
    park(ledger, names, "asks", "r")
    ledger.answer(ledger.inputs.list().items[0].id, "yes")
    asyncio.run(_other_work(ledger, names, lambda: ledger.get_run("r").status == "completed"))
    assert ledger.result("r") == "yes"


def test_what_an_engine_does_not_know_is_left_alone(ledger: Ledger, clock: FakeClock, calls: Calls) -> None:
    park(ledger, sleeping(calls), "sleeps", "r")
    clock.advance(DAY_S + 1)
    names, seen = Registry(), []

    @names.workflow("other")
    async def other(ctx: Any, input: Any) -> Any:
        from runstone.engine.timers import Timers

        assert isinstance(ctx.engine.timers, Timers)
        ctx.engine.timers.look()
        seen.append(ledger.get_run("r").status)

    asyncio.run(runstone.run("other", ledger=ledger, registry=names))
    assert seen == ["waiting"]
    assert (ledger.get_run("r").status, ledger.get_run("r").attempt) == ("waiting", 1)


def test_runs_of_code_that_an_engine_has_not_got_do_not_keep_it_from_those_behind_them(
    ledger: Ledger, clock: FakeClock, calls: Calls
) -> None:
    """More of them than one look takes; the ledger holds them as processes left them that are gone."""
    names = sleeping(calls)
    for number in range(120):
        run = ledger.start_run(run_id=f"strange-{number}", agent_id="strange", parent=None)
        wake = {"reason": "timer", "wake_at": ledger.core.now() + 1_000_000}
        ledger.core.submit(ParkRun(run.id, 1, "run.waiting", wake), []).result()
        run.left()
    park(ledger, names, "sleeps", "r")
    calls.take()
    clock.advance(DAY_S + 1)
    asyncio.run(_other_work(ledger, names, lambda: ledger.get_run("r").status == "completed"))
    assert calls.take() == Counter(after=1)
    assert ledger.counts(agent_id="strange")["working"] == 120
