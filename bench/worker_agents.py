"""What the workers of `bench/workers.py` execute."""

import asyncio
import time
from pathlib import Path
from typing import Any

import runstone


@runstone.agent("double")
async def double(ctx: Any, number: int) -> int:
    return 2 * number


@runstone.workflow("many")
async def many(ctx: Any, count: int) -> int:
    return sum(await ctx.map("double", range(count)))


@runstone.agent("held")
async def held(ctx: Any, folder: str) -> int:
    """Notes when it began; its first attempt never ends."""
    with (Path(folder) / "began").open("a") as file:
        file.write(f"{time.time()}\n")
    if ctx.attempt == 1:
        await asyncio.Event().wait()
    return int(ctx.attempt)
