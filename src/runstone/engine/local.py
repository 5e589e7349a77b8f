"""The local engine: runs and their children as tasks of one event loop, over the ledger.

`drive` brings one run to where it can go no further by itself: it claims it when it is ready, executes it, waits while
it is parked or another process has it, and goes on when it is woken. What it decides on is always the ledger's row.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from runstone.domain import keys
from runstone.domain.orders import PAUSED_WITH_PARENT
from runstone.domain.records import AgentRun, TreeNode, WorkflowRun
from runstone.domain.runs import ENDED, Head
from runstone.engine.asking import waits_for_person
from runstone.engine.calls import Call, awaited
from runstone.engine.conduct import running
from runstone.engine.context import Context
from runstone.engine.core import Core
from runstone.engine.driving import Drive, Tree
from runstone.engine.executor import execute
from runstone.engine.handle import current
from runstone.engine.liveness import is_forsaken
from runstone.engine.orphans import end_orphans
from runstone.engine.pinned import workflow_of
from runstone.engine.registry import Entry
from runstone.engine.slots import Seat, Slots
from runstone.engine.supervisor import Supervisor
from runstone.engine.timers import Timers
from runstone.errors import (
    AgentNotFound,
    Fenced,
    IllegalTransition,
    LedgerClosed,
    RunIsLive,
    RunstoneError,
)
from runstone.store.reads import Reader
from runstone.store.writer import Receipt
from runstone.store.writes.boards import RequestStop
from runstone.store.writes.lifecycle import Claimed, ClaimRun, RecordEvents, ResumeRun, YieldRun
from runstone.store.writes.limits import PhaseFull
from runstone.store.writes.verbs import GiveOrder

SLOTS = 32
"""Runs that execute at a time in one process; one that waits for children holds no slot."""

PARK_AFTER_S = 1.0
"""A run whose every branch waits is kept in memory so long. One that waits for children which this process brings on is
kept until they have ended: parking it would free nothing, and its code would begin anew each time that it is woken."""

GONE_ELSEWHERE = "the process that had it is gone"

_LOOK_S = 1.0
"""So often a wait looks at the ledger even if nothing was signalled: a lease that runs out changes no row."""

_END_S = 30.0
"""So long the end of what was cancelled is waited for; each run has its own, shorter time for its last words."""


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
        self.timers = Timers(self)
        self._drives: dict[str, Drive] = {}
        self._executing: dict[str, Context] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.clean = contextvars.Context()
        self.threads = ThreadPoolExecutor(max_workers=max(slots, 8), thread_name_prefix="runstone-agent")
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
            task.add_done_callback(owner.task_ended)
        return task

    def context_for(self, ctx: Context) -> contextvars.Context:
        """The context in which the run's code works; tasks and timers that it makes are known by it."""
        context = self.clean.copy()
        context.run(running.set, ctx)
        context.run(current.set, ctx.handle)
        return context

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a sync function in a thread, in the context of the caller."""
        context = contextvars.copy_context()
        return await self.loop.run_in_executor(self.threads, lambda: context.run(function, *args))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task of the engine's own, not of the run's code."""
        # Made directly: a loop's eager task factory would run it before whoever spawns it has noted it.
        task = asyncio.Task(work, loop=self.loop, context=self.clean.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, reason: str = "the engine was closed") -> None:
        """Ends what still executes; those runs are left interrupted."""
        for ctx in list(self._executing.values()):
            ctx.stop_reason = ctx.stop_reason or reason
        pending = [task for task in self._tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_END_S)
        if self.loop.get_task_factory() == self._make_task:
            self.loop.set_task_factory(self._factory)
        self.threads.shutdown(wait=False, cancel_futures=True)

    # --- driving -------------------------------------------------------------------------------------------------

    def find(self, tree: Tree, name: str) -> Entry:
        """The agent of that name, or the workflow. Raises `AgentNotFound`."""
        return tree.registry.get_either(name)

    @staticmethod
    def entry_of(reader: Reader, tree: Tree, run: AgentRun) -> Entry:
        """What runs it. Raises `AgentNotFound` or `WorkflowNotFound`."""
        if isinstance(run, WorkflowRun):
            return workflow_of(reader, tree.registry, run)
        if run.agent_id is None:
            raise AgentNotFound(
                f"run {run.id} names no agent", hint="continue it in its own loop: ledger.continue_run"
            )
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

    def place(self, ctx: Context, name: str, phase: str | None) -> dict[str, Any]:
        """What options tell that a child of the run is for workers; nothing here, where its parent's engine has it."""
        return {}

    async def drive(self, run_id: str, tree: Tree) -> AgentRun:
        """Brings the run to an end, a pause or a question. One task does it, whoever asks. Raises `BudgetReached`."""
        return await asyncio.shield(self.begin(run_id, tree))

    def begin(
        self,
        run_id: str,
        tree: Tree,
        *,
        gate: asyncio.Semaphore | None = None,
        limit: int | None = None,
        detached: bool = False,
    ) -> "asyncio.Task[AgentRun]":
        """The task that brings the run on; the same one for all who ask while it does."""
        drive = self._drives.get(run_id)
        self.timers.begin(tree)
        if drive is None or drive.task.done():
            task = self.spawn(self._drive(run_id, tree, gate, limit))
            drive = self._drives[run_id] = Drive(task, tree, detached)
            task.add_done_callback(lambda task: self._drive_ended(run_id, task))
        return drive.task

    def brings_on(self, run_id: str) -> bool:
        """Whether this process does."""
        drive = self._drives.get(run_id)
        return drive is not None and not drive.task.done()

    def _drive_ended(self, run_id: str, task: "asyncio.Task[AgentRun]") -> None:
        if self._drives[run_id].task is task:
            del self._drives[run_id]
        if not task.cancelled():
            task.exception()  # one that nobody waits for any more is no news: the run's row says what happened

    async def leave(self, tree: Tree, reason: str) -> None:
        """Nobody waits for the tree any more: its runs in this process are left interrupted, but for detached ones."""
        below = {
            run_id for run_id, drive in self._drives.items() if drive.tree is tree and not drive.detached
        }
        for run_id in below & self._executing.keys():
            self._executing[run_id].stop_reason = self._executing[run_id].stop_reason or reason
        tasks = [self._drives[run_id].task for run_id in below]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_S)

    @property
    def has_detached(self) -> bool:
        """Whether detached runs are at work."""
        return any(drive.detached for drive in self._drives.values())

    async def until_detached_end(self) -> None:
        """Waits for detached runs: they outlive those that started them."""
        while tasks := [drive.task for drive in self._drives.values() if drive.detached]:
            await asyncio.wait(tasks)

    async def _drive(
        self, run_id: str, tree: Tree, gate: asyncio.Semaphore | None, limit: int | None
    ) -> AgentRun:
        elsewhere = False
        while True:
            run = self.core.reader.runs.get(run_id)
            if run.status == "pending":
                if not await self._in_turn(run, tree, gate, limit):
                    await self.until_changed(None, None)
            elif run.status == "waiting" and run.wake_at is not None and self._due(run):
                reason = "tried again" if run.status_reason == "retry" else "the time has come"
                await self.core.submit(ResumeRun(run_id, reason, expect=frozenset({"waiting"})), [])
            elif run.status == "waiting" and waits_for_person(self.core.reader, run_id):
                return run
            elif run.status == "waiting" and self._retries(tree) and self.is_forsaken(run):
                resumed = ResumeRun(
                    run_id, GONE_ELSEWHERE, expect=frozenset({"waiting"}), attempt=run.attempt
                )
                await self.core.submit(resumed, [])
            elif run.status in ("running", "waiting") or self.comes_back(run):
                elsewhere = True
                self.idle.add(run_id)
                try:
                    await self.until_changed(run_id, run)
                finally:
                    self.idle.discard(run_id)
            elif (
                run.status == "interrupted"
                and self._retries(tree)
                and (elsewhere or self.is_unjudged(run_id))
            ):
                elsewhere = False
                await asyncio.to_thread(self.supervisor.settle, run_id)
                expect = frozenset({"interrupted"})
                await self.core.submit(ResumeRun(run_id, GONE_ELSEWHERE, expect=expect), [])
            else:
                return run

    def is_unjudged(self, run_id: str) -> bool:
        """Whether the run's owner is silent: it is shown interrupted, and nobody has said yet that it is gone."""
        return self.core.reader.attempts.lease(run_id) is not None

    def is_forsaken(self, run: AgentRun) -> bool:
        """Whether the run waits for what its process, which is gone, was to begin: no end of a child ever wakes it."""
        return is_forsaken(self.core.reader, run.id)

    def comes_back(self, run: AgentRun) -> bool:
        """Whether a run that is shown interrupted goes on without anybody here: here that is up to who drives it."""
        return False

    def _retries(self, tree: Tree) -> bool:
        """Whether a run that was left elsewhere goes on here; one that is left as the ledger closes does not."""
        return tree.policy.interrupted == "retry" and not self.supervisor.closing

    def _due(self, run: AgentRun) -> bool:
        assert run.wake_at is not None
        return int(run.wake_at.timestamp() * 1e6) <= self.core.now()

    async def _in_turn(
        self, run: AgentRun, tree: Tree, gate: asyncio.Semaphore | None, limit: int | None
    ) -> bool:
        """Executes one attempt when there is a place in the phase and a slot; False where the phase is full."""
        entry = self.entry_of(self.core.reader, tree, run)
        if run.attempt:
            await asyncio.to_thread(end_orphans, self.core, self.supervisor, run.id)
        drive = self._drives[run.id]
        drive.queued = True
        try:
            async with gate or nullcontext():
                seat = await self.slots.seat()
                drive.queued = False
                return await self._attempt(run, tree, entry, limit, seat)
        except asyncio.CancelledError:
            if not drive.stirred or drive.task.uncancel():
                raise
            return True
        finally:
            drive.queued = drive.stirred = False

    async def _attempt(self, run: AgentRun, tree: Tree, entry: Entry, limit: int | None, seat: Seat) -> bool:
        try:
            try:
                claimed = await self._claim(run, tree, entry, limit)
            except PhaseFull:
                return False
            except (RunIsLive, IllegalTransition):
                return True  # another claimer won, or it was stopped meanwhile
            await execute(self, tree, entry, claimed, seat)
            return True
        finally:
            seat.give_up()

    async def _claim(
        self, run: AgentRun, tree: Tree, entry: Entry, limit: int | None, **asked: Any
    ) -> Claimed:
        hash_ = self.definition_hash(entry) if entry.kind == "workflow" else None
        payload = {"definition_hash": hash_} if hash_ is not None else {}
        tree.ended[run.id] = frozenset((run.error or {}).get("caused_by", ()))
        receipt = self.core.submit(
            ClaimRun(run.id, self.supervisor.owner, limit=limit, payload=payload, **asked), []
        )
        try:
            claimed: Claimed = await receipt
        except asyncio.CancelledError:
            self._unclaim(receipt)
            raise
        if run.attempt and hash_ is not None and hash_ != getattr(run, "definition_hash", None):
            changed = {"before": getattr(run, "definition_hash", None), "now": hash_}
            await self.core.submit(
                RecordEvents(run.id, claimed.head.attempt, [("definition.changed", changed, 2)]), []
            )
        return claimed

    def _unclaim(self, receipt: Receipt) -> None:
        """A cancelled await does not take the claim back: the run would be held with nobody at work."""
        try:
            claimed: Claimed = receipt.result()
        except RunstoneError:
            return  # it was refused
        self.hand_back(claimed.head, "its event loop was cancelled")

    def hand_back(self, head: Head, reason: str) -> None:
        """Leaves a claimed run that cannot be executed interrupted."""
        try:
            reason = self.core.redactor.text(reason)
            self.core.submit(YieldRun(head.run_id, head.attempt, reason), []).result()
        except (Fenced, LedgerClosed):
            return  # taken over meanwhile; or the lease runs out, and a reconciler says the same

    async def until_changed(
        self,
        run_id: str | None,
        seen: AgentRun | None,
        *,
        unless: Callable[[], bool] | None = None,
        within_s: float = _LOOK_S,
    ) -> None:
        """Until the run may differ from what was seen, or `unless` says so; at the latest after a second."""
        changed = self.loop.create_future()

        def tell() -> None:
            try:
                self.loop.call_soon_threadsafe(_settle, changed)
            except RuntimeError:
                return  # the loop was closed meanwhile; nobody waits in it any more

        number = self.core.signals.subscribe(run_id, tell)
        try:
            if (
                seen is not None
                and run_id is not None
                and self.core.reader.runs.get(run_id).status != seen.status
            ):
                return
            if unless is not None and unless():
                return
            await asyncio.wait([changed], timeout=min(within_s, self._wait_s(seen)))
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

    async def stop_tree(self, run_id: str, reason: str, by: str) -> None:
        """Stops a child, with all below it, because its parent does not want it any more; detached ones go on."""
        payload = {"scope": "run", "reason": reason, "cascade": True}
        for run in _undetached(self.core.reader.runs.tree(run_id)):
            order = RequestStop(run.id, self.core.new_id(), payload, by=by, idempotency_key=None)
            with suppress(IllegalTransition):  # it may end in this moment
                await self.core.submit(order, [])
            if run.id in self._drives:
                self._drives[run.id].stir()

    async def pause_tree(self, run_id: str, by: str) -> None:
        """Has a child pause with its parent, and all below it; detached ones go on."""
        payload = {"scope": "run", "reason": PAUSED_WITH_PARENT, "cascade": True}
        for run in _undetached(self.core.reader.runs.tree(run_id)):
            with suppress(IllegalTransition):  # it ended, waits for a person, or is paused already
                await self.core.submit(GiveOrder(run.id, self.core.new_id(), "pause", payload, by=by), [])
            if run.id in self._drives:
                self._drives[run.id].stir()


def _undetached(node: TreeNode) -> Iterator[AgentRun]:
    """The run and those below it that have not ended, detached ones with all below them left out."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.run.detached:
            continue
        if node.run.status not in ENDED:
            yield node.run
        stack.extend(reversed(node.children))


def _plain_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    return asyncio.Task(coro, loop=loop, **options)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
