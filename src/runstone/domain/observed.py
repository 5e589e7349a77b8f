"""Observed runs: reported from elsewhere, by whoever sees them. What a report changes is decided here.

An observed run has no process that the ledger could look at. Its lease is extended by each report; silence makes it
interrupted, and news after that opens a new attempt. What is told late is kept, and changes no status.
"""

from typing import Final

from runstone.domain import codec
from runstone.domain.runs import ENDED, Head
from runstone.errors import IllegalTransition, NotObserved

OWNER: Final = "observed"
"""The owner of every attempt of an observed run."""

OPTION: Final = "observed"
"""The run's own option that says so; its value has `silent_after_s`."""

SILENT: Final = "silent"
"""The reason of an observed run whose reporter fell silent."""

_EVENTS: Final = {
    "waiting": "run.waiting",
    "awaiting_user": "run.awaited",
    "paused": "run.paused",
    "interrupted": "run.interrupted",
    "completed": "run.completed",
    "failed": "run.failed",
    "cancelled": "run.cancelled",
}


def silent_after_us(head: Head) -> int | None:
    """How long the run lives without a report, in microseconds; None for a run that is not observed."""
    if f'"{OPTION}"' not in head.options_json:
        return None
    found = codec.decode(head.options_json).get(OPTION)
    return int(found["silent_after_s"] * 1_000_000) if isinstance(found, dict) else None


def check_observed(head: Head) -> None:
    """Raises `NotObserved` for a run whose status is its own process's to tell."""
    if silent_after_us(head) is None or head.owner not in (None, OWNER):
        raise NotObserved(
            f"run {head.run_id} is not observed: its own process says how it stands", run_id=head.run_id
        )


def is_news(head: Head, at: int) -> bool:
    """Whether something that happened at `at` shows that a run lives which had counted as gone."""
    return head.status == "interrupted" and silent_after_us(head) is not None and at > head.updated_at


def moves(head: Head, status: str, at: int, *, began: int | None, ended: int | None) -> list[str]:
    """The events by which a report changes the run's status; none for what is known or told late.

    `began` and `ended` are those of the last attempt. Raises `IllegalTransition` for a run that completed: that is
    final.
    """
    if status == head.status or (began is not None and _is_late(head, status, at, began, ended)):
        return []
    if head.status == "completed":
        raise IllegalTransition(
            f"run {head.run_id} is completed; it cannot become {status}",
            hint="report another run, with this one as its parent or thread",
            run_id=head.run_id,
            status=head.status,
        )
    if head.status == "running":
        return [_EVENTS[status]]
    again = ["run.started"] if head.status == "pending" else ["run.resumed", "run.started"]
    return again if status == "running" else [*again, _EVENTS[status]]


def _is_late(head: Head, status: str, at: int, began: int, ended: int | None) -> bool:
    """Whether the ledger knows something newer. That it fell silent is no news: its end is taken after that, too."""
    if head.status == "interrupted" and head.status_reason == SILENT and status in ENDED:
        return at < began
    return at < began if ended is None else at <= ended
