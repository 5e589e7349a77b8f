"""`ctx` of a simulation: durable calls take what is recorded, and nothing else happens.

A call that finds nothing to use is noted, and never ends: what the code asks for behind it is not known.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from runstone.domain import codec, inputs
from runstone.domain.bounds import checked_message
from runstone.domain.records import AgentRun, JournalEntry
from runstone.domain.resume import Claims, PlanEntry, ResumePolicy, action_for
from runstone.domain.secrets import hidden
from runstone.engine import call_keys
from runstone.engine.outcome import child_failure
from runstone.engine.registry import Registry
from runstone.errors import ChildFailed, ChildrenFailed, Suspended
from runstone.store.reads import Reader

owner: contextvars.ContextVar["Simulated | None"] = contextvars.ContextVar("runstone_simulated", default=None)
_phase: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_simulated_phase", default=None)
_previous: contextvars.ContextVar[str | None] = contextvars.ContextVar("runstone_simulated_key", default=None)

_NOTHING = object()


class Unwritten:
    """The receipt of a write that a simulation does not make."""

    done = True
    error = None

    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self, timeout: float | None = None) -> Any:
        """What stands in the place of the value."""
        return self._value

    def __await__(self) -> Generator[Any, None, Any]:
        # As a write does: other branches get their turn, and so does whoever bounds the time.
        yield from asyncio.sleep(0).__await__()
        return self._value


class Silent:
    """Writes that are not made: what `ctx` and `current_run()` have in common."""

    def __init__(self, run_id: str, attempt: int, state: Any) -> None:
        self.id = self.run_id = run_id
        self.attempt = attempt
        self.state = state
        self.message_in: str | None = None
        self.answers: tuple[Any, ...] = ()
        self.stopping = self.pausing = False
        self.over = False

    def emit(self, type: str, payload: Any = None, **more: Any) -> Unwritten:
        """Appends no event."""
        return self._unwritten((0, 0))

    def emit_many(self, batch: Iterable[tuple[str, Any]]) -> Unwritten:
        """Appends no events."""
        return self._unwritten([])

    def usage(self, **report: Any) -> Unwritten:
        """Accounts for nothing."""
        return self._unwritten(False)

    def message(self, role: str, text: str, *, extra: Any = None) -> Unwritten:
        """Adds no message."""
        return self._unwritten(f"{self.run_id}.thread#0")

    def checkpoint(self, state: Any = None, **more: Any) -> Unwritten:
        """Saves nothing."""
        return self._unwritten(0)

    def set_summary(self, summary: str) -> None:
        """Says nothing."""

    def steering(self) -> list[str]:
        """Nobody steers a simulation; what people have sent stays for the run."""
        return []

    def _check(self) -> None:
        if self.over:
            raise Suspended(f"the simulation of run {self.run_id} is over")

    def _unwritten(self, value: Any) -> Unwritten:
        self._check()
        return Unwritten(value)


class Simulated(Silent):
    """A run as a simulation shows it to the run's own code."""

    def __init__(
        self,
        reader: Reader,
        registry: Registry,
        run: AgentRun,
        entries: Iterable[JournalEntry],
        *,
        policy: ResumePolicy,
        ended_parent: frozenset[str],
        state: Any,
        workspace: Path,
    ) -> None:
        super().__init__(run.id, run.attempt + 1, state)
        self.kind = run.kind
        self.workspace = workspace
        self.idempotency_key = None
        self.claims = Claims(entries)
        self.claimed: list[JournalEntry] = []
        self.start: list[PlanEntry] = []
        self.parked: set[asyncio.Future[Any]] = set()
        """Calls that never end."""
        self._reader = reader
        self._registry = registry
        self._policy = policy
        self._ended_parent = ended_parent

    # --- durable calls -------------------------------------------------------------------------------------------

    def child(
        self,
        agent: str,
        input: Any = None,
        *,
        key: str | None = None,
        options: Any = None,
        retry: Any = None,
        **more: Any,
    ) -> "asyncio.Future[Any]":
        """The recorded result of a child, or its recorded failure; nothing is started."""
        self._check()
        found = self._take_child(agent, input, key, call_keys.options_of(options, retry))
        return self._call(lambda: _single(found)) if found is not _NOTHING else self._park()

    def map(
        self,
        agent: str,
        inputs: Iterable[Any],
        *,
        key: Callable[[Any], str] | None = None,
        options: Any = None,
        retry: Any = None,
        **more: Any,
    ) -> "asyncio.Future[Any]":
        """The recorded results of children in the order of their inputs."""
        self._check()
        given = call_keys.options_of(options, retry)
        found = [
            self._take_child(agent, one, None if key is None else call_keys.of_mapped(key, one), given)
            for one in inputs
        ]
        return self._park() if _NOTHING in found else self._call(lambda: _many(found))

    def step(
        self, name: str, function: Callable[..., Any], *args: Any, key: str | None = None
    ) -> "asyncio.Future[Any]":
        """The recorded result of a step; the function is never called."""
        self._check()
        own = call_keys.of_step(name, args, key)
        return self._stored(own, "step", name)

    def sleep(self, seconds: float) -> "asyncio.Future[Any]":
        """Over for a timer whose time has come."""
        self._check()
        record = self._claim(call_keys.of_timer(seconds), "sleep")[0]
        due = (
            record is not None
            and record.value is not None
            and int(codec.decode(record.value)) <= self._reader.now()
        )
        return self._call(lambda: None) if due else self._park()

    def ask(self, message: str, **more: Any) -> "asyncio.Future[Any]":
        """The recorded answer; nobody is asked."""
        self._check()
        asked = inputs.question(
            message, now=self._reader.now(), **{"default": msgspec.UNSET, **_ASKED, **more}
        )
        return self._stored(asked.identity, "answer", codec.clip(message, 200))

    def continue_child(
        self, child_run_id: str, message: str, *, agent_id: str | None = None, key: str | None = None
    ) -> "asyncio.Future[Any]":
        """The recorded result of a continuation."""
        self._check()
        own = call_keys.of_continuation(child_run_id, checked_message(message), key)
        record, phase = self._claim(own, f"continue {child_run_id}")
        if record is not None and record.finished:
            return self._call(lambda: self._value(record))
        if record is None:
            self._note("child", f"continue {child_run_id}", own, phase)
        return self._park()

    @asynccontextmanager
    async def phase(self, name: str, **more: Any) -> AsyncIterator[None]:
        """Names a part of the run."""
        self._check()
        await asyncio.sleep(0)
        token = _phase.set(name)
        try:
            yield
        finally:
            _phase.reset(token)

    async def skip_phase(self, name: str, reason: str) -> None:
        """Notes nothing."""
        await asyncio.sleep(0)

    # --- inside --------------------------------------------------------------------------------------------------

    def _claim(self, key: str, name: str) -> tuple[JournalEntry | None, str | None]:
        phase, previous = _phase.get(), _previous.get()
        _previous.set(key)
        record = self.claims.claim(key, phase, previous)
        if record is not None:
            self.claimed.append(record)
        return record, phase

    def _take_child(self, agent: str, input: Any, key: str | None, options: dict[str, Any]) -> Any:
        """A child's result, the error that it raises, or `_NOTHING` where it would run."""
        entry = self._registry.get_either(agent)
        given, _ = hidden(input, entry.secrets, entry.name)
        own = call_keys.of_child(entry, agent, given, key, options)
        codec.encode(given)
        record, phase = self._claim(own, agent)
        if record is None:
            self._note("child", agent, own, phase)
            return _NOTHING
        action = action_for(record, self._policy, self._ended_parent)
        if action == "reuse":
            return self._value(record)
        if action == "raise" and record.child_run_id is not None and record.child_status is not None:
            return child_failure(record.child_run_id, record.child_status, record.child_error, None)
        return _NOTHING

    def _stored(self, key: str, kind: str, name: str) -> "asyncio.Future[Any]":
        record, phase = self._claim(key, name)
        if record is None:
            self._note(kind, name, key, phase)
            return self._park()
        return self._call(lambda: self._value(record))

    def _note(self, kind: str, name: str, key: str, phase: str | None) -> None:
        self.start.append(PlanEntry(kind=kind, name=codec.clip(name, 1_000), key=key, phase=phase))

    def _value(self, record: JournalEntry) -> Any:
        return (
            codec.decode(record.value) if record.value is not None else self._reader.values.json(record.ref)
        )

    def _call(self, give: Callable[[], Any]) -> "asyncio.Future[Any]":
        """A call that ends at the loop's next turn, as no recorded call ends at once."""
        loop = asyncio.get_running_loop()
        call: asyncio.Future[Any] = loop.create_future()
        loop.call_soon(_settle, call, give, context=contextvars.Context())
        return call

    def _park(self) -> "asyncio.Future[Any]":
        call: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.parked.add(call)
        call.add_done_callback(self.parked.discard)
        return call


_ASKED: dict[str, Any] = dict.fromkeys(("choices", "key", "reason", "schema", "expires_s"))


def _single(found: Any) -> Any:
    if isinstance(found, ChildFailed):
        raise found
    return found


def _many(found: list[Any]) -> list[Any]:
    failures = tuple(one for one in found if isinstance(one, ChildFailed))
    if failures:
        raise ChildrenFailed(
            f"{len(failures)} of {len(found)} children failed; the first: {failures[0]}",
            failures=failures,
            results=tuple(None if isinstance(one, ChildFailed) else one for one in found),
        )
    return found


def _settle(call: "asyncio.Future[Any]", give: Callable[[], Any]) -> None:
    if call.done():
        return
    try:
        call.set_result(give())
    except Exception as error:
        call.set_exception(error)
