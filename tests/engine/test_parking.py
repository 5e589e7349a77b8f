"""A run whose every branch waits for the ledger is parked, however its code waits; no other is; none is forgotten."""

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.engine.calls import Call, awaited
from runstone.engine.executor import Attempt
from runstone.engine.parking import all_parked
from runstone.errors import NotFound, RunFailed
from tests.engine.counted import WAIT_S, Calls, statuses

TICK_S = 0.05


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


class Gates:
    """Children that end when they are told: each is parked on a durable timer until then."""

    def __init__(self, calls: Calls) -> None:
        self.names = Registry()
        self.open: dict[str, asyncio.Event] = {}
        self.calls = calls

        @self.names.agent("work")
        async def work(ctx: Any, input: Any) -> Any:
            calls(str(input))
            await self.gate(input).wait()
            if str(input).startswith("bad"):
                raise ValueError(f"{input} failed")
            return f"{input} done"

    def gate(self, name: Any) -> asyncio.Event:
        return self.open.setdefault(str(name), asyncio.Event())

    def flow(self, code: Callable[..., Any]) -> None:
        self.names.workflow("flow")(code)

    async def run(self, ledger: Ledger, **more: Any) -> Any:
        return await runstone.run(
            "flow", ledger=ledger, run_id="r", registry=self.names, **{"park_after_s": 0.0, **more}
        )


async def until(met: Callable[[], bool]) -> None:
    """Lets the loop work, bounded, until `met`."""
    async with asyncio.timeout(WAIT_S):
        while not met():  # noqa: ASYNC110 - what is looked at is a row of the ledger
            await asyncio.sleep(0.002)


def types(ledger: Ledger, run_id: str = "r") -> "Counter[str]":
    return Counter(event.type for event in ledger.events(run_id, limit=10_000))


async def gathered(ctx: Any, seen: list[Any]) -> Any:
    return await asyncio.gather(ctx.child("work", "a"), ctx.child("work", "bad"), return_exceptions=True)


async def waited(ctx: Any, seen: list[Any]) -> Any:
    done, _ = await asyncio.wait([ctx.child("work", "a"), ctx.child("work", "bad")])
    return list(done)


async def grouped(ctx: Any, seen: list[Any]) -> Any:
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b"):
            group.create_task(ctx.child("work", name))


async def swallowing_exceptions(ctx: Any, seen: list[Any]) -> Any:
    try:
        await ctx.child("work", "a")
        await ctx.child("work", "bad")
    except Exception as error:
        seen.append(type(error).__name__)


async def swallowing_everything(ctx: Any, seen: list[Any]) -> Any:
    try:
        await ctx.child("work", "a")
    except BaseException as error:
        seen.append(type(error).__name__)
    with contextlib.suppress(BaseException):
        await ctx.child("work", "b")


async def shielded(ctx: Any, seen: list[Any]) -> Any:
    return await asyncio.shield(asyncio.gather(ctx.child("work", "a"), ctx.child("work", "b")))


async def as_completed(ctx: Any, seen: list[Any]) -> Any:
    return [await one for one in asyncio.as_completed([ctx.child("work", "a"), ctx.child("work", "b")])]


async def mapped(ctx: Any, seen: list[Any]) -> Any:
    return await ctx.map("work", ["a", "b"])


