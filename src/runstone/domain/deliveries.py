"""Deliveries: that a run's attempt ended is told to each listener once. What is told again, and what an answer counts.

The run that ended is the message, so that no second copy of it can differ. What is stored for a listener is the last
attempt whose end it acknowledged, and which process of it has the next one in hand.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

from runstone.domain.bounds import bounded
from runstone.errors import AlreadyDelivered, InvalidInput

PARENT: Final = "@parent"
"""The listener that a run's parent is, whichever attempt of it works."""


class Standing(NamedTuple):
    """What is known of a listener and a run."""

    attempt: int = -1
    held_attempt: int | None = None
    held_until: int | None = None
    holder: str | None = None
    acknowledged_at: int | None = None


def check_listener(name: str) -> str:
    """The name, if a listener may have it. Raises `InvalidInput` and `ValueTooLarge`."""
    name = bounded("a listener's name", name, 200)
    if not name or name.startswith("@"):
        raise InvalidInput(f"a listener has a name that does not begin with @, not {name!r:.80}")
    return name


def is_free(held_until: int | None, holder: str | None, now: int, dead: Collection[str]) -> bool:
    """Whether nobody has the end in hand: the time has passed, or the process is proven dead."""
    return held_until is None or held_until <= now or holder in dead


def check_acknowledged(
    run_id: str,
    attempt: int,
    known: Standing,
    *,
    ended_at: int,
    holder: str,
    now: int,
    dead: Collection[str],
) -> None:
    """Raises `AlreadyDelivered` where the end was acknowledged before, or is in another process's hand."""
    later = known.attempt == attempt and (known.acknowledged_at or 0) < ended_at
    if known.attempt >= attempt and not later:
        raise AlreadyDelivered(
            f"the end of attempt {attempt} of run {run_id} was acknowledged", run_id=run_id
        )
    taken = known.held_attempt == attempt and known.holder != holder
    if taken and not is_free(known.held_until, known.holder, now, dead):
        raise AlreadyDelivered(f"another process has the end of run {run_id} in hand", run_id=run_id)
