"""The local engine: runs and their children as tasks of one event loop, over the ledger.

`drive` brings one run to where it can go no further by itself: it claims it when it is ready, executes it, waits while
it is parked or another process has it, and goes on when it is woken. What it decides on is always the ledger's row.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from runstone.domain import keys
from runstone.domain.records import AgentRun, WorkflowRun
from runstone.domain.resume import ResumePolicy
from runstone.domain.runs import ENDED
from runstone.engine.calls import Call, awaited
from runstone.engine.context import Context, running
from runstone.engine.core import Core
from runstone.engine.executor import execute
from runstone.engine.handle import current
from runstone.engine.orphans import end_orphans
from runstone.engine.parking import all_parked
from runstone.engine.registry import Entry, Registry
from runstone.engine.supervisor import Supervisor
from runstone.errors import AgentNotFound, IllegalTransition, RunIsLive, WorkflowNotFound
from runstone.store.writes.boards import RequestStop
from runstone.store.writes.lifecycle import ClaimRun, Claimed, RecordEvents, ResumeRun
from runstone.store.writes.limits import PhaseFull

SLOTS = 32
"""Runs that execute at a time in one process; one that waits for children holds no slot."""

PARK_AFTER_S = 1.0
"""A run whose every branch waits is kept in memory so long. One that waits for children which this process brings on is
kept until they have ended: parking it would free nothing, and its code would begin anew each time that it is woken."""

_LOOK_S = 1.0
"""So often a wait looks at the ledger even if nothing was signalled: a lease that runs out changes no row."""


class Tree(msgspec.Struct, kw_only=True, eq=False):
    """What holds for a whole tree of runs that this process drives."""

    registry: Registry
    policy: ResumePolicy = ResumePolicy()
    thread_id: str | None = None
    root_id: str | None = None
    ended: dict[str, frozenset[str]] = {}
    """By run: children whose failure ended its last attempt."""
    applied: bool = False
    """Whether what the policy takes from the root's new attempt was taken."""


class Slots:
    """At most so many runs execute at a time."""

    def __init__(self, count: int) -> None:
        self._semaphore = asyncio.Semaphore(count)
        self._holders: set[Context] = set()
        self._waits: dict[Context, int] = {}

    async def take(self, ctx: Context) -> None:
        """Waits for a slot, for a run that begins."""
        await self._semaphore.acquire()
        self._holders.add(ctx)

    def give_back(self, ctx: Context) -> None:
        """The run waits for a durable call; its slot is free for others, its own children above all."""
        self._waits[ctx] = self._waits.get(ctx, 0) + 1
        self.leave(ctx)

    async def take_again(self, ctx: Context) -> None:
        """The run goes on; with other branches still waiting it needs no slot yet."""
        self._waits[ctx] -= 1
        if self._waits[ctx] == 0 and ctx not in self._holders:
            await self._semaphore.acquire()
            if self._waits.get(ctx) == 0 and ctx not in self._holders:
                self._holders.add(ctx)
            else:
                self._semaphore.release()

    def leave(self, ctx: Context) -> None:
        """The run holds no slot any more."""
        if ctx in self._holders:
            self._holders.discard(ctx)
            self._semaphore.release()

    def forget(self, ctx: Context) -> None:
        """The attempt is over."""
        self.leave(ctx)
        self._waits.pop(ctx, None)


