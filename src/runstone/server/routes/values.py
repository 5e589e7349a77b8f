"""What a run was given, what it came to, and what it was made from: sizes first, large values only when asked for."""

from typing import Any

import msgspec
from litestar import Router, get
from litestar.params import FromPath

from runstone.domain import codec
from runstone.domain.records import WorkflowRun
from runstone.ledger import Ledger
from runstone.server.parts import LedgerPart, ReadsPart
from runstone.server.shapes.values import MaxBytes, Value
from runstone.store.forks import definition_of, pinned_definition


class PinnedDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """The definition that a workflow run was last started with."""

    hash: str | None
    definition: dict[str, Any] | None
    """The content of a declarative one; null for code, which runs as it is registered."""
    pinned: bool
    """It is the run's own, whatever is registered under its name now."""


@get("/{run_id:str}/input", summary="The input of a run")
async def get_input(
    ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str], max_bytes: MaxBytes = None
) -> Value:
    """The input as it was given; a secret is a reference in it."""
    return await reads(_value, ledger, ledger.get_run(run_id).input_ref, max_bytes)


@get("/{run_id:str}/prompt", summary="The prompt of a run")
async def get_prompt(
    ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str], max_bytes: MaxBytes = None
) -> Value:
    """The prompt."""
    return await reads(_value, ledger, ledger.get_run(run_id).prompt_ref, max_bytes, text=True)


@get("/{run_id:str}/result", summary="The result of a run")
async def get_result(
    ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str], max_bytes: MaxBytes = None
) -> Value:
    """The result."""
    return await reads(_value, ledger, ledger.get_run(run_id).result_ref, max_bytes)


@get("/{run_id:str}/definition", summary="The definition of a workflow run")
async def get_definition(ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str]) -> PinnedDefinition:
    """What the run was last started with; a fork may have a definition of its own."""
    return await reads(_definition, ledger, run_id)


def _value(ledger: Ledger, ref: str | None, max_bytes: int | None, *, text: bool = False) -> Value:
    if ref is None:
        return Value(value=None)
    size = None if max_bytes is None else ledger.reader.values.size(ref)
    if size is not None and max_bytes is not None and size > max_bytes:
        return Value(value=None, bytes=size, ref=ref, cut=True)
    data = ledger.blob(ref)
    value = data.decode() if text else codec.decode(data)
    return Value(value=value, bytes=size, ref=None if size is None else ref)


def _definition(ledger: Ledger, run_id: str) -> PinnedDefinition:
    run = ledger.get_run(run_id)
    pinned = pinned_definition(ledger.reader, run_id)
    return PinnedDefinition(
        hash=run.definition_hash if isinstance(run, WorkflowRun) else None,
        definition=pinned or definition_of(ledger.reader, run_id),
        pinned=pinned is not None,
    )


router = Router(
    path="/runs", route_handlers=[get_input, get_prompt, get_result, get_definition], tags=["runs"]
)
