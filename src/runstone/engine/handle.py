"""The handle of a run: what an agent loop of one's own writes with, and what `ctx` is built on."""

import contextvars
import os
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec import UNSET

from runstone.domain import budgets, codec, events, inputs
from runstone.domain.bounds import bounded, pairs, role_of
from runstone.domain.inputs import InputRequest, Question
from runstone.domain.orders import reason_of
from runstone.domain.records import Command
from runstone.domain.state import Saved
from runstone.domain.telemetry import Usage, to_picousd
from runstone.engine import prices
from runstone.engine.core import State
from runstone.engine.outcome import error_of
from runstone.engine.ports import Leases, Parts
from runstone.errors import Fenced, InputExpired, InvalidInput, RunstoneError
from runstone.store.base import Write
from runstone.store.blobs import pack
from runstone.store.writer import Receipt, Unseen, Writer
from runstone.store.writes.asking import AskAndPark
from runstone.store.writes.events import Append, AppendMessages, NewEvent, NewMessage
from runstone.store.writes.inputs import Asked, AskInput
from runstone.store.writes.lifecycle import EndRun, ParkRun, UpdateRun, YieldRun
from runstone.store.writes.verbs import TakeSteering

if TYPE_CHECKING:
    from runstone.engine.deliveries import Delivery

current: contextvars.ContextVar["RunHandle | None"] = contextvars.ContextVar("runstone_run", default=None)

_KEY_BYTES = 500

_OPEN_CALLS = 10_000
"""Tool calls whose name is remembered until they end."""


def current_run() -> "RunHandle | None":
    """The run that this code works in, or None."""
    return current.get()


