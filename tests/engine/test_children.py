"""Children of a run: stopped with their await, drained at its end, left out when nobody asks for them, or detached."""

import asyncio
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.errors import AgentNotFound, Misuse, NotJournalable
from runstone.store.writes.journal import SetSuperseded
from tests.engine.counted import WAIT_S, Calls, attempt, process, start, statuses, until


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


class Held:
    """Children that work until they are let go."""

    def __init__(self) -> None:
        self.names = Registry()
        self.let_go = asyncio.Event()
        self.at_work = asyncio.Semaphore(0)

        @self.names.agent("held")
        async def held(ctx: Any, input: Any) -> Any:
            self.at_work.release()
            await self.let_go.wait()
            return input


# --- the end of an await --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 32])
def test_a_timeout_stops_the_child_and_the_run_ends_after_it(ledger: Ledger, slots: int) -> None:
    held = Held()

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ctx.child("held", 1)
        return "went on"

    assert start(ledger, "flow", registry=held.names, slots=slots) == "went on"
    (child,) = ledger.list_runs(parent_id="r").items
    assert (child.status, child.status_reason) == ("cancelled", "the parent stopped waiting for it")
    ended = {event.type: event.position for event in ledger.events(child.id)}
    completed = next(event.position for event in ledger.events("r") if event.type == "run.completed")
    assert ended["run.cancelled"] < completed


def test_a_cancelled_task_group_stops_the_children_of_its_siblings(ledger: Ledger) -> None:
    held = Held()

    @held.names.agent("bad")
    async def bad(ctx: Any, input: Any) -> Any:
        await held.at_work.acquire()
        raise ValueError("bad")

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.child("held", 1))
            group.create_task(ctx.child("bad"))

    assert attempt(ledger, "flow", registry=held.names) == "failed"
    assert statuses(ledger) == Counter(cancelled=1, failed=1)


def test_a_child_that_is_cancelled_while_it_is_started_is_stopped_too(ledger: Ledger) -> None:
    held = Held()

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        ctx.child("held", "at once").cancel()
        later = ctx.child("held", "in a moment")
        await asyncio.sleep(0)
        later.cancel()

    start(ledger, "flow", registry=held.names)
    assert set(statuses(ledger)) <= {"cancelled"}
    assert ledger.get_run("r").status == "completed"


# --- the end of a function ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["return", "raise"])
def test_children_that_nobody_awaited_are_drained(ledger: Ledger, how: str) -> None:
    held = Held()

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        ctx.child("held", 1)
        ctx.map("held", [2, 3])
        if how == "raise":
            raise RuntimeError("before they ended")

    async def scene() -> None:
        run = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=held.names))
        for _ in range(3):
            await held.at_work.acquire()
        assert not run.done()
        assert ledger.get_run("r").status == "running"
        held.let_go.set()
        await asyncio.wait([run])
        run.exception()

    asyncio.run(scene())
    assert statuses(ledger) == Counter(completed=3)
    assert ledger.get_run("r").status == ("completed" if how == "return" else "failed")


def test_a_stop_reaches_a_run_that_only_drains(ledger: Ledger) -> None:
    held = Held()

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        ctx.child("held", 1)

    async def scene() -> None:
        run = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=held.names))
        await held.at_work.acquire()
        await asyncio.to_thread(ledger.command, "r", "stop")
        with pytest.raises(runstone.RunStopped):
            await run

    asyncio.run(scene())
    assert ledger.get_run("r").status == "cancelled"
    assert statuses(ledger) == Counter(cancelled=1)


def test_a_detached_child_outlives_its_parent(ledger: Ledger) -> None:
    held = Held()

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        ctx.child("held", 1, detach=True)
        await held.at_work.acquire()
        return "done"

    async def scene() -> None:
        assert await runstone.run("flow", ledger=ledger, run_id="r", registry=held.names) == "done"
        assert statuses(ledger) == Counter(running=1)
        held.let_go.set()
        await asyncio.to_thread(until, ledger, lambda: statuses(ledger) == Counter(completed=1))

    asyncio.run(scene())


