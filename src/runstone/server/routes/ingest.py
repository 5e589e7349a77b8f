"""`/ingest`: what is reported from elsewhere, in batches; and `/runs/{id}/events` for that of one run."""

from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, post
from litestar.params import FromPath, HeaderParameter

from runstone.domain.ingest import MAX_ITEMS
from runstone.errors import InvalidInput, InvalidItem, RunstoneError
from runstone.ingesting import Taking
from runstone.ledger import Ledger
from runstone.server.guards import ROLE
from runstone.server.parts import Aside, LedgerPart, WritesPart
from runstone.server.shapes.ingest import IngestedBatch, batch_of

NDJSON: Final = "application/x-ndjson"

_HERE_BYTES: Final = 64 * 1024
"""A batch of that size is read in a millisecond or two; larger ones must not hold up the others."""

_KEYED: Final = {"event", "message"}
_Request = Request[Any, Any, Any]
_Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=200,
        description="Gives events and messages without a key one by their place, so that the batch can be sent again.",
    ),
]


@post("/ingest", summary="Report what happened elsewhere", status_code=200, opt={ROLE: "ingest"})
async def ingest(
    request: _Request, ledger: LedgerPart, writes: WritesPart, idempotency_key: _Key = None
) -> IngestedBatch:
    """A batch of runs, events, usage and messages, of any runs: a JSON array, or one item a line (NDJSON).

    Each item is answered by itself, and one that is refused takes none of the others along. With keys, request ids and
    times a batch may be sent again whole.
    """
    return await _take(await _body(request), ledger, writes, key=idempotency_key)


@post("/runs/{run_id:str}/events", summary="Report events of a run", status_code=200, opt={ROLE: "ingest"})
async def ingest_events(
    request: _Request,
    ledger: LedgerPart,
    writes: WritesPart,
    run_id: FromPath[str],
    *,
    idempotency_key: _Key = None,
) -> IngestedBatch:
    """As `/ingest`, of one run: items need no `run_id`, and those with a `type` no `item`. 404 for an unknown run."""
    ledger.get_run(run_id)
    return await _take(await _body(request), ledger, writes, run_id=run_id, key=idempotency_key)


class _Body(msgspec.Struct, frozen=True):
    data: bytes
    lines: bool


async def _body(request: _Request) -> _Body:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _Body(await request.body(), kind == NDJSON)


async def _take(
    body: _Body, ledger: Ledger, writes: Aside, *, run_id: str | None = None, key: str | None = None
) -> IngestedBatch:
    def begin() -> Taking:
        return Taking(ledger.core, _items(body, key), run_id)

    taking = begin() if len(body.data) <= _HERE_BYTES else await writes(begin)
    for receipt in taking.receipts:
        with suppress(RunstoneError):  # told by item
            await receipt
    return batch_of(taking.told(), ledger.cursor())


def _items(body: _Body, key: str | None) -> list[Any]:
    """The items of a body; a line that is no JSON is an item that will be refused."""
    if body.lines:
        lines = [line for line in body.data.split(b"\n") if line.strip()]
        if len(lines) > MAX_ITEMS:
            raise InvalidInput(f"a batch has at most {MAX_ITEMS:,} items", hint="send it in parts")
        items: list[Any] = [_line(line) for line in lines]
    else:
        try:
            found = msgspec.json.decode(body.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"the body is no JSON: {error}") from None
        items = found if isinstance(found, list) else [found]
    if key is not None:
        for index, item in enumerate(items):
            if isinstance(item, dict) and item.get("item", "event") in _KEYED and "key" not in item:
                item["key"] = f"{key}/{index}"
    return items


def _line(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return InvalidItem(f"the line is no JSON: {error}")


router = Router(path="/", route_handlers=[ingest, ingest_events], tags=["ingest"])