WAYS = [
    gathered,
    waited,
    grouped,
    swallowing_exceptions,
    swallowing_everything,
    shielded,
    as_completed,
    mapped,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_run_waits_however_its_code_waits_and_goes_on_once(
    ledger: Ledger, calls: Calls, way: Callable[..., Any]
) -> None:
    gates, seen, after = Gates(calls), list[Any](), list[Any]()

    async def code(ctx: Any, input: Any) -> Any:
        await way(ctx, seen)
        await ctx.step("after", lambda: after.append(1))
        return "went on"

    gates.flow(code)

    async def scene() -> Any:
        run = asyncio.create_task(gates.run(ledger))
        await until(lambda: bool(calls.made) and parked(ledger, "r"))
        assert ledger.lease("r") is None
        assert ledger.get_run("r").status_reason == "children"
        assert after == []
        for name in ("a", "b", "bad"):
            gates.gate(name).set()
        return await run

    assert asyncio.run(scene()) == "went on"
    assert after == [1]
    assert max(calls.take().values()) == 1
    assert types(ledger)["run.waiting"] == types(ledger)["run.resumed"]
    assert ledger.care.verify() == []
    if way is swallowing_exceptions:
        assert seen == ["CancelledError", "ChildFailed"][-len(seen) :]


def test_what_a_parked_run_swallowed_says_nothing_any_more(ledger: Ledger, calls: Calls) -> None:
    gates, said = Gates(calls), list[str]()

    async def code(ctx: Any, input: Any) -> Any:
        try:
            await ctx.child("work", "a")
        except BaseException:
            for say in (
                lambda: ctx.emit("my.event"),
                lambda: ctx.child("work", "other"),
                lambda: ctx.checkpoint({}),
            ):
                try:
                    say()
                except runstone.Suspended:
                    said.append("suspended")
        return "outcome"

    gates.flow(code)

    async def scene() -> Any:
        run = asyncio.create_task(gates.run(ledger))
        await until(lambda: parked(ledger, "r") and len(said) == 3)
        gates.gate("a").set()
        return await run

    assert asyncio.run(scene()) == "outcome"
    assert types(ledger)["my.event"] == 0
    assert calls.take() == Counter(["a"])


@pytest.mark.parametrize("mode", ["any", "all"])
def test_a_parent_whose_last_children_end_at_the_same_moment_is_woken_once_200_times(
    ledger: Ledger, calls: Calls, mode: str
) -> None:
    gates = Gates(calls)
    when = asyncio.FIRST_COMPLETED if mode == "any" else asyncio.ALL_COMPLETED

    @gates.names.workflow("pair")
    async def pair(ctx: Any, input: Any) -> Any:
        if mode == "any":
            done, _ = await asyncio.wait([ctx.child("work", [input, n]) for n in (1, 2)], return_when=when)
            return len(done) > 0
        return len(await ctx.map("work", [[input, n] for n in (1, 2)])) == 2

    async def once(number: int) -> None:
        run_id = f"r{number}"
        more: dict[str, Any] = {"ledger": ledger, "registry": gates.names, "run_id": run_id}
        run = asyncio.create_task(runstone.run("pair", number, park_after_s=0.0, **more))
        await until(lambda: parked(ledger, run_id) and statuses(ledger, run_id) == Counter(running=2))
        gates.gate([number, 1]).set()
        gates.gate([number, 2]).set()
        assert await run is True
        told = types(ledger, run_id)
        assert told["run.resumed"] == told["run.waiting"] == len(ledger.attempts(run_id)) - 1
        if mode == "all":
            assert told["run.resumed"] == 1

    async def rounds() -> None:
        async with asyncio.timeout(WAIT_S):
            for first in range(0, 200, 10):
                await asyncio.gather(*(once(number) for number in range(first, first + 10)))

    asyncio.run(rounds())
    assert set(calls.take().values()) == {1}
    assert len(ledger.list_runs(kind="workflow", status="completed", limit=1000).items) == 200
    assert ledger.care.verify() == []


def parked(ledger: Ledger, run_id: str) -> bool:
    return status(ledger, run_id) == "waiting"


def status(ledger: Ledger, run_id: str = "r") -> str | None:
    try:
        return ledger.get_run(run_id).status
    except NotFound:
        return None


# --- what must not be parked ----------------------------------------------------------------------------------------


async def asleep(ctx: Any, busy: Any) -> None:
    await asyncio.sleep(TICK_S)


async def in_a_timeout(ctx: Any, busy: Any) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TICK_S):
            await ctx.child("work", "never")


async def in_a_thread(ctx: Any, busy: Any) -> None:
    await asyncio.to_thread(busy.thread.wait, WAIT_S)


async def on_an_event(ctx: Any, busy: Any) -> None:
    await busy.event.wait()


async def on_a_queue(ctx: Any, busy: Any) -> None:
    await busy.queue.get()


async def on_a_future(ctx: Any, busy: Any) -> None:
    await asyncio.wait([ctx.child("work", "never"), busy.future], return_when=asyncio.FIRST_COMPLETED)


async def in_a_gather_with_a_future(ctx: Any, busy: Any) -> None:
    await asyncio.gather(ctx.child("work", "a"), busy.future)


