"""What workers execute in tests: trees of every kind of durable call, with results that can be computed beforehand."""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import runstone
from runstone.domain.workflows import RetryPolicy

LEAVES = 4
BRANCHES = 4
RUNS_OF_A_TREE = 1 + BRANCHES * (1 + LEAVES)


@runstone.agent("leaf", version="1")
async def leaf(ctx: Any, input: Any) -> Any:
    number = input["number"]
    for step in range(2):
        await ctx.step(f"part {step}", _part, number, step)
        spent = {"input_tokens": 10 + step, "output_tokens": number % 7}
        ctx.usage(provider="p", model="m", request_id=f"{ctx.run_id}/{step}", cost_usd=0.001, **spent)
    ctx.emit("tool.started", {"call_id": f"c{ctx.attempt}", "tool": "search"})
    await asyncio.sleep(random.uniform(0.01, 0.15))
    ctx.emit("tool.completed", {"call_id": f"c{ctx.attempt}", "tool": "search", "ok": True})
    if input["flaky"] and number % 5 == 0 and ctx.attempt == 1:
        raise ValueError(f"leaf {number} fails at first")
    return number * 2


async def _part(number: int, step: int) -> int:
    await asyncio.sleep(0.01)
    return number + step


@runstone.workflow("branch", version="1")
async def branch(ctx: Any, input: Any) -> Any:
    flaky = input["kind"] == "map"
    numbers = [{"number": input["first"] + offset, "flaky": flaky} for offset in range(LEAVES)]
    retry = RetryPolicy(max_attempts=3, backoff_s=0.05)
    if input["kind"] == "map":
        async with ctx.phase("leaves", concurrency=2):
            found = await ctx.map("leaf", numbers, retry=retry)
    elif input["kind"] == "gather":
        found = await asyncio.gather(*(ctx.child("leaf", one) for one in numbers))
    else:
        found = []
        for one in numbers:
            found.append(await ctx.child("leaf", one))
            await ctx.sleep(0.2)
    return sum(found)


@runstone.workflow("tree", version="1")
async def tree(ctx: Any, input: Any) -> Any:
    kinds = ("map", "gather", "row", "map")
    asked = [
        {"first": (input["tree"] * BRANCHES + number) * LEAVES, "kind": kinds[number]}
        for number in range(BRANCHES)
    ]
    return sum(await ctx.map("branch", asked))


def result_of(number: int) -> int:
    """What the tree of that number gives."""
    first = number * BRANCHES * LEAVES
    return sum(2 * leaf for leaf in range(first, first + BRANCHES * LEAVES))


@runstone.agent("gate", version="1")
async def gate(ctx: Any, input: Any) -> Any:
    """Notes that it works, and for whom, and ends once its folder holds a file named `open`."""
    folder = Path(input["folder"])
    with (folder / "calls").open("a") as calls:
        calls.write(f"{ctx.run_id} {ctx.attempt} {os.getpid()}\n")
    while not (folder / "open").exists():  # noqa: ASYNC110 - another process's file
        await asyncio.sleep(0.02)
    return os.getpid()


@runstone.workflow("deep", version="1")
async def deep(ctx: Any, input: Any) -> Any:
    """A tree of that depth, with a leaf at each level."""
    if input["depth"] == 0:
        return sum(await ctx.map("leaf", [{"number": 1, "flaky": False}, {"number": 2, "flaky": False}]))
    below, beside = await asyncio.gather(
        ctx.child("deep", {"depth": input["depth"] - 1}),
        ctx.child("leaf", {"number": 10 * input["depth"], "flaky": False}),
    )
    return below + beside


@runstone.workflow("asks", version="1")
async def asks(ctx: Any, input: Any) -> Any:
    counted = await ctx.child("leaf", {"number": 3, "flaky": False})
    answer = await ctx.ask("Go on?", choices=["yes", "no"])
    return [counted, answer]


@runstone.workflow("gates", version="1")
async def gates(ctx: Any, input: Any) -> Any:
    """Two gates at once, below a branch of its own."""
    if input.get("below"):
        return await ctx.map("gate", [{"folder": input["folder"], "number": number} for number in range(2)])
    return await ctx.child("gates", {**input, "below": True})


@runstone.workflow("mended", version="1")
async def mended(ctx: Any, input: Any) -> Any:
    """Fails after its children until its folder holds a file named `mended`."""
    done = await ctx.map("leaf", [{"number": number, "flaky": False} for number in range(4)])
    if not (Path(input["folder"]) / "mended").exists():
        raise RuntimeError("not yet")
    return sum(done)


@runstone.workflow("mixed", version="1")
async def mixed(ctx: Any, input: Any) -> Any:
    """Leaves that end at once, and gates that are at work until they are opened."""
    leaves = [{"number": number, "flaky": False} for number in range(2)]
    gates = [{"folder": input["folder"], "number": number} for number in range(3)]
    found = await asyncio.gather(ctx.map("leaf", leaves), ctx.map("gate", gates))
    return [sum(found[0]), len(found[1])]
