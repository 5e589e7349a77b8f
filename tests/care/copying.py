"""Programs that write while a backup is taken, and what must hold of a copy."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import runstone

WRITER = """
import json, sys, time, runstone
folder, name, rate, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), open(sys.argv[4], "w", buffering=1)
with runstone.open(folder) as ledger, ledger.start_run(run_id=name) as run:
    number, longest, due = 0, 0.0, time.monotonic()
    while not sys.stdin in __import__("select").select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        began = time.monotonic()
        receipts = [run.emit("work.done", {"n": number + k + 1}) for k in range(10)]
        receipts[-1].result()
        number += 10
        out.write(json.dumps({"n": number, "at": time.monotonic(), "took": time.monotonic() - began}) + "\\n")
        due = max(due + 10 / rate, began)
"""

HOLDER = """
import subprocess, sys, runstone
from runstone.engine.processes import identify
from runstone.store.writes.journal import StartProcess
import msgspec
ledger = runstone.open(sys.argv[1])
run = ledger.start_run(run_id="held", title="held")
child = subprocess.Popen(["sleep", "120"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
identity = msgspec.to_builtins(identify(child.pid))
ledger.core.submit(StartProcess("held", 1, child.pid, identity, ["sleep", "120"]), []).result()
board = ledger.boards.create(board_id="board", title="board")
ledger.boards.add_card("board", "card", card_id="card", run_id="held")
print(child.pid, flush=True)
sys.stdin.read()
"""


def runstone_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "runstone", *words]


def start(program: str, *arguments: object) -> "subprocess.Popen[str]":
    """A program of this file in a process of its own; closing its stdin ends it."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]") -> int:
    with contextlib.suppress(BrokenPipeError):
        process.communicate(timeout=60)
    return process.returncode


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=30)


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process that holds the run `held`, with a process group of it; both are gone at the end."""
    process = start(HOLDER, folder)
    assert process.stdout is not None
    tool = int(process.stdout.readline())
    try:
        yield process, tool
    finally:
        for pid in (tool, process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)


def acknowledged(said: Path) -> list[dict[str, Any]]:
    """What a writer has said up to now; its last line may be under way."""
    return [json.loads(line) for line in said.read_text().splitlines() if line.endswith("}")]


def wait_until(true: Any, limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        select.select([], [], [], 0.01)


def require_prefix(ledger: runstone.Ledger) -> int:
    """Positions 1 to n and each run's seq without a gap. Gives n."""
    events = ledger.reader.events.since(0, 10_000_000)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    seqs: dict[str, int] = {}
    for event in events:
        assert event.seq == seqs.get(event.run_id, 0) + 1
        seqs[event.run_id] = event.seq
    return len(events)
