"""What a timeline draws of a run: its attempts and what lay between them, and how busy it was."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

PARKED: Final = frozenset({"waiting", "awaiting_user", "paused", "interrupted"})
"""Outcomes of attempts after which a run goes on later; the time until then has the name of its status."""


class AttemptTimes(msgspec.Struct, frozen=True):
    """An attempt: when it was open, and what became of it. Times are microseconds UTC."""

    number: int
    started_at: int
    ended_at: int | None
    outcome: str | None
    reason: str | None


class SpanTimes(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a run's life; `end` is None while it lasts."""

    kind: str
    start: int
    end: int | None
    attempt: int | None = None
    outcome: str | None = None
    reason: str | None = None


def spans(
    created_at: int,
    attempts: Sequence[AttemptTimes],
    *,
    status: str,
    reason: str | None,
    ended_at: int | None,
) -> list[SpanTimes]:
    """The parts of a run's life in their order: `pending`, `attempt`, and `waiting`, `awaiting_user`, `paused` or
    `interrupted` between attempts. `status` is the shown one. Where the first attempts are left out, so is the time
    before the first that is given.
    """
    found: list[SpanTimes] = []
    kind, since, why = "pending", created_at, None
    for one in attempts:
        if one.started_at > since and (found or one.number == 1):
            found.append(SpanTimes(kind=kind, start=since, end=one.started_at, reason=why))
        found.append(
            SpanTimes(
                kind="attempt", start=one.started_at, end=one.ended_at, attempt=one.number, outcome=one.outcome,
                reason=one.reason,
            )
        )  # fmt: skip
        kind = one.outcome if one.outcome in PARKED else "pending"
        since, why = one.ended_at if one.ended_at is not None else one.started_at, one.reason
    lasting = bool(attempts) and attempts[-1].ended_at is None
    if ended_at is None and not lasting:
        found.append(SpanTimes(kind=status, start=since, end=None, reason=reason))
    elif ended_at is not None and not lasting and ended_at > since:
        found.append(SpanTimes(kind=kind, start=since, end=ended_at, reason=why))
    return found


def shares(counts: Iterable[int], budget: int) -> list[int]:
    """How many of each may be looked at, so that all together are at most `budget`: what some leave, others get."""
    wanted = list(counts)
    if sum(wanted) <= budget:
        return wanted
    low, high = 0, max(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(one, middle) for one in wanted) <= budget:
            low = middle
        else:
            high = middle - 1
    return [min(one, low) for one in wanted]
