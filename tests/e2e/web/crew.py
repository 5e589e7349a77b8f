"""Agents whose work ends where the test says: they halt until a file `open` is in the workspace."""

import asyncio
from typing import Any

from runstone import agent, workflow


async def gate(ctx: Any) -> None:
    while not (ctx.workspace / "open").exists():  # noqa: ASYNC110  what opens it is another process
        await asyncio.sleep(0.02)


@agent("scout")
async def scout(ctx: Any, input: Any) -> Any:
    """Looks at a place, and has it drawn."""
    ctx.emit("tool.started", {"tool": "look", "call_id": "look-1"})
    ctx.emit(
        "tool.completed",
        {"call_id": "look-1", "ok": True, "output_chars": input["n"] * 100, "elapsed_ms": 40},
    )
    ctx.usage(
        provider="p", model="m", input_tokens=900, output_tokens=100, cost_usd=0.01, request_id=ctx.run_id
    )
    ctx.emit("tool.started", {"tool": "draw", "call_id": "draw-2"})
    await ctx.child("mapper", input)
    ctx.emit("tool.completed", {"call_id": "draw-2", "ok": True, "output_chars": 7, "elapsed_ms": 90})
    return input


@agent("mapper")
async def mapper(ctx: Any, input: Any) -> Any:
    """Draws a place once the gate is open."""
    ctx.emit("tool.started", {"tool": "ink", "call_id": "ink-1"})
    await gate(ctx)
    ctx.emit("tool.completed", {"call_id": "ink-1", "ok": True, "output_chars": 11, "elapsed_ms": 5})
    return input


@workflow("expedition")
async def expedition(ctx: Any, input: Any) -> Any:
    """Explores all places at once, and asks where to go next."""
    await asyncio.gather(
        ctx.map("scout", [{"n": n} for n in range(1, input["places"] + 1)]), ctx.ask("Where to next?")
    )


@agent("stepper")
async def stepper(ctx: Any, input: Any) -> Any:
    """Does one step; the third waits for the gate."""
    if input["n"] == 3:
        await gate(ctx)
    return input["n"]


@workflow("journey")
async def journey(ctx: Any, input: Any) -> Any:
    """Four steps, one after the other."""
    return [await ctx.child("stepper", {"n": n, "pace": input["pace"]}) for n in range(1, 5)]


@workflow("choosing")
async def choosing(ctx: Any, input: Any) -> Any:
    """Asks which way."""
    return await ctx.ask("Which way?", choices=["north", "south"])


@workflow("survey")
async def survey(ctx: Any, input: Any) -> Any:
    """Two phases, the first of which waits for the gate."""
    async with ctx.phase("walk", concurrency=2):
        await ctx.map("stepper", [{"n": n} for n in range(1, 5)])
    async with ctx.phase("draw"):
        return await ctx.child("mapper", input)


@agent("climber")
async def climber(ctx: Any, input: Any) -> Any:
    """Comes to the top once the gate is open, and falls before."""
    if not (ctx.workspace / "open").exists():
        raise RuntimeError("the way is blocked")
    return "the top"


@workflow("climb")
async def climb(ctx: Any, input: Any) -> Any:
    """A step, and the way up."""
    return [await ctx.child("stepper", {"n": 1}), await ctx.child("climber", input)]
