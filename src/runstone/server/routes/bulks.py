"""Orders for many runs: kept, given one after the other whoever leaves, and looked at until the last has it."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody

from runstone.domain.records import Bulk
from runstone.errors import InvalidInput
from runstone.server.idempotency import Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, LedgerPart, ReadsPart
from runstone.server.shapes.bodies import Body, Id
from runstone.store.writes.bulks import RUNS_MAX, CancelBulk, MakeBulk


class GiveBulk(Body, frozen=True):
    """An order for many runs."""

    verb: Literal["stop", "pause", "resume", "retry", "archive"]
    run_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=RUNS_MAX)]
    """Each gets it in this order; stop, pause, resume and retry are for all below it, too."""


class Bulks(msgspec.Struct, frozen=True, kw_only=True):
    """Orders for many runs, the newest first: those under way, and the newest that have ended."""

    items: list[Bulk]
    as_of: str


@post("/", summary="Give many runs an order", status_code=202)
async def give_bulk(
    request: Request[Any, Any, Any],
    parts: AllParts,
    data: JSONBody[GiveBulk],
    key: IdempotencyKey = None,
) -> Response[Bulk]:
    """Keeps the order and answers at once. Runs get it one after the other; what a run refuses is named, and the others
    go on. Nobody has to stay connected, and after a restart it goes on."""
    if len(set(data.run_ids)) != len(data.run_ids):
        raise InvalidInput("a run stands twice in the list")
    effect = Effect(
        MakeBulk, lambda reader, made: reader.bulks.get(made), status=202,
        location=lambda made: f"/api/v1/bulks/{made}",
    )  # fmt: skip
    core = parts.ledger.core
    write = MakeBulk(core.new_id(), data.verb, data.run_ids, by=core.clean("by", request.user.name, 200))
    answer = await parts.writes(
        once, request, parts.ledger, data, effect, lambda: core.submit(write, []).result()
    )
    parts.bulks.look()
    return answer


@get("/", summary="List orders for many runs")
async def list_bulks(ledger: LedgerPart, reads: ReadsPart) -> Bulks:
    """How far each came, and which runs refused it."""
    as_of = ledger.cursor()
    return Bulks(items=await reads(ledger.reader.bulks.all), as_of=as_of)


@get("/{bulk_id:str}", summary="Show an order for many runs")
async def get_bulk(ledger: LedgerPart, reads: ReadsPart, bulk_id: FromPath[str]) -> Bulk:
    """How far it came."""
    return await reads(ledger.reader.bulks.get, bulk_id)


@post("/{bulk_id:str}/cancel", summary="Cancel an order for many runs", status_code=200)
async def cancel_bulk(
    request: Request[Any, Any, Any],
    parts: AllParts,
    bulk_id: FromPath[str],
    key: IdempotencyKey = None,
) -> Response[Bulk]:
    """Runs that have not got it yet are left out; those that have it keep it."""
    effect = Effect(CancelBulk, lambda reader, made: reader.bulks.get(made), status=200)
    core = parts.ledger.core
    return await parts.writes(
        once, request, parts.ledger, None, effect, lambda: core.submit(CancelBulk(bulk_id), []).result()
    )


router = Router(
    path="/bulks", route_handlers=[give_bulk, list_bulks, get_bulk, cancel_bulk], tags=["commands"]
)