async def on_a_socket(ctx: Any, busy: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", busy.port)
    await reader.readline()
    writer.close()


async def in_a_step(ctx: Any, busy: Any) -> None:
    await ctx.step("busy", busy.thread.wait, WAIT_S, key="busy")


class Busy:
    """What other code of the program does while a branch waits for it."""

    def __init__(self) -> None:
        self.thread, self.event, self.queue = threading.Event(), asyncio.Event(), asyncio.Queue[int]()
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.port = 0
        self.writers: queue.SimpleQueue[asyncio.StreamWriter] = queue.SimpleQueue()

    async def listen(self) -> asyncio.Server:
        async def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.put(writer)

        server = await asyncio.start_server(taken, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def done(self) -> None:
        self.thread.set()
        self.event.set()
        self.queue.put_nowait(1)
        self.future.set_result(None)
        while not self.writers.empty():
            writer = self.writers.get()
            writer.write(b"line\n")
            writer.close()


BUSY = [
    asleep, in_a_timeout, in_a_thread, on_an_event, on_a_queue, on_a_future, in_a_gather_with_a_future, on_a_socket,
    in_a_step,
]  # fmt: skip


@pytest.mark.parametrize("branch", BUSY, ids=lambda branch: branch.__name__)
def test_a_run_of_which_one_branch_works_is_not_parked(
    ledger: Ledger, calls: Calls, branch: Callable[..., Any]
) -> None:
    gates, parks = Gates(calls), list[int]()

    async def scene() -> Any:
        busy = Busy()
        server = await busy.listen()

        async def working(ctx: Any) -> None:
            await branch(ctx, busy)
            parks.append(types(ledger)["run.waiting"])

        async def code(ctx: Any, input: Any) -> Any:
            await asyncio.gather(ctx.child("work", "slow"), working(ctx))

        gates.flow(code)
        run = asyncio.create_task(gates.run(ledger))
        await until(lambda: "slow" in calls.made)
        await asyncio.sleep(2 * TICK_S)  # time in which it could be parked
        for name in ("slow", "a", "never"):
            gates.gate(name).set()
        busy.done()
        await run
        server.close()

    asyncio.run(scene())
    assert parks[0] == 0
    assert ledger.get_run("r").status == "completed"


# --- where a waiting run is -----------------------------------------------------------------------------------------


def test_a_sleeping_run_holds_no_lease_and_is_woken_by_its_time(ledger: Ledger, calls: Calls) -> None:
    gates = Gates(calls)

    async def code(ctx: Any, input: Any) -> Any:
        calls("began")
        await ctx.sleep(0.2)
        return "woken"

    gates.flow(code)

    async def scene() -> Any:
        run = asyncio.create_task(gates.run(ledger))
        await until(lambda: parked(ledger, "r"))
        row = ledger.get_run("r")
        assert (row.status_reason, ledger.lease("r")) == ("timer", None)
        assert row.wake_at is not None
        return await run

    assert asyncio.run(scene()) == "woken"
    assert calls.take() == Counter(began=2)
    assert types(ledger)["timer.set"] == 1


def test_a_timer_that_fires_while_its_run_is_being_parked_goes_on_once(ledger: Ledger, calls: Calls) -> None:
    """Its time comes at any moment of parking: before, while it is committed, and after."""
    gates, names = Gates(calls), [f"r{number}" for number in range(40)]

    async def code(ctx: Any, input: Any) -> Any:
        await ctx.sleep(input)
        calls(ctx.run_id)

    gates.flow(code)

    async def scene() -> None:
        for number, run_id in enumerate(names):
            await runstone.run(
                "flow", number * 0.0002, ledger=ledger, run_id=run_id, registry=gates.names, park_after_s=0.0
            )

    asyncio.run(scene())
    assert calls.take() == Counter(names)


def test_after_a_crash_only_the_rest_of_a_timer_is_waited_for(ledger: Ledger, calls: Calls) -> None:
    gates, clock = Gates(calls), []

    async def code(ctx: Any, input: Any) -> Any:
        await ctx.sleep(0.3)
        return "woken"

    gates.flow(code)

    async def begun() -> None:
        run = asyncio.create_task(gates.run(ledger))
        await until(lambda: parked(ledger, "r"))
        clock.append(ledger.get_run("r").wake_at)
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(begun())
    assert parked(ledger, "r")  # nobody had it: nothing was interrupted
    assert asyncio.run(gates.run(ledger)) == "woken"
    assert types(ledger)["timer.set"] == 1


def test_depth_five_with_one_slot_completes(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("deep")
    async def deep(ctx: Any, input: Any) -> Any:
        calls(input)
        return 1 if input == 0 else sum(await ctx.map("deep", [input - 1] * 2))

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.child("deep", 4)

    async def bounded(run_id: str, **more: Any) -> Any:
        async with asyncio.timeout(WAIT_S):
            return await runstone.run("flow", ledger=ledger, run_id=run_id, registry=names, slots=1, **more)

    assert asyncio.run(bounded("kept")) == 16
    assert calls.take() == Counter({4: 1, 3: 2, 2: 4, 1: 8, 0: 16})
    assert asyncio.run(bounded("parked", park_after_s=0.0)) == 16


def test_a_slot_is_given_back_by_a_cancelled_await_and_taken_again(ledger: Ledger, calls: Calls) -> None:
    """With one slot: the code goes on after a timeout, then waits for another child, which needs the slot."""
    gates = Gates(calls)

    async def code(ctx: Any, input: Any) -> Any:
        for number in range(3):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ctx.child("work", f"never {number}"), 0.02)
        return await ctx.child("work", "last")

    gates.flow(code)
    gates.gate("last").set()

    async def bounded() -> Any:
        async with asyncio.timeout(WAIT_S):
            return await gates.run(ledger, slots=1)

    assert asyncio.run(bounded()) == "last done"
    assert Counter(run.status for run in ledger.list_runs(parent_id="r").items) == Counter(
        cancelled=3, completed=1
    )


# --- an outcome on its way ------------------------------------------------------------------------------------------


async def direct(first: Any, second: Any) -> None:
    await asyncio.gather(first, second)


async def nested(first: Any, second: Any) -> None:
    await asyncio.gather(asyncio.gather(asyncio.gather(first), asyncio.gather(second)))


async def in_tasks(first: Any, second: Any) -> None:
    await asyncio.gather(*(asyncio.ensure_future(awaited(call)) for call in (first, second)))


async def first_of_two(first: Any, second: Any) -> None:
    await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)


async def behind_a_shield(first: Any, second: Any) -> None:
    await asyncio.shield(asyncio.gather(first, second))


@pytest.mark.parametrize("way", [direct, nested, in_tasks, first_of_two, behind_a_shield])
def test_code_to_which_an_outcome_is_on_its_way_is_not_parked_until_it_has_come(
    way: Callable[..., Any],
) -> None:
    """Looked at after each turn of the loop: parked before the outcome, and at no time between it and the code."""

    async def scene() -> list[bool]:
        loop = asyncio.get_running_loop()
        owner: contextvars.ContextVar[object] = contextvars.ContextVar("owner", default=None)
        within = contextvars.copy_context()
        within.run(owner.set, way)
        first, second = (Call("ask", name, name, loop=loop) for name in "ab")
        tasks: set[asyncio.Task[Any]] = set()
        loop.set_task_factory(lambda loop, coro, **more: noted(tasks, asyncio.Task(coro, loop=loop, **more)))
        root = loop.create_task(way(first, second), context=within)
        looks: list[bool] = []

        def look() -> None:
            if not root.done() and len(looks) < 50:
                looks.append(all_parked(tasks, [first, second], owner, way))
                if looks[-1] and not second.done():
                    second.set_exception(ValueError("refused"))
                    looks.append(all_parked(tasks, [first, second], owner, way))
                loop.call_soon(look, context=contextvars.Context())

        loop.call_soon(look, context=contextvars.Context())
        await asyncio.wait([root])
        loop.set_task_factory(None)
        first.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return looks

    looks = asyncio.run(scene())
    assert looks.count(True) == 1  # before it had an outcome


def noted(tasks: "set[asyncio.Task[Any]]", task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
    tasks.add(task)
    return task


def test_an_error_that_comes_while_the_run_is_about_to_be_parked_ends_it(
    ledger: Ledger, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question is refused in the moment in which the wish to park for the other one is heeded."""
    under_way: list[Attempt] = []
    tried: list[bool] = []
    run, refused = Attempt.run, Call.set_exception

    async def noting(self: Attempt) -> None:
        under_way.append(self)
        await run(self)

    def heeding(self: Call, error: Any) -> None:
        refused(self, error)
        parking = under_way[0]._park()
        try:
            parking.send(None)
            tried.append(True)  # it has begun to commit that nothing but a person can go on
        except StopIteration as decided:
            tried.append(decided.value)
        parking.close()

    monkeypatch.setattr(Attempt, "run", noting)
    monkeypatch.setattr(Call, "set_exception", heeding)
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await asyncio.gather(ctx.ask("Which?"), ctx.ask("Which?"))

    with pytest.raises(RunFailed, match="open already"):
        asyncio.run(runstone.run("flow", ledger=ledger, run_id="r", registry=names, park_after_s=WAIT_S))
    assert tried == [False]
    assert ledger.inputs.list().items == []
