"""What is answered to what was reported."""

import msgspec

from runstone.domain.records import Ingested


class IngestedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an item."""

    index: int
    """Its place in the batch, from 0."""
    outcome: str
    """`accepted`, `repeated` (known already), `late` (so late that it changed no status) or `refused`."""
    run_id: str | None = None
    seq: int | None = None
    code: str | None = None
    """Why it was refused; docs/reference/errors.md lists them."""
    message: str | None = None
    hint: str | None = None


class IngestedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: of each item, and how many of each kind. What was accepted is durable."""

    items: list[IngestedItem]
    accepted: int
    repeated: int
    late: int
    refused: int
    as_of: str
    """A cursor of the ledger behind all of it."""


def batch_of(found: list[Ingested], as_of: str) -> IngestedBatch:
    """The answer to a batch."""
    counts = {"accepted": 0, "repeated": 0, "late": 0, "refused": 0}
    for one in found:
        counts[one.outcome] += 1
    items = [
        IngestedItem(
            index=one.index, outcome=one.outcome, run_id=one.run_id, seq=one.seq, code=one.code, message=one.message,
            hint=one.hint,
        )
        for one in found
    ]  # fmt: skip
    return IngestedBatch(items=items, as_of=as_of, **counts)
