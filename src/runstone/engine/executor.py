"""One attempt, from its claim to its end: calls the code, and turns how it went into one transaction."""

import asyncio
import functools
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from runstone.domain import codec
from runstone.domain.resume import Claims
from runstone.domain.runs import LIVING, Head
from runstone.domain.secrets import MARK_BYTES, bound, names_in
from runstone.domain.workflows import RetryPolicy
from runstone.engine import agents
from runstone.engine.caps import question_of
from runstone.engine.claiming import taken_away
from runstone.engine.conduct import running
from runstone.engine.context import Context
from runstone.engine.handle import RunHandle
from runstone.engine.outcome import error_of
from runstone.engine.parking import all_parked
from runstone.engine.registry import Entry
from runstone.engine.slots import Seat
from runstone.errors import Fenced, RunstoneError, StoreError
from runstone.store import continuations
from runstone.store.base import Row
from runstone.store.blobs import pack
from runstone.store.writer import Writer
from runstone.store.writes.journal import DropRecords
from runstone.store.writes.lifecycle import Claimed, EndRun, ParkRun

if TYPE_CHECKING:
    from runstone.engine.driving import Tree
    from runstone.engine.local import LocalEngine

_LAST_WORDS_S = 10.0
"""So long code may take to end after it was parked, stopped or fenced; then it is left behind, and fenced."""

Signal = Literal["park", "stop", "lost"]


async def execute(engine: "LocalEngine", tree: "Tree", entry: Entry, claimed: Claimed, seat: Seat) -> None:
    """Executes the attempt that was claimed. Whatever happens, the ledger says it before this returns."""
    head = claimed.head
    try:
        fresh = head.attempt == 1 and head.forked_from is None
        state, saved = (None, None) if fresh else engine.core.reader.states.load(head.run_id)
        claims = await _claims(engine, tree, head, entry)
        heard = engine.core.reader.journal.heard_in_try(head.run_id) if claimed.continues else frozenset()
        told = continuations.message_in(engine.core.reader, head.run_id) if head.attempt > 1 else None
    except BaseException as error:
        engine.hand_back(head, f"it could not begin: {str(error) or type(error).__name__}")
        raise
    handle = RunHandle(engine.core, engine.supervisor, head.run_id, head.attempt, state=state, saved=saved)
    handle.message_in = told
    ctx = Context(engine, tree, handle, claims, kind=head.kind, seat=seat)
    ctx.heard = heard
    ctx.options_json = head.options_json
    ctx.ended_parent = tree.ended.pop(head.run_id, frozenset())
    try:
        await Attempt(engine, ctx, entry, head).run()
    except Exception as error:
        engine.hand_back(head, f"its end could not be recorded: {error}")
        raise


async def _claims(engine: "LocalEngine", tree: "Tree", head: Head, entry: Entry) -> Claims:
    """The run's records, less those that the policy takes from this attempt."""
    if head.attempt == 1 and head.forked_from is None:
        return Claims(())
    if head.run_id == tree.root_id and not tree.applied:
        tree.applied = True
        run = engine.core.reader.runs.get(head.run_id)
        numbers = [gone.number for gone in taken_away(engine.core.reader, run, entry.definition, tree.policy)]
        if numbers:
            await engine.core.submit(DropRecords(head.run_id, head.attempt, numbers), [])
    return Claims(engine.core.reader.journal.of(head.run_id))


