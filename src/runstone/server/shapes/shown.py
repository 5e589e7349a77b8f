"""What a list says beside a run's record: its bucket, whether anybody works on it, its sums, and open questions."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from runstone.domain import codec, runs
from runstone.domain.observed import OWNER
from runstone.domain.records import Totals, maybe_at
from runstone.engine.supervisor import HEARTBEAT_S, LEASE_S
from runstone.server.bodies import encode
from runstone.server.etags import etag_of
from runstone.server.shapes.runs import VOLATILE, Run
from runstone.server.shapes.totals import TotalsShape, totals_of
from runstone.store import rows
from runstone.store.base import Row
from runstone.store.reads import Reader

_BUCKETS: Final = {status: bucket for bucket, statuses in runs.BUCKETS.items() for status in statuses}
_LEASE_US: Final = int(LEASE_S * 1e6)
_SILENT_US: Final = int(3 * HEARTBEAT_S * 1e6)
"""So long without a heartbeat, and an owner may be in trouble, though its lease still holds."""
_KEPT: Final = 1_000
"""Runs whose JSON is kept: 20 pages of a list, about 5 MB."""

# Columns of `run_columns`.
_STATUS, _OWNER, _EXPIRES, _PK = 10, 23, 33, 36


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a process is behind a run, told apart from its status."""

    state: Literal["live", "silent", "gone", "none"]
    """silent: its heartbeats are missing, and its lease still holds; gone: it ended without a word; none: none is
    needed."""
    last_seen_at: datetime | None
    expires_at: datetime | None
    """When the lease ends, if nobody renews it."""


class RunTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of requests, of the run itself and with all below it."""

    own: TotalsShape
    subtree: TotalsShape


class ShownRun(Run, frozen=True, kw_only=True):
    """A run with what lists say of it."""

    bucket: str
    shown: Liveness
    totals: RunTotals
    open_inputs: int


class _Beside(NamedTuple):
    """What is read beside a run's row, and what the clock makes of it."""

    open_inputs: int
    state: Literal["live", "silent", "gone", "none"]
    last_seen_us: int | None
    own: Row | None
    subtree: Row | None


class Encoded(NamedTuple):
    """Runs as the JSON of `ShownRun`, and when the clock alone changes what is said of any run (microseconds)."""

    items: list[msgspec.Raw]
    until: int | None


def encoded_runs(reader: Reader, found: Sequence[Row], *, since: int) -> Encoded:
    """Rows of `run_columns` as JSON, with three queries for all. `since`: a time before the rows were read."""
    (changes,) = reader.rows("next_change_by_time", now=since)[0]
    beside = _beside(reader, found)
    moments = [changes] if changes is not None else []
    for row, one in zip(found, beside, strict=True):
        if one.state == "live" and row[_OWNER] != OWNER and one.last_seen_us is not None:
            moments.append(one.last_seen_us + _SILENT_US)
    return Encoded([*map(_encoded, found, beside)], min(moments, default=None))


def shown_run(reader: Reader, run_id: str) -> ShownRun:
    """One run as lists show it. Raises `NotFound`."""
    row = reader.runs.row(run_id)
    return _shown(row, _beside(reader, [row])[0])


def etag_of_shown(run: ShownRun) -> str:
    """The tag of a run as it is shown: another one whenever something of it changed but the times of its lease."""
    told = {name: getattr(run, name) for name in run.__struct_fields__ if name not in VOLATILE}
    return etag_of(encode({**told, "shown": run.shown.state}))


@lru_cache(maxsize=_KEPT)
def _encoded(row: Row, beside: _Beside) -> msgspec.Raw:
    """The run's JSON. It follows from what was read just now and from nothing else, so what is kept is never stale."""
    return msgspec.Raw(encode(_shown(row, beside)))


def _shown(row: Row, beside: _Beside) -> ShownRun:
    workflow = row[1] == "workflow"
    expires = row[_EXPIRES] if beside.state in ("live", "silent") else None
    return ShownRun(
        **rows.run_fields(row),
        definition_id=row[34] if workflow else None,
        definition_hash=row[35] if workflow else None,
        bucket="needs_input" if beside.open_inputs else _BUCKETS.get(row[_STATUS], "working"),
        shown=Liveness(
            state=beside.state, last_seen_at=maybe_at(beside.last_seen_us), expires_at=maybe_at(expires)
        ),
        totals=RunTotals(own=_totals(beside.own), subtree=_totals(beside.subtree)),
        open_inputs=beside.open_inputs,
    )


def _totals(counts: Row | None) -> TotalsShape:
    return totals_of(Totals() if counts is None else rows.totals(counts))


def _beside(reader: Reader, found: Sequence[Row]) -> list[_Beside]:
    keys, now = codec.encode([row[_PK] for row in found]).decode(), reader.now()
    known = {pk: (asking, sign) for pk, asking, sign in reader.rows("beside_runs", runs=keys, now=now)}
    sums = {row[:2]: row[2:] for row in reader.rows("totals_of_many", runs=keys)}
    beside = []
    for row in found:
        pk = row[_PK]
        asking, sign = known.get(pk, (0, None))
        state, seen = _liveness(row, sign, now)
        beside.append(_Beside(asking, state, seen, sums.get((pk, 0)), sums.get((pk, 1))))
    return beside


def _liveness(
    row: Row, last_sign: int | None, now: int
) -> tuple[Literal["live", "silent", "gone", "none"], int | None]:
    """Whether somebody works on the run, and when it was last heard of."""
    status, reports = row[_STATUS], row[_OWNER] == OWNER  # who reports from outside has no heartbeat
    if status not in ("running", "interrupted"):
        return "none", None
    seen = last_sign
    if row[_EXPIRES] is not None and not reports:
        seen = max(last_sign or 0, row[_EXPIRES] - _LEASE_US)
    if status == "interrupted":
        return "gone", seen
    return "silent" if not reports and seen is not None and now - seen > _SILENT_US else "live", seen
