"""Runs a workflow's code against its journal: what it would take, and what it would start. Nothing is written.

The code runs in a thread and an event loop of its own, bounded in time: code that loops is left, and what it might ask
for later is not known. Steps and agents are never called; what the code itself does besides `ctx` it does.
"""

import asyncio
import contextvars
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone.domain.records import AgentRun, JournalEntry
from runstone.domain.resume import PlanEntry, ResumePolicy
from runstone.domain.secrets import bound, names_in
from runstone.engine.handle import current
from runstone.engine.parking import all_parked
from runstone.engine.registry import Entry, Registry
from runstone.engine.secrets import Vault
from runstone.engine.simulated import Simulated, owner
from runstone.store.reads import Reader

LIMIT_S: Final = 10.0
"""So long the code may work. What is recorded is taken at once, so that code which only asks needs a moment."""

_LOOK_S: Final = 0.005
_GRACE_S: Final = 0.5
"""So long code that was told to end may take for it; then its thread is left behind, and gets nothing done any more."""


class _Overrun(BaseException):
    """The time of a simulation is over."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation needs of its caller: the workspace's folder, and how long the code may work."""

    workspace: Path
    limit_s: float = LIMIT_S


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation saw. `ended`: the code came to its end, so that no call of it is missing."""

    claimed: tuple[JournalEntry, ...]
    start: tuple[PlanEntry, ...]
    ended: bool
    warnings: tuple[str, ...] = ()


def simulate(
    reader: Reader,
    registry: Registry,
    entry: Entry,
    run: AgentRun,
    entries: Iterable[JournalEntry],
    *,
    policy: ResumePolicy,
    ended_parent: frozenset[str],
    input: Any,
    state: Any,
    bounds: Bounds,
) -> Seen:
    """Runs the code of a Python workflow until it ends, waits for what is not recorded, or its time is over."""
    ctx = Simulated(
        reader,
        registry,
        run,
        entries,
        policy=policy,
        ended_parent=ended_parent,
        state=state,
        workspace=bounds.workspace,
    )
    limit_s, names = bounds.limit_s, list(names_in(input))
    if names:
        vault = Vault()
        vault.allow(names)
        input = bound(input, vault.finder(run.id))
    work = _Work(ctx, entry, input, time.monotonic() + limit_s)
    work.start()
    work.join(limit_s + 2 * _GRACE_S)
    if work.is_alive():
        work.end()
    ctx.over = True
    warnings = []
    if not work.done:
        warnings.append(
            f"the code was still at work after {limit_s:g} s: what it would ask for later is not in the plan"
        )
    elif work.error is not None:
        warnings.append(f"the code raises {type(work.error).__name__}: {str(work.error)[:300]}")
    return Seen(
        claimed=tuple(ctx.claimed), start=tuple(ctx.start), ended=work.ended, warnings=tuple(warnings)
    )


class _Work(threading.Thread):
    """The thread in which the code runs."""

    def __init__(self, ctx: Simulated, entry: Entry, input: Any, until: float) -> None:
        super().__init__(name="runstone-simulation", daemon=True)
        self._ctx = ctx
        self._entry = entry
        self._input = input
        self._until = until
        self.done = False
        """The code ended or waits; else it was left while it worked."""
        self.ended = False
        self.error: Exception | None = None

    def run(self) -> None:
        context = contextvars.Context()
        context.run(current.set, self._ctx)  # type: ignore[arg-type]
        context.run(owner.set, self._ctx)
        try:
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(self._drive(loop, context))
            finally:
                self._ctx.over = True
                loop.close()
        except _Overrun:
            return  # told to end while the loop itself was at work

    def end(self) -> None:
        """Has code that does not even wait end: it gets an exception wherever it is, unless it is inside C code."""
        import ctypes  # few need it

        until = time.monotonic() + _GRACE_S
        while self.is_alive() and time.monotonic() < until:
            assert self.ident is not None
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(_Overrun))
            self.join(0.05)

    async def _drive(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        assert self._entry.function is not None
        root = loop.create_task(self._entry.function(self._ctx, self._input), context=context)
        me = asyncio.current_task()
        while not root.done() and time.monotonic() < self._until:
            await asyncio.wait([root], timeout=_LOOK_S)
            tasks = asyncio.all_tasks(loop) - {me}
            if not root.done() and all_parked(tasks, self._ctx.parked, owner, self._ctx):
                self.done = True
                break
        if root.done():
            self._settle(root)
        self._ctx.over = True
        left = asyncio.all_tasks(loop) - {me}
        for task in left:
            task.cancel()
        if left:
            _, pending = await asyncio.wait(left, timeout=_GRACE_S)
            for task in left - pending:
                if not task.cancelled():
                    task.exception()  # what it says after its end is nobody's business

    def _settle(self, root: "asyncio.Task[Any]") -> None:
        error = None if root.cancelled() else root.exception()
        if error is None or isinstance(error, Exception):
            self.done = self.ended = not root.cancelled()
            self.error = error