class RunHandle:
    """An open attempt of a run. Every write returns a `Receipt`: await it, `.result()`, or leave it.

    Use it as a context manager, sync or async: an exception fails the run, leaving without `complete()` completes it
    with `implicit: true`, and Ctrl-C or a cancelled task leaves it interrupted. Thread-safe.
    """

    def __init__(
        self,
        core: Parts,
        supervisor: Leases,
        run_id: str,
        attempt: int,
        *,
        state: Any = None,
        saved: Saved | None = None,
        unseen: list[Receipt] | None = None,
        worker_thread_id: str | None = None,
    ) -> None:
        self.id = run_id
        self.attempt = attempt
        self.state = state
        """The state of the last checkpoint when this attempt began; None without one."""
        self.message_in: str | None = None
        """The message that a continuation came with; given to each attempt until one has saved a checkpoint."""
        self.unanswered: tuple[InputRequest, ...] = ()
        """Questions that were open when the run was continued with a message; they are withdrawn."""
        self.cwd: str | None = None
        """The folder that the run was started in."""
        self.answers: tuple[InputRequest, ...] = ()
        """Questions that were answered (or expired) since the last checkpoint of an attempt before this one."""
        self._core = core
        self._supervisor = supervisor
        self._saved = saved or Saved()
        self._checkpointed: Receipt | None = None
        self._unseen: list[Receipt] = Unseen() if unseen is None else unseen
        self._tools: dict[str, str] = {}
        self._worker_thread_id = worker_thread_id
        self._summary: str | None = None
        self._ended = False
        self._final: Receipt | None = None
        self._token: contextvars.Token[RunHandle | None] | None = None
        self._stop_order: Command | None = None
        self._pause_order: Command | None = None
        self._held = supervisor.hold(
            run_id, attempt, _weakly(self._lost), _weakly(self._stop), _weakly(self._pause)
        )
        self._finalizer = weakref.finalize(self, supervisor.abandon, self._held)
        self._finalizer.atexit = False
        self._lost_reason: str | None = None
        self.on_lost: Callable[[str], None] | None = None
        """Told, from another thread, when this attempt may not write any more."""
        self.on_stop: Callable[[str], None] | None = None
        """Told, from another thread, of an order to stop."""
        self.on_pause: Callable[[str], None] | None = None
        """Told, from another thread, of an order to pause."""

    run_id = property(lambda self: self.id)

    # --- events --------------------------------------------------------------------------------------------------

    def emit(
        self, type: str, payload: Any = None, *, importance: int | None = None, event_key: str | None = None
    ) -> Receipt:
        """Appends an event. `payload` is JSON; `event_key` makes repeats harmless. The value is (seq, position).

        Raises `InvalidEvent` or `NotJournalable` at once; a fenced attempt shows in the receipt.
        """
        if self._unseen:
            Writer.raise_unseen(self._unseen)
        event = self._event(type, payload, importance, event_key)
        return self._core.writer.submit(Append(self.id, self.attempt, [event]), self._unseen)

    def emit_many(self, batch: Iterable[tuple[str, Any]]) -> Receipt:
        """Appends events in one write: all of them, or none."""
        if self._unseen:
            Writer.raise_unseen(self._unseen)
        new = [self._event(type, payload, None, None) for type, payload in pairs("type, payload", batch)]
        return self._core.writer.submit(Append(self.id, self.attempt, new), self._unseen)

    def _event(self, type: str, payload: Any, importance: int | None, event_key: str | None) -> NewEvent:
        payload = {} if payload is None else payload
        level = events.check_emit(type, payload)
        if importance is not None:
            if not isinstance(importance, int) or importance not in (events.LOW, events.NORMAL, events.HIGH):
                raise InvalidInput(f"importance is 0, 1 or 2, not {codec.shown(importance)}")
            level = importance
        if event_key is not None:
            event_key = bounded("event_key", event_key, _KEY_BYTES)
        data = codec.encode(payload)
        clean = self._core.redactor.json(data)
        tool = None
        if type.startswith("tool."):
            tool = self._tool(type, payload if clean is data else codec.decode(clean))
        return NewEvent(type, clean, level, self._core.clock.now(), event_key, tool)

    def _tool(self, type: str, payload: dict[str, Any]) -> tuple[str, bool] | None:
        """The tool's name and whether it failed, when its call ends: what `tool_counts` counts."""
        if type == "tool.started" and len(self._tools) < _OPEN_CALLS:
            self._tools[payload["call_id"]] = payload["tool"]
        if type != "tool.completed":
            return None
        started = self._tools.pop(payload["call_id"], None)
        tool = codec.row_text(str(payload.get("tool") or started or "unknown")[:200])
        return tool, payload.get("ok") is False

    def usage(
        self,
        *,
        provider: str,
        model: str,
        input_tokens: int = 0,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        output_tokens: int = 0,
        reasoning_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        cost_usd: float | str | None = None,
        request_id: str | None = None,
    ) -> Receipt:
        """Accounts for one provider request. Counts are disjoint tokens; `reasoning_tokens` is part of the output, and
        `cache_write_1h_tokens` of the cache writes. `runstone.usage_from` reads them from a provider's answer.

        The same `request_id` counts once in its tree. Without `cost_usd` the cost is that of the published prices
        (extra `prices`), else unknown, never 0. The value says whether the report was new. Usage of a fenced attempt is
        still accepted: it was spent.
        """
        report = Usage(
            request_id=self._core.new_id() if request_id is None else request_id,
            provider=provider, model=model, at=self._core.now(),
            input_tokens=input_tokens, cache_read_tokens=cache_read_tokens, cache_write_tokens=cache_write_tokens,
            output_tokens=output_tokens, reasoning_tokens=reasoning_tokens,
            cache_write_1h_tokens=cache_write_1h_tokens,
            cost_picousd=None if cost_usd is None else to_picousd(cost_usd),
            cost_source="unknown" if cost_usd is None else "reported",
        )  # fmt: skip
        return self._submit(prices.report(self.id, self.attempt, report, new_id=request_id is None))

    def message(
        self, role: str, text: str, *, extra: Any = None, acknowledge: "Iterable[Delivery]" = ()
    ) -> Receipt:
        """Adds a message to the run's worker thread, made on first use. The value is the message's id.

        `acknowledge` takes what `finished_children` gave: message and acknowledgement are one transaction.
        """
        return self.messages([(role, text)], extra=extra, acknowledge=acknowledge)

    def messages(
        self, batch: Iterable[tuple[str, str]], *, extra: Any = None, acknowledge: "Iterable[Delivery]" = ()
    ) -> Receipt:
        """Adds messages in one write."""
        now, clean = self._core.now(), self._core.redactor
        more = None if extra is None else clean.json(codec.encode(extra))
        new = [
            NewMessage(role_of(role), clean.message(text), now, more)
            for role, text in pairs("role, text", batch)
        ]
        thread = self.worker_thread_id
        write = AppendMessages(thread, new, run_id=self.id, attempt=self.attempt, worker=True)
        return self._submit(self._with_ends(write, acknowledge))

    def finished_children(self, *, limit: int = 100) -> "list[Delivery]":
        """Ends of this run's children that no attempt of it has acknowledged, the oldest first, each with its `result`.

        Give them to `acknowledge=` of the checkpoint or message that takes them in, or to `acknowledge`: each end is
        then told exactly once, whatever crashes. A child that was retried and ended again has a new end.
        """
        return self._core.finished_children(self.id, self.attempt, limit)

    def acknowledge(self, children: "Iterable[Delivery]") -> Receipt:
        """Acknowledges what `finished_children` gave. Refused with `AlreadyDelivered` where that was done before."""
        from runstone.engine import deliveries

        return self._submit(deliveries.acknowledging(None, self.id, self.attempt, children))

    def _with_ends(self, write: Write, ends: "Iterable[Delivery]") -> Write:
        if not (told := list(ends)):
            return write
        from runstone.engine import deliveries

        return deliveries.acknowledging(write, self.id, self.attempt, told)

    @property
    def worker_thread_id(self) -> str:
        """The thread of this run's own conversation."""
        if self._worker_thread_id is None:
            self._worker_thread_id = self._core.worker_thread(self.id) or f"{self.id}.thread"
        return self._worker_thread_id

    def update(self, *, title: str | None = None, labels: dict[str, str] | None = None) -> Receipt:
        """Edits the title or the labels of the run."""
        changes: dict[str, Any] = {} if title is None else {"title": self._core.clean("title", title)}
        if labels is not None:
            changes["labels"] = self._core.clean_labels(labels)
        return self._submit(UpdateRun(self.id, changes, self.attempt))

    def checkpoint(
        self,
        state: Any = None,
        *,
        append: dict[str, list[Any]] | None = None,
        label: str | None = None,
        acknowledge: "Iterable[Delivery]" = (),
    ) -> Receipt:
        """Saves the state (JSON): only what changed is stored. The value is the checkpoint's number.

        With `append=` only the items that were added to top-level lists are given; then the time is flat, too.
        `acknowledge` takes what `finished_children` gave: state and acknowledgement are one transaction.
        """
        if (state is None) == (append is None):
            raise InvalidInput("checkpoint takes a state or append=, one of the two")
        label = None if label is None else self._core.clean("label", label)
        before = self._last_saved()
        write, saved = self._core.checkpoint(self.id, self.attempt, before, State(state, append), label)
        self._checkpointed = self._submit(self._with_ends(write, acknowledge))
        self._saved = saved
        return self._checkpointed

    def _last_saved(self) -> Saved:
        """What the last checkpoint holds: as this handle saved it, or as the ledger has it after a save was refused."""
        if self._checkpointed is not None and self._checkpointed.error is not None:
            self._checkpointed = None
            self._saved = self._core.saved(self.id)
        return self._saved

    def _submit(self, write: Any) -> Receipt:
        if self._unseen:
            Writer.raise_unseen(self._unseen)
        return self._core.writer.submit(write, self._unseen)

    # --- ends ----------------------------------------------------------------------------------------------------

    def set_summary(self, summary: str) -> None:
        """What the run did, in a sentence or two; stored when it completes."""
        codec.utf8(summary, "summary")
        self._summary = summary

    def complete(self, *, summary: str | None = None, result: Any = None, implicit: bool = False) -> Receipt:
        """Ends the run with a result (JSON)."""
        payload: dict[str, Any] = {"implicit": True} if implicit else {}
        summary = summary if summary is not None else self._summary
        if summary is not None:
            codec.utf8(summary, "summary")
            payload["summary"] = self._core.redactor.text(summary)
        blob = None if result is None else pack(codec.encode(result))
        return self._end(EndRun(self.id, self.attempt, "run.completed", payload, blob=blob))

    def fail(self, error: BaseException | str) -> Receipt:
        """Ends the run with an error."""
        return self._end(
            EndRun(self.id, self.attempt, "run.failed", {"error": error_of(error, self._core.redactor)})
        )

    def pause(self, *, reason: str | None = None, state: Any = None) -> None:
        """Pauses the run, with the state that going on needs, in one transaction. Raises if it could not be saved.

        Without a `reason` it is that of the order to pause, where there is one.
        """
        if reason is None:
            reason = why(self._pause_order) if self._pause_order is not None else "paused"
        extra, saved = None, None
        if state is not None:
            before = self._last_saved()
            extra, saved = self._core.checkpoint(self.id, self.attempt, before, State(state), "paused")
        park = ParkRun(
            self.id, self.attempt, "run.paused", {"reason": self._core.clean("reason", reason)}, extra=extra
        )
        self._submit(park).result()
        self._saved = saved or self._saved
        self.left()

    def ask(
        self,
        message: str,
        *,
        choices: Iterable[Any] | None = None,
        key: str | None = None,
        reason: str | None = None,
        schema: dict[str, Any] | None = None,
        expires_s: float | None = None,
        default: Any = UNSET,
        state: Any = None,
    ) -> InputRequest:
        """Asks a person and leaves the run: question, checkpoint and status `awaiting_user` in one transaction.

        Go on with `ledger.continue_run` once it is answered; its handle has the `answer`. With a `key` that was asked
        and answered before, the request is given with its answer, and the run is not left. Raises if nothing was saved.
        """
        asked = inputs.question(
            message, now=self._core.now(), choices=choices, key=key, reason=reason, schema=schema,
            expires_s=expires_s, default=default,
        )  # fmt: skip
        asked = inputs.without_secrets(asked, self._core.redactor.text)
        found = self._ask_and_park(asked, state)
        return self._core.question(found.input_id)

    def ask_budget(self, *, state: Any = None) -> bool:
        """Where the run and all below it have spent its budget: asks whether to raise it, leaves the run: True.

        The budget is `start_run(options={"budget": {...}})`. State, question and status are saved in one transaction;
        go on with `ledger.continue_run` once it is raised.
        """
        reached = self._core.own_cap(self.id)
        if reached is None:
            return False
        asked = budgets.question(reached.details["budget"], reached.details["caps"], self._core.now())
        self._ask_and_park(asked, state)
        return True

    def _ask_and_park(self, asked: Question, state: Any) -> Asked:
        write, saved = AskInput(self.id, self.attempt, asked, self._core.new_id()), None
        checkpoint = None
        if state is not None:
            before = self._last_saved()
            checkpoint, saved = self._core.checkpoint(self.id, self.attempt, before, State(state), "asked")
        found: Asked = self._submit(AskAndPark(write, checkpoint)).result()
        if found.status == "open":
            self._saved = saved or self._saved
            self.left()
        return found

    @property
    def answer(self) -> Any:
        """The answer to the last question; None where there was none. Raises `InputExpired` where nobody answered."""
        if not self.answers:
            return None
        last = self.answers[-1]
        if last.status == "expired" and last.default is UNSET:
            raise InputExpired(f"nobody answered {last.message!r:.200} in time", input_id=last.id)
        return last.response

    def interrupt(self, reason: str) -> None:
        """Leaves the run interrupted: resumable, by this process or another one."""
        self.left()
        try:
            reason = self._core.redactor.text(reason)
            self._core.submit(YieldRun(self.id, self.attempt, reason), []).result()
        except Fenced:
            return  # it was taken over or ended meanwhile; that is what the ledger says, and stays so

    def _end(self, write: EndRun) -> Receipt:
        self._final = self._submit(write)
        self.left()
        return self._final

    def left(self) -> None:
        """This attempt writes no more: it has ended, or is about to."""
        self._ended = True
        self._finalizer.detach()
        self._supervisor.release(self._held)

    def _lost(self, reason: str) -> None:
        """Another owner has the run, or this one could not renew: the next writes say so."""
        self._lost_reason = reason
        self._ended = True
        if self.on_lost is not None:
            self.on_lost(reason)

    def _stop(self, order: Command) -> None:
        """A stop was ordered: the loop looks at `stopping`; when it leaves, the run is cancelled."""
        self._stop_order = order
        if self.on_stop is not None:
            self.on_stop(why(order))

    def _pause(self, order: Command) -> None:
        """A pause was ordered: the loop looks at `pausing`, and calls `pause` where it can go on from."""
        self._pause_order = order
        if self.on_pause is not None:
            self.on_pause(why(order))

    def listen(
        self,
        *,
        lost: Callable[[str], None],
        stop: Callable[[str], None],
        pause: Callable[[str], None] | None = None,
    ) -> None:
        """Has losses and orders told, from another thread; what came before is told at once."""
        self.on_lost, self.on_stop, self.on_pause = lost, stop, pause
        if self._pause_order is not None and pause is not None:
            pause(why(self._pause_order))
        if self._lost_reason is not None:
            lost(self._lost_reason)
        elif self._stop_order is not None:
            stop(why(self._stop_order))

    @property
    def stop_ordered(self) -> bool:
        """Whether a stop was ordered."""
        return self._stop_order is not None

    @property
    def pause_order(self) -> Command | None:
        """The order to pause, if there is one."""
        return self._pause_order

    @property
    def unseen(self) -> list[Receipt]:
        """Writes that failed and that nobody has looked at."""
        return self._unseen

    @property
    def summary(self) -> str | None:
        """What `set_summary` was told."""
        return self._summary

    @property
    def stopping(self) -> bool:
        """Whether this attempt should end soon: it lost its lease, or a stop was ordered."""
        return self._lost_reason is not None or self._stop_order is not None

    @property
    def pausing(self) -> bool:
        """Whether a pause was ordered: call `pause(state=...)` at the next place from which the work can go on."""
        return self._pause_order is not None and not self._ended

    def steering(self) -> list[str]:
        """Messages that people sent since the last look, oldest first; each is given once.

        The same commit marks them applied and adds them to the worker thread, with the role "user". One that a crash
        came upon before is given to the next attempt; after it, it is in the thread. Blocks for a commit if there are
        some.
        """
        if self._unseen:
            Writer.raise_unseen(self._unseen)
        if not self._core.steered(self.id):
            return []
        take = TakeSteering(self.id, self.attempt, self.worker_thread_id)
        texts: list[str] = self._submit(take).result()
        return texts

    def cancel(self, reason: str = "stopped") -> Receipt:
        """Ends the run as cancelled; what a loop does that sees `stopping`."""
        return self._end(
            EndRun(self.id, self.attempt, "run.cancelled", {"reason": self._core.clean("reason", reason)})
        )

    # --- as a context manager ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._token = current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            current.reset(self._token)
            self._token = None
        receipt = self._leave(error)
        if receipt is not None and error is None:
            receipt.result()
            Writer.raise_unseen(self._unseen)
        elif receipt is not None:
            self._settle_quietly(receipt, error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            current.reset(self._token)
            self._token = None
        receipt = self._leave(error)
        if receipt is not None and error is None:
            await receipt
            Writer.raise_unseen(self._unseen)
        elif receipt is not None:
            self._settle_quietly(receipt, error)

    def _leave(self, error: BaseException | None) -> Receipt | None:
        if self._ended:
            return self._final
        if self._stop_order is not None:
            return self.cancel(self._stop_order.payload.get("reason") or "stopped")
        if error is None:
            return self.complete(implicit=True)
        if isinstance(error, Exception):
            return self.fail(error)
        self.interrupt(f"{type(error).__name__} in process {os.getpid()}")
        return None

    @staticmethod
    def _settle_quietly(receipt: Receipt, error: BaseException | None) -> None:
        """The run's own error is the one to raise; what the ledger says to it is added as a note."""
        try:
            receipt.result()
        except RunstoneError as refused:
            if error is not None:
                error.add_note(f"the run could not be marked failed: {refused}")


def _weakly(method: Callable[[Any], None]) -> Callable[[Any], None]:
    """Calls the method as long as its handle lives: who keeps leases must not keep a handle that its owner lost."""
    reference = weakref.WeakMethod(method)

    def call(told: Any) -> None:
        if (alive := reference()) is not None:
            alive(told)

    return call


def why(order: Command) -> str:
    """The reason of an order, for people."""
    return reason_of(order.verb, order.requested_by, order.payload)
