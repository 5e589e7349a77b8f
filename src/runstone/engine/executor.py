"""One attempt, from its claim to its end: calls the code, and turns how it went into one transaction."""

import asyncio
import os
from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.resume import Claims
from runstone.domain.runs import Head
from runstone.domain.workflows import RetryPolicy
from runstone.engine import agents
from runstone.engine.claiming import taken_away
from runstone.engine.context import Context
from runstone.engine.handle import RunHandle
from runstone.engine.outcome import error_of
from runstone.engine.registry import Entry
from runstone.errors import Fenced, StoreError
from runstone.store.blobs import pack
from runstone.store.writes.boards import MoveCommand
from runstone.store.writes.journal import DropRecords
from runstone.store.writes.lifecycle import Claimed, EndRun, ParkRun

if TYPE_CHECKING:
    from runstone.engine.local import LocalEngine, Tree

_LAST_WORDS_S = 10.0
"""So long code may take to end after it was parked, stopped or fenced; then it is left behind, and fenced."""


async def execute(engine: "LocalEngine", tree: "Tree", entry: Entry, claimed: Claimed) -> None:
    """Executes the attempt that was claimed. Whatever happens, the ledger says it before this returns."""
    handle = _handle(engine, claimed.head)
    try:
        claims = await _claims(engine, tree, claimed.head, entry)
    except BaseException as error:
        handle.interrupt(f"it could not begin: {error}")
        raise
    ctx = Context(engine, tree, handle, claims, kind=claimed.head.kind)
    ctx.ended_parent = tree.ended.get(handle.id, frozenset())
    await Attempt(engine, ctx, entry, claimed.head).run()


def _handle(engine: "LocalEngine", head: Head) -> RunHandle:
    state, saved = engine.core.reader.state(head.run_id) if head.attempt > 1 else (None, None)
    return RunHandle(engine.core, engine.supervisor, head.run_id, head.attempt, state=state, saved=saved)


async def _claims(engine: "LocalEngine", tree: "Tree", head: Head, entry: Entry) -> Claims:
    """The run's records, less those that the policy takes from this attempt."""
    if head.attempt == 1:
        return Claims(())
    if head.run_id == tree.root_id and not tree.applied:
        tree.applied = True
        run = engine.core.reader.run(head.run_id)
        numbers = [gone.number for gone in taken_away(engine.core.reader, run, entry.definition, tree.policy)]
        if numbers:
            await engine.core.submit(DropRecords(head.run_id, head.attempt, numbers), [])
    return Claims(engine.core.reader.journal(head.run_id))


