"""What the engine's tests share: executions counted for real, and processes that are killed in the middle.

`python -m tests.engine.counted FOLDER` runs the workflow `six` there: six parallel children "a" to "f", each noting its
execution in FOLDER/calls.txt. While FOLDER/hold exists, "b" waits for ever.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.errors import RunOutcome

WAIT_S = 60.0
SIX = ["a", "b", "c", "d", "e", "f"]
ROOT = Path(__file__).parents[2]


def note(folder: Path, line: str) -> None:
    """Appends a line to calls.txt, whole, whatever other processes write."""
    descriptor = os.open(folder / "calls.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def noted(folder: Path) -> "Counter[str]":
    """How often each line was noted."""
    path = folder / "calls.txt"
    return Counter(path.read_text().split("\n")[:-1]) if path.exists() else Counter()


def six(folder: Path) -> Registry:
    """The workflow `six`, whose children work in `folder`."""
    names = Registry()

    @names.agent("inspect")
    async def inspect(ctx: Any, input: Any) -> Any:
        note(folder, input)
        if input == "b" and (folder / "hold").exists():
            await asyncio.Event().wait()
        if input == "b" and (folder / "fail").exists():
            raise ValueError("b cannot be inspected")
        return f"{input} inspected"

    @names.workflow("six")
    async def six(ctx: Any, input: Any) -> Any:
        note(folder, "six")
        return await asyncio.gather(*(ctx.child("inspect", name) for name in SIX))

    return names


def start(ledger: Ledger, name: str, input: Any = None, *, run_id: str = "r", **more: Any) -> Any:
    """Runs it to its end in an event loop of its own."""
    return asyncio.run(runstone.run(name, input, ledger=ledger, run_id=run_id, **more))


def attempt(ledger: Ledger, name: str, input: Any = None, *, run_id: str = "r", **more: Any) -> str:
    """Runs it as far as it gets; gives the status, which is also that of the run's row."""
    with contextlib.suppress(RunOutcome):
        start(ledger, name, input, run_id=run_id, **more)
    return ledger.get_run(run_id).status


def until(ledger: Ledger, met: Callable[[], bool], what: str = "it") -> None:
    """Waits, by the ledger's own events and bounded, until it shows what is waited for."""
    events = ledger.tail(timeout=WAIT_S)
    if met():
        return
    for _ in events:
        if met():
            return
    pytest.fail(f"{what} did not come")


def statuses(ledger: Ledger, run_id: str = "r") -> "Counter[str]":
    """How many children have which status."""
    return Counter(run.status for run in ledger.list_runs(parent_id=run_id, limit=1000).items)


@contextlib.contextmanager
def process(module: str, *arguments: object) -> "Iterator[subprocess.Popen[str]]":
    """A Python process of a module below tests/, killed at the end if it still lives."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


@contextlib.contextmanager
def killed_while_b_runs(ledger: Ledger) -> Iterator[None]:
    """Another process runs `six` and is killed with SIGKILL when all but "b" have completed."""
    folder = ledger.workspace.root
    (folder / "hold").touch()
    with process("tests.engine.counted", folder) as running:
        until(ledger, lambda: statuses(ledger) == Counter(completed=5, running=1), "five of six")
        running.kill()
    (folder / "hold").unlink()
    yield


class Calls:
    """Executions of agents of this process."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def __call__(self, what: Any) -> None:
        self.made.append(what)

    def take(self) -> "Counter[Any]":
        """What was executed since the last time."""
        made, self.made = self.made, []
        return Counter(made)


def main(folder: Path) -> None:
    with runstone.open(folder) as ledger:
        print(start(ledger, "six", registry=six(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
