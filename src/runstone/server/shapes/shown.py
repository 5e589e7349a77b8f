"""What a list says beside a run's record: its bucket, whether anybody works on it, its sums, and open questions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from runstone.domain import codec, runs
from runstone.domain.observed import OWNER
from runstone.domain.records import AgentRun, Totals, maybe_at
from runstone.engine.supervisor import HEARTBEAT_S, LEASE_S
from runstone.server.bodies import encode
from runstone.server.etags import etag_of
from runstone.server.shapes.runs import VOLATILE, Run, run_of
from runstone.server.shapes.totals import TotalsShape, totals_of
from runstone.store import rows
from runstone.store.reads import Reader

_BUCKETS: Final = {status: bucket for bucket, statuses in runs.BUCKETS.items() for status in statuses}
_SILENT_US: Final = int(3 * HEARTBEAT_S * 1e6)
"""So long without a heartbeat, and an owner may be in trouble, though its lease still holds."""


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


def shown_runs(reader: Reader, records: Iterable[AgentRun]) -> list[ShownRun]:
    """The runs as lists show them, with two queries for all."""
    found = list(records)
    ids, now = codec.encode([run.id for run in found]).decode(), reader.now()
    beside = {row[0]: row[1:] for row in reader.rows("beside_runs", run_ids=ids, now=now)}
    sums: dict[str, list[Totals]] = {}
    for run_id, scope, *counts in reader.rows("totals_by_id", run_ids=ids):
        sums.setdefault(run_id, [Totals(), Totals()])[scope] = rows.totals(tuple(counts))
    return [_shown(run, beside.get(run.id, (None, 0, None)), sums.get(run.id), now) for run in found]


def shown_run(reader: Reader, record: AgentRun) -> ShownRun:
    """One run as lists show it."""
    return shown_runs(reader, [record])[0]


def etag_of_shown(run: ShownRun) -> str:
    """The tag of a run as it is shown: another one whenever something of it changed but the times of its lease."""
    told = {name: getattr(run, name) for name in run.__struct_fields__ if name not in VOLATILE}
    return etag_of(encode({**told, "shown": run.shown.state}))


def _shown(
    record: AgentRun, beside: tuple[int | None, int, int | None], sums: list[Totals] | None, now: int
) -> ShownRun:
    expires, open_inputs, last_sign = beside
    run = run_of(record)
    own, subtree = sums or (Totals(), Totals())
    return ShownRun(
        **{name: getattr(run, name) for name in run.__struct_fields__},
        bucket="needs_input" if open_inputs else _BUCKETS.get(run.status, "working"),
        shown=_liveness(run, expires, last_sign, now),
        totals=RunTotals(own=totals_of(own), subtree=totals_of(subtree)),
        open_inputs=open_inputs,
    )


def _liveness(run: Run, expires: int | None, last_sign: int | None, now: int) -> Liveness:
    if run.status not in ("running", "interrupted"):
        return Liveness(state="none", last_seen_at=None, expires_at=None)
    seen = last_sign
    if expires is not None and run.owner != OWNER:  # who reports from outside has no heartbeat
        seen = max(last_sign or 0, expires - int(LEASE_S * 1e6))
    state: Literal["live", "silent", "gone"] = "gone"
    if run.status == "running":
        silent = run.owner != OWNER and seen is not None and now - seen > _SILENT_US
        state = "silent" if silent else "live"
    return Liveness(
        state=state, last_seen_at=maybe_at(seen), expires_at=maybe_at(expires if state != "gone" else None)
    )