class LocalEngine:
    """Runs trees in the event loop in which it was made."""

    def __init__(
        self,
        core: Core,
        supervisor: Supervisor,
        workspace: Path,
        *,
        slots: int = SLOTS,
        park_after_s: float | None = None,
    ) -> None:
        """`park_after_s` parks runs after that time also while this process brings their children on."""
        self.core = core
        self.supervisor = supervisor
        self.workspace = workspace
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.slots = Slots(slots)
        self.park_after_s = PARK_AFTER_S if park_after_s is None else park_after_s
        self.keeps_parents = park_after_s is None
        self.idle: set[str] = set()
        """Runs that nothing in this process brings on: parked ones, and those of other processes."""
        self._drives: dict[str, asyncio.Task[AgentRun]] = {}
        self._executing: dict[str, Context] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._clean = contextvars.Context()
        self.threads = ThreadPoolExecutor(max_workers=max(slots, 8), thread_name_prefix="runstone-agent")
        self._parking: dict[Context, asyncio.TimerHandle] = {}
        self._factory = self.loop.get_task_factory()
        self.loop.set_task_factory(self._make_task)

    # --- tasks ---------------------------------------------------------------------------------------------------

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        """Tells the run whose code makes a task of it, so that parking knows all its branches."""
        make = self._factory or _plain_task
        coro = awaited(coro) if isinstance(coro, Call) else coro
        task: Any = make(loop, coro, **options)
        context = options.get("context")
        owner = running.get() if context is None else context.get(running)
        if owner is not None:
            owner.tasks.add(task)
            task.add_done_callback(owner.tasks.discard)
        return task

    def context_for(self, ctx: Context) -> contextvars.Context:
        """The context in which the run's code works; tasks and timers that it makes are known by it."""
        context = self._clean.copy()
        context.run(running.set, ctx)
        context.run(current.set, ctx.handle)
        return context

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a sync function in a thread, in the context of the caller."""
        context = contextvars.copy_context()
        return await self.loop.run_in_executor(self.threads, lambda: context.run(function, *args))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task of the engine's own, not of the run's code."""
        task = self.loop.create_task(work, context=self._clean.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, reason: str = "the engine was closed") -> None:
        """Ends what still executes; those runs are left interrupted."""
        for ctx in list(self._executing.values()):
            ctx.stop_reason = ctx.stop_reason or reason
        pending = [*self._drives.values(), *self._tasks]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=30)
        if self.loop.get_task_factory() == self._make_task:
            self.loop.set_task_factory(self._factory)
        self.threads.shutdown(wait=False, cancel_futures=True)

    # --- driving -------------------------------------------------------------------------------------------------

    def find(self, tree: Tree, name: str) -> Entry:
        """The agent of that name, or the workflow. Raises `AgentNotFound`."""
        try:
            return tree.registry.get_agent(name)
        except AgentNotFound:
            try:
                return tree.registry.get_workflow(name)
            except WorkflowNotFound:
                pass
            raise

    def entry_of(self, tree: Tree, run: AgentRun) -> Entry:
        """What runs it. Raises `AgentNotFound` or `WorkflowNotFound`."""
        if isinstance(run, WorkflowRun):
            return tree.registry.get_workflow(run.definition_id or "")
        if run.agent_id is None:
            raise AgentNotFound(f"run {run.id} names no agent", hint="continue it in its own loop: ledger.continue_run")
        return tree.registry.get_agent(run.agent_id)

    @classmethod
    def definition_of(cls, entry: Entry) -> dict[str, Any]:
        """What a run of the workflow says of it: id, hash, and the content of a declarative one for showing."""
        told: dict[str, Any] = {"definition_id": entry.name, "definition_hash": cls.definition_hash(entry)}
        if entry.definition is not None:
            told["definition"] = entry.definition.to_dict()
        return told

    @staticmethod
    def definition_hash(entry: Entry) -> str:
        """A declarative definition by content, a Python workflow by name and version."""
        content = entry.definition.hash if entry.definition is not None else None
        return keys.definition_hash([entry.name, entry.version, content])

    async def drive(
        self, run_id: str, tree: Tree, *, gate: asyncio.Semaphore | None = None, limit: int | None = None
    ) -> AgentRun:
        """Brings the run to an end, a pause or a question. One task does it, whoever asks. Raises `BudgetReached`."""
        task = self._drives.get(run_id)
        if task is None:
            task = self._drives[run_id] = self.spawn(self._drive(run_id, tree, gate, limit))
            task.add_done_callback(lambda _: self._drives.pop(run_id, None))
            task.add_done_callback(_look_at_error)
        return await asyncio.shield(task)

    async def _drive(self, run_id: str, tree: Tree, gate: asyncio.Semaphore | None, limit: int | None) -> AgentRun:
        while True:
            run = self.core.reader.run(run_id)
            if run.status == "pending":
                if gate is None:
                    await self._run_once(run, tree, limit)
                else:
                    async with gate:
                        await self._run_once(run, tree, limit)
            elif run.status == "waiting" and run.wake_at is not None and self._due(run):
                expect = frozenset({"waiting"})
                await self.core.submit(ResumeRun(run_id, "the time has come", expect=expect), [])
            elif run.status in ("running", "waiting"):
                self.idle.add(run_id)
                try:
                    await self.until_changed(run_id, run)
                finally:
                    self.idle.discard(run_id)
            else:
                return run

    def _due(self, run: AgentRun) -> bool:
        assert run.wake_at is not None
        return int(run.wake_at.timestamp() * 1e6) <= self.core.now()

    async def _run_once(self, run: AgentRun, tree: Tree, limit: int | None) -> None:
        """Claims the run and executes one attempt; another claimer's win, or a full phase, is waited out."""
        if run.attempt:
            await asyncio.to_thread(end_orphans, self.core, self.supervisor, run.id)
        entry = self.entry_of(tree, run)
        hash_ = self.definition_hash(entry) if entry.kind == "workflow" else None
        payload = {"definition_hash": hash_} if hash_ is not None else {}
        tree.ended[run.id] = frozenset((run.error or {}).get("caused_by", ()))
        claim = ClaimRun(run.id, self.supervisor.owner, limit=limit, payload=payload)
        try:
            claimed: Claimed = await self.core.submit(claim, [])
        except (RunIsLive, IllegalTransition):
            return
        except PhaseFull:
            await self.until_changed(None, None)
            return
        if run.attempt and hash_ is not None and hash_ != getattr(run, "definition_hash", None):
            changed = {"before": getattr(run, "definition_hash", None), "now": hash_, **self.definition_of(entry)}
            await self.core.submit(RecordEvents(run.id, claimed.head.attempt, [("definition.changed", changed, 2)]), [])
        await execute(self, tree, entry, claimed)

    async def until_changed(self, run_id: str | None, seen: AgentRun | None) -> None:
        """Until the run may differ from what was seen; at the latest after a second."""
        changed = self.loop.create_future()

        def tell() -> None:
            try:
                self.loop.call_soon_threadsafe(_settle, changed)
            except RuntimeError:
                return  # the loop was closed meanwhile; nobody waits in it any more

        number = self.core.signals.subscribe(run_id, tell)
        try:
            if seen is not None and run_id is not None and self.core.reader.run(run_id).status != seen.status:
                return
            await asyncio.wait([changed], timeout=self._wait_s(seen))
        finally:
            self.core.signals.unsubscribe(number)

    def _wait_s(self, seen: AgentRun | None) -> float:
        if seen is None or seen.wake_at is None:
            return _LOOK_S
        left = seen.wake_at.timestamp() - self.core.now() / 1e6
        return min(_LOOK_S, max(0.0, left))

    # --- stopping ------------------------------------------------------------------------------------------------

    def executing(self, ctx: Context, entered: bool) -> None:
        """Keeps who executes what."""
        if entered:
            self._executing[ctx.run_id] = ctx
        else:
            self._executing.pop(ctx.run_id, None)
            handle = self._parking.pop(ctx, None)
            if handle is not None:
                handle.cancel()

    def stop_child(self, ctx: Context, run_id: str, reason: str) -> None:
        """Stops a child, with all below it, because its parent does not want it any more."""
        self.spawn(self._stop(run_id, reason, ctx.run_id))

    async def _stop(self, run_id: str, reason: str, by: str) -> None:
        for node in self.core.reader.tree(run_id).walk():
            if node.run.status in ENDED or node.run.detached:
                continue
            payload = {"scope": "run", "reason": reason, "cascade": True}
            order = RequestStop(node.run.id, self.core.new_id(), payload, by=by, idempotency_key=None)
            try:
                await self.core.submit(order, [])
            except IllegalTransition:
                continue  # it ended in this moment

    # --- parking -------------------------------------------------------------------------------------------------

    def consider_parking(self, ctx: Context) -> None:
        """Looks, after a while, whether all branches of the run wait; then it is parked."""
        delay = 0.0 if any(call.blocked for call in ctx.calls) else self.park_after_s
        handle = self._parking.pop(ctx, None)
        if handle is not None:
            handle.cancel()
        if ctx.run_id in self._executing:
            later = self.loop.call_later(delay, self._look_for_parking, ctx, context=self._clean.copy())
            self._parking[ctx] = later

    def _look_for_parking(self, ctx: Context) -> None:
        self._parking.pop(ctx, None)
        if ctx.suspended or ctx.run_id not in self._executing or not ctx.calls or ctx.park is None:
            return
        if ctx.may_park() and all_parked(ctx.tasks, ctx.calls, running, ctx):
            ctx.park()
        else:
            delay = max(self.park_after_s, 0.02)
            self._parking[ctx] = self.loop.call_later(delay, self._look_for_parking, ctx, context=self._clean.copy())


def _plain_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    return asyncio.Task(coro, loop=loop, **options)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _look_at_error(task: "asyncio.Task[Any]") -> None:
    """A drive whose error nobody waits for any more is no news: its run's row says what happened."""
    if not task.cancelled():
        task.exception()
