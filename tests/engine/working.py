"""A process with a tree at work, for tests that stop it, attach to it or resume beside it.

`python -m tests.engine.working FOLDER ACTION`: `run` starts the workflow `tree` as run "r", `resume` resumes it. Its
children note themselves in FOLDER/calls.txt; while FOLDER/hold exists, "b" waits.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import runstone
from runstone import Registry
from runstone.engine.command_spec import CommandSpec
from tests.engine.counted import note

SLEEPER = (
    "import os, signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(inner.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def registry(folder: Path) -> Registry:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        note(folder, input)
        while input == "b" and (folder / "hold").exists():  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.01)
        return input

    @names.workflow("tree")
    async def tree(ctx: Any, input: Any) -> Any:
        note(folder, "tree")
        return await ctx.map("work", ["a", "b", "c"])

    @names.workflow("deep")
    async def deep(ctx: Any, input: Any) -> Any:
        return await asyncio.gather(ctx.child("tree"), ctx.child("sleeper"), ctx.sleep(600))

    @names.workflow("pausing")
    async def pausing(ctx: Any, input: Any) -> Any:
        await ctx.step("first", lambda: note(folder, "first"))
        while (folder / "hold").exists() and not ctx.pausing:  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.01)
        await ctx.step("second", lambda: note(folder, "second"))
        return "done"

    spec = CommandSpec(command=(sys.executable, "-c", SLEEPER), grace_s=0.2)
    names.add_command_agent("sleeper", "1", spec)
    return names


def main(folder: Path, action: str, name: str) -> None:
    with runstone.open(folder) as ledger:
        more: dict[str, Any] = {"ledger": ledger, "registry": registry(folder)}
        work = runstone.resume("r", **more) if action == "resume" else runstone.run(name, run_id="r", **more)
        try:
            print(asyncio.run(work), flush=True)
        except runstone.RunstoneError as error:
            print(error.code, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "tree")
