"""Agents: Python functions, sync ones in threads, and commands, whose output and processes the ledger keeps."""

import asyncio
import os
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
from runstone.engine.command_spec import CommandSpec
from tests.engine.counted import WAIT_S, attempt, start, until


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


def command(code: str, **more: Any) -> Registry:
    """The agent `tool`, a Python program, and a workflow `flow` that asks it."""
    names = Registry()
    more = {"grace_s": 0.2, **more}
    names.add_command_agent("tool", "1", CommandSpec(command=(sys.executable, "-c", code), **more))

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.child("tool", input)

    return names


def tool(ledger: Ledger) -> Any:
    (run,) = ledger.list_runs(agent_id="tool").items
    return run


# --- commands -------------------------------------------------------------------------------------------------------


def test_output_is_in_the_worker_thread_and_json_is_the_result(ledger: Ledger) -> None:
    code = (
        "import json, sys\n"
        "given = json.load(sys.stdin)\n"
        "print('looking', file=sys.stderr)\n"
        "print('one line')\n"
        "print(json.dumps({'got': given}))\n"
    )
    assert start(ledger, "flow", {"path": "x"}, registry=command(code, input="stdin")) == {
        "got": {"path": "x"}
    }
    run = tool(ledger)
    messages = ledger.threads.messages(run.worker_thread_id).items
    assert {(one.role, one.text) for one in messages} == {
        ("stderr", "looking"),
        ("stdout", "one line"),
        ("stdout", '{"got": {"path": "x"}}'),
    }
    assert all(one.run_id == run.id for one in messages)
    (record,) = ledger.processes(run.id)
    assert (record.exit_code, record.signal, record.pgid) == (0, None, record.identity["pid"])
    assert record.ended_at is not None
    assert record.command[0] == sys.executable
    told = [event.type for event in ledger.events(run.id)]
    assert told.index("process.started") < told.index("message.appended") < told.index("process.ended")


def test_a_failure_says_how_the_command_ended(ledger: Ledger) -> None:
    code = "import sys; print('first', file=sys.stderr); print('no such file', file=sys.stderr); sys.exit(3)"
    assert attempt(ledger, "flow", registry=command(code)) == "failed"
    run = tool(ledger)
    assert run.error["code"] == "command_failed"
    assert "exit code 3: no such file" in run.error["message"]
    assert ledger.processes(run.id)[0].exit_code == 3


def test_a_command_that_a_signal_ended_says_which(ledger: Ledger) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert attempt(ledger, "flow", registry=command(code)) == "failed"
    assert "SIGKILL" in tool(ledger).error["message"]
    assert ledger.processes(tool(ledger).id)[0].signal == 9


def test_a_command_knows_its_run_and_its_workspace(ledger: Ledger) -> None:
    code = "import os; print(os.environ['RUNSTONE_RUN_ID']); print(os.environ['RUNSTONE_WORKSPACE'])"
    start(ledger, "flow", registry=command(code, result="text"))
    run = tool(ledger)
    assert ledger.result(run.id).split() == [run.id, str(ledger.workspace.root)]


def test_a_command_of_its_own_is_a_background_agent(ledger: Ledger) -> None:
    assert start(ledger, "tool", registry=command("print(1)")) == 1
    assert ledger.get_run("r").kind == "background_agent"


STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
    "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(inner.pid, flush=True)\n"
    "while True: time.sleep(1)\n"
)


def test_a_stop_asks_the_group_to_end_and_then_ends_it(ledger: Ledger) -> None:
    names = command(STUBBORN, grace_s=0.5)

    async def scene() -> list[int]:
        run = asyncio.create_task(runstone.run("tool", ledger=ledger, run_id="r", registry=names))
        await asyncio.to_thread(until, ledger, lambda: len(lines(ledger)) == 1)
        pids = [ledger.processes("r")[0].pgid, int(lines(ledger)[0])]
        assert all(map(psutil.pid_exists, pids))
        await asyncio.to_thread(ledger.command, "r", "stop")
        with pytest.raises(runstone.RunStopped):
            await asyncio.wait_for(run, WAIT_S)
        return pids

    pids = asyncio.run(scene())
    assert not any(alive(pid) for pid in pids)
    assert lines(ledger)[1:] == ["asked"]  # TERM came first, KILL after the grace
    assert ledger.get_run("r").status == "cancelled"
    assert ledger.processes("r")[0].ended_at is not None


