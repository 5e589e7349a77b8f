"""Saved states of runs, and what differs between them."""

from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.params import FromPath, PathParameter, QueryParameter

from runstone.domain.records import Checkpoint
from runstone.domain.state_diff import StateDiff
from runstone.errors import NotFound
from runstone.ledger import Ledger
from runstone.server.parts import LedgerPart, ReadsPart

Number = Annotated[int, PathParameter(ge=1, le=2**53)]


class Checkpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoints of a run, from the first."""

    items: list[Checkpoint]


class CheckpointWithState(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, and the state that was saved."""

    checkpoint: Checkpoint
    state: Any


@get("/{run_id:str}/checkpoints", summary="The checkpoints of a run")
async def list_checkpoints(ledger: LedgerPart, run_id: FromPath[str]) -> Checkpoints:
    """The checkpoints, from the first."""
    ledger.get_run(run_id)
    return Checkpoints(items=ledger.checkpoints.list(run_id))


@get("/{run_id:str}/checkpoints/{number:int}", summary="The state of a checkpoint")
async def get_checkpoint(
    ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str], number: Number
) -> CheckpointWithState:
    """The checkpoint and its state."""
    return await reads(_state, ledger, run_id, number)


def _state(ledger: Ledger, run_id: str, number: int) -> CheckpointWithState:
    ledger.get_run(run_id)
    for checkpoint in ledger.checkpoints.list(run_id):
        if checkpoint.number == number:
            return CheckpointWithState(checkpoint=checkpoint, state=ledger.checkpoints.state(run_id, number))
    raise NotFound(f"run {run_id} has no checkpoint {number}", run_id=run_id)


@get("/{run_id:str}/checkpoints/{number:int}/diff", summary="What a checkpoint changed")
async def diff_checkpoints(
    ledger: LedgerPart,
    reads: ReadsPart,
    run_id: FromPath[str],
    number: Number,
    against: Annotated[
        str | None,
        QueryParameter(description="RUN@NUMBER, or a number of this run; without it the one before."),
    ] = None,
) -> StateDiff:
    """What differs from another checkpoint to this one: fields, items and lines of texts."""
    return await reads(_diff, ledger, run_id, number, against)


def _diff(ledger: Ledger, run_id: str, number: int, against: str | None) -> StateDiff:
    after = _state(ledger, run_id, number).checkpoint
    if against is None:
        if after.parent is None:
            raise NotFound(f"checkpoint {number} of run {run_id} is its first", run_id=run_id)
        against = str(after.parent)
    before = f"{run_id}@{against}" if against.isascii() and against.isdigit() else against
    return ledger.checkpoints.diff(before, after.state_ref)


router = Router(
    path="/runs", route_handlers=[list_checkpoints, get_checkpoint, diff_checkpoints], tags=["checkpoints"]
)
