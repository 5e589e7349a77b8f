"""`run` and `resume` under an id: the stored result, attaching to who has it, or going on; never twice."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.errors import AgentNotFound, IllegalTransition, NotFound, RunMismatch
from tests.engine.counted import WAIT_S, Calls, attempt, noted, process, start, statuses, until
from tests.engine.working import registry


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


class One:
    """A workflow that waits until it is let go."""

    def __init__(self, calls: Calls) -> None:
        self.names = Registry()

        @self.names.agent("agent")
        async def agent(ctx: Any, input: Any) -> Any:
            return input

        @self.names.workflow("flow")
        async def flow(ctx: Any, input: Any) -> Any:
            calls(input)
            self.at_work.set()
            await self.let_go.wait()
            return {"gave": input}

    def run(self, ledger: Ledger, input: Any = 1) -> "asyncio.Task[Any]":
        self.at_work, self.let_go = asyncio.Event(), asyncio.Event()
        return asyncio.create_task(self.again(ledger, input))

    def again(self, ledger: Ledger, input: Any = 1) -> Any:
        return runstone.run("flow", input, ledger=ledger, run_id="r", registry=self.names)


def test_a_completed_run_gives_its_stored_result(ledger: Ledger, calls: Calls) -> None:
    one = One(calls)

    async def scene() -> Any:
        first = one.run(ledger)
        await one.at_work.wait()
        one.let_go.set()
        await first
        return [await one.again(ledger), await runstone.resume("r", ledger=ledger, registry=one.names)]

    assert asyncio.run(scene()) == [{"gave": 1}] * 2
    assert calls.take() == Counter([1])
    assert ledger.get_run("r").attempt == 1


def test_a_live_run_is_attached_to(ledger: Ledger, calls: Calls) -> None:
    one = One(calls)

    async def scene() -> Any:
        first = one.run(ledger)
        await one.at_work.wait()
        others = [asyncio.create_task(one.again(ledger)) for _ in range(3)]
        others.append(asyncio.create_task(runstone.resume("r", ledger=ledger, registry=one.names)))
        await asyncio.sleep(0)
        one.let_go.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(scene()) == [{"gave": 1}] * 5
    assert calls.take() == Counter([1])


def test_who_attached_and_leaves_takes_nothing_along(ledger: Ledger, calls: Calls) -> None:
    one = One(calls)

    async def scene() -> Any:
        first = one.run(ledger)
        await one.at_work.wait()
        other = asyncio.create_task(one.again(ledger))
        await asyncio.sleep(0.01)
        other.cancel()
        await asyncio.wait([other])
        assert ledger.get_run("r").status == "running"
        one.let_go.set()
        return await first

    assert asyncio.run(scene()) == {"gave": 1}


def test_another_input_or_name_is_a_mismatch(ledger: Ledger, calls: Calls) -> None:
    one = One(calls)

    async def scene() -> None:
        first = one.run(ledger)
        await one.at_work.wait()
        with pytest.raises(RunMismatch):
            await one.again(ledger, 2)
        with pytest.raises(RunMismatch):
            await runstone.run("agent", 1, ledger=ledger, run_id="r", registry=one.names)
        one.let_go.set()
        await first

    asyncio.run(scene())
    assert calls.take() == Counter([1])


def test_an_id_of_many_at_once_is_one_run(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        calls("flow")
        return 7

    async def scene() -> Any:
        many = [runstone.run("flow", ledger=ledger, run_id="r", registry=names) for _ in range(20)]
        return await asyncio.gather(*many)

    assert asyncio.run(scene()) == [7] * 20
    assert calls.take() == Counter(flow=1)


@pytest.mark.parametrize("status", ["failed", "interrupted", "cancelled"])
def test_any_other_status_is_resumed(ledger: Ledger, calls: Calls, status: str) -> None:
    one, ending = One(calls), status

    @one.names.workflow("ends")
    async def ends(ctx: Any, input: Any) -> Any:
        calls("ends")
        if ending == "failed":
            raise RuntimeError("again")
        if ending:
            one.at_work.set()
            await asyncio.Event().wait()
        return "done"

    async def scene() -> None:
        one.at_work = asyncio.Event()
        run = asyncio.create_task(runstone.run("ends", ledger=ledger, run_id="r", registry=one.names))
        if status != "failed":
            await one.at_work.wait()
        if status == "interrupted":
            run.cancel()
        elif status == "cancelled":
            await asyncio.to_thread(ledger.command, "r", "stop")
        await asyncio.wait([run])
        if not run.cancelled():
            run.exception()

    asyncio.run(scene())
    assert ledger.get_run("r").status == status
    ending = ""
    assert start(ledger, "ends", registry=one.names) == "done"
    assert ledger.get_run("r").attempt == 2


def test_what_cannot_be_resumed_is_said_and_changes_nothing(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        raise RuntimeError("ends")

    with pytest.raises(NotFound):
        asyncio.run(runstone.resume("nobody", ledger=ledger))
    with pytest.raises(AgentNotFound, match="flow"):
        start(ledger, "other", registry=names)
    attempt(ledger, "flow", registry=names)
    with pytest.raises(NotFound):
        asyncio.run(runstone.resume("r", ledger=ledger, registry=Registry()))
    assert ledger.get_run("r").status == "failed"
    own = ledger.start_run(run_id="own")
    own.interrupt("lost")
    with pytest.raises(AgentNotFound, match="names no agent"):
        asyncio.run(runstone.resume("own", ledger=ledger, registry=names))
    assert ledger.get_run("own").status == "interrupted"


def test_a_budget_of_a_run_that_has_ended_cannot_be_changed(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any: ...

    start(ledger, "flow", registry=names)
    with pytest.raises(IllegalTransition):
        asyncio.run(runstone.resume("r", ledger=ledger, registry=names, budget={"max_tokens": 1}))


# --- two processes --------------------------------------------------------------------------------------------------


def test_a_live_run_of_another_process_is_attached_to(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "hold").touch()

    async def attached() -> Any:
        run = asyncio.create_task(runstone.run("tree", ledger=ledger, run_id="r", registry=registry(folder)))
        await asyncio.sleep(0.05)
        assert not run.done()
        (folder / "hold").unlink()
        return await asyncio.wait_for(run, WAIT_S)

    with process("tests.engine.working", folder, "run") as other:
        until(ledger, lambda: statuses(ledger) == Counter(completed=2, running=1))
        assert asyncio.run(attached()) == ["a", "b", "c"]
        assert other.wait(WAIT_S) == 0
    assert noted(folder) == Counter(["tree", "a", "b", "c"])


def test_who_is_attached_to_a_process_that_dies_goes_on_with_the_run(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "hold").touch()

    async def attached(other: Any) -> Any:
        run = asyncio.create_task(runstone.run("tree", ledger=ledger, run_id="r", registry=registry(folder)))
        await asyncio.sleep(0.05)
        other.kill()
        other.wait()
        (folder / "hold").unlink()
        return await asyncio.wait_for(run, WAIT_S)

    with process("tests.engine.working", folder, "run") as other:
        until(ledger, lambda: statuses(ledger) == Counter(completed=2, running=1))
        assert asyncio.run(attached(other)) == ["a", "b", "c"]
    assert noted(folder) == Counter({"tree": 2, "a": 1, "b": 2, "c": 1})


def test_two_processes_that_resume_at_once_do_nothing_twice(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "hold").touch()
    with process("tests.engine.working", folder, "run") as first:
        until(ledger, lambda: statuses(ledger) == Counter(completed=2, running=1))
        first.kill()
        first.wait()
    (folder / "hold").unlink()
    before = noted(folder)
    with (
        process("tests.engine.working", folder, "resume") as one,
        process("tests.engine.working", folder, "resume") as two,
    ):
        assert one.communicate(timeout=WAIT_S)[0] == "['a', 'b', 'c']\n"
        assert two.communicate(timeout=WAIT_S)[0] == "['a', 'b', 'c']\n"
    assert noted(folder) - before == Counter(["tree", "b"])
    assert ledger.get_run("r").attempt == 2
    assert ledger.care.verify() == []