def lines(ledger: Ledger) -> list[str]:
    if not ledger.list_runs(agent_id="tool").items:
        return []
    thread = tool(ledger).worker_thread_id
    return [] if thread is None else [one.text for one in ledger.threads.messages(thread).items]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_failed_command_is_run_again_by_a_resume_and_a_finished_one_is_not(ledger: Ledger) -> None:
    marker = ledger.workspace.root / "marker"
    code = (
        "import json, pathlib, sys\n"
        f"marker = pathlib.Path({str(marker)!r})\n"
        "name = json.load(sys.stdin)\n"
        "with (marker.parent / 'runs.txt').open('a') as file: print(name, file=file)\n"
        "if name == 'b' and not marker.exists(): sys.exit(1)\n"
        "print(json.dumps(name))\n"
    )
    names = command(code, input="stdin")

    @names.workflow("many")
    async def many(ctx: Any, input: Any) -> Any:
        return await ctx.map("tool", ["a", "b", "c"])

    assert attempt(ledger, "many", registry=names) == "failed"
    marker.touch()
    assert start(ledger, "many", registry=names) == ["a", "b", "c"]
    assert Counter((marker.parent / "runs.txt").read_text().split()) == Counter({"a": 1, "b": 2, "c": 1})


# --- sync functions -------------------------------------------------------------------------------------------------


def test_sync_agents_run_in_threads_side_by_side(ledger: Ledger) -> None:
    names, both = Registry(), threading.Barrier(2)

    @names.agent("sync")
    def sync(ctx: Any, input: Any) -> Any:
        both.wait(WAIT_S)  # one after the other they would never meet
        ctx.emit("my.event", {"input": input})
        ctx.message("assistant", f"working on {input}")
        ctx.usage(provider="p", model="m", input_tokens=1)
        ctx.checkpoint({"input": input})
        assert runstone.current_run().id == ctx.run_id  # type: ignore[union-attr]
        return threading.get_ident()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.map("sync", [1, 2])

    threads = start(ledger, "flow", registry=names)
    assert threading.get_ident() not in threads
    assert ledger.telemetry("r").subtree.tokens == 2
    for run in ledger.list_runs(parent_id="r").items:
        assert ledger.checkpoints.state(run.id) == {"input": ledger.input(run.id)}


def test_a_callable_object_and_a_partial_are_agents(ledger: Ledger) -> None:
    class Adder:
        async def __call__(self, ctx: Any, input: Any) -> Any:
            return input + 1

    names = Registry()
    names.agent("adder")(Adder())
    assert start(ledger, "adder", 1, registry=names) == 2


def test_an_agent_that_raises_keeps_what_it_had_said(ledger: Ledger) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        ctx.emit("my.event")
        ctx.usage(provider="p", model="m", input_tokens=5)
        raise ValueError("broken \udc80")

    assert attempt(ledger, "work", registry=names) == "failed"
    row = ledger.get_run("r")
    assert row.error is not None
    assert (row.error["code"], row.error["type"]) == ("exception", "ValueError")
    assert ledger.telemetry("r").own.tokens == 5
    assert "my.event" in [event.type for event in ledger.events("r")]
    failed = next(event for event in ledger.events("r") if event.type == "run.failed")
    assert "ValueError" in failed.payload["error"]["traceback"]


def test_a_caller_gets_no_environment_that_it_did_not_have(ledger: Ledger) -> None:
    start(ledger, "tool", registry=command("print(1)"))
    assert "RUNSTONE_RUN_ID" not in os.environ
