"""Health, readiness, and what this server is."""

from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Response, Router, get

from runstone.config import is_trusted
from runstone.server.bodies import JSON, encode
from runstone.server.parts import LedgerPart, ReadsPart

CAPABILITIES = (
    "runs", "start", "resume", "fork", "continue", "compare", "commands", "inputs", "checkpoints", "threads", "boards",
    "stream", "idempotency",
)  # fmt: skip


class Health(msgspec.Struct, frozen=True):
    """The server answers."""

    status: str = "ok"


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What this server is."""

    name: str
    version: str
    api: str
    """The version of the API: it is in each path, and only grows."""
    capabilities: list[str]
    """What a client may rely on beside what version 1 had first."""
    trusted: bool
    """Whether the workspace's own code may run: without it nothing can be started."""
    as_of: str
    """The newest position in the ledger."""
    oldest: str
    """The position after which all events are there; those before may have been removed."""


@get("/healthz", summary="Is the server alive")
async def healthz() -> Health:
    """The process answers; nothing is looked at."""
    return Health()


@get("/readyz", summary="Can the server work")
async def readyz(ledger: LedgerPart) -> Health:
    """The ledger can be read."""
    ledger.cursor()
    return Health()


@get("/openapi.json", summary="This document", media_type="application/json")
async def openapi(reads: ReadsPart) -> Response[bytes]:
    """The OpenAPI 3.1 document of this server."""
    return Response(await reads(_document), media_type=JSON)


@cache
def _document() -> bytes:
    from runstone.server.app import described  # made from the routes, this one among them

    return encode(described())


BESIDE = (healthz, readyz, openapi)
"""Outside of the API."""


@get("/meta", summary="What this server is")
async def meta(ledger: LedgerPart) -> Meta:
    """Versions, what it can do, and how far its ledger reaches."""
    return Meta(
        name="runstone",
        version=version("runstone"),
        api="v1",
        capabilities=list(CAPABILITIES),
        trusted=is_trusted(ledger.workspace.root),
        as_of=ledger.cursor(),
        oldest=f"{ledger.reader.events.epoch()}-{ledger.reader.events.removed_up_to()}",
    )


router: Any = Router(path="/", route_handlers=[meta], tags=["meta"])
