"""`runs watch` of several runs: each is shown as it ends, whatever process it is in, and the exit code is the worst."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger
from tests.cli.conftest import Shell

HOLD = """
import sys, runstone
ledger = runstone.open(".")
run = ledger.start_run(run_id=sys.argv[1], parent="p", agent_id="held") if sys.argv[2] == "start" else \
    ledger.continue_run(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
run.complete(result=1).result()
"""


@pytest.fixture
def ledger(shell: Shell) -> Iterator[Ledger]:
    with runstone.open(shell.folder) as opened:
        yield opened


@pytest.fixture
def parent(ledger: Ledger) -> Any:
    return ledger.start_run(run_id="p", parent=None)


def test_all_children_are_watched_to_the_last_one(shell: Shell, ledger: Ledger, parent: Any) -> None:
    children = [ledger.start_run(run_id=f"child-{n}", parent=parent, agent_id="reader") for n in range(3)]
    children[0].complete().result()
    watching = shell.start("runs", "watch", "p", "--children", "--jsonl")
    assert watching.stdout is not None
    assert '"child-0"' in watching.stdout.readline()
    children[2].complete().result()
    assert '"child-2"' in watching.stdout.readline(), "each is told as it ends"
    children[1].fail("it did not work").result()
    assert '"child-1"' in watching.stdout.readline()
    assert watching.wait(30) == 5


def test_any_ends_with_the_first_one(shell: Shell, ledger: Ledger, parent: Any) -> None:
    one, two = (ledger.start_run(run_id=name, parent=parent) for name in ("run-one", "run-two"))
    assert shell("runs", "watch", "run-one", "run-two", "--timeout", "0.2", code=8).out == ""
    two.complete().result()
    said = shell("runs", "watch", "run-one", "run-two", "--any")
    assert "completed" in said.out
    assert "1 of 2 runs have not ended" in said.err
    assert [run["id"] for run in shell("runs", "watch", "run-two", "p", "--any", "--json").json] == [
        "run-two"
    ]
    one.fail("no").result()
    assert shell("runs", "watch", "run-one", "run-two", code=5).out.count("\n") == 2


def test_a_run_that_waits_for_a_person_has_its_exit_code_and_a_failed_one_a_worse_one(
    shell: Shell, ledger: Ledger, parent: Any
) -> None:
    ledger.start_run(run_id="asks", parent=parent).ask("Which?", choices=["a", "b"])
    with ledger.start_run(run_id="fine", parent=parent):
        pass
    shell("runs", "watch", "asks", "fine", code=6)
    ledger.start_run(run_id="bad", parent=parent).fail("no").result()
    shell("runs", "watch", "asks", "fine", "bad", code=5)


def test_a_killed_run_is_told_as_interrupted_and_its_next_attempt_can_be_watched(
    shell: Shell, parent: Any, tmp_path: Path
) -> None:
    import subprocess
    import sys

    def hold(run_id: str, how: str) -> "subprocess.Popen[str]":
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        words = [sys.executable, "-c", HOLD, run_id, how]
        process = subprocess.Popen(words, cwd=shell.folder, env=shell.env, text=True, **pipes)
        shell.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    held, other = hold("held-one", "start"), hold("held-two", "start")
    watching = shell.start("runs", "watch", "p", "--children")
    os.kill(held.pid, signal.SIGKILL)
    held.wait(30)
    assert watching.stdout is not None
    assert "interrupted" in watching.stdout.readline()
    held = hold("held-one", "continue")
    for process in (held, other):
        process.communicate("go on\n", timeout=30)
    assert "completed" in watching.stdout.readline()
    assert watching.wait(30) == 5
    assert shell("runs", "watch", "p", "--children").out.count("completed") == 2