def test_a_stop_of_the_parent_leaves_a_detached_child_alone(ledger: Ledger) -> None:
    held = Held()

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        ctx.child("held", "detached", detach=True)
        await ctx.child("held", "own")

    async def scene() -> None:
        run = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=held.names))
        await held.at_work.acquire()
        await held.at_work.acquire()
        await asyncio.to_thread(ledger.command, "r", "stop")
        with pytest.raises(runstone.RunStopped):
            await run
        assert statuses(ledger) == Counter(cancelled=1, running=1)
        held.let_go.set()
        await asyncio.to_thread(until, ledger, lambda: statuses(ledger) == Counter(cancelled=1, completed=1))

    asyncio.run(scene())


# --- what nobody asks for any more ----------------------------------------------------------------------------------


def test_children_left_out_are_superseded_and_come_back_when_asked_for(ledger: Ledger, calls: Calls) -> None:
    names, asked, failing = Registry(), ["a", "b", "c"], True

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        await ctx.usage(provider="p", model="m", input_tokens=1, request_id=input)

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.map("work", asked)
        if failing:
            raise RuntimeError("again")

    def superseded() -> set[Any]:
        children = ledger.list_runs(parent_id="r", limit=10).items
        return {ledger.input(run.id) for run in children if run.superseded}

    attempt(ledger, "flow", registry=names)
    asked[:], failing = ["a", "c"], False
    start(ledger, "flow", registry=names)
    assert superseded() == {"b"}
    assert ledger.telemetry("r").subtree.tokens == 3  # its cost stays
    assert len(ledger.list_runs(parent_id="r", superseded=False).items) == 2
    fork = runstone.fork("r", ledger=ledger)  # a completed run is gone on with in a fork
    asked[:] = ["a", "b", "c"]
    calls.take()
    assert attempt(ledger, "flow", run_id=fork, registry=names) == "completed"
    assert calls.take() == Counter()
    assert superseded() == {"b"}  # what the fork asks for says nothing of its source


@pytest.mark.parametrize("failed", [False, True])
def test_a_superseded_child_counts_again_when_it_is_asked_for(
    ledger: Ledger, calls: Calls, failed: bool
) -> None:
    names, failing = Registry(), True

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        if failed and failing:
            raise ValueError("b")

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.child("work", "b")
        if failing:
            raise RuntimeError("again")

    attempt(ledger, "flow", registry=names)
    (child,) = ledger.list_runs(parent_id="r").items
    ledger.core.submit(SetSuperseded(child.id, True), []).result()
    assert len(runstone.plan("r", ledger=ledger, registry=names).superseded) == 1
    failing = False
    start(ledger, "flow", registry=names)
    assert not ledger.get_run(child.id).superseded
    assert calls.take() == Counter(b=1 + failed)


def test_a_live_child_that_the_finishing_attempt_never_claimed_is_stopped(ledger: Ledger) -> None:
    held, asked = Held(), True

    @held.names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        if asked:
            await ctx.map("held", [1, 2])

    async def scene() -> None:
        nonlocal asked
        run = asyncio.create_task(
            runstone.run("flow", ledger=ledger, run_id="r", registry=held.names, slots=1)
        )
        await held.at_work.acquire()
        run.cancel()
        await asyncio.wait([run])
        asked = False
        assert statuses(ledger) == Counter(interrupted=2)
        await runstone.resume("r", ledger=ledger, registry=held.names)

    asyncio.run(scene())
    assert all(run.superseded for run in ledger.list_runs(parent_id="r").items)


# --- values ---------------------------------------------------------------------------------------------------------


@dataclass
class Point:
    x: int
    y: list[int]


def test_the_first_call_and_a_later_one_cannot_be_told_apart(ledger: Ledger) -> None:
    names, failing, found = Registry(), True, list[Any]()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        return Point(1, [2])

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        one = await ctx.child("work")
        found.append(copy.deepcopy([one, await ctx.step("point", lambda: Point(3, [4]))]))
        one["y"].append("changed afterwards")
        if failing:
            raise RuntimeError("again")

    attempt(ledger, "flow", registry=names)
    failing = False
    start(ledger, "flow", registry=names)
    first, second = found
    assert second == [{"x": 1, "y": [2]}, {"x": 3, "y": [4]}]
    assert first == second


def test_what_happens_to_an_input_after_the_call_is_not_seen(ledger: Ledger) -> None:
    names, got = Registry(), list[Any]()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        got.append(input)

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        value = {"items": [1]}
        call, step = ctx.child("work", value), ctx.step("step", got.append, value)
        value["items"].append(2)
        await asyncio.gather(call, step)

    start(ledger, "flow", registry=names)
    assert got == [{"items": [1]}, {"items": [1]}]