class Attempt:
    """The attempt under way."""

    def __init__(self, engine: "LocalEngine", ctx: Context, entry: Entry, head: Head) -> None:
        self.engine = engine
        self.ctx = ctx
        self.entry = entry
        self.head = head
        self._signal: asyncio.Future[Signal] = engine.loop.create_future()
        self._parked = False

    async def run(self) -> None:
        ctx, engine = self.ctx, self.engine
        ctx.park = lambda: self._tell("park")
        ctx.handle.listen(
            lost=self._from_thread("lost"), stop=self._from_thread("stop"), pause=self._begin_pause
        )
        engine.executing(ctx, True)
        self._ordered_before()
        try:
            root = engine.loop.create_task(self._call(), context=engine.context_for(ctx))
            await self._until_end(root)
        except asyncio.CancelledError:
            await self._interrupted(
                ctx.stop_reason or f"its event loop was cancelled in process {os.getpid()}"
            )
            raise
        finally:
            ctx.park = None
            ctx.suspended = True
            engine.executing(ctx, False)
            if not self._parked:
                ctx.finish()
        # What a fenced attempt still wrote was refused, as it should be; any other failed write is an error.
        Writer.raise_unseen([failed for failed in ctx.handle.unseen if not isinstance(failed.error, Fenced)])

    def _from_thread(self, what: Signal) -> Callable[[str], None]:
        def tell(reason: str) -> None:
            self.ctx.stop_reason = reason
            try:
                self.engine.loop.call_soon_threadsafe(self._tell, what)
            except RuntimeError:
                return  # the loop is closed; its runs were left interrupted then

        return tell

    def _begin_pause(self, reason: str) -> None:
        """Told, from another thread, of an order to pause."""
        order = self.ctx.handle.pause_order
        below = order is not None and order.payload.get("scope") == "subtree"
        begin = functools.partial(self.ctx.begin_pause, reason, below=below)
        with suppress(RuntimeError):  # the loop is closed; its runs were left interrupted then
            self.engine.loop.call_soon_threadsafe(begin)

    def _ordered_before(self) -> None:
        """An order that came between the claim and now was told to nobody."""
        if self.engine.core.reader.rows("is_ordered", run=self.head.pk):
            self.engine.supervisor.check_commands()

    def _tell(self, what: Signal) -> None:
        """An order or a loss outweighs a wish to park."""
        if self._signal.done() and self._signal.result() == "park":
            self._signal = self.engine.loop.create_future()
        if not self._signal.done():
            self._signal.set_result(what)

    async def _call(self) -> Any:
        return await agents.call(self.entry, self.ctx, self._input())

    def _input(self) -> Any:
        """The run's input, with a `Secret` for each reference. Raises `SecretMissing` before any work is done."""
        ref = self.head.input_ref
        data = self.ctx.tree.inputs.pop(self.ctx.run_id, None)
        if data is None and ref is not None:
            data = self.engine.core.reader.values.blob(ref)
        value = None if data is None else codec.decode(data)
        if data is None or MARK_BYTES not in data:
            return value
        vault, run_id = self.ctx.tree.vault, self.ctx.run_id
        vault.require(run_id, names_in(value))
        # A declarative workflow only hands references on.
        return value if self.entry.definition is not None else bound(value, vault.finder(run_id))

    async def _until_end(self, root: "asyncio.Task[Any]") -> None:
        while True:
            await asyncio.wait({root, self._signal}, return_when=asyncio.FIRST_COMPLETED)
            if self._signal.done():
                if await self._heed(root):
                    return
            elif root.done():
                await self._finish(root)
                return

    async def _heed(self, root: "asyncio.Task[Any]") -> bool:
        """Does what it was told; False where the code goes on."""
        what, self._signal = self._signal.result(), self.engine.loop.create_future()
        if what == "stop":
            await self._stopped(root)
            return True
        if what == "park" and (root.done() or not await self._park()):
            return False
        await self._abandon(root)
        return True

    # --- how it ended --------------------------------------------------------------------------------------------

    async def _finish(self, root: "asyncio.Task[Any]") -> None:
        error: BaseException | None = asyncio.CancelledError() if root.cancelled() else root.exception()
        if error is not None and not isinstance(error, Exception):
            await self._interrupted(f"{type(error).__name__} in its code, in process {os.getpid()}")
            return
        if not await self._drained(root):
            return
        data: Row | None = None
        if error is None:
            try:
                data = None if root.result() is None else pack(codec.encode(root.result()))
            except Exception as refused:
                error = refused
        self.ctx.note_handled() if error is None else None
        await self._abandon(root)
        try:
            if error is None:
                await self._complete(data)
            else:
                await self._fail(error)
        except Fenced:
            return  # taken over or ended meanwhile: that is what the ledger says, and it stays so
        except RunstoneError:
            raise
        except Exception as surprise:  # whatever it is, the run must not stay as if somebody worked on it
            failed = {"error": error_of(error or surprise, self.engine.core.redactor)}
            await self._end(EndRun(self.ctx.run_id, self.ctx.attempt, "run.failed", failed))

    async def _drained(self, root: "asyncio.Task[Any]") -> bool:
        """Waits for what the code asked for and did not wait for, so that the run ends after it.

        False where the run ends in another way: it was stopped or lost, or a budget keeps children from beginning.
        """
        ctx = self.ctx
        ctx.draining = True
        ctx.seat.leave()  # its code has ended, and what is left of its children needs slots
        ctx.consider_parking()
        while left := [
            task for task, call in ctx.work.items() if call.kind not in ("timer", "ask") and not call.detached
        ]:
            waited: set[asyncio.Future[Any]] = {*left, self._signal}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not self._signal.done():
                continue
            what, self._signal = self._signal.result(), self.engine.loop.create_future()
            if what == "stop":
                await self._stopped(root)
                return False
            if what == "lost" or await self._park():
                await self._abandon(root)
                return False
        return True

    async def _complete(self, blob: Row | None) -> None:
        ctx = self.ctx
        for entry in ctx.claims.left:
            if entry.child_run_id is not None and entry.child_status in LIVING:
                await self.engine.stop_tree(entry.child_run_id, "its parent finished without it", ctx.run_id)
        payload: dict[str, Any] = {}
        if ctx.handle.summary is not None:
            payload["summary"] = self.engine.core.redactor.text(ctx.handle.summary)
        # In a first attempt nobody else can have asked for children before.
        claimed = None if ctx.attempt == 1 else ctx.claimed_pks
        await self._end(EndRun(ctx.run_id, ctx.attempt, "run.completed", payload, blob=blob, claimed=claimed))

    async def _fail(self, error: BaseException) -> None:
        ctx, told = self.ctx, error_of(error, self.engine.core.redactor)
        payload: dict[str, Any] = {"error": told}
        before = []
        retry = codec.decode(self.head.options_json).get("retry")
        if retry is not None:
            policy, tries = msgspec.convert(retry, RetryPolicy), self.head.tries + 1
            if tries < policy.max_attempts and not self._no_progress(told):
                wake_at = self.engine.core.now() + int(policy.delay_s(tries) * 1e6)
                payload = {"reason": "retry", "error": told, "wake_at": wake_at}
                ctx.handle.left()
                await self.engine.core.submit(ParkRun(ctx.run_id, ctx.attempt, "run.waiting", payload), [])
                return
            if tries < policy.max_attempts:
                payload["reason"] = "no_progress"
                before.append(("retry.stopped", {"reason": "no_progress"}))
        await self._end(EndRun(ctx.run_id, ctx.attempt, "run.failed", payload, before=before))

    def _no_progress(self, told: dict[str, Any]) -> bool:
        """The try before failed alike, and since then nothing was recorded that the next could build on."""
        reader, run_id = self.engine.core.reader, self.ctx.run_id
        failed = [attempt for attempt in reader.attempts.of(run_id) if attempt.outcome == "failed"]
        if not failed or failed[-1].ended_at is None or failed[-1].reason != str(told["message"])[:1000]:
            return False
        return not reader.journal.progressed_since(run_id, int(failed[-1].ended_at.timestamp() * 1e6))

    async def _end(self, write: EndRun) -> None:
        self.ctx.handle.left()
        await self.engine.core.submit(write, [])

    # --- how it was ended ----------------------------------------------------------------------------------------

    async def _park(self) -> bool:
        """Commits what the run waits for; False where a wait is met by now, and the code goes on."""
        ctx = self.ctx
        open_calls = [call for call in ctx.calls if not call.done()]
        if not open_calls or not all(call.waits for call in open_calls) or not ctx.may_park():
            return False
        # Since it was asked for, a call may have been given its outcome: then the code is about to go on.
        if not ctx.draining and not all_parked(ctx.tasks, ctx.calls, running, ctx):
            return False
        write = self._parking()
        ctx.deciding = self.engine.loop.create_future()
        try:
            parked: bool = await self.engine.core.submit(write, [])
            ctx.suspended = (
                parked  # before what came meanwhile is delivered: it would go on in code that is parked
            )
        except Fenced:
            return True
        finally:
            ctx.deciding.set_result(None)
        if parked:
            ctx.handle.left()
            # What it left parked still needs the engine's work, unless only a person or a budget lets it go on.
            self._parked = write.event_type == "run.waiting" and self._status() != "paused"
        return parked

    def _status(self) -> str:
        """An order to pause that this process had not seen turns `waiting` into `paused` in the same transaction."""
        return self.engine.core.reader.runs.get(self.ctx.run_id).status

    def _parking(self) -> ParkRun:
        """The write that parks the run: paused where a budget or an order keeps it from going on, else waiting."""
        ctx = self.ctx
        open_calls = [call for call in ctx.calls if not call.done()]
        if any(call.blocked == "budget" for call in open_calls):
            return self._at_cap([call.input_id for call in open_calls if call.input_id is not None])
        asks = [call for call in open_calls if call.input_id is not None]
        ids = [call.input_id for call in asks if call.input_id is not None]
        if ctx.pause_reason is not None:
            paused = {"reason": self.engine.core.redactor.text(ctx.pause_reason)}
            return ParkRun(ctx.run_id, ctx.attempt, "run.paused", paused, questions=ids)
        payload: dict[str, Any] = {
            "reason": "children" if any(call.child_ids for call in open_calls) else "timer"
        }
        if wakes := [call.wake_at for call in open_calls if call.wake_at is not None]:
            payload["wake_at"] = min(wakes)
        branches = [("all", list(call.child_ids)) for call in open_calls if call.child_ids]
        event_type = "run.waiting" if len(asks) < len(open_calls) else "run.awaited"
        if event_type == "run.awaited":
            payload["reason"] = asks[0].name if len(asks) == 1 else f"{len(asks)} questions"
        return ParkRun(ctx.run_id, ctx.attempt, event_type, payload, branches=branches, questions=ids)

    def _at_cap(self, asked: list[str]) -> ParkRun:
        """The run that holds the budget asks; one below it is paused, and goes on with its parent."""
        ctx = self.ctx
        about = question_of(self.engine.core.reader, ctx.run_id)
        if about is None:
            return ParkRun(ctx.run_id, ctx.attempt, "run.paused", {"reason": "budget"}, questions=asked)
        reason = {"reason": self.engine.core.redactor.text(ctx.cap or "budget")}
        return ParkRun(ctx.run_id, ctx.attempt, "run.awaited", reason, questions=[*asked, about])

    async def _abandon(self, root: "asyncio.Task[Any]") -> None:
        """Ends the code; what it still says is ignored."""
        ctx = self.ctx
        ctx.suspended = True
        tasks = {task for task in (root, *ctx.tasks) if not task.done()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_WORDS_S)

    async def _stopped(self, root: "asyncio.Task[Any]") -> None:
        """A stop order: the code, its processes and its children end first, then the row says so."""
        ctx = self.ctx
        below = [child_id for call in ctx.work.values() if not call.detached for child_id in call.open_ids]
        await self._abandon(root)
        for child_id in below:
            await self.engine.stop_tree(child_id, "parent stopped", ctx.run_id)
        if left := [task for task, call in ctx.work.items() if call.kind == "child" and not call.detached]:
            await asyncio.wait(left, timeout=_LAST_WORDS_S)
        try:
            await self._end(
                EndRun(ctx.run_id, ctx.attempt, "run.cancelled", {"reason": ctx.stop_reason or "stopped"})
            )
        except Fenced:
            return  # it ended in this moment

    async def _interrupted(self, reason: str) -> None:
        """The loop or the process ends: the code is ended, the run stays resumable. An order to stop is carried out."""
        ctx = self.ctx
        ctx.suspended = True
        await self._last_words({task for task in ctx.tasks if not task.done()})
        try:
            if ctx.handle.stop_ordered:
                ctx.handle.cancel(ctx.stop_reason or "stopped").result()
            else:
                ctx.handle.interrupt(reason)
        except (Fenced, StoreError):
            return  # it ended in this moment; or the ledger is closed, and a reconciler will say the same

    async def _last_words(self, tasks: "set[asyncio.Task[Any]]") -> None:
        """Ends tasks of the code, bounded. A loop that ends cancels this more than once: that hurries nobody."""
        for task in tasks:
            task.cancel()
        until = self.engine.loop.time() + _LAST_WORDS_S
        while tasks and (left_s := until - self.engine.loop.time()) > 0:
            try:
                _, tasks = await asyncio.wait(tasks, timeout=left_s)
            except asyncio.CancelledError:
                continue
