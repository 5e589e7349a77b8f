"""Runs that stand in line are taken by a worker; what it loses, or leaves, goes on in the next one."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import runstone
from tests.cli.conftest import Shell

WAIT_S = 60.0

FLOWS = """
import asyncio, os, signal, time
from pathlib import Path
import runstone

def note(name, text):
    with Path(name).open("a") as file:
        file.write(f"{text}\\n")

@runstone.agent("leaf")
async def leaf(ctx, input):
    note("calls.txt", f"{ctx.run_id} {os.getpid()}")
    while input == "gate" and not Path("open").exists():
        await asyncio.sleep(0.02)
    if input == "spin" and ctx.attempt == 1:
        note("spinning", ctx.run_id)
        until = time.monotonic() + 4
        while time.monotonic() < until:
            pass
    return [input, os.getpid()]

@runstone.workflow("pair")
async def pair(ctx, input):
    return [await ctx.child("leaf", item) for item in input["items"]]

@runstone.workflow("deep")
async def deep(ctx, input):
    if input["depth"] == 0:
        async with ctx.phase("leaves", concurrency=1):
            return len(await ctx.map("leaf", ["a", "b", "c"]))
    one, two = await asyncio.gather(
        ctx.child("deep", {"depth": input["depth"] - 1, "side": 0}),
        ctx.child("leaf", input["depth"]),
    )
    return one + 1
"""


@pytest.fixture
def line(shell: Shell) -> Shell:
    """A folder with agents, of which one worker at a time takes runs, one run at a time."""
    (shell.folder / "flows.py").write_text(FLOWS)
    (shell.folder / "runstone.toml").write_text(
        'modules = ["flows"]\n[queues.default]\nconcurrency = 1\npoll_s = 0.05\n'
    )
    return shell


def until(met: Callable[[], bool], said: "subprocess.Popen[str] | None" = None) -> None:
    deadline = time.monotonic() + WAIT_S
    while not met():
        assert said is None or said.poll() is None, said.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def calls(line: Shell) -> list[list[str]]:
    file = line.folder / "calls.txt"
    return [row.split() for row in file.read_text().splitlines()] if file.exists() else []


def ended(line: Shell, run_id: str) -> None:
    with runstone.open(line.folder, readonly=True) as ledger:
        run = ledger.wait(run_id, WAIT_S)
        assert run.status == "completed", (run.status, run.status_reason, run.error)


def stop(worker: "subprocess.Popen[str]") -> None:
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=WAIT_S)
    assert worker.returncode == 0, (out, err)
    assert "Traceback" not in (err or "")


def test_a_tree_of_depth_5_completes_with_one_slot_in_the_whole_system(line: Shell) -> None:
    line("enqueue", "deep", "depth=5", "--id", "d", "--trust")
    worker = line.start("worker", "--slots", "1")
    ended(line, "d")
    stop(worker)
    with runstone.open(line.folder, readonly=True) as ledger:
        assert ledger.reader.values.json(ledger.get_run("d").result_ref) == 8
        runs = ledger.list_runs(limit=100).items
        of = ledger.reader.attempts.of
        attempts = [(one.started_at, one.ended_at) for run in runs for one in of(run.id)]
    assert len(runs) == 6 + 5 + 3
    attempts.sort()
    overlapping = [(a, b) for a, b in itertools.pairwise(attempts) if b[0] < a[1]]
    assert overlapping == [], "never two runs at work at a time"
    assert len(calls(line)) == 8, "no finished work is done again"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_worker_left_goes_on_in_the_next_without_doing_finished_work_again(
    line: Shell, how: signal.Signals
) -> None:
    line("enqueue", "pair", '--input={"items": ["first", "gate"]}', "--id", "p", "--trust")
    one = line.start("worker", "--slots", "1")
    until(lambda: len(calls(line)) == 2, one)
    one.send_signal(how)
    one.wait(WAIT_S)
    with runstone.open(line.folder) as ledger:
        statuses = {run.agent_id: run.status for run in ledger.list_runs().items}
    assert statuses["leaf"] in ("completed", "pending")
    (line.folder / "open").touch()
    other = line.start("worker", "--slots", "1")
    ended(line, "p")
    stop(other)
    with runstone.open(line.folder, readonly=True) as ledger:
        (first, one_pid), (second, other_pid) = ledger.reader.values.json(ledger.get_run("p").result_ref)
    assert (first, second) == ("first", "gate")
    assert (one_pid, other_pid) == (one.pid, other.pid)
    assert len(calls(line)) == 3, "the first was done once"


def test_a_run_that_no_worker_has_the_code_of_waits_for_one_that_has(line: Shell) -> None:
    line("enqueue", "pair", '--input={"items": ["a"]}', "--id", "p", "--trust")
    (line.folder / "flows.py").write_text("import runstone\n")
    lacking = line.start("worker", "--slots", "1")
    with runstone.open(line.folder, readonly=True) as ledger:
        until(lambda: any(event.type == "dispatch.returned" for event in ledger.events("p")), lacking)
        told = [event for event in ledger.events("p") if event.type == "dispatch.returned"]
        assert "pair" in told[0].payload["reason"]
        assert ledger.get_run("p").status == "pending"
    stop(lacking)
    (line.folder / "flows.py").write_text(FLOWS)
    having = line.start("worker", "--slots", "1")
    ended(line, "p")
    stop(having)


def test_an_agent_that_computes_does_not_starve_its_lease(line: Shell) -> None:
    """It holds the interpreter as much as Python code can, in the event loop itself, for two leases."""
    line("enqueue", "pair", '--input={"items": ["spin"]}', "--id", "p", "--trust")
    command = [
        sys.executable,
        "-m",
        "tests.workers.program",
        str(line.folder),
        "--slots",
        "1",
        "--lease",
        "2",
    ]
    env = line.env | {"PYTHONPATH": str(Path(__file__).parents[2])}
    worker = subprocess.Popen(command, cwd=line.folder, env=env, text=True)
    line.started.append(worker)
    with runstone.open(line.folder, heartbeat_s=0.2, lease_s=2) as ledger:
        until((line.folder / "spinning").exists, worker)
        while not (run := ledger.get_run((line.folder / "spinning").read_text().strip())).completed_at:
            ledger.supervisor.reconcile()
            assert run.status == "running"
            time.sleep(0.05)
        assert run.attempt == 1
    ended(line, "p")
    stop(worker)


def test_a_worker_without_its_extra_says_what_to_install(line: Shell) -> None:
    hidden = line.folder / "hidden"
    (hidden / "dbos").mkdir(parents=True)
    (hidden / "dbos" / "__init__.py").write_text("raise ModuleNotFoundError('dbos', name='dbos')")
    line.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(hidden), line.env.get("PYTHONPATH")]))
    line("enqueue", "pair", '--input={"items": []}', "--trust")
    said = line("worker", code=1)
    assert "runstone[distributed]" in said.err


@pytest.mark.parametrize(
    "wrong", ["[queues.q]\nconcurrency = 0\n", "[queues.q]\nspeed = 1\n", "[queues.q]\npoll_s = 0\n"]
)
def test_wrong_settings_of_a_queue_are_refused_with_their_place(line: Shell, wrong: str) -> None:
    Path(line.folder / "runstone.toml").write_text(wrong)
    line("enqueue", "repo-audit", "path=.", code=0)
    said = line("worker", "--trust", code=1)
    assert "runstone.toml: queues" in said.err
