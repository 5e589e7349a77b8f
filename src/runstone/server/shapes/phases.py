"""Phases as the API shows them: how each stands, what limits it, and what its children spent."""

from datetime import datetime

import msgspec

from runstone.domain.records import Totals
from runstone.ledger import Ledger
from runstone.server.shapes.totals import TotalsShape, totals_of
from runstone.store import rows


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A phase of a workflow run; planned ones are `pending`."""

    name: str
    status: str
    planned: int | None
    children: dict[str, int]
    """By shown status."""
    reused: int
    started_at: datetime | None
    completed_at: datetime | None
    reason: str | None
    """Why it failed or was skipped."""
    concurrency: int | None
    """At most so many children run at a time."""
    after: list[str]
    """The phases that must end before it starts."""
    active_ms: int
    """So long attempts were in it, up to `active_since`; the time between attempts is no part of it."""
    active_since: datetime | None
    """Since when the present attempt is in it; null where none is."""
    totals: TotalsShape
    """What its children spent in all attempts, with all below them."""


def phases_of(ledger: Ledger, run_id: str) -> list[Phase]:
    """The phases of the run. Raises `NotFound`."""
    states = ledger.phases(run_id)
    found = ledger.reader.rows("phase_sums", run=ledger.reader.runs.pk(run_id))
    sums = {phase: rows.totals(tuple(counts)) for phase, *counts in found}
    return [
        Phase(
            name=one.name,
            status=one.status,
            planned=one.planned,
            children=one.children,
            reused=one.reused,
            started_at=one.started_at,
            completed_at=one.completed_at,
            reason=one.reason,
            concurrency=one.concurrency,
            after=list(one.after),
            active_ms=one.active_ms,
            active_since=one.active_since,
            totals=totals_of(sums.get(one.name, Totals())),
        )
        for one in states
    ]
