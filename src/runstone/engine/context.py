"""`ctx`: what agents and workflows work with. One durable primitive (children), and what is built on it."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from runstone.domain import codec, keys
from runstone.domain.resume import Claims
from runstone.domain.workflows import RetryPolicy
from runstone.engine.calls import Call
from runstone.engine.children import Item, run_children
from runstone.engine.handle import RunHandle
from runstone.errors import InvalidInput, Misuse, Suspended
from runstone.store.writer import Receipt
from runstone.store.writes.journal import Hint, RecordHandled, RecordStep
from runstone.store.writes.lifecycle import RecordEvents

if TYPE_CHECKING:
    from runstone.engine.local import LocalEngine, Tree

running: contextvars.ContextVar["Context | None"] = contextvars.ContextVar("runstone_context", default=None)
"""The context whose code this is; the engine's own tasks have None."""

_phase: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_phase", default=None)
_previous: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_previous", default=None)
_step: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_step", default=None)


class Context:
    """The run as its own code sees it. Every durable call is found again by its key when the run is resumed."""

    def __init__(self, engine: "LocalEngine", tree: "Tree", handle: RunHandle, claims: Claims, *, kind: str) -> None:
        self.run_id = handle.id
        self.attempt = handle.attempt
        self.state = handle.state
        """The last checkpoint's state; None without one."""
        self.kind = kind
        self.engine = engine
        self.tree = tree
        self.handle = handle
        self.claims = claims
        self.ended_parent: frozenset[str] = frozenset()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.calls: set[Call] = set()
        self.gates: dict[str, asyncio.Semaphore] = {}
        self.limits: dict[str, int] = {}
        self.claimed_pks: list[int] = []
        self.has_asked = False
        """Whether the code asked for a child."""
        self.suspended = False
        self.stop_reason: str | None = None
        self.park: Callable[[], None] | None = None
        """Asks the executor to park the run; set while it executes."""
        self._delivered: list[int] = []

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
    def workspace(self) -> Any:
        """The workspace's folder (a Path)."""
        return self.engine.workspace

    @property
    def idempotency_key(self) -> str | None:
        """Inside a step: a key that is the same in every try of it, for tools with side effects."""
        step = _step.get()
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
        more = {"title": title, "prompt": prompt, "labels": labels, "detached": detach or None}
        item = self._item(agent, input, key, _options(options, retry), more)
        return self._children([item], single=True)

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
        given = _options(options, retry)
        items = [
            self._item(agent, one, key(one) if key else None, given, {"title": title(one)} if title else {}) for one in inputs
        ]
        return self._children(items, single=False)

    def step(self, name: str, function: Callable[..., Any], *args: Any, key: str | None = None) -> Call:
        """Runs a function once and records its result by name and arguments; later attempts get what was recorded.

        The function may be sync (it runs in a thread) or async. It runs at least once; see `idempotency_key`.
        """
        self.check()
        self.durable(f"ctx.step({name!r})")
        own = keys.explicit_key("step", name, key) if key else keys.child_key("step", name, "", list(args))
        hint = self._hint(own, name)
        call = self._open(Call("step", name, own, loop=self.engine.loop))
        record = self.claims.claim(own, hint.phase, hint.previous)
        if record is not None:
            self.engine.spawn(self._settle(call, self._recorded(record.value, record.ref)))
            return call
        body = self.engine.loop.create_task(self._body(own, function, args))
        call.on_cancel = body.cancel
        self.engine.spawn(self._settle(call, self._step(body, hint)))
        return call

    def sleep(self, seconds: float) -> Call:
        """A durable timer: after a crash only what is left of it is waited for."""
        self.check()
        self.durable("ctx.sleep")
        if not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
            raise InvalidInput(f"sleep takes seconds from 0, not {seconds!r}")
        own = keys.child_key("timer", "sleep", "", [seconds])
        hint = self._hint(own, "sleep")
        call = self._open(Call("timer", "sleep", own, loop=self.engine.loop))
        record = self.claims.claim(own, hint.phase, hint.previous)
        self.engine.spawn(self._settle(call, self._sleep(call, seconds, hint, record)))
        return call

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
        """Raises `Suspended` once the run was parked: its code has nothing to say any more."""
        if self.suspended:
            raise Suspended(f"run {self.run_id} was parked")

    def durable(self, what: str) -> None:
        """Checks the place of a durable call, and notes failures that the code received and lived on from."""
        if _step.get() is not None:
            raise Misuse(f"{what} inside a step", hint="call it from the workflow or agent; a step is recorded as one piece")
        if running.get() is not self or threading.get_ident() != self.engine.thread:
            raise Misuse(f"{what} outside the run's own code", hint="sync functions are leaves: make it async to start children")
        self.note_handled()

    def note_handled(self) -> None:
        """Records failures of children that were delivered before, so that they are raised again and not retried."""
        if self._delivered:
            delivered, self._delivered = self._delivered, []
            self.engine.core.submit(RecordHandled(self.run_id, self.attempt, delivered), self.handle._unseen)

    def may_park(self) -> bool:
        """Whether parking makes sense: at a cap only once the children that still run have ended."""
        if not all(call.waits for call in self.calls if not call.done()):
            return False
        children = [call for call in self.calls if call.kind == "child"]
        if any(call.blocked for call in children):
            return all(call.live == 0 for call in children)
        if self.engine.keeps_parents:
            return all(self.engine.idle.issuperset(call.open_ids) for call in children)
        return True

    def _item(self, agent: str, input: Any, key: str | None, options: dict[str, Any], more: dict[str, Any]) -> Item:
        entry = self.engine.find(self.tree, agent)
        own = (
            keys.explicit_key("child", agent, key) if key else keys.child_key("child", agent, entry.version, input, options)
        )
        data = codec.encode(input)
        return Item(entry=entry, input=data, options=options, hint=self._hint(own, agent), more=more)

    def _hint(self, key: str, name: str) -> Hint:
        hint = Hint(key, name, _phase.get(), _previous.get())
        _previous.set(key)
        return hint

    def _children(self, items: Sequence[Item], *, single: bool) -> Call:
        self.check()
        self.durable("ctx.child" if single else "ctx.map")
        self.has_asked = True
        for item in items:
            item.record = self.claims.claim(item.hint.key, item.hint.phase, item.hint.previous)
        name = items[0].hint.name if items else "map"
        call = self._open(Call("child", name, items[0].hint.key if items else "", loop=self.engine.loop))
        self.engine.spawn(self._settle(call, run_children(self, call, items, single=single)))
        return call

    def _open(self, call: Call) -> Call:
        self.calls.add(call)
        call.add_done_callback(self.calls.discard)
        return call

    async def _settle(self, call: Call, work: Any) -> None:
        """Gives the call its outcome, once the run has its slot back."""
        if call.kind != "step":
            self.engine.slots.give_back(self)
        try:
            value, error = await work, None
        except asyncio.CancelledError:
            call.cancel()
            return
        except BaseException as raised:
            value, error = None, raised
        if call.done() or self.suspended:
            return
        if call.kind != "step":
            await self.engine.slots.take_again(self)
        if call.done() or self.suspended:
            return
        if error is None:
            call.set_result(value)
        else:
            self._delivered += call.failure_pks
            call.set_exception(error)

    async def _recorded(self, value: str | None, ref: str | None) -> Any:
        if ref is not None and value is None:
            return self.engine.core.reader.value(ref)
        return None if value is None else codec.decode(value)

    async def _body(self, key: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        _step.set(key)
        if inspect.iscoroutinefunction(getattr(function, "func", function)):
            return await function(*args)
        value = await self.engine.in_thread(function, *args)
        return await value if inspect.isawaitable(value) else value

    async def _step(self, body: "asyncio.Task[Any]", hint: Hint) -> Any:
        started = self.engine.core.clock.monotonic()
        data = codec.encode(await body)
        elapsed_ms = int((self.engine.core.clock.monotonic() - started) * 1000)
        await self.engine.core.submit(RecordStep(self.run_id, self.attempt, hint, data, elapsed_ms), [])
        return codec.decode(data)

    async def _sleep(self, call: Call, seconds: float, hint: Hint, record: Any) -> None:
        core = self.engine.core
        if record is not None and record.value is not None:
            call.wake_at = int(codec.decode(record.value))
        else:
            call.wake_at = core.now() + int(seconds * 1e6)
            data = codec.encode(call.wake_at)
            await core.submit(RecordStep(self.run_id, self.attempt, hint, data, 0, kind="timer"), [])
        self.engine.consider_parking(self)
        while (left := call.wake_at - core.now()) > 0:
            await asyncio.sleep(min(left / 1e6, 60.0))

    async def _events(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        self.check()
        write = RecordEvents(self.run_id, self.attempt, [(type, payload, 1) for type, payload in events])
        await self.engine.core.submit(write, [])
        self.check()


def _options(options: dict[str, Any] | None, retry: RetryPolicy | dict[str, Any] | None) -> dict[str, Any]:
    """A child's options; `retry` is one of them, so that it holds wherever the child runs."""
    given = dict(options or {})
    if retry is not None:
        import msgspec

        try:
            policy = msgspec.convert(retry, RetryPolicy) if isinstance(retry, dict) else retry
        except msgspec.ValidationError as error:
            raise InvalidInput(f"retry: {error}") from error
        given["retry"] = msgspec.to_builtins(policy)
    return given
