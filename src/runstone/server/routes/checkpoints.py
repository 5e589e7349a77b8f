"""Saved states of runs, and what differs between them."""

from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.params import FromPath, PathParameter, QueryParameter

from runstone.domain.records import Checkpoint
from runstone.domain.state_diff import StateDiff
from runstone.errors import NotFound
from runstone.ledger import Ledger
from runstone.server.bodies import encode
from runstone.server.parts import LedgerPart, ReadsPart
from runstone.server.shapes.values import MaxBytes, ShownDiff, diff_of

Number = Annotated[int, PathParameter(ge=1, le=2**53)]


class Checkpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoints of a run, from the first."""

    items: list[Checkpoint]


class CheckpointWithState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checkpoint, and the state that was saved."""

    checkpoint: Checkpoint
    state: Any
    bytes: int | None = None
    """With `max_bytes`: how many the state has as JSON."""
    cut: bool = False
    """The state is left out (null), as it has more than `max_bytes`."""


@get("/{run_id:str}/checkpoints", summary="The checkpoints of a run")
async def list_checkpoints(ledger: LedgerPart, run_id: FromPath[str]) -> Checkpoints:
    """The checkpoints, from the first."""
    ledger.get_run(run_id)
    return Checkpoints(items=ledger.checkpoints.list(run_id))


@get("/{run_id:str}/checkpoints/{number:int}", summary="The state of a checkpoint")
async def get_checkpoint(
    ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str], number: Number, max_bytes: MaxBytes = None
) -> CheckpointWithState:
    """The checkpoint and its state."""
    return await reads(_with_state, ledger, run_id, number, max_bytes)


def _with_state(ledger: Ledger, run_id: str, number: int, max_bytes: int | None) -> CheckpointWithState:
    checkpoint = _checkpoint(ledger, run_id, number)
    state = ledger.checkpoints.state(run_id, number)
    if max_bytes is None:
        return CheckpointWithState(checkpoint=checkpoint, state=state)
    size = len(encode(state))
    cut = size > max_bytes
    return CheckpointWithState(checkpoint=checkpoint, state=None if cut else state, bytes=size, cut=cut)


def _checkpoint(ledger: Ledger, run_id: str, number: int) -> Checkpoint:
    ledger.get_run(run_id)
    for checkpoint in ledger.checkpoints.list(run_id):
        if checkpoint.number == number:
            return checkpoint
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
    *,
    max_bytes: MaxBytes = None,
) -> ShownDiff:
    """What differs from another checkpoint to this one: fields, items and lines of texts."""
    return diff_of(await reads(_diff, ledger, run_id, number, against), max_bytes)


def _diff(ledger: Ledger, run_id: str, number: int, against: str | None) -> StateDiff:
    after = _checkpoint(ledger, run_id, number)
    if against is None:
        if after.parent is None:
            raise NotFound(f"checkpoint {number} of run {run_id} is its first", run_id=run_id)
        against = str(after.parent)
    before = f"{run_id}@{against}" if against.isascii() and against.isdigit() else against
    return ledger.checkpoints.diff(before, after.state_ref)


router = Router(
    path="/runs", route_handlers=[list_checkpoints, get_checkpoint, diff_checkpoints], tags=["checkpoints"]
)
