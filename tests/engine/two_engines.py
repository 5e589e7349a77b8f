"""A process that runs one child of a phase whose limit is one: `python -m tests.engine.two_engines FOLDER WHICH`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import runstone
from runstone import Ledger, Registry
from runstone.engine.driving import Tree
from runstone.execution import engine_of
from runstone.store.writes.lifecycle import ClaimRun
from runstone.store.writes.limits import PhaseFull


async def work(ledger: Ledger, which: str, folder: Path) -> None:
    names = Registry()

    @names.agent("work")
    async def agent(ctx: Any, input: Any) -> Any:
        print("holds" if which == "first" else "ran", flush=True)
        while which == "first" and (folder / "hold").exists():  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.01)

    if which == "first":
        ledger.create_run(kind="workflow", run_id="r")
        for name in ("first", "second"):
            ledger.create_run(kind="workflow_child", run_id=name, parent="r", agent_id="work", phase="p")
    else:
        try:
            await ledger.core.submit(ClaimRun("second", ledger.supervisor.owner, limit=1), [])
        except PhaseFull as full:
            print(full.code, flush=True)
    async with engine_of(ledger) as engine:
        await engine.begin(which, Tree(registry=names), limit=1)


def main() -> None:
    folder = Path(sys.argv[1])
    with runstone.open(folder) as ledger:
        asyncio.run(work(ledger, sys.argv[2], folder))


if __name__ == "__main__":
    main()
