"""What lists and watchers show of runs beside the runs: sums, children, standings, and ids by a part of them."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, get
from litestar.params import FromPath, QueryParameter

from runstone.domain.inputs import InputRequest
from runstone.domain.records import Lease, ProcessRecord, Totals
from runstone.errors import InvalidInput
from runstone.ledger import Ledger
from runstone.server.parts import LedgerPart, ReadsPart
from runstone.server.shapes.totals import TotalsShape, totals_of

MOST: int = 1_000


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What runs and all below them have spent, and how many children they have."""

    own: dict[str, TotalsShape]
    subtree: dict[str, TotalsShape]
    children: dict[str, int]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands."""

    status: str
    """As shown; what is said here is of this status."""
    attempt: int
    settled: bool
    """Nothing more comes of it until somebody does something."""
    awaited: bool
    """It stands still until a person answers."""
    questions: list[InputRequest]
    """The open questions in the tree that it is part of."""
    lease: Lease | None
    processes: list[ProcessRecord]
    printed: dict[str, int]
    """Lines that a command has printed, by stream."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The id that was meant."""

    id: str


@get("/overview", summary="Sums of several runs")
async def sums(
    ledger: LedgerPart,
    reads: ReadsPart,
    run_id: Annotated[list[str], QueryParameter(description="A run; may be repeated.")],
) -> Sums:
    """Runs without a request, or without children, are left out."""
    if len(run_id) > MOST:
        raise InvalidInput(f"at most {MOST} runs are asked for at a time, not {len(run_id)}")
    return await reads(_sums, ledger, run_id)


def _sums(ledger: Ledger, run_ids: list[str]) -> Sums:
    found: dict[str, tuple[Totals, Totals]] = ledger.overview.totals(run_ids)
    return Sums(
        own={run_id: totals_of(own) for run_id, (own, _) in found.items()},
        subtree={run_id: totals_of(subtree) for run_id, (_, subtree) in found.items()},
        children=ledger.overview.children(run_ids),
    )


@get("/runs/{run_id:str}/standing", summary="How a run stands")
async def standing(ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str]) -> Standing:
    """Whether anything more comes of it by itself, and what is asked in its tree."""
    return await reads(_standing, ledger, run_id)


def _standing(ledger: Ledger, run_id: str) -> Standing:
    run = ledger.get_run(run_id)
    return Standing(
        status=run.status, attempt=run.attempt, settled=ledger.overview.settled(run),
        awaited=ledger.inputs.awaited(run_id),
        questions=ledger.inputs.below(run_id), lease=ledger.lease(run_id), processes=ledger.processes(run_id),
        printed=ledger.overview.printed(run_id),
    )  # fmt: skip


@get("/ids", summary="The id that has a text in it")
async def find_id(
    ledger: LedgerPart,
    reads: ReadsPart,
    text: Annotated[str, QueryParameter(max_length=200, description="Any part of an id that only one has.")],
    of: Annotated[Literal["run", "input"], QueryParameter()] = "run",
) -> Found:
    """404 where none has it, 400 where several do."""
    resolve: Any = ledger.resolve if of == "run" else ledger.inputs.resolve
    return Found(id=await reads(resolve, text))


router = Router(path="/", route_handlers=[sums, standing, find_id], tags=["overview"])
