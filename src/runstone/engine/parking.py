"""Whether a run's code has nothing left to do but wait for durable calls; only then may it be parked.

The engine must not guess: a branch that awaits a socket, a thread or a timer is at work. A branch is parked when its
task awaits a durable call, or something that only other parked branches can settle: another task of the run, or the
future inside `gather`, `asyncio.wait`, `wait_for`, `shield`, a TaskGroup or a queue that `as_completed` uses. Those are
found from the callbacks that they hang on the awaited calls and tasks. What is not explained so keeps the run running.
"""

import asyncio
import contextvars
import functools
from collections.abc import Iterable
from typing import Any


def all_parked(
    tasks: Iterable["asyncio.Task[Any]"],
    calls: Iterable["asyncio.Future[Any]"],
    owner: "contextvars.ContextVar[Any]",
    value: Any,
) -> bool:
    """Whether each of the run's tasks waits for durable calls only, and no timer of its code is armed.

    `owner` and `value` tell the run's code from other code of the loop: its timers carry that context.
    """
    running = [task for task in tasks if not task.done()]
    open_calls = [call for call in calls if not call.done()]
    if not open_calls or not running:
        return False
    explained: set[int] = {id(task) for task in running} | {id(call) for call in open_calls}
    for settled in (*running, *open_calls):
        explained |= {id(future) for future in _settles(settled)}
    for task in running:
        waiter = getattr(task, "_fut_waiter", None)
        if waiter is None or waiter.done() or id(waiter) not in explained:
            return False
    return not _timer_armed(running[0].get_loop(), owner, value)


def _settles(future: "asyncio.Future[Any]") -> Iterable["asyncio.Future[Any]"]:
    """Futures that are settled, perhaps, when `future` is: those that its callbacks hold."""
    for callback, _context in getattr(future, "_callbacks", None) or ():
        yield from _futures_in(callback, 0)


def _futures_in(thing: Any, depth: int) -> Iterable["asyncio.Future[Any]"]:
    if asyncio.isfuture(thing):
        yield thing
        if depth < 4:  # the outer future of a gather may itself be awaited by another gather
            for callback, _context in getattr(thing, "_callbacks", None) or ():
                yield from _futures_in(callback, depth + 1)
        return
    if depth >= 4:
        return
    if isinstance(thing, functools.partial):
        parts: list[Any] = [thing.func, *thing.args]
    elif isinstance(thing, asyncio.Queue):
        parts = list(getattr(thing, "_getters", ()))
    elif (owner := getattr(thing, "__self__", None)) is not None and hasattr(thing, "__func__"):
        parts = [value for value in vars(owner).values() if asyncio.isfuture(value)] if hasattr(owner, "__dict__") else []
        parts += list(getattr(owner, "_getters", ()))
    elif cells := getattr(thing, "__closure__", None):
        parts = [cell.cell_contents for cell in cells if _filled(cell)]
    else:
        return
    for part in parts:
        if asyncio.isfuture(part) or isinstance(part, functools.partial | asyncio.Queue) or hasattr(part, "__closure__"):
            yield from _futures_in(part, depth + 1)


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _timer_armed(loop: asyncio.AbstractEventLoop, owner: "contextvars.ContextVar[Any]", value: Any) -> bool:
    """Whether the run's code set a timer that is yet to fire; True on a loop that does not show its timers."""
    scheduled = getattr(loop, "_scheduled", None)
    if scheduled is None:
        return True
    for handle in scheduled:
        context = getattr(handle, "_context", None)
        if not handle.cancelled() and context is not None and context.get(owner) is value:
            return True
    return False
