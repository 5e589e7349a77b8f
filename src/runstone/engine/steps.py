"""Steps and timers: what a run does once and records, in its own attempt."""

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.records import JournalEntry
from runstone.engine.calls import Call
from runstone.store.writes.journal import Hint, RecordStep

if TYPE_CHECKING:
    from runstone.engine.context import Context

current_step: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_step", default=None)
"""The key of the step whose body this is."""

_NAP_S = 60.0
"""A long timer looks at the clock so often, as it may be set while the machine sleeps."""


async def run_body(ctx: "Context", key: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Calls the step's function: in the loop if it is async, else in a thread."""
    current_step.set(key)
    if inspect.iscoroutinefunction(getattr(function, "func", function)):
        return await function(*args)
    value = await ctx.engine.in_thread(function, *args)
    return await value if inspect.isawaitable(value) else value


async def run_step(ctx: "Context", body: "asyncio.Task[Any]", hint: Hint) -> Any:
    """The result, once it is recorded: the stored value, as later attempts get it. Raises what the function raises."""
    core = ctx.engine.core
    started = core.clock.monotonic()
    data = codec.encode(await body)
    elapsed_ms = int((core.clock.monotonic() - started) * 1000)
    await core.submit(RecordStep(ctx.run_id, ctx.attempt, hint, data, elapsed_ms), [])
    return codec.decode(data)


async def run_timer(
    ctx: "Context", call: Call, seconds: float, hint: Hint, record: JournalEntry | None
) -> None:
    """Until the recorded time: that of an earlier attempt, or a new one."""
    core = ctx.engine.core
    if record is not None and record.value is not None:
        call.wake_at = int(codec.decode(record.value))
    else:
        call.wake_at = core.now() + int(seconds * 1e6)
        data = codec.encode(call.wake_at)
        await core.submit(RecordStep(ctx.run_id, ctx.attempt, hint, data, 0, kind="timer"), [])
    call.waits = True
    ctx.consider_parking()
    while (left := call.wake_at - core.now()) > 0 and not ctx.suspended:
        await asyncio.wait([ctx.over], timeout=min(left / 1e6, _NAP_S))