@pytest.mark.parametrize(
    "value",
    [b"bytes", float("nan"), (1, 2), {1: "one"}, {"at": object()}],
    ids=["bytes", "nan", "tuple", "number key", "object"],
)
def test_an_input_that_is_not_json_is_refused_at_the_call(ledger: Ledger, value: Any) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any: ...

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        with pytest.raises(NotJournalable):
            ctx.child("work", value)
        with pytest.raises(NotJournalable):
            ctx.step("step", print, value)

    start(ledger, "flow", registry=names)
    assert ledger.list_runs(parent_id="r").items == []


def test_a_result_that_is_not_json_fails_the_child_that_gave_it(ledger: Ledger) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        return (1, 2)

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        with pytest.raises(runstone.ChildFailed):
            await ctx.child("work")

    start(ledger, "flow", registry=names)
    (child,) = ledger.list_runs(parent_id="r").items
    assert child.error is not None
    assert child.error["code"] == "not_journalable"


# --- what a child may be --------------------------------------------------------------------------------------------


def test_workflows_are_children_and_their_children_theirs(ledger: Ledger) -> None:
    names = Registry()

    @names.workflow("leaf")
    async def leaf(ctx: Any, input: Any) -> Any:
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return input if input == 0 else await ctx.child("flow", input - 1) + await ctx.child("leaf", 1)

    assert start(ledger, "flow", 4, registry=names) == 4
    nodes = list(ledger.tree("r").walk())
    assert max(node.run.depth for node in nodes) == 4
    assert {node.run.kind for node in nodes} == {"workflow"}
    assert {node.run.root_run_id for node in nodes} == {"r"}


def test_an_agent_that_is_not_registered_is_an_error_of_the_call(ledger: Ledger) -> None:
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        with pytest.raises(AgentNotFound):
            ctx.child("nobody")

    start(ledger, "flow", registry=names)


def test_ctx_is_for_the_runs_own_code(ledger: Ledger) -> None:
    names, kept = Registry(), list[Any]()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any: ...

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        kept.append(ctx)
        with pytest.raises(Misuse):
            await asyncio.to_thread(ctx.child, "work")

    @names.workflow("other")
    async def other(ctx: Any, input: Any) -> Any:
        with pytest.raises(Misuse):
            kept[0].child("work")

    start(ledger, "flow", registry=names)
    with pytest.raises(Misuse):
        kept[0].emit("my.event")
    with pytest.raises(Misuse):
        kept[0].child("work")
    start(ledger, "other", run_id="s", registry=names)


# --- limits ---------------------------------------------------------------------------------------------------------


def limited(calls: Calls, now: "list[int]") -> Registry:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        now.append(now[-1] + 1)
        calls(input)
        await asyncio.sleep(0)
        await ctx.emit("my.event")
        now.append(now[-1] - 1)
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        async with ctx.phase("work", concurrency=4):
            return await ctx.map("work", range(1000))

    return names


def test_a_phase_of_a_thousand_runs_four_at_a_time(ledger: Ledger, calls: Calls) -> None:
    now = [0]
    assert start(ledger, "flow", registry=limited(calls, now)) == list(range(1000))
    assert max(now) == 4
    assert max(calls.take().values()) == 1


def test_slots_bound_what_runs_and_what_is_claimed(ledger: Ledger, calls: Calls) -> None:
    names, live = Registry(), [0]

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        live.append(statuses(ledger)["running"])
        await asyncio.sleep(0)

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.map("work", range(30))

    start(ledger, "flow", registry=names, slots=3)
    assert max(live) == 3


def test_a_phases_limit_holds_across_processes(ledger: Ledger) -> None:
    """Two processes each run a child of the same phase of the same parent; with a limit of one the second waits."""
    folder = ledger.workspace.root
    (folder / "hold").touch()
    with process("tests.engine.two_engines", folder, "first") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "holds\n"
        with process("tests.engine.two_engines", folder, "second") as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "phase_full\n"
            (folder / "hold").unlink()
            assert second.stdout.readline() == "ran\n"
            assert second.wait(WAIT_S) == 0
        assert first.wait(WAIT_S) == 0
    assert statuses(ledger) == Counter(completed=2)
