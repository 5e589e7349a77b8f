"""`/handles`: runs whose code runs in the client's own process. It owns them; here are its leases and its writes."""

import asyncio
import weakref
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from litestar import Request, Router, post
from litestar.params import FromPath, JSONBody

from runstone.continuing import Continuation, claim, claimed_before, working_folder
from runstone.domain import codec, keys
from runstone.domain.bounds import bounded
from runstone.domain.records import Command
from runstone.engine.liveness import CLIENT
from runstone.engine.wire import AnyOperation, OpenRunOperation, WritingDesk, write_of
from runstone.errors import InvalidInput, RunstoneError, StoreError
from runstone.ledger import Ledger, check_own_kind, new_run
from runstone.server import problems
from runstone.server.guards import ROLE
from runstone.server.idempotency import Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, LedgerPart, Parts, WritesPart
from runstone.server.shapes.handles import (
    HandleBeat,
    HandleContinue,
    HandleContinued,
    HandleOwner,
    HandleResults,
    HandleStanding,
    HandleWrites,
    OperationResult,
)
from runstone.server.shapes.runs import run_of
from runstone.store.base import Write
from runstone.store.writer import Receipt
from runstone.store.writes.boards import MoveCommand
from runstone.store.writes.continuing import ContinueRun
from runstone.store.writes.lifecycle import Owner
from runstone.store.writes.spooled import KeepAlive, OpenHandle, Taken, TakeOver

INGEST: Final = {ROLE: "ingest"}
MOST_OPERATIONS: Final = 1_000
MOST_HELD: Final = 1_000
LONGEST_WAIT_S: Final = 20.0
_FIELDS: Final = frozenset(
    {
        *("kind", "parent", "agent_id", "agent_version", "title", "prompt", "input", "thread_id", "cwd"),
        *("worker_thread_id", "task_board_id", "task_card_id", "labels", "options"),
    }
)


@post("/writes", summary="Write for runs of a client", status_code=200, opt=INGEST)
async def write(
    request: Request[Any, Any, Any], ledger: LedgerPart, writes: WritesPart, data: JSONBody[HandleWrites]
) -> HandleResults:
    """Each operation is taken or refused by itself, in their order; one that was taken before is not taken again."""
    if not 0 < len(data.operations) <= MOST_OPERATIONS:
        raise InvalidInput(
            f"1 to {MOST_OPERATIONS} operations are taken at a time, not {len(data.operations)}"
        )
    owner = _owner(ledger, data.owner)
    keys.check_id(data.spool, "spool")
    queued = await writes(_queue, _desk_of(ledger), data, owner)
    results = []
    for one, receipt in zip(data.operations, queued, strict=True):
        results.append(await _result(one.number, receipt, request.scope["path"]))
    return HandleResults(results=results)


def _queue(desk: WritingDesk, data: HandleWrites, owner: Owner) -> list[Receipt | RunstoneError]:
    """A receipt for each, or what is wrong with it."""
    queued: list[Receipt | RunstoneError] = []
    for one in data.operations:
        try:
            inner = _write_of(one.operation, desk, owner)
        except RunstoneError as error:
            queued.append(error)
            continue
        delivered = TakeOver(inner, owner, spool=data.spool, number=one.number, alive=data.alive)
        queued.append(desk.core.submit(delivered, []))
    return queued


_desks: "weakref.WeakKeyDictionary[Ledger, WritingDesk]" = weakref.WeakKeyDictionary()


def _desk_of(ledger: Ledger) -> WritingDesk:
    return _desks.setdefault(ledger, WritingDesk(ledger.core))


def _write_of(operation: AnyOperation, desk: WritingDesk, owner: Owner) -> Write:
    core = desk.core
    if not isinstance(operation, OpenRunOperation):
        return write_of(operation, desk)
    fields = dict(operation.fields)
    if unknown := fields.keys() - _FIELDS:
        raise InvalidInput(f"a run has no {', '.join(sorted(unknown))[:200]}")
    kind = check_own_kind(fields.pop("kind", "subagent"))
    cwd = fields.pop("cwd", None)
    place = None if cwd is None else working_folder(cwd)
    new = new_run(core, kind=kind, run_id=operation.run_id, **fields)
    at = min(operation.at, core.now())
    return OpenHandle(msgspec.structs.replace(new, at=at), owner, operation.attempt or None, cwd=place)


async def _result(number: int, queued: Receipt | RunstoneError, path: str) -> OperationResult:
    try:
        if isinstance(queued, RunstoneError):
            raise queued
        taken: Taken = await queued
    except StoreError:
        raise  # the ledger itself failed: the client keeps all of it, and sends it again
    except RunstoneError as error:
        return OperationResult(number=number, problem=codec.decode(problems.body_of(error, path)))
    value = None if taken.repeated else _shown(taken.value)
    return OperationResult(number=number, value=value, repeated=taken.repeated)


