"""Runs that somebody may have gone on with: what was left behind, and what is queued."""

from typing import Any

import msgspec
from litestar import Router, get

from runstone import execution
from runstone.background import is_background
from runstone.ledger import Ledger
from runstone.server.parts import EnginePart, LedgerPart, ReadsPart
from runstone.server.running import Engine
from runstone.server.shapes.runs import Run, run_of


class Resumable(msgspec.Struct, frozen=True, kw_only=True):
    """A top-level run that may be gone on with."""

    run: Run
    known: bool
    """Whether this server would; what it came from is not registered here else, or it is a command."""


class AllResumable(msgspec.Struct, frozen=True, kw_only=True):
    """Those that are interrupted, then those that an answer, an order or their time lets go on."""

    items: list[Resumable]


@get("/resumable", summary="List runs that may be gone on with")
async def list_resumable(ledger: LedgerPart, reads: ReadsPart, engine: EnginePart) -> AllResumable:
    """Top-level runs that are interrupted, or let go on and at work nowhere: the oldest 1,000 of each."""
    return AllResumable(items=await reads(_resumable, ledger, engine))


def _resumable(ledger: Ledger, engine: Engine) -> list[Resumable]:
    return [
        Resumable(run=run_of(one), known=not is_background(one) and (engine.knows(one) or engine.leaves(one)))
        for one in execution.resumable(ledger)
    ]


router: Any = Router(path="/", route_handlers=[list_resumable], tags=["starting"])
