"""Whatever goes wrong where an attempt ends, its run does not stay as if somebody worked on it."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain import codec
from runstone.errors import Fenced


def test_a_result_that_is_too_large_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = runstone.Registry()
    monkeypatch.setattr(codec, "MAX_VALUE_BYTES", 1_000)

    @names.agent("large")
    async def large(ctx: Any, input: Any) -> Any:
        return "x" * 2_000

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await asyncio.gather(ctx.child("large"), return_exceptions=True) and "went on"

    with runstone.open(tmp_path) as ledger:
        assert asyncio.run(runstone.run("flow", ledger=ledger, registry=names)) == "went on"
        (child,) = ledger.list_runs(kind="workflow_child").items
        assert child.status == "failed"
        assert (child.error or {})["code"] == "value_too_large"
        assert ledger.list_runs(status="running").items == []
        assert ledger.care.verify() == []


def test_a_fenced_handle_edits_nothing(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        old = ledger.start_run(title="first")
        old.interrupt("gave it up")
        with ledger.continue_run(old.id):
            with pytest.raises(Fenced):
                old.update(title="by the fenced owner").result()
            assert ledger.get_run(old.id).title == "first"


EAGER = """
import asyncio, sys, runstone
@runstone.agent("double")
async def double(ctx, n): return n * 2
@runstone.workflow("sum")
async def total(ctx, numbers):
    first = await ctx.step("first", lambda: 1)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ctx.child("double", n)) for n in numbers]
    await ctx.sleep(0.01)
    again = await ctx.map("double", numbers, key=lambda n: f"again {n}")
    return first + sum(task.result() for task in tasks) + sum(again)
async def main():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    with runstone.open(sys.argv[1]) as ledger:
        assert await runstone.run("sum", [1, 2, 3], ledger=ledger) == 25
        assert ledger.care.verify() == []
asyncio.run(main())
print("fine")
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_a_loop_with_eager_tasks_runs_workflows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EAGER, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "fine\n", done.stderr
