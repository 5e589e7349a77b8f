"""A workspace with something in it, and ways to type commands in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

import runstone
from runstone.cli import main

MODULE = """
import asyncio, os, signal
from pathlib import Path
import runstone

@runstone.agent("worker", version="1")
async def worker(ctx, item):
    with Path("calls.txt").open("a") as calls:
        calls.write(f"{item}\\n")
    ctx.message("assistant", f"working on {item}")
    request = f"{ctx.run_id}/{ctx.attempt}"
    ctx.usage(provider="p", model="m", input_tokens=100, output_tokens=10, cost_usd=0.01, request_id=request)
    if item == "noisy":
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    while item == "gate" and not Path("open").exists():
        await asyncio.sleep(0.02)
    if item == "bad" and not Path("mended").exists():
        raise ValueError("it is \\x1b[2J broken")
    return f"done {item}"

@runstone.workflow("team", version="1")
async def team(ctx, input):
    async with ctx.phase("work", concurrency=4):
        found = await ctx.map("worker", input["items"])
    ctx.set_summary(f"{len(found)} items")
    return found
"""


class Shell:
    """Types commands in a folder, in real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        state = str(folder.parent / "state")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTONE_")}
        self.env = {**clean, "RUNSTONE_STATE_DIR": state, "PYTHONIOENCODING": "utf-8", "NO_COLOR": ""}

    def start(self, *words: str, **more: Any) -> "subprocess.Popen[str]":
        """Begins a command and leaves it running."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-m", "runstone", *words]
        process = subprocess.Popen(command, cwd=self.folder, env=self.env, text=True, **(pipes | more))
        self.started.append(process)
        return process

    def close(self) -> None:
        """Ends what a failed test left behind."""
        for process in self.started:
            process.kill()
            process.wait(30)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def __call__(self, *words: str, code: int = 0, **more: Any) -> "Said":
        """Runs a command to its end, which must be with that exit code."""
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, f"{words} ended with {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return Said(out, err)


class Said(NamedTuple):
    """What a command wrote."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)

    @property
    def jsonl(self) -> list[Any]:
        """The lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder whose runstone.toml names one agent and one workflow in code, and one command."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    (folder / "crew.py").write_text(MODULE)
    toml = 'modules = ["crew"]\n[agents.echo]\ncommand = ["sh", "-c", "echo one; echo two >&2; echo 3"]\n'
    (folder / "runstone.toml").write_text(toml)
    shell = Shell(folder)
    yield shell
    shell.close()


def read(ledger: runstone.Ledger, parent: str) -> None:
    """A child with everything that a loop can report."""
    with ledger.start_run(agent_id="reader", parent=parent, title="Reads", run_id="reader-run") as run:
        run.message("assistant", "first line\nsecond \x1b]0;title\x07 line")
        run.message("assistant", "last")
        run.emit("tool.started", {"tool": "grep", "call_id": "c1"})
        run.emit("tool.completed", {"tool": "grep", "call_id": "c1", "ok": False})
        spent = {"input_tokens": 1_000, "output_tokens": 200}
        run.usage(provider="p", model="m", cost_usd=0.5, request_id="r1", **spent)
        run.checkpoint({"n": 1}, label="half way")
        run.complete(summary="read all", result={"answer": "\u202e42"})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a small tree, an interrupted run, messages, a board and hostile text."""
    root = tmp_path_factory.mktemp("recorded")
    with runstone.open(root) as ledger:
        board = ledger.boards.create("board-1", title="Plan")
        ledger.boards.add_card(board.id, "First \x1b[2Jcard", card_id="card-1", body="do it")
        lead = ledger.start_run(
            kind="team_member", agent_id="lead", title="Lead \u202eevil", prompt="Find the needle", run_id="lead-run",
            task_board_id="board-1", task_card_id="card-1", labels={"team": "red"},
        )  # fmt: skip
        with lead:
            read(ledger, lead.run_id)
            lead.complete(summary="led", result="fine\x1b[31m")
        with suppress(RuntimeError), ledger.start_run(agent_id="clumsy", title="Falls", run_id="clumsy-run"):
            raise RuntimeError("fell \x1b[2J over")
        ledger.start_run(agent_id="sleeper", title="Lost", run_id="lost-run")
    return root


class Typed(NamedTuple):
    """Types commands into this process, where that is enough."""

    root: Path

    def __call__(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, ["--workspace", str(self.root), *words])
        assert result.exit_code == code, f"{result.output}\n{result.stderr}\n{result.exception!r}"
        return result


@pytest.fixture
def typed(recorded: Path) -> Typed:
    """Commands on the recorded workspace."""
    return Typed(recorded)
