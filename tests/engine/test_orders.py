"""Orders beside stop: paused at a boundary, gone on with, tried again, and told what to do; from any process."""

import asyncio
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import runstone
from runstone import Ledger, Registry
from runstone.domain import workflows
from runstone.domain.orders import FITS
from runstone.engine.command_spec import CommandSpec
from runstone.errors import CommandConflict, IllegalTransition, InvalidInput, ValueTooLarge
from tests.engine.counted import WAIT_S, noted, process, until


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


def told(ledger: Ledger, run_id: str) -> list[str]:
    """What became of the run's orders, in order."""
    events = ledger.events(run_id, limit=1_000).items
    return [event.type.removeprefix("command.") for event in events if event.type.startswith("command.")]


def order(ledger: Ledger, run_id: str, number: int = -1) -> Any:
    return ledger.commands.list(run_id)[number]


# --- a loop of one's own ---------------------------------------------------------------------------------------------


def test_a_loop_sees_the_pause_and_pauses_with_its_state(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    assert not run.pausing
    given = ledger.command("r", "pause", by="ana")
    assert given.status in ("requested", "acknowledged")
    until(ledger, lambda: run.pausing, "the pause")
    assert not run.stopping
    assert ledger.get_run("r").status == "running"
    run.pause(state={"turn": 3})
    row = ledger.get_run("r")
    assert (row.status, row.status_reason) == ("paused", "paused by ana")
    assert order(ledger, "r").status == "applied"
    assert told(ledger, "r") == ["requested", "acknowledged", "applied"]
    resumed = ledger.command("r", "resume", by="ben")
    assert (resumed.status, ledger.get_run("r").status) == ("requested", "pending")
    again = ledger.continue_run("r")
    assert again.state == {"turn": 3}
    assert not again.pausing
    assert order(ledger, "r").status == "applied"
    again.complete().result()
    assert ledger.care.verify() == []


def test_a_loop_that_ends_without_pausing_rejects_the_pause(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r"):
        ledger.command("r", "pause")
    assert (order(ledger, "r").status, order(ledger, "r").reason) == (
        "rejected",
        "the run had completed already",
    )


def test_a_pause_given_twice_is_one(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    assert ledger.command("r", "pause").id == ledger.command("r", "pause", by="ben").id
    run.pause()
    assert len(ledger.commands.list("r")) == 1


def test_the_same_key_gives_the_same_order_and_another_one_under_it_is_refused(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    first = ledger.command("r", "steer", "look left", idempotency_key="k")
    assert ledger.command("r", "steer", "look left", idempotency_key="k").id == first.id
    for verb, message in (("steer", "look right"), ("pause", None), ("stop", None)):
        with pytest.raises(CommandConflict):
            ledger.command("r", verb, message, idempotency_key="k")
    assert run.steering() == ["look left"]
    assert ledger.command("r", "steer", "look left", idempotency_key="k").status == "applied"
    assert run.steering() == []


@pytest.mark.parametrize("end", ["interrupt", "pause"])
def test_an_owner_that_leaves_before_it_paused_leaves_the_run_paused(ledger: Ledger, end: str) -> None:
    run = ledger.start_run(run_id="r")
    run.checkpoint({"turn": 1}).result()
    ledger.command("r", "pause", by="ana")
    run.interrupt("as if by Ctrl-C") if end == "interrupt" else run.pause(state={"turn": 1})
    assert ledger.get_run("r").status == "paused"
    assert order(ledger, "r").status == "applied"
    assert ledger.care.verify() == []


def test_a_pause_of_a_run_whose_owner_was_killed_takes_effect_at_once(ledger: Ledger) -> None:
    ledger.start_run(run_id="r").interrupt("lost")
    assert ledger.command("r", "pause").status == "applied"
    assert ledger.get_run("r").status == "paused"
    assert runstone.resumable(ledger) == []
    ledger.command("r", "resume")
    assert [run.id for run in runstone.resumable(ledger)] == ["r"]
    assert ledger.care.verify() == []


def test_a_stop_outweighs_a_pause_and_ends_every_other_order(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    ledger.command("r", "pause")
    ledger.command("r", "steer", "hurry")
    ledger.command("r", "stop", by="ana")
    run.interrupt("as if by Ctrl-C")
    ledger.reconcile()
    assert ledger.get_run("r").status == "cancelled"
    found = {one.verb: one.status for one in ledger.commands.list("r")}
    assert found == {"pause": "rejected", "steer": "rejected", "stop": "applied"}
    assert ledger.care.verify() == []


def test_a_question_outweighs_a_pause(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    ledger.command("r", "pause")
    run.ask("Which?")
    assert ledger.get_run("r").status == "awaiting_user"
    assert (order(ledger, "r").status, order(ledger, "r").reason) == ("rejected", "the run is awaiting_user")


STANDING: dict[str, Any] = {
    "running": lambda run: None,
    "paused": lambda run: run.pause(),
    "awaiting_user": lambda run: run.ask("Which?"),
    "completed": lambda run: run.complete().result(),
    "failed": lambda run: run.fail("no").result(),
    "cancelled": lambda run: run.cancel().result(),
    "interrupted": lambda run: run.interrupt("lost"),
}


@pytest.mark.parametrize("status", STANDING)
@pytest.mark.parametrize("verb", ["pause", "resume", "retry", "steer"])
def test_a_verb_that_does_not_fit_changes_nothing(ledger: Ledger, status: str, verb: str) -> None:
    run = ledger.start_run(run_id="r")
    STANDING[status](run)
    before = ledger.events("r", limit=1_000).items
    message = "go on" if verb == "steer" else None
    if status in FITS[verb]:
        assert ledger.command("r", verb, message).verb == verb
    else:
        with pytest.raises(IllegalTransition) as refused:
            ledger.command("r", verb, message)
        assert refused.value.hint
        assert ledger.events("r", limit=1_000).items == before
        assert ledger.commands.list("r") == []
    assert ledger.care.verify() == []


def test_wrong_orders_are_refused(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    for verb, message in (("steer", None), ("steer", "  "), ("pause", "now"), ("dance", None)):
        with pytest.raises(InvalidInput):
            ledger.command("r", verb, message)
    with pytest.raises(ValueTooLarge):
        ledger.command("r", "steer", "x" * 5_000)
    with pytest.raises(runstone.NotFound):
        ledger.command("nobody", "pause")
    assert ledger.commands.list("r") == []
    run.complete().result()


# --- steering --------------------------------------------------------------------------------------------------------


def test_messages_come_once_in_order_and_stand_in_the_thread(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    assert run.steering() == []
    for text in ("first", "second"):
        ledger.command("r", "steer", text, by="ana")
    assert run.steering() == ["first", "second"]
    assert run.steering() == []
    messages = ledger.threads.messages(run.worker_thread_id).items
    assert [(one.role, one.text) for one in messages] == [("user", "first"), ("user", "second")]
    assert {one.status for one in ledger.commands.list("r")} == {"applied"}


def test_a_message_that_nobody_took_is_given_to_the_next_attempt(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    ledger.command("r", "steer", "before")
    run.interrupt("lost")
    assert ledger.command("r", "steer", "between").status == "requested"
    again = ledger.continue_run("r")
    assert again.steering() == ["before", "between"]
    again.complete().result()
    assert ledger.care.verify() == []


def test_secrets_in_messages_are_taken_out(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    ledger.command("r", "steer", "use sk-ant-api03-" + "a" * 80)
    assert "aaaa" not in run.steering()[0]


# --- runs of the engine ----------------------------------------------------------------------------------------------


class Work:
    """A workflow of steps and two children, each of which waits at a gate and notes what it does."""

    def __init__(self) -> None:
        self.names, self.done = Registry(), Counter[str]()
        self.gate = asyncio.Event()
        self.begun: list[Any] = []

        @self.names.agent("work")
        async def work(ctx: Any, input: Any) -> Any:
            await ctx.step("first", self.note, f"{input} first")
            self.begun.append(ctx)
            await self.gate.wait()
            return await ctx.step("second", self.note, f"{input} second")

        @self.names.workflow("flow")
        async def flow(ctx: Any, input: Any) -> Any:
            self.flow = ctx
            found = await asyncio.gather(ctx.child("work", "a"), ctx.child("work", "b"))
            return [*found, await ctx.step("last", self.note, "last")]

    def note(self, what: str) -> str:
        self.done[what] += 1
        return what

    async def start(self, ledger: Ledger) -> "asyncio.Task[Any]":
        self.gate.clear()
        self.begun.clear()
        task = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=self.names))
        async with asyncio.timeout(WAIT_S):
            while len(self.begun) < 2 and not task.done():  # noqa: ASYNC110 - it fails at once if the run ends
                await asyncio.sleep(0.005)
        return task


def children(ledger: Ledger, run_id: str = "r") -> "Counter[str]":
    return Counter(run.status for run in ledger.list_runs(parent_id=run_id).items)


async def came(ledger: Ledger, met: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not met():  # noqa: ASYNC110 - rows of another thread
            await asyncio.sleep(0.01)


def test_a_tree_pauses_at_the_next_calls_and_goes_on_without_doing_anything_again(ledger: Ledger) -> None:
    work = Work()

    async def scene() -> list[Any]:
        task = await work.start(ledger)
        await asyncio.to_thread(ledger.command, "r", "pause", by="ana")
        await came(ledger, lambda: all(ctx.pausing for ctx in work.begun))
        work.gate.set()
        with pytest.raises(runstone.RunPaused):
            await asyncio.wait_for(task, WAIT_S)
        assert children(ledger) == Counter(paused=2)
        assert ledger.get_run("r").status_reason == "paused by ana"
        assert {order(ledger, run.id).status for run in ledger.list_runs().items} == {"applied"}
        assert work.done == Counter({"a first": 1, "b first": 1})
        assert ledger.care.verify() == []
        ledger.command("r", "resume")
        result: list[Any] = await runstone.resume("r", ledger=ledger, registry=work.names)
        return result

    assert asyncio.run(scene()) == ["a second", "b second", "last"]
    assert set(work.done.values()) == {1}
    assert order(ledger, "r").status == "applied"
    assert ledger.care.verify() == []


def test_a_pause_of_the_run_alone_lets_its_children_end_first(ledger: Ledger) -> None:
    work = Work()

    async def scene() -> None:
        task = await work.start(ledger)
        await asyncio.to_thread(ledger.command, "r", "pause", scope="run")
        await came(ledger, lambda: work.flow.pausing)
        assert ledger.get_run("r").status == "running"
        work.gate.set()
        with pytest.raises(runstone.RunPaused):
            await asyncio.wait_for(task, WAIT_S)

    asyncio.run(scene())
    assert children(ledger) == Counter(completed=2)
    assert ledger.get_run("r").status == "paused"
    assert "last" not in work.done
    assert ledger.care.verify() == []


def test_a_paused_child_goes_on_in_the_process_that_drives_its_tree(ledger: Ledger) -> None:
    work = Work()

    async def scene() -> Any:
        task = await work.start(ledger)
        child = work.begun[0].run_id
        await asyncio.to_thread(ledger.command, child, "pause")
        await came(ledger, lambda: work.begun[0].pausing)
        work.gate.set()
        await came(ledger, lambda: ledger.get_run(child).status == "paused")
        await came(ledger, lambda: children(ledger) == Counter(paused=1, completed=1))
        await asyncio.to_thread(ledger.command, child, "resume")
        return await asyncio.wait_for(task, WAIT_S)

    assert asyncio.run(scene()) == ["a second", "b second", "last"]
    assert set(work.done.values()) == {1}
    assert ledger.care.verify() == []


def test_a_resume_of_the_root_takes_up_children_that_were_paused_with_it(ledger: Ledger) -> None:
    work = Work()

    async def scene() -> Any:
        task = await work.start(ledger)
        await asyncio.to_thread(ledger.command, "r", "pause")
        await came(ledger, lambda: all(ctx.pausing for ctx in work.begun))
        work.gate.set()
        with pytest.raises(runstone.RunPaused):
            await asyncio.wait_for(task, WAIT_S)
        return await runstone.resume("r", ledger=ledger, registry=work.names)  # no order beside it

    assert asyncio.run(scene()) == ["a second", "b second", "last"]


def test_an_agent_of_the_engine_hears_messages(ledger: Ledger) -> None:
    names, heard, ready = Registry(), list[str](), threading.Event()

    @names.agent("listens")
    async def listens(ctx: Any, input: Any) -> Any:
        ready.set()
        async with asyncio.timeout(WAIT_S):
            while not heard:
                heard.extend(ctx.steering())
                await asyncio.sleep(0.005)
        return heard

    def tell() -> None:
        ready.wait(WAIT_S)
        ledger.command("r", "steer", "look there", by="ana")

    teller = threading.Thread(target=tell)
    teller.start()
    assert asyncio.run(runstone.run("listens", ledger=ledger, run_id="r", registry=names)) == ["look there"]
    teller.join()
    assert order(ledger, "r").status == "applied"


# --- retry -----------------------------------------------------------------------------------------------------------


def flaky() -> tuple[Registry, "Counter[str]"]:
    names, done, broken = Registry(), Counter[str](), {"b"}

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        done[input] += 1
        if input in broken:
            broken.discard(input)
            raise ValueError("not yet")
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.map("work", ["a", "b"])

    return names, done


@pytest.mark.parametrize("whole", [True, False])
def test_a_retry_is_queued_and_says_so_until_a_process_takes_it(ledger: Ledger, whole: bool) -> None:
    names, done = flaky()
    with pytest.raises(runstone.RunFailed):
        asyncio.run(runstone.run("flow", ledger=ledger, run_id="r", registry=names))
    (child,) = ledger.list_runs(status="failed", parent_id="r").items
    target = "r" if whole else child.id
    given = ledger.command(target, "retry", by="ana")
    assert (given.status, ledger.get_run(target).status) == ("requested", "pending")
    assert ledger.get_run(target).status_reason == "tried again by ana"
    assert [run.id for run in runstone.resumable(ledger)] == (["r"] if whole else [])
    asyncio.run(runstone.resume(target, ledger=ledger, registry=names))
    assert order(ledger, target).status == "applied"
    assert asyncio.run(runstone.resume("r", ledger=ledger, registry=names)) == ["a", "b"]
    assert done == Counter(a=1, b=2)
    assert ledger.care.verify() == []


def test_a_child_is_not_tried_again_under_a_run_at_work(ledger: Ledger) -> None:
    parent = ledger.start_run(run_id="r")
    ledger.start_run(run_id="kid", parent=parent).fail("no").result()
    with pytest.raises(IllegalTransition, match="at work"):
        ledger.command("kid", "retry")
    parent.fail("no").result()
    assert ledger.command("kid", "retry").status == "requested"


# --- across processes ------------------------------------------------------------------------------------------------


def test_a_tree_in_another_process_is_paused_from_here(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "hold").touch()
    with process("tests.engine.working", folder, "run", "pausing") as other:
        until(ledger, lambda: noted(folder) == Counter(first=1), "the first step")
        ledger.command("r", "pause", by="ana")
        assert other.communicate(timeout=WAIT_S)[0] == "run_paused\n"
    assert ledger.get_run("r").status == "paused"
    (folder / "hold").unlink()
    with process("tests.engine.working", folder, "resume") as other:
        assert other.communicate(timeout=WAIT_S)[0] == "done\n"
    assert noted(folder) == Counter(first=1, second=1)
    assert ledger.care.verify() == []


def test_a_kill_between_a_message_and_the_look_loses_no_message(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "hold").touch()
    with process("tests.engine.working", folder, "run", "pausing") as other:
        until(ledger, lambda: noted(folder) == Counter(first=1), "the first step")
        ledger.command("r", "steer", "still there?")
        other.send_signal(signal.SIGKILL)
        other.wait(WAIT_S)
    ledger.supervisor.settle("r")
    run = ledger.get_run("r")
    assert run.status == "interrupted"
    assert order(ledger, "r").status in ("requested", "acknowledged")
    again = ledger.continue_run("r")
    assert again.steering() == ["still there?"]
    again.complete().result()
    assert ledger.care.verify() == []


def test_children_that_wait_for_their_turn_pause_with_the_others(ledger: Ledger) -> None:
    names, done, begun = Registry(), Counter[str](), list[Any]()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        begun.append(ctx)
        while (ledger.workspace.root / "hold").exists() and not ctx.pausing:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return await ctx.step("once", lambda: done.update([input]) or input)

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        async with ctx.phase("work", concurrency=2):
            return await ctx.map("work", list("abcdef"))

    async def scene() -> Any:
        (ledger.workspace.root / "hold").touch()
        task = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=names, slots=3))
        await came(ledger, lambda: len(begun) == 2)
        await asyncio.to_thread(ledger.command, "r", "pause")
        with pytest.raises(runstone.RunPaused):
            await asyncio.wait_for(task, WAIT_S)
        assert children(ledger) == Counter(paused=6)
        assert not done
        (ledger.workspace.root / "hold").unlink()
        return await runstone.resume("r", ledger=ledger, registry=names)

    assert asyncio.run(scene()) == list("abcdef")
    assert set(done.values()) == {1}
    assert ledger.care.verify() == []


def test_a_declarative_workflow_pauses_between_its_calls(ledger: Ledger) -> None:
    names, done = Registry(), Counter[str]()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        while (ledger.workspace.root / "hold").exists() and not ctx.pausing:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return await ctx.step("once", lambda: done.update(["once"]))

    phases = [{"name": "one", "agent": "work"}, {"name": "two", "agent": "work", "depends_on": ["one"]}]
    names.add_declarative(workflows.parse("flow", {"phases": phases}))

    async def scene() -> None:
        (ledger.workspace.root / "hold").touch()
        task = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=names))
        await came(ledger, lambda: bool(ledger.list_runs(agent_id="work", status="running").items))
        await asyncio.to_thread(ledger.command, "r", "pause")
        with pytest.raises(runstone.RunPaused):
            await asyncio.wait_for(task, WAIT_S)
        assert children(ledger) == Counter(paused=1)
        (ledger.workspace.root / "hold").unlink()
        await runstone.resume("r", ledger=ledger, registry=names)

    asyncio.run(scene())
    assert ledger.get_run("r").status == "completed"
    assert done["once"] == 2
    assert ledger.care.verify() == []


def test_of_two_callers_that_saw_the_same_run_one_goes_on_with_it(ledger: Ledger) -> None:
    names, done = flaky()
    ledger.create_run(kind="subagent", run_id="r", agent_id="work", input="b")
    (seen,) = [ledger.get_run("r").attempt]
    for _ in range(2):
        with pytest.raises(runstone.RunFailed):
            asyncio.run(runstone.resume("r", ledger=ledger, registry=names, attempt=seen))
    assert done == Counter(b=1)
    assert asyncio.run(runstone.resume("r", ledger=ledger, registry=names)) == "b"


def test_the_page_on_orders_says_which_status_each_fits() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "steer-and-pause.md"
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", page.read_text(), re.MULTILINE))
    unended = FITS["stop"]
    assert {verb: frozenset(re.findall("`(.+?)`", row)) or unended for verb, row in rows.items()} == FITS


def test_a_stop_of_a_subtree_of_50_processes_leaves_none_alive(ledger: Ledger) -> None:
    names = Registry()
    program = (
        "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    names.add_command_agent("sleeper", "1", CommandSpec(command=(sys.executable, "-c", program), grace_s=0.2))

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.map("sleeper", list(range(50)))

    async def scene() -> list[int]:
        work = runstone.run("flow", ledger=ledger, run_id="r", registry=names, slots=50)
        task = asyncio.create_task(work)
        await came(ledger, lambda: len(ledger.list_runs(agent_id="sleeper", limit=100).items) == 50)
        kids = [run.id for run in ledger.list_runs(agent_id="sleeper", limit=100).items]
        await came(ledger, lambda: all(ledger.get_run(kid).worker_thread_id for kid in kids))
        pids = [ledger.processes(kid)[0].pgid for kid in kids]
        assert all(map(psutil.pid_exists, pids))
        await asyncio.to_thread(ledger.command, "r", "stop", by="ana")
        with pytest.raises(runstone.RunStopped):
            await asyncio.wait_for(task, 2 * WAIT_S)
        return pids

    pids = asyncio.run(scene())
    assert len(set(pids)) == 50
    assert not any(map(psutil.pid_exists, pids))
    assert {node.run.status for node in ledger.tree("r").walk()} == {"cancelled"}
    assert all(order(ledger, node.run.id).status == "applied" for node in ledger.tree("r").walk())
    assert ledger.care.verify() == []
