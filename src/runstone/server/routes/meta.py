"""Health, readiness, and what this server is."""

from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Router, get

from runstone.server.parts import AllParts, LedgerPart


class Health(msgspec.Struct, frozen=True):
    """The server answers."""

    status: str = "ok"


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What this server is."""

    name: str
    version: str
    api: str
    capabilities: list[str]
    as_of: str
    """The newest position in the ledger."""


@get("/healthz", summary="Is the server alive")
async def healthz() -> Health:
    """The process answers; nothing is looked at."""
    return Health()


@get("/readyz", summary="Can the server work")
async def readyz(ledger: LedgerPart) -> Health:
    """The ledger can be read."""
    ledger.cursor()
    return Health()


OPEN = (healthz, readyz)
"""Outside of the API, and answered without a token."""


@get("/meta", summary="What this server is")
async def meta(ledger: LedgerPart, parts: AllParts) -> Meta:
    """Versions, what it can do, and how far its ledger reaches."""
    return Meta(
        name="runstone",
        version=version("runstone"),
        api="v1",
        capabilities=[],
        as_of=ledger.cursor(),
    )


router: Any = Router(path="/", route_handlers=[meta], tags=["meta"])
