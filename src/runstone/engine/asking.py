"""Questions of a run's code: asked once, waited for together, and answered by any process."""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from runstone.domain import codec
from runstone.domain.inputs import InputRequest, Question
from runstone.engine.calls import Call
from runstone.errors import AwaitingInput, InputExpired, InputWithdrawn, RunstoneError
from runstone.store import questions
from runstone.store.reads import Reader
from runstone.store.writes.inputs import Asked, AskInput, ExpireInputs, WithdrawInputs
from runstone.store.writes.journal import Hint

if TYPE_CHECKING:
    from runstone.engine.context import Context


class Desk:
    """The open questions of one attempt, looked at together, so that hundreds of them cost one query a time."""

    def __init__(self, ctx: "Context") -> None:
        self._ctx = ctx
        self._open: dict[str, asyncio.Future[None]] = {}
        self._expires: dict[str, float] = {}
        """When open questions expire, seconds since the epoch."""
        self._watching: asyncio.Task[None] | None = None

    async def closed(self, input_id: str) -> InputRequest:
        """The question, once it is open no more; by whatever process that is."""
        ctx = self._ctx
        told = self._open.get(input_id)
        if told is None:
            told = self._open[input_id] = ctx.engine.loop.create_future()
        expires_at = questions.get(ctx.engine.core.reader, input_id).expires_at
        if expires_at is not None:
            self._expires[input_id] = expires_at.timestamp()
        if self._watching is None or self._watching.done():
            self._watching = ctx.engine.spawn(self._watch())
        # What was committed before the watch knew of it is seen here, what comes later by the watch.
        found = questions.get(ctx.engine.core.reader, input_id)
        if found.closed_at is None:
            await asyncio.shield(told)
            found = questions.get(ctx.engine.core.reader, input_id)
        return found

    async def _watch(self) -> None:
        ctx = self._ctx
        try:
            while self._open and not ctx.suspended:
                await ctx.engine.until_changed(ctx.run_id, None, unless=self._look, within_s=self._left_s())
        except RunstoneError as error:
            for told in self._open.values():
                told.set_exception(error)
        finally:
            for told in self._open.values():
                told.cancel()

    def _left_s(self) -> float:
        """Until the next question expires, at most a second; a bit at least, as writing it down takes time."""
        now = self._ctx.engine.core.now() / 1e6
        return min([1.0, *(max(0.01, at - now) for at in self._expires.values())])

    def _look(self) -> bool:
        """Tells of the questions that are open no more; True where there was one."""
        core = self._ctx.engine.core
        if core.reader.rows("any_due_input", now=core.now())[0][0]:
            core.submit(ExpireInputs(), [])
        ids = codec.encode(list(self._open)).decode()
        closed = [one for one, status in core.reader.rows("input_statuses", inputs=ids) if status != "open"]
        for input_id in closed:
            told = self._open.pop(input_id)
            self._expires.pop(input_id, None)
            if not told.done():
                told.set_result(None)
        return bool(closed)


async def run_ask(ctx: "Context", call: Call, asked: Question, hint: Hint) -> Any:
    """The answer, once there is one. Raises `AmbiguousQuestion`, `InputExpired`, `InputWithdrawn`."""
    core = ctx.engine.core
    write = AskInput(
        ctx.run_id,
        ctx.attempt,
        asked,
        core.new_id(),
        hints=(hint.phase, hint.previous),
        seen=ctx.claims.newest,
    )
    found: Asked = await core.submit(write, [])
    call.input_id = found.input_id
    if call.cancelled():  # while it was being asked
        _withdraw(ctx, found.input_id)
    call.on_cancel = lambda: ctx.engine.loop.call_soon(_withdraw, ctx, found.input_id)
    expires_at = questions.get(core.reader, found.input_id).expires_at
    call.wake_at = None if expires_at is None else int(expires_at.timestamp() * 1e6)
    call.waits = True
    ctx.consider_parking()
    return response_of(await ctx.desk.closed(found.input_id))


def _withdraw(ctx: "Context", input_id: str) -> None:
    """The code does not wait for the answer any more. A run that is parked, or whose loop ends, still does."""
    if not ctx.suspended and not ctx.ending:
        ctx.engine.core.submit(WithdrawInputs(ctx.run_id, ctx.attempt, [input_id]), ctx.handle.unseen)


def response_of(found: InputRequest) -> Any:
    """The answer, or what the question is taken as. Raises `InputExpired` or `InputWithdrawn`."""
    if found.status == "withdrawn":
        raise InputWithdrawn(f"the question {found.message!r:.200} was withdrawn", input_id=found.id)
    if found.status == "expired" and found.default is msgspec.UNSET:
        raise InputExpired(f"nobody answered {found.message!r:.200} in time", input_id=found.id)
    return found.response


def waits_for_person(reader: Reader, run_id: str) -> bool:
    """Whether the run is parked, and nothing that it waits for goes on before a person answers."""
    return bool(reader.rows("waits_for_person", run=reader.runs.pk(run_id))[0][0])


def awaiting(reader: Reader, run_id: str) -> AwaitingInput:
    """What is told of a run that only an answer brings on."""
    found = questions.below(reader, run_id)
    if not found:  # answered in this moment
        return AwaitingInput(f"run {run_id} waits for an answer", run_id=run_id)
    first, more = found[0], f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    until = f" until {first.expires_at:%Y-%m-%d %H:%M:%S} UTC" if first.expires_at is not None else ""
    return AwaitingInput(
        f"run {run_id} waits for an answer{until}: {codec.clip(first.message, 300)}{more}",
        run_id=run_id,
        input_id=first.id,
        hint=f"answer it: runstone inputs answer {first.id}, then go on: runstone resume {run_id}",
    )