class Attempt:
    """The attempt under way."""

    def __init__(self, engine: "LocalEngine", ctx: Context, entry: Entry, head: Head) -> None:
        self.engine = engine
        self.ctx = ctx
        self.entry = entry
        self.head = head
        self._signal: asyncio.Future[str] = engine.loop.create_future()

    async def run(self) -> None:
        ctx, engine = self.ctx, self.engine
        ctx.handle.on_lost = self._from_thread("lost")
        ctx.handle.on_stop = self._from_thread("stop")
        ctx.park = lambda: self._tell("park")
        try:
            await engine.slots.take(ctx)
            engine.executing(ctx, True)
            root = engine.loop.create_task(self._call(), context=engine.context_for(ctx))
            await self._until_end(root)
        except asyncio.CancelledError:
            await self._interrupted(ctx.stop_reason or f"its event loop was cancelled in process {os.getpid()}")
            raise
        finally:
            ctx.park = None
            engine.executing(ctx, False)
            engine.slots.forget(ctx)

    def _from_thread(self, what: str) -> Any:
        def tell(reason: str) -> None:
            self.ctx.stop_reason = reason
            try:
                self.engine.loop.call_soon_threadsafe(self._tell, what)
            except RuntimeError:
                return  # the loop is closed; its runs were left interrupted then

        return tell

    def _tell(self, what: str) -> None:
        if not self._signal.done():
            self._signal.set_result(what)

    async def _call(self) -> Any:
        value = self.engine.core.reader.value(self.head.input_ref)
        return await agents.call(self.entry, self.ctx, value)

    async def _until_end(self, root: "asyncio.Task[Any]") -> None:
        while True:
            await asyncio.wait({root, self._signal}, return_when=asyncio.FIRST_COMPLETED)
            if root.done():
                await self._finish(root)
                return
            what, self._signal = self._signal.result(), self.engine.loop.create_future()
            if what == "park" and not await self._park():
                continue
            if what == "park":
                await self._abandon(root)
            elif what == "lost":
                await self._abandon(root)
            else:
                await self._stopped(root)
            return

    # --- how it ended --------------------------------------------------------------------------------------------

    async def _finish(self, root: "asyncio.Task[Any]") -> None:
        error: BaseException | None = asyncio.CancelledError() if root.cancelled() else root.exception()
        if isinstance(error, asyncio.CancelledError):
            await self._interrupted("its code was cancelled")
            return
        await self._drain()
        if error is None:
            try:
                result = root.result()
                data = None if result is None else codec.encode(result)
            except Exception as refused:
                error = refused
        try:
            if error is None:
                await self._complete(data)
            else:
                await self._fail(error)
        except Fenced:
            return  # taken over or ended meanwhile: that is what the ledger says, and it stays so

    async def _drain(self) -> None:
        """Children that the code asked for and did not wait for end before the run does."""
        ctx = self.ctx
        while live := [call for call in ctx.calls if call.kind == "child" and not call.done() and not call.blocked]:
            await asyncio.wait(live, timeout=1.0)
            if ctx.handle.stopping:
                break
        ctx.suspended = True  # what is left of the code has nothing to say any more
        for task in list(ctx.tasks):
            task.cancel()

    async def _complete(self, data: bytes | None) -> None:
        ctx = self.ctx
        ctx.suspended = False
        ctx.note_handled()
        ctx.suspended = True
        for entry in ctx.claims.left:
            if entry.child_run_id is not None and entry.child_status in ("pending", "running", "waiting", "awaiting_user"):
                await self.engine._stop(entry.child_run_id, "its parent finished without it", ctx.run_id)
        payload: dict[str, Any] = {}
        if ctx.handle._summary is not None:
            payload["summary"] = ctx.handle._summary
        blob = None if data is None else pack(data)
        # A first attempt that asked for no child has none to supersede. Not to look for them matters: a read sends what
        # its batch holds so far, and the ends of many children would each go out in statements of their own.
        claimed = ctx.claimed_pks if ctx.attempt > 1 or ctx.has_asked else None
        await self._end(EndRun(ctx.run_id, ctx.attempt, "run.completed", payload, blob=blob, claimed=claimed))

    async def _fail(self, error: BaseException) -> None:
        ctx, told = self.ctx, error_of(error)
        retry = codec.decode(self.head.options_json).get("retry")
        before = []
        if retry is not None:
            policy, tries = RetryPolicy(**retry), self.head.tries + 1
            if tries < policy.max_attempts:
                if not self._no_progress(told):
                    payload = {"reason": "retry", "error": told, "wake_at": self._wake_at(policy, tries)}
                    ctx.handle._close()
                    await self.engine.core.submit(ParkRun(ctx.run_id, ctx.attempt, "run.waiting", payload), [])
                    return
                before = [("retry.stopped", {"reason": "no_progress"})]
        payload = {"error": told} | ({"reason": "no_progress"} if before else {})
        await self._end(EndRun(ctx.run_id, ctx.attempt, "run.failed", payload, before=before))

    def _wake_at(self, policy: RetryPolicy, tries: int) -> int:
        return self.engine.core.now() + int(policy.delay_s(tries) * 1e6)

    def _no_progress(self, told: dict[str, Any]) -> bool:
        """The try before failed alike, and this one recorded nothing that the next could build on."""
        ctx = self.ctx
        if ctx.attempt < 2:
            return False
        earlier = [a for a in self.engine.core.reader.attempts(ctx.run_id) if a.number < ctx.attempt and a.outcome == "failed"]
        if not earlier or earlier[-1].reason != str(told["message"])[:1000]:
            return False
        pk = self.engine.core.reader.pk(ctx.run_id)
        return not self.engine.core.reader.rows("progress_of", run=pk, attempt=ctx.attempt)[0][0]

    async def _end(self, write: EndRun) -> None:
        self.ctx.handle._close()
        await self.engine.core.submit(write, [])
        await self._applied()

    async def _applied(self) -> None:
        """Orders that the run's end fulfils or makes moot."""
        for command in self.engine.core.reader.commands(self.ctx.run_id):
            if command.status in ("requested", "acknowledged"):
                await self.engine.core.submit(MoveCommand(command.id, "applied"), [])

    # --- how it was ended ----------------------------------------------------------------------------------------

    async def _park(self) -> bool:
        """Commits what the run waits for; False where a wait is met by now, and the code goes on."""
        ctx = self.ctx
        open_calls = [call for call in ctx.calls if not call.done()]
        children = [call for call in open_calls if call.kind == "child"]
        if not open_calls or not all(call.waits for call in open_calls):
            return False
        reasons = {call.blocked for call in children if call.blocked}
        if "budget" in reasons:
            event, payload = "run.paused", {"reason": "budget"}
        else:
            wakes = [call.wake_at for call in open_calls if call.wake_at is not None]
            event, payload = "run.waiting", {"reason": "children" if children else "timer"}
            if wakes:
                payload["wake_at"] = min(wakes)
        branches = [(call.mode, list(call.child_ids)) for call in children if call.child_ids]
        if event == "run.paused":
            branches = []
        write = ParkRun(ctx.run_id, ctx.attempt, event, payload, branches=branches)
        try:
            parked: bool = await self.engine.core.submit(write, [])
        except Fenced:
            return True
        if parked:
            ctx.suspended = True
            ctx.handle._close()
        return parked

    async def _abandon(self, root: "asyncio.Task[Any]") -> None:
        """Ends the code; what it still says is ignored."""
        ctx = self.ctx
        ctx.suspended = True
        tasks = {root, *ctx.tasks}
        for task in tasks:
            task.cancel()
        for call in list(ctx.calls):
            call.cancel()
        await asyncio.wait(tasks, timeout=_LAST_WORDS_S)

    async def _stopped(self, root: "asyncio.Task[Any]") -> None:
        """A stop order: the code and its processes end first, then the row says so."""
        ctx = self.ctx
        below = [call.child_ids for call in ctx.calls if call.kind == "child" and not call.done()]
        await self._abandon(root)
        for child_ids in below:
            for child_id in child_ids:
                await self.engine._stop(child_id, "parent stopped", ctx.run_id)
        reason = ctx.stop_reason or "stopped"
        try:
            await self._end(EndRun(ctx.run_id, ctx.attempt, "run.cancelled", {"reason": reason}))
        except Fenced:
            return  # it ended in this moment

    async def _interrupted(self, reason: str) -> None:
        """The loop or the process ends: the code is ended, the run stays resumable."""
        ctx = self.ctx
        ctx.suspended = True
        tasks = list(ctx.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_WORDS_S)
        try:
            ctx.handle.interrupt(reason)
        except StoreError:
            return  # the ledger is closed; the lease runs out, and a reconciler says the same
