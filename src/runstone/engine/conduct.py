"""The inner half of a run's context: its calls under way, its tasks, its slot, and when it may be parked."""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from runstone.domain import codec
from runstone.domain.records import JournalEntry
from runstone.domain.resume import Claims
from runstone.engine.asking import Desk
from runstone.engine.calls import Call
from runstone.engine.handle import RunHandle
from runstone.engine.parking import all_parked
from runstone.engine.slots import Seat
from runstone.engine.steps import current_step
from runstone.errors import Misuse, Suspended
from runstone.store.writes.journal import RecordHandled
from runstone.store.writes.lifecycle import PauseParked

if TYPE_CHECKING:
    from runstone.engine.context import Context
    from runstone.engine.driving import Tree
    from runstone.engine.local import LocalEngine

running: contextvars.ContextVar["Conduct | None"] = contextvars.ContextVar("runstone_context", default=None)
"""Whose code this is; the engine's own tasks have None."""

_LOOK_AGAIN_S = 0.02
"""The least time between two looks whether the run can be parked."""


class Conduct:
    """One attempt as the engine conducts it."""

    def __init__(
        self, engine: "LocalEngine", tree: "Tree", handle: RunHandle, claims: Claims, *, kind: str, seat: Seat
    ) -> None:
        self.run_id = handle.id
        self.attempt = handle.attempt
        self.state = handle.state
        """The last checkpoint's state; None without one."""
        self.message_in = handle.message_in
        """The message that the run goes on with; given to each attempt until one has saved a checkpoint."""
        self.options_json = "{}"
        self.kind = kind
        self.engine = engine
        self.tree = tree
        self.handle = handle
        self.claims = claims
        self.seat = seat
        self.ended_parent: frozenset[str] = frozenset()
        self.heard: frozenset[str] = frozenset()
        """Children whose end this try has received or noted already: taking their results is no reuse."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """Tasks of the run's code."""
        self.calls: set[Call] = set()
        """Durable calls that the code waits for, or will."""
        self.work: dict[asyncio.Task[None], Call] = {}
        """The engine's work for calls; it outlives a call that the code stopped awaiting."""
        self.gates: dict[str, asyncio.Semaphore] = {}
        self.limits: dict[str, int] = {}
        self.claimed_pks: list[int] = []
        self.suspended = False
        self.deciding: asyncio.Future[None] | None = None
        """Under way while it is committed that the run is parked: until then no call is given its outcome."""
        self.draining = False
        """The function has ended, and waits for the children that it asked for."""
        self.desk = Desk(cast("Context", self))
        self.over: asyncio.Future[None] = engine.loop.create_future()
        """Done once neither this attempt nor what it left parked needs the engine's work any more."""
        self.cap: str | None = None
        """The budget that was reached."""
        self.stop_reason: str | None = None
        self.pause_reason: str | None = None
        """Why the run shall pause, once each of its branches has come to a durable call."""
        self._pause_below = False
        self.park: Callable[[], None] | None = None
        """Asks the executor to park the run; set while it executes."""
        self.driver = asyncio.current_task()
        self._delivered: list[int] = []
        self._watching: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None

    def check(self) -> None:
        """Raises `Suspended` once the run was parked or has ended: its code has nothing to say any more."""
        if not self.suspended:
            return
        if running.get() is self:
            raise Suspended(f"attempt {self.attempt} of run {self.run_id} is over")
        raise Misuse(
            f"attempt {self.attempt} of run {self.run_id} is over", hint="use ctx only in the run's own code"
        )

    def _durable(self, what: str) -> None:
        """Checks the place of a durable call, and notes failures that the code received and lived on from."""
        self.check()
        if current_step.get() is not None:
            raise Misuse(
                f"{what} inside a step",
                hint="call it from the workflow or agent; a step is recorded as one piece",
            )
        if running.get() is not self or threading.get_ident() != self.engine.thread:
            raise Misuse(
                f"{what} outside the run's own code",
                hint="sync functions are leaves: make it async to start children",
            )
        self.note_handled()

    def note_handled(self) -> None:
        """Records failures of children that were delivered before, so that they are raised again and not retried."""
        if self._delivered:
            delivered, self._delivered = self._delivered, []
            self.engine.core.submit(RecordHandled(self.run_id, self.attempt, delivered), self.handle.unseen)

    def may_park(self) -> bool:
        """Whether parking makes sense: at a cap, or for a pause, only once no child is at work any more."""
        children = [call for call in self.calls if call.kind == "child"]
        if self.pause_reason is not None or any(call.blocked for call in children):
            return all(call.live == 0 for call in children)
        if self.engine.keeps_parents:
            return all(self.engine.idle.issuperset(call.open_ids) for call in children)
        return True

    def consider_parking(self) -> None:
        """Looks, after a while, whether all branches of the run wait; then it is parked."""
        blocked = self.pause_reason is not None or any(call.blocked for call in self.calls)
        if self.draining and blocked and self.may_park() and self.park is not None:
            self.park()
        self._look_later(0.0 if blocked else self.engine.park_after_s)

    def _look_later(self, delay: float) -> None:
        if self._looking is not None:
            self._looking.cancel()
        if self.park is not None and not self.suspended:
            self._looking = self.engine.loop.call_later(delay, self._look, context=self.engine.clean.copy())

    def _look(self) -> None:
        if self.suspended or self.park is None or not self.calls:
            return
        if self.may_park() and all_parked(self.tasks, self.calls, running, self):
            self.park()
        again = _LOOK_AGAIN_S if self.pause_reason is not None else self.engine.park_after_s
        self._look_later(max(again, _LOOK_AGAIN_S))

    def begin_pause(self, reason: str, *, below: bool) -> None:
        """Pauses the run once each of its branches has come to a durable call; with `below`, its children, too."""
        self.pause_reason, self._pause_below = reason, below
        for call in list(self.work.values()):
            self.pause_children(call)
        self.consider_parking()

    def pause_children(self, call: Call) -> None:
        """Has the children of a call pause, if they are to pause with the run."""
        if self._pause_below and not call.detached:
            for child_id in call.open_ids:
                self.engine.spawn(self.engine.pause_tree(child_id, self.run_id))

    def _held_back(self) -> Call:
        """A call that is not begun, as the run is about to pause: the next attempt makes it anew."""
        call = Call("pause", "pause", "", loop=self.engine.loop)
        call.waits = True
        self._open(call, asyncio.shield(self.over))
        self.consider_parking()
        return call

    @property
    def ending(self) -> bool:
        """The event loop is cancelling the attempt."""
        return self.driver is not None and self.driver.cancelling() > 0

    def recorded(self, record: JournalEntry) -> Any:
        """The stored value of a finished record."""
        return (
            codec.decode(record.value)
            if record.value is not None
            else self.engine.core.reader.values.json(record.ref)
        )

    async def _stored(self, record: JournalEntry) -> Any:
        return self.recorded(record)

    def stop_child(self, run_id: str) -> None:
        """Stops a child that the code does not await any more; the run ends after it."""
        work = self.engine.stop_tree(run_id, "the parent stopped waiting for it", self.run_id)
        stopping = Call("stop", run_id, "", loop=self.engine.loop)
        self._begin_work(stopping, work)

    def task_ended(self, task: "asyncio.Task[Any]") -> None:
        """A task of the code ended; what it raised after the run was parked is nobody's business."""
        self.tasks.discard(task)
        if self.suspended and not task.cancelled():
            task.exception()

    def watch_cap(self) -> None:
        """Pauses the run, if it is parked, once none of its children can go on within the budget."""
        if self._watching is None:
            self._watching = self.engine.spawn(self._watch_cap())

    async def _watch_cap(self) -> None:
        while not self.over.done():
            if self.suspended:
                await self.engine.core.submit(PauseParked(self.run_id, "budget"), [])
                if self.engine.core.reader.runs.get(self.run_id).status != "waiting":
                    self.finish()
                    return
            await self.engine.until_changed(None, None)

    def finish(self) -> None:
        """Ends the engine's work for this attempt."""
        if not self.over.done():
            self.over.set_result(None)

    def _open(self, call: Call, work: Awaitable[Any]) -> Call:
        self.calls.add(call)
        call.add_done_callback(self._closed)
        if call.kind != "step":
            call.away = True
            self.seat.leave()
        self._begin_work(call, work)
        return call

    def _begin_work(self, call: Call, work: Awaitable[Any]) -> None:
        task = self.engine.spawn(self._settle(call, work))
        self.work[task] = call
        task.add_done_callback(self._work_ended)

    def _work_ended(self, task: "asyncio.Task[None]") -> None:
        self.work.pop(task, None)

    def _closed(self, call: "asyncio.Future[Any]") -> None:
        assert isinstance(call, Call)
        self.calls.discard(call)
        if call.away:  # its await was cancelled, and the code goes on
            call.away = False
            self.seat.back_at_once()

    async def _settle(self, call: Call, work: Awaitable[Any]) -> None:
        """Gives the call its outcome, once the run has its slot back."""
        error: BaseException | None = None
        value = None
        try:
            value = await work
        except asyncio.CancelledError:
            call.cancel()
            return
        except BaseException as raised:
            error = raised
        while self.deciding is not None and not self.deciding.done():
            await asyncio.shield(self.deciding)
        if call.away and not call.done() and not self.suspended:
            call.away = False
            await self.seat.come_back()
        if call.done() or self.suspended:
            return
        if error is None:
            call.set_result(value)
        else:
            self._delivered += call.failure_pks
            call.set_exception(error)
