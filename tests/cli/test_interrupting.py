"""Ctrl-C, more than once and at any moment: the run is left interrupted, and nothing of its command lives on."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

import runstone
from tests.cli.conftest import Shell

STUBBORN = """
[agents.stubborn]
command = ["sh", "-c", "trap '' TERM; echo started; while :; do sleep 1; done"]
grace_s = 0.3
[agents.patient]
command = ["sh", "-c", "trap '' TERM; echo started; while :; do sleep 1; done"]
grace_s = 600
"""


def begin(shell: Shell, name: str) -> "subprocess.Popen[str]":
    """The run of a command that says that it started."""
    (shell.folder / "runstone.toml").write_text(STUBBORN)
    process = shell.start("run", name, "--trust", "--id", "job")
    for _ in range(600):
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            if said(shell.folder):
                return process
        else:
            break
    process.kill()
    raise AssertionError(process.communicate(timeout=5))


def said(folder: Path) -> bool:
    """Whether the command's first line is in the ledger."""
    try:
        with runstone.open(folder, readonly=True, create=False) as ledger:
            return bool(ledger.threads.messages(ledger.get_run("job").worker_thread_id or "job.thread").items)
    except runstone.RunstoneError:
        return False


def living(folder: Path) -> list[int]:
    """The processes whose working folder is the workspace: the command's, whatever became of their parent."""
    every = psutil.process_iter(["cwd", "pid", "status"])
    here = (one.info for one in every if one.info["cwd"] == str(folder))
    return [info["pid"] for info in here if info["status"] != psutil.STATUS_ZOMBIE]


def finish(process: "subprocess.Popen[str]", folder: Path) -> str:
    """What it said on stderr; it must end by itself, and leave nothing behind."""
    try:
        _, err = process.communicate(timeout=30)
    finally:
        left = [pid for pid in living(folder) if pid != process.pid or process.poll() is None]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert left == []
    return err


def between(pause_ms: float) -> None:
    """Lets the pause pass; the moment of the second signal is what is tested."""
    until = time.perf_counter() + pause_ms / 1000
    while time.perf_counter() < until:
        continue


@pytest.mark.parametrize("pause_ms", [0, 0.5, 2, 20, 100])
def test_two_quick_ctrl_c_do_as_one(shell: Shell, pause_ms: float) -> None:
    process = begin(shell, "stubborn")
    process.send_signal(signal.SIGINT)
    between(pause_ms)
    process.send_signal(signal.SIGINT)
    err = finish(process, shell.folder)
    assert process.returncode == 130, err
    assert "hint: go on with it: runstone resume job" in err
    assert "Traceback" not in err
    assert "is closed" not in err
    assert shell("runs", "show", "job", "--json").json["status"] == "interrupted"


def test_a_third_ctrl_c_kills_what_takes_its_time(shell: Shell) -> None:
    process = begin(shell, "patient")
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    between(300)
    process.send_signal(signal.SIGINT)
    while "ending processes" not in (line := process.stderr.readline()):
        assert line, "it ended too early"
    process.send_signal(signal.SIGINT)
    err = finish(process, shell.folder)
    assert process.returncode == 130, err
    assert "runstone resume" in err
    with runstone.open(shell.folder) as ledger:
        ledger.reconcile()
        assert ledger.get_run("job").status == "interrupted"