def _shown(value: Any) -> Any:
    """A write's value as JSON; heads and such are of no use to a client."""
    if isinstance(value, msgspec.Struct):
        named = msgspec.to_builtins(value)
        return named if named.keys() == {"input_id", "status"} else None
    return value


@post("/beat", summary="Renew a client's leases", status_code=200, opt=INGEST)
async def beat(ledger: LedgerPart, parts: AllParts, data: JSONBody[HandleBeat]) -> HandleStanding:
    """Renews, and tells of the orders to the runs; waits for one for up to `wait_s` seconds."""
    if len(data.held) > MOST_HELD:
        raise InvalidInput(f"at most {MOST_HELD} runs are held at a time, not {len(data.held)}")
    owner = _owner(ledger, data.owner)
    held = [(one.run_id, one.attempt) for one in data.held]
    attempts: list[int | None] = await ledger.core.submit(KeepAlive(owner, held), [])
    ours = {run_id for (run_id, _), now in zip(held, attempts, strict=True) if now is not None}
    found = _open_orders(ledger, ours)
    if data.wait_s > 0 and not _news(found, data.seen) and len(ours) == len(held):
        await _until_news(ledger, parts, ours, data)
        found = _open_orders(ledger, ours)
    for one in found:
        if one.status == "requested":
            await ledger.core.submit(MoveCommand(one.id, "acknowledged"), [])
    supervisor = ledger.supervisor
    return HandleStanding(
        attempts=attempts, orders=found, lease_s=supervisor.lease_s, heartbeat_s=supervisor.heartbeat_s
    )


def _open_orders(ledger: Ledger, runs: set[str]) -> list[Command]:
    return [one for one in ledger.reader.commands.open() if one.run_id in runs] if runs else []


def _news(found: Iterable[Command], seen: list[str]) -> bool:
    return any(one.id not in seen for one in found)


async def _until_news(ledger: Ledger, parts: Parts, runs: set[str], data: HandleBeat) -> None:
    """Until one of the runs may have been given an order, or the time is over, or the server ends."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        loop.call_soon_threadsafe(changed.set)

    number = ledger.signals.subscribe(None, tell)
    try:
        async with asyncio.timeout(min(data.wait_s, LONGEST_WAIT_S)):
            while not parts.stopping.is_set() and not _news(_open_orders(ledger, runs), data.seen):
                await _either(changed, parts.stopping)
                changed.clear()
    except TimeoutError:
        return
    finally:
        ledger.signals.unsubscribe(number)


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()


@post(
    "/{run_id:str}/continue", summary="Go on with a run in the client's process", status_code=200, opt=INGEST
)
async def go_on(
    *,
    request: Request[Any, Any, Any],
    ledger: LedgerPart,
    writes: WritesPart,
    run_id: FromPath[str],
    data: JSONBody[HandleContinue],
    key: IdempotencyKey = None,
) -> HandleContinued:
    """Opens the next attempt of a paused, answered or interrupted run of a loop of one's own."""
    found: Continuation = await writes(_claim, request, ledger, run_id, data)
    return HandleContinued(
        run=run_of(ledger.get_run(run_id)), attempt=found.attempt, state=found.state, checkpoint=found.saved.number,
        cwd=found.cwd, answers=[one.to_dict() for one in found.answers],
        unanswered=[one.to_dict() for one in found.unanswered], message_in=found.message_in,
    )  # fmt: skip


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the answer: the rest is read again, as a state may be large."""

    attempt: int
    withdrawn: list[str]


def _claim(
    request: Request[Any, Any, Any], ledger: Ledger, run_id: str, data: HandleContinue
) -> Continuation:
    """Opens the attempt once for the request's key, and says what it goes on from."""
    owner, made = _owner(ledger, data.owner), list[Continuation]()
    effect = Effect(
        ContinueRun,
        lambda _, value: _Opened(attempt=value[0].head.attempt, withdrawn=list(value[1])),
        status=200,
    )

    def act() -> None:
        made.append(claim(ledger, run_id, owner, message=data.message, agent_id=data.agent_id))

    answer = once(request, ledger, data, effect, act)
    if made:
        return made[0]
    opened = msgspec.json.decode(answer.content, type=_Opened)
    return claimed_before(ledger, run_id, opened.attempt, opened.withdrawn)


def _owner(ledger: Ledger, given: HandleOwner) -> Owner:
    """The owner as the ledger keeps it. Its leases last as long as the server's own."""
    worker = keys.check_id(given.worker_id, "worker_id")
    told = {**msgspec.to_builtins(given.identity), "worker_id": worker, CLIENT: True}
    identity = codec.encode(told).decode()
    return Owner(worker, bounded("identity", identity), ledger.supervisor.owner.lease_us)


router = Router(path="/handles", route_handlers=[write, beat, go_on], tags=["handles"])
