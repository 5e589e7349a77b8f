"""Whether a run's code has nothing left to do but wait for durable calls; only then may it be parked.

The engine must not guess: a branch that awaits a socket, a thread, a timer or another program's future is at work. A
branch is parked when its task awaits a durable call, or something that only durable calls and other parked branches
can settle: another task of the run, or the future inside `gather`, `asyncio.wait`, `shield`, a TaskGroup or
`as_completed`. Those are found from the callbacks that asyncio hangs on calls and tasks, and each is checked for
everything else that it waits for. What is not explained so keeps the run running.
"""

import asyncio
import contextvars
import functools
from collections.abc import Iterable
from typing import Any, Final

_WAIT: Final = asyncio.tasks._wait.__code__  # type: ignore[attr-defined]
_DEPTH: Final = 4
"""Wrappers in one another that are looked through: a shield of a gather of a gather."""


def all_parked(
    tasks: Iterable["asyncio.Task[Any]"],
    calls: Iterable["asyncio.Future[Any]"],
    owner: "contextvars.ContextVar[Any]",
    value: Any,
) -> bool:
    """Whether each of the run's tasks waits for durable calls only, and nothing of its code is about to be called.

    `owner` and `value` tell the run's code from other code of the loop: its callbacks and timers carry that context.
    """
    running = [task for task in tasks if not task.done()]
    open_calls = [call for call in calls if not call.done()]
    if not open_calls or not running:
        return False
    sight = _Sight({*running, *open_calls})
    return all(sight.waits(task) for task in running) and not _called_soon(
        running[0].get_loop(), owner, value
    )


class _Sight:
    """What is known to be settled by durable calls only."""

    def __init__(self, known: "set[asyncio.Future[Any]]") -> None:
        self._known = known
        self._explained: set[asyncio.Future[Any]] = set()
        for future in known:
            self._look_behind(future, 0)

    def waits(self, task: "asyncio.Task[Any]") -> bool:
        """Whether the task waits, and only for what is known."""
        waiter = getattr(task, "_fut_waiter", None)
        if waiter is None or waiter.done():
            return False
        if self._fine(waiter):
            return True
        return waiter in self._explained and all(map(self._fine, _waited_for(task)))

    def _fine(self, future: "asyncio.Future[Any]") -> bool:
        if future in self._known or future.done():
            return True
        children = getattr(future, "_children", None)  # of a gather
        return children is not None and all(map(self._fine, children))

    def _look_behind(self, future: "asyncio.Future[Any]", depth: int) -> None:
        """Adds the futures that asyncio settles when `future` is."""
        if depth == _DEPTH:
            return
        for callback, _context in getattr(future, "_callbacks", None) or ():
            for found in self._settled_by(callback):
                gathers = hasattr(found, "_children")
                if found not in self._explained and (not gathers or self._fine(found)):
                    self._explained.add(found)
                    self._look_behind(found, depth + 1)

    def _settled_by(self, callback: Any) -> list["asyncio.Future[Any]"]:
        if isinstance(callback, functools.partial):
            return (
                [part for part in callback.args if asyncio.isfuture(part)]
                if _of_asyncio(callback.func)
                else []
            )
        if not _of_asyncio(callback):
            return []
        owner = getattr(callback, "__self__", None)
        parts = dict(vars(owner)) if hasattr(owner, "__dict__") else _cells(callback)
        for todo in (parts.get("todo"), parts.get("_todo")):  # of as_completed
            if isinstance(todo, set) and not all(map(self._fine, todo)):
                return []
        queues = [part for part in parts.values() if isinstance(part, asyncio.Queue)]
        getters = [getter for queue in queues for getter in getattr(queue, "_getters", ())]
        return [part for part in parts.values() if asyncio.isfuture(part)] + getters


def _of_asyncio(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "asyncio"


def _cells(function: Any) -> dict[str, Any]:
    """The variables that a closure holds, by name."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return found


def _waited_for(task: "asyncio.Task[Any]") -> Iterable["asyncio.Future[Any]"]:
    """What an `asyncio.wait` in which the task stands waits for."""
    step: Any = task.get_coro()
    while step is not None:
        frame = getattr(step, "cr_frame", None)
        if frame is not None and frame.f_code is _WAIT:
            futures: Iterable[asyncio.Future[Any]] = frame.f_locals["fs"]
            return futures
        step = getattr(step, "cr_await", None)
    return ()


def _called_soon(loop: asyncio.AbstractEventLoop, owner: "contextvars.ContextVar[Any]", value: Any) -> bool:
    """Whether the run's code set a timer that is yet to fire, or the outcome of a call is on its way to it.

    A call that has its outcome looks as if nobody waited for it until its callbacks were called: what it settles (the
    error inside a `gather`) shows in the loop's queue alone. True on a loop that does not show what it is about to do.
    """
    for queue in ("_ready", "_scheduled"):
        handles = getattr(loop, queue, None)
        if handles is None:
            return True
        for handle in handles:
            context = getattr(handle, "_context", None)
            if not handle.cancelled() and context is not None and context.get(owner) is value:
                return True
    return False
