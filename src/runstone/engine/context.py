"""`ctx`: what agents and workflows work with. One durable primitive (children), and what is built on it."""

import asyncio
import contextvars
import copy
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runstone.domain import codec, keys
from runstone.domain.bounds import bounded, labels_of
from runstone.domain.records import JournalEntry
from runstone.domain.resume import Claims
from runstone.domain.workflows import RetryPolicy
from runstone.engine.calls import Call
from runstone.engine.children import Item, run_children
from runstone.engine.handle import RunHandle
from runstone.engine.slots import Seat
from runstone.engine.steps import current_step, run_body, run_step, run_timer
from runstone.errors import InvalidInput, Misuse, Suspended, ValueTooLarge
from runstone.store.writer import Receipt
from runstone.store.writes.journal import Hint, RecordHandled
from runstone.store.writes.lifecycle import PauseParked, RecordEvents

if TYPE_CHECKING:
    from runstone.engine.local import LocalEngine, Tree

running: contextvars.ContextVar["Context | None"] = contextvars.ContextVar("runstone_context", default=None)
"""The context whose code this is; the engine's own tasks have None."""

_phase: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_phase", default=None)
_previous: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_previous", default=None)


class Context:
    """The run as its own code sees it. Every durable call is found again by its key when the run is resumed."""

    def __init__(
        self, engine: "LocalEngine", tree: "Tree", handle: RunHandle, claims: Claims, *, kind: str, seat: Seat
    ) -> None:
        self.run_id = handle.id
        self.attempt = handle.attempt
        self.state = handle.state
        """The last checkpoint's state; None without one."""
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
        self.draining = False
        """The function has ended, and waits for the children that it asked for."""
        self.over: asyncio.Future[None] = engine.loop.create_future()
        """Done once neither this attempt nor what it left parked needs the engine's work any more."""
        self.cap: str | None = None
        """The budget that was reached."""
        self.stop_reason: str | None = None
        self.park: Callable[[], None] | None = None
        """Asks the executor to park the run; set while it executes."""
        self.driver = asyncio.current_task()
        self._delivered: list[int] = []
        self._watching: asyncio.Task[None] | None = None

    # --- writing -------------------------------------------------------------------------------------------------

    def emit(self, type: str, payload: Any = None, *, importance: int | None = None, event_key: str | None = None) -> Receipt:
        """Appends an event; see `RunHandle.emit`."""
        self.check()
        return self.handle.emit(type, payload, importance=importance, event_key=event_key)

    def emit_many(self, batch: Iterable[tuple[str, Any]]) -> Receipt:
        """Appends events in one write."""
        self.check()
        return self.handle.emit_many(batch)

    def usage(self, **report: Any) -> Receipt:
        """Accounts for one provider request; see `RunHandle.usage`."""
        return self.handle.usage(**report)  # spent is spent, also in code that was parked

    def message(self, role: str, text: str, *, extra: Any = None) -> Receipt:
        """Adds a message to the run's worker thread."""
        self.check()
        return self.handle.message(role, text, extra=extra)

    def checkpoint(self, state: Any = None, *, append: dict[str, list[Any]] | None = None, label: str | None = None) -> Receipt:
        """Saves the state; the next attempt finds it in `ctx.state`."""
        self.check()
        return self.handle.checkpoint(state, append=append, label=label)

    def set_summary(self, summary: str) -> None:
        """What the run did, in a sentence or two."""
        self.handle.set_summary(summary)

    @property
    def stopping(self) -> bool:
        """Whether the run should end soon; a sync function that works long looks at it now and then."""
        return self.stop_reason is not None or self.handle.stopping

    @property
    def workspace(self) -> Path:
        """The workspace's folder."""
        return self.engine.workspace

    @property
    def idempotency_key(self) -> str | None:
        """Inside a step: a key that is the same in every try of it, for tools with side effects."""
        step = current_step.get()
        return None if step is None else f"{self.run_id}:{step}"

    # --- durable calls -------------------------------------------------------------------------------------------

    def child(
        self,
        agent: str,
        input: Any = None,
        *,
        key: str | None = None,
        title: str | None = None,
        prompt: str | None = None,
        options: dict[str, Any] | None = None,
        retry: RetryPolicy | dict[str, Any] | None = None,
        labels: dict[str, str] | None = None,
        detach: bool = False,
    ) -> Call:
        """Runs an agent (or workflow) as a child and gives its result. A finished child is not run again.

        Awaiting raises `ChildFailed` for one without a result. `key=` replaces version, input and options as what makes
        the child the same. `retry` is a RetryPolicy. With `detach=True` the child outlives this run and its end.
        """
        if prompt is not None and not isinstance(prompt, str):
            raise InvalidInput(f"prompt must be text, not {prompt!r:.80}")
        more = {
            "title": None if title is None else bounded("title", title),
            "prompt": prompt,
            "labels": labels_of(labels) if labels else None,
            "detached": detach or None,
        }
        self._durable(f"ctx.child({agent!r})")
        item = self._item(agent, input, key, _options(options, retry), more)
        return self._children([item], single=True, detached=detach)

    def map(
        self,
        agent: str,
        inputs: Iterable[Any],
        *,
        key: Callable[[Any], str] | None = None,
        options: dict[str, Any] | None = None,
        retry: RetryPolicy | dict[str, Any] | None = None,
        title: Callable[[Any], str] | None = None,
    ) -> Call:
        """Runs an agent once for each input, all of them known at once; gives the results in the order of the inputs.

        Waits for all, then raises `ChildrenFailed` if some failed. A phase's concurrency limits how many run at a time.
        """
        self._durable(f"ctx.map({agent!r})")
        given = _options(options, retry)
        items = [
            self._item(
                agent, one, key(one) if key else None, given, {"title": bounded("title", title(one))} if title else {}
            )
            for one in inputs
        ]
        return self._children(items, single=False)

    def step(self, name: str, function: Callable[..., Any], *args: Any, key: str | None = None) -> Call:
        """Runs a function once and records its result by name and arguments; later attempts get what was recorded.

        The function may be sync (it runs in a thread) or async. It runs at least once; see `idempotency_key`.
        """
        self._durable(f"ctx.step({name!r})")
        own = keys.explicit_key("step", name, key) if key else keys.child_key("step", name, "", list(args))
        hint = self._hint(own, name)
        call = Call("step", name, own, loop=self.engine.loop)
        record = self.claims.claim(own, hint.phase, hint.previous)
        if record is not None:
            return self._open(call, self._stored(record))
        given = args if key else copy.deepcopy(args)  # what the code does to them afterwards is not what was keyed
        body = self.engine.loop.create_task(run_body(self, own, function, given))
        call.on_cancel = body.cancel
        return self._open(call, run_step(self, body, hint))

    def sleep(self, seconds: float) -> Call:
        """A durable timer: after a crash only what is left of it is waited for."""
        self._durable("ctx.sleep")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
            raise InvalidInput(f"sleep takes seconds from 0, not {seconds!r}")
        own = keys.child_key("timer", "sleep", "", [seconds])
        hint = self._hint(own, "sleep")
        call = Call("timer", "sleep", own, loop=self.engine.loop)
        record = self.claims.claim(own, hint.phase, hint.previous)
        return self._open(call, run_timer(self, call, seconds, hint, record))

    @asynccontextmanager
    async def phase(self, name: str, *, concurrency: int | None = None, planned: int | None = None) -> AsyncIterator[None]:
        """Names a part of the run. `concurrency` limits its running children, counted in the ledger."""
        self.check()
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            raise InvalidInput(f"a phase's name is a text of 1 to 200 characters, not {name!r:.80}")
        if concurrency is not None:
            if type(concurrency) is not int or concurrency < 1:
                raise InvalidInput(f"concurrency is a whole number from 1, not {concurrency!r}")
            self.gates.setdefault(name, asyncio.Semaphore(concurrency))
            self.limits[name] = concurrency
        await self._events([("phase.started", {"phase": name} | ({"planned": planned} if planned is not None else {}))])
        token = _phase.set(name)
        try:
            yield
        except Exception as error:
            if not self.suspended:
                await self._events([("phase.failed", {"phase": name, "reason": codec.clip(str(error), 500)})])
            raise
        else:
            await self._events([("phase.completed", {"phase": name})])
        finally:
            _phase.reset(token)

    async def skip_phase(self, name: str, reason: str) -> None:
        """Notes that a phase is not run, and why."""
        self.check()
        await self._events([("phase.skipped", {"phase": name, "reason": codec.clip(reason, 500)})])

    # --- inside --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises `Suspended` once the run was parked or has ended: its code has nothing to say any more."""
        if not self.suspended:
            return
        if running.get() is self:
            raise Suspended(f"attempt {self.attempt} of run {self.run_id} is over")
        raise Misuse(f"attempt {self.attempt} of run {self.run_id} is over", hint="use ctx only in the run's own code")

    def _durable(self, what: str) -> None:
        """Checks the place of a durable call, and notes failures that the code received and lived on from."""
        self.check()
        if current_step.get() is not None:
            raise Misuse(f"{what} inside a step", hint="call it from the workflow or agent; a step is recorded as one piece")
        if running.get() is not self or threading.get_ident() != self.engine.thread:
            raise Misuse(f"{what} outside the run's own code", hint="sync functions are leaves: make it async to start children")
        self.note_handled()

    def note_handled(self) -> None:
        """Records failures of children that were delivered before, so that they are raised again and not retried."""
        if self._delivered:
            delivered, self._delivered = self._delivered, []
            self.engine.core.submit(RecordHandled(self.run_id, self.attempt, delivered), self.handle.unseen)

    def may_park(self) -> bool:
        """Whether parking makes sense: at a cap only once the children that still run have ended."""
        children = [call for call in self.calls if call.kind == "child"]
        if any(call.blocked for call in children):
            return all(call.live == 0 for call in children)
        if self.engine.keeps_parents:
            return all(self.engine.idle.issuperset(call.open_ids) for call in children)
        return True

    @property
    def ending(self) -> bool:
        """The event loop is cancelling the attempt."""
        return self.driver is not None and self.driver.cancelling() > 0

    def recorded(self, record: JournalEntry) -> Any:
        """The stored value of a finished record."""
        return codec.decode(record.value) if record.value is not None else self.engine.core.reader.value(record.ref)

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
                if self.engine.core.reader.run(self.run_id).status != "waiting":
                    self.finish()
                    return
            await self.engine.until_changed(None, None)

    def finish(self) -> None:
        """Ends the engine's work for this attempt."""
        if not self.over.done():
            self.over.set_result(None)

    def _item(self, agent: str, input: Any, key: str | None, options: dict[str, Any], more: dict[str, Any]) -> Item:
        entry = self.engine.find(self.tree, agent)
        if key is None:
            # How often it may be tried is not what the work is: another retry must not do finished work again.
            lasting = {name: value for name, value in options.items() if name != "retry"}
            own = keys.child_key("child", agent, entry.version, input, lasting)
        else:
            own = keys.explicit_key("child", agent, key)
        data = codec.encode(input)
        hint = self._hint(own, agent)
        record = self.claims.claim(own, hint.phase, hint.previous)
        if record is not None and record.child_pk is not None:
            self.claimed_pks.append(record.child_pk)
        return Item(entry=entry, input=data, options=options, hint=hint, more=more, record=record)

    def _hint(self, key: str, name: str) -> Hint:
        hint = Hint(key, name, _phase.get(), _previous.get())
        _previous.set(key)
        return hint

    def _children(self, items: Sequence[Item], *, single: bool, detached: bool = False) -> Call:
        name = items[0].hint.name if items else "map"
        call = Call("child", name, items[0].hint.key if items else "", loop=self.engine.loop)
        call.detached = detached
        return self._open(call, run_children(self, call, items, single=single))

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

    async def _events(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        self.check()
        write = RecordEvents(self.run_id, self.attempt, [(type, payload, 1) for type, payload in events])
        await self.engine.core.submit(write, [])
        self.check()


def _options(options: dict[str, Any] | None, retry: RetryPolicy | dict[str, Any] | None) -> dict[str, Any]:
    """A child's options; `retry` is one of them, so that it holds wherever the child runs."""
    given = dict(options or {})
    if retry is not None:
        try:
            policy = msgspec.convert(retry, RetryPolicy) if isinstance(retry, dict) else retry
        except msgspec.ValidationError as error:
            raise InvalidInput(f"retry: {error}") from error
        given["retry"] = msgspec.to_builtins(policy)
    if given and len(codec.encode(given)) > codec.ROW_TEXT_BYTES:
        raise ValueTooLarge(f"options have more than {codec.ROW_TEXT_BYTES} bytes", hint="put large values into the input")
    return given
