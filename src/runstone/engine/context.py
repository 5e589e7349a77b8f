"""`ctx`: what agents and workflows work with. One durable primitive (children), and what is built on it."""

import asyncio
import contextvars
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from runstone.domain import codec, inputs
from runstone.domain.bounds import checked_message
from runstone.domain.secrets import MARK_BYTES, bound, hidden, names_in
from runstone.domain.workflows import RetryPolicy
from runstone.engine import call_keys
from runstone.engine.asking import run_ask
from runstone.engine.calls import Call
from runstone.engine.caps import hold_for_budget
from runstone.engine.children import Item, run_children
from runstone.engine.conduct import Conduct
from runstone.engine.continuing import Continuation, run_continuation
from runstone.engine.limits import own_cap
from runstone.engine.steps import current_step, run_body, run_step, run_timer
from runstone.errors import BudgetReached, InvalidInput
from runstone.store.writer import Receipt
from runstone.store.writes.journal import Hint
from runstone.store.writes.lifecycle import RecordEvents

_phase: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_phase", default=None)
_previous: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_previous", default=None)


class Context(Conduct):
    """The run as its own code sees it. Every durable call is found again by its key when the run is resumed."""

    # --- writing -------------------------------------------------------------------------------------------------

    def emit(
        self, type: str, payload: Any = None, *, importance: int | None = None, event_key: str | None = None
    ) -> Receipt:
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

    def checkpoint(
        self, state: Any = None, *, append: dict[str, list[Any]] | None = None, label: str | None = None
    ) -> Receipt:
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
    def pausing(self) -> bool:
        """Whether the run is about to pause: its next durable call is made by the attempt that goes on."""
        return self.pause_reason is not None

    def steering(self) -> list[str]:
        """Messages that people sent since the last look; see `RunHandle.steering`."""
        self.check()
        return self.handle.steering()

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
            "title": None if title is None else self.engine.core.clean("title", title),
            "prompt": prompt,
            "labels": None if labels is None else self.engine.core.clean_labels(labels) or None,
            "detached": detach or None,
        }
        self._durable(f"ctx.child({agent!r})")
        if self.pausing:
            return self._held_back()
        item = self._item(agent, input, key, call_keys.options_of(options, retry), more)
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
        if self.pausing:
            return self._held_back()
        given = call_keys.options_of(options, retry)
        items = [
            self._item(
                agent,
                one,
                None if key is None else call_keys.of_mapped(key, one),
                given,
                {} if title is None else {"title": self.engine.core.clean("title", title(one))},
            )
            for one in inputs
        ]
        return self._children(items, single=False)

    def step(self, name: str, function: Callable[..., Any], *args: Any, key: str | None = None) -> Call:
        """Runs a function once and records its result by name and arguments; later attempts get what was recorded.

        The function may be sync (it runs in a thread) or async. It runs at least once; see `idempotency_key`.
        """
        self._durable(f"ctx.step({name!r})")
        if self.pausing:
            return self._held_back()
        own = call_keys.of_step(name, args, key)
        hint = self._hint(own, name)
        call = Call("step", name, own, loop=self.engine.loop)
        record = self.claims.claim(own, hint.phase, hint.previous)
        if record is not None:
            return self._open(call, self._stored(record))
        # What the code does to arguments afterwards is not what was keyed.
        given = self._with_secrets(copy.deepcopy(args) if key is None else args)

        def begin() -> Awaitable[Any]:
            body = self.engine.loop.create_task(run_body(self, own, function, given))
            call.on_cancel = body.cancel
            return run_step(self, body, hint)

        reached = self._own_cap()
        return self._open(call, begin() if reached is None else hold_for_budget(self, call, reached, begin))

    def sleep(self, seconds: float) -> Call:
        """A durable timer: after a crash only what is left of it is waited for."""
        self._durable("ctx.sleep")
        if self.pausing:
            return self._held_back()
        own = call_keys.of_timer(seconds)
        hint = self._hint(own, "sleep")
        call = Call("timer", "sleep", own, loop=self.engine.loop)
        record = self.claims.claim(own, hint.phase, hint.previous)
        return self._open(call, run_timer(self, call, seconds, hint, record))

    def ask(
        self,
        message: str,
        *,
        choices: Iterable[Any] | None = None,
        key: str | None = None,
        reason: str | None = None,
        schema: dict[str, Any] | None = None,
        expires_s: float | None = None,
        default: Any = msgspec.UNSET,
    ) -> Call:
        """Asks a person and gives the answer, however long that takes: a run that only waits for it holds nothing.

        Answers are `choices`, or fit `schema` (docs/adr/0013-input-requests.md), or are any JSON. After `expires_s` the
        question is taken as `default`, or awaiting it raises `InputExpired`. Two equal questions open at once raise
        `AmbiguousQuestion`, unless each has its own `key`; under a key a run asks once.
        """
        self._durable("ctx.ask")
        if self.pausing:
            return self._held_back()
        asked = inputs.question(
            message, now=self.engine.core.now(), choices=choices, key=key, reason=reason, schema=schema,
            expires_s=expires_s, default=default,
        )  # fmt: skip
        asked = inputs.without_secrets(asked, self.engine.core.redactor.text)
        hint = self._hint(asked.identity, "ask")
        call = Call("ask", codec.clip(message, 300), asked.identity, loop=self.engine.loop)
        record = self.claims.claim(asked.identity, hint.phase, hint.previous)
        return self._open(
            call, self._stored(record) if record is not None else run_ask(self, call, asked, hint)
        )

    def continue_child(
        self, child_run_id: str, message: str, *, agent_id: str | None = None, key: str | None = None
    ) -> Call:
        """Has a child of this run go on with a message, and gives what its next attempt does; done once.

        The child may be paused, asking, interrupted, failed or completed; it has its last state in `ctx.state` and the
        message in `ctx.message_in`. Its open questions are withdrawn. `key=` replaces the message as what makes the
        continuation the same. Awaiting raises `NotAChild`, `RunMismatch` for another `agent_id`, `RunIsLive`,
        `IllegalTransition`, and `ChildFailed`.
        """
        self._durable("ctx.continue_child")
        if self.pausing:
            return self._held_back()
        name = f"continue {child_run_id}"
        own = call_keys.of_continuation(child_run_id, checked_message(message), key)
        call = Call("child", name, own, loop=self.engine.loop)
        call.run_id = child_run_id
        hint = self._hint(own, name)
        record = self.claims.claim(own, hint.phase, hint.previous)
        if record is not None and record.child_pk is not None:
            self.claimed_pks.append(record.child_pk)
        if record is not None and record.finished:  # also that of a child whose run was removed
            return self._open(call, self._stored(record))
        reader = self.engine.core.reader
        entry = self.engine.entry_of(reader, self.tree, reader.runs.get(child_run_id))
        asked = Continuation(
            child_id=child_run_id, entry=entry, message=self.engine.core.redactor.message(message),
            agent_id=agent_id, hint=hint, record=record,
        )  # fmt: skip
        return self._open(call, run_continuation(self, call, asked))

    @asynccontextmanager
    async def phase(
        self, name: str, *, concurrency: int | None = None, planned: int | None = None
    ) -> AsyncIterator[None]:
        """Names a part of the run. `concurrency` limits its running children, counted in the ledger."""
        self.check()
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            raise InvalidInput(f"a phase's name is a text of 1 to 200 characters, not {name!r:.80}")
        if concurrency is not None:
            if type(concurrency) is not int or concurrency < 1:
                raise InvalidInput(f"concurrency is a whole number from 1, not {concurrency!r}")
            self.gates.setdefault(name, asyncio.Semaphore(concurrency))
            self.limits[name] = concurrency
        told = {"phase": name, "planned": planned, "concurrency": concurrency}
        await self._events(
            [("phase.started", {field: one for field, one in told.items() if one is not None})]
        )
        token = _phase.set(name)
        try:
            yield
        except Exception as error:
            if not self.suspended:
                reason = codec.clip(self.engine.core.redactor.text(str(error)), 500)
                await self._events([("phase.failed", {"phase": name, "reason": reason})])
            raise
        else:
            await self._events([("phase.completed", {"phase": name})])
        finally:
            _phase.reset(token)

    async def skip_phase(self, name: str, reason: str) -> None:
        """Notes that a phase is not run, and why."""
        self.check()
        reason = codec.clip(self.engine.core.redactor.text(reason), 500)
        await self._events([("phase.skipped", {"phase": name, "reason": reason})])

    def _own_cap(self) -> BudgetReached | None:
        """That the run has spent its own budget, so that no step of it begins before that is larger."""
        if '"budget"' not in self.options_json:
            return None
        run = self.engine.core.reader.runs.get(self.run_id)
        return own_cap(self.engine.core.reader, self.run_id, codec.encode(run.options).decode())

    # --- inside --------------------------------------------------------------------------------------------------

    def _item(
        self, agent: str, input: Any, key: str | None, options: dict[str, Any], more: dict[str, Any]
    ) -> Item:
        entry = self.engine.find(self.tree, agent)
        input, values = hidden(input, entry.secrets, entry.name)
        own = call_keys.of_child(entry, agent, input, key, options)
        data = codec.encode(input)
        if MARK_BYTES in data:
            self.tree.vault.allow((*values, *names_in(input, objects_only=True)))
            self.tree.vault.refuse_unknown(names_in(codec.decode(data)))
        hint = self._hint(own, agent)
        record = self.claims.claim(own, hint.phase, hint.previous)
        if record is not None and record.child_pk is not None:
            self.claimed_pks.append(record.child_pk)
        return Item(
            entry=entry, input=data, options=options, hint=hint, more=more, record=record, secrets=values
        )

    def _with_secrets(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Arguments whose secrets can be revealed in the step."""
        names = set(names_in(args, objects_only=True))
        if not names:
            return args
        vault = self.tree.vault
        vault.allow(names)
        return tuple(bound(list(args), vault.finder(self.run_id), objects_only=True))

    def _hint(self, key: str, name: str) -> Hint:
        # The key tells calls apart, and was taken before; the name is for people.
        hint = Hint(key, self.engine.core.redactor.text(name), _phase.get(), _previous.get())
        _previous.set(key)
        return hint

    def _children(self, items: Sequence[Item], *, single: bool, detached: bool = False) -> Call:
        name = items[0].hint.name if items else "map"
        call = Call("child", name, items[0].hint.key if items else "", loop=self.engine.loop)
        call.detached = detached
        return self._open(call, run_children(self, call, items, single=single))

    async def _events(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        self.check()
        write = RecordEvents(self.run_id, self.attempt, [(type, payload, 1) for type, payload in events])
        await self.engine.core.submit(write, [])
        self.check()
