"""Stopping: orders reach what runs, with its processes, from any process; what nobody holds stops at once."""

import asyncio
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

import runstone
from runstone import Ledger, Registry
from runstone.engine.processes import identify
from runstone.errors import IllegalTransition
from runstone.store.writes.boards import RequestStop
from runstone.store.writes.journal import StartProcess
from runstone.store.writes.lifecycle import ResumeRun, YieldRun
from tests.engine.counted import WAIT_S, process, statuses, until


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


def gone(pid: int) -> bool:
    """Whether there is no such process any more; one that nobody has collected yet does nothing."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_stop_from_another_process_reaches_children_and_process_groups(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "hold").touch()
    with process("tests.engine.working", folder, "run", "deep") as other:
        until(ledger, lambda: bool(sleepers(ledger)) and tree_at_work(ledger), "the tree")
        (pids,) = sleepers(ledger).values()
        assert not any(map(gone, pids))
        command = ledger.command("r", "stop", by="ana")
        assert command.status in ("requested", "acknowledged")
        assert other.communicate(timeout=WAIT_S)[0] == "run_stopped\n"
    assert {node.run.status for node in ledger.tree("r").walk()} == {"cancelled", "completed"}
    assert ledger.get_run("r").status == "cancelled"
    assert all(map(gone, pids))
    (order,) = ledger.commands.list("r")
    assert order.status == "applied"
    assert order.acknowledged_at is not None
    told = [event.type for event in ledger.events("r") if event.type.startswith("command.")]
    assert told == ["command.requested", "command.acknowledged", "command.applied"]
    assert all(
        record.ended_at for node in ledger.tree("r").walk() for record in ledger.processes(node.run.id)
    )
    assert ledger.care.verify() == []


def sleepers(ledger: Ledger) -> dict[str, list[int]]:
    """The process of each `sleeper`, and the one that it started, once it has said which."""
    found = {}
    for run in ledger.list_runs(agent_id="sleeper").items:
        lines = ledger.threads.messages(run.worker_thread_id).items if run.worker_thread_id else []
        if lines:
            found[run.id] = [ledger.processes(run.id)[0].pgid, int(lines[0].text)]
    return found


def tree_at_work(ledger: Ledger) -> bool:
    trees = ledger.list_runs(definition_id="tree").items
    return bool(trees) and statuses(ledger, trees[0].id) == Counter(completed=2, running=1)


class Tree:
    """A parent with a child that works until it is stopped."""

    def __init__(self) -> None:
        self.names, self.ended = Registry(), list[str]()

        @self.names.agent("work")
        async def work(ctx: Any, input: Any) -> Any:
            self.at_work.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append(str(ctx.stopping))

        @self.names.workflow("flow")
        async def flow(ctx: Any, input: Any) -> Any:
            await ctx.child("work")

    async def run(self, ledger: Ledger, **more: Any) -> "asyncio.Task[Any]":
        self.at_work = asyncio.Event()
        work = runstone.run("flow", ledger=ledger, run_id="r", registry=self.names, **more)
        run = asyncio.create_task(work)
        await asyncio.wait_for(self.at_work.wait(), WAIT_S)
        return run


def test_a_stop_ends_the_code_then_its_row(ledger: Ledger) -> None:
    tree = Tree()

    async def scene() -> None:
        run = await tree.run(ledger)
        await asyncio.to_thread(ledger.command, "r", "stop", by="ana")
        with pytest.raises(runstone.RunStopped):
            await run

    asyncio.run(scene())
    assert tree.ended == ["True"]
    row = ledger.get_run("r")
    assert (row.status, row.status_reason) == ("cancelled", "stopped by ana")
    (child,) = ledger.list_runs(parent_id="r").items
    assert (child.status, child.status_reason) == ("cancelled", "parent stopped")


def test_a_stop_of_one_child_is_a_failure_for_its_parent(ledger: Ledger) -> None:
    tree = Tree()

    async def scene() -> None:
        run = await tree.run(ledger)
        (child,) = ledger.list_runs(parent_id="r").items
        await asyncio.to_thread(ledger.command, child.id, "stop", by="ana")
        with pytest.raises(runstone.RunFailed, match="stopped by ana"):
            await run

    asyncio.run(scene())
    assert statuses(ledger) == Counter(cancelled=1)


@pytest.mark.parametrize("park", [None, 0.0])
def test_the_same_stop_twice_is_one(ledger: Ledger, park: float | None) -> None:
    tree = Tree()

    async def scene() -> None:
        run = await tree.run(ledger, park_after_s=park)
        for _ in range(2):
            await asyncio.to_thread(ledger.command, "r", "stop", idempotency_key="once")
        await asyncio.wait([run])
        run.exception()

    asyncio.run(scene())
    assert len(ledger.commands.list("r")) == 1
    assert {node.run.status for node in ledger.tree("r").walk()} == {"cancelled"}
    with pytest.raises(IllegalTransition):
        ledger.command("r", "stop")


@pytest.mark.parametrize("status", ["pending", "waiting", "paused", "interrupted"])
def test_what_nobody_holds_stops_at_once(ledger: Ledger, status: str) -> None:
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.sleep(600)

    async def parked() -> None:
        run = asyncio.create_task(
            runstone.run("flow", ledger=ledger, run_id="r", registry=names, park_after_s=0.0)
        )
        await asyncio.to_thread(until, ledger, lambda: shown(ledger) == "waiting")
        run.cancel()
        await asyncio.wait([run])

    if status == "pending":
        ledger.create_run(kind="background_agent", run_id="r")
    elif status == "waiting":
        asyncio.run(parked())
    else:
        handle = ledger.start_run(run_id="r")
        handle.pause(reason="later") if status == "paused" else handle.interrupt("lost")
    assert shown(ledger) == status
    command = ledger.command("r", "stop")
    assert command.status == "applied"
    assert shown(ledger) == "cancelled"


@pytest.mark.parametrize(
    ("ends", "status"),
    [(lambda run: run.complete(), "completed"), (lambda run: run.fail("it broke"), "failed")],
)
def test_a_stop_that_came_too_late_is_rejected_with_the_end_and_no_later_attempt_obeys_it(
    ledger: Ledger, ends: Any, status: str
) -> None:
    run = ledger.start_run(run_id="r")
    order = ledger.command("r", "stop", by="ana")
    ends(run).result()
    (found,) = ledger.commands.list("r")
    assert (found.id, found.status, found.reason) == (order.id, "rejected", f"the run had {status} already")
    types = [event.type for event in ledger.events("r")]
    assert types.index(f"run.{status}") + 1 == types.index("command.rejected")
    assert ledger.care.verify() == []
    if status == "failed":
        ledger.core.submit(ResumeRun("r", "again"), []).result()
        with ledger.continue_run("r", "again") as again:
            ledger.reconcile()
            assert not again.stopping
        assert shown(ledger) == "completed"


def test_a_stop_that_was_ordered_before_its_run_was_left_is_carried_out(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    ledger.command("r", "stop", by="ana", reason="too dear")
    run.interrupt("lost")
    ledger.reconcile()
    row = ledger.get_run("r")
    assert (row.status, row.status_reason) == ("cancelled", "too dear")
    assert [order.status for order in ledger.commands.list("r")] == ["applied"]
    told = [event.type for event in ledger.events("r")]
    assert [kind for kind in told if kind != "command.acknowledged"][-3:] == [  # a heartbeat may just have seen it
        "run.interrupted", "run.cancelled", "command.applied",
    ]  # fmt: skip
    ledger.core.submit(ResumeRun("r", "go on after all"), []).result()
    with ledger.continue_run("r", "go on after all") as again:
        ledger.reconcile()
        assert not again.stopping
    assert shown(ledger) == "completed"
    assert ledger.care.verify() == []


@pytest.mark.parametrize("park", ["pause", "ask"])
def test_a_stop_that_came_as_its_run_parked_is_carried_out(ledger: Ledger, park: str) -> None:
    run = ledger.start_run(run_id="r")
    ledger.command("r", "stop", by="ana")
    run.pause(reason="later") if park == "pause" else run.ask("Which?", key="which")
    ledger.reconcile()
    assert shown(ledger) == "cancelled"
    assert [order.status for order in ledger.commands.list("r")] == ["applied"]
    assert ledger.inputs.list(run_id="r").items == [] if park == "ask" else True
    assert ledger.care.verify() == []


def test_a_second_stop_settles_the_first_one_too(ledger: Ledger) -> None:
    ledger.supervisor.judges = lambda: False  # its first heartbeat, if it came late, would settle it before
    run = ledger.start_run(run_id="r")
    ledger.command("r", "stop", by="ana")
    run._core.submit(YieldRun("r", 1, "lost"), []).result()
    ledger.core.submit(RequestStop("r", "second", {}, by="ben", idempotency_key=None), []).result()
    assert [order.status for order in ledger.commands.list("r")] == ["applied", "applied"]
    assert ledger.care.verify() == []


def test_a_stop_before_a_crash_waits_for_the_process_that_outlived_its_owner(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as command:
        leader = identify(command.pid)
        ledger.core.submit(
            StartProcess("r", 1, command.pid, msgspec.to_builtins(leader), ["sleep"]), []
        ).result()
        ledger.core.submit(RequestStop("r", "order", {}, by="ana", idempotency_key=None), []).result()
        run.interrupt("lost")
        ledger.reconcile()
        assert shown(ledger) == "interrupted"
        command.kill()
        command.wait()
    ledger.reconcile()
    assert shown(ledger) == "cancelled"


def shown(ledger: Ledger) -> str | None:
    found = [run for run in ledger.list_runs(parent_id=None).items if run.id == "r"]
    return found[0].status if found else None


def test_a_sync_agent_sees_that_it_should_stop(ledger: Ledger) -> None:
    names, began, saw = Registry(), threading.Event(), list[str]()

    @names.agent("sync")
    def sync(ctx: Any, input: Any) -> Any:
        with pytest.raises(runstone.errors.Misuse):
            ctx.child("sync")
        began.set()
        for _ in range(10_000):
            if ctx.stopping:
                saw.append("stopping")
                return
            threading.Event().wait(0.005)

    async def scene() -> None:
        run = asyncio.create_task(runstone.run("sync", ledger=ledger, run_id="r", registry=names))
        await asyncio.to_thread(began.wait, WAIT_S)
        await asyncio.to_thread(ledger.command, "r", "stop")
        await asyncio.wait([run])
        run.exception()

    asyncio.run(scene())
    assert ledger.get_run("r").status == "cancelled"
    until_true(lambda: saw == ["stopping"])


def until_true(met: Any) -> None:
    for _ in range(1000):
        if met():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come to that")


# --- only a stop cancels --------------------------------------------------------------------------------------------


def test_ctrl_c_leaves_the_tree_interrupted_with_a_reason(ledger: Ledger) -> None:
    folder = ledger.workspace.root
    (folder / "hold").touch()
    with process("tests.engine.working", folder, "run") as other:
        until(ledger, lambda: statuses(ledger) == Counter(completed=2, running=1))
        other.send_signal(signal.SIGINT)
        assert other.communicate(timeout=WAIT_S)[0] == "interrupted\n"
    assert statuses(ledger) == Counter(completed=2, interrupted=1)
    row = ledger.get_run("r")
    assert row.status == "interrupted"
    assert "cancelled in process" in (row.status_reason or "")
    assert ledger.lease("r") is None


def test_a_loop_that_cancels_everything_stops_nobody(ledger: Ledger) -> None:
    """`asyncio.run` cancels all tasks when its main one ends, those of the code and of the engine at once."""
    tree = Tree()

    async def main() -> None:
        await tree.run(ledger)

    asyncio.run(main())
    assert {node.run.status for node in ledger.tree("r").walk()} == {"interrupted"}
    assert ledger.commands.list("r") == []


def test_a_closed_ledger_leaves_its_runs_interrupted(tmp_path: Path) -> None:
    tree, ledger = Tree(), runstone.open(tmp_path)

    async def main() -> None:
        run = await tree.run(ledger)
        await asyncio.to_thread(ledger.close)
        await asyncio.wait([run])
        run.exception()

    asyncio.run(main())
    with runstone.open(tmp_path) as again:
        assert {node.run.status for node in again.tree("r").walk()} == {"interrupted"}
        assert again.get_run("r").status_reason == "the ledger was closed"
        assert again.care.verify() == []


def test_a_cancelled_run_beside_another_one_is_interrupted_alone(ledger: Ledger) -> None:
    one, two = Tree(), Tree()

    async def main() -> None:
        first = await one.run(ledger)
        two.at_work = asyncio.Event()
        work = runstone.run("flow", ledger=ledger, run_id="s", registry=two.names)
        second = asyncio.create_task(work)
        await two.at_work.wait()
        first.cancel()
        await asyncio.wait([first])
        assert {node.run.status for node in ledger.tree("r").walk()} == {"interrupted"}
        assert {node.run.status for node in ledger.tree("s").walk()} == {"running"}
        second.cancel()
        await asyncio.wait([second])

    asyncio.run(main())
