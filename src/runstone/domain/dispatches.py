"""Dispatches: which queue's workers a run is for, and what a change of its status does to its place there.

A dispatch says once that a run is ready to be worked on. Its number n is the seq of the event that made the run ready,
so that no number comes twice and none needs to be counted. The ledger writes it in the transaction of that event; an
engine carries it to a queue, and a claim that names it is refused once it is over.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from runstone.domain import codec
from runstone.errors import InvalidDefinition, InvalidInput

OPTION: Final = "dispatch"
"""In a run's options: it is for workers. Set by what queues a run, and with its children by the engine."""

DEFAULT_QUEUE: Final = "default"
MAX_PRIORITY: Final = 1_000_000
MAX_INTERRUPTIONS: Final = 10
"""So often in a row a run may lose its owner and be dispatched again; then it most likely ends what it runs on."""

_NAME_CHARACTERS: Final = 100
_FREE_TRIES: Final = 2
_MAX_DELAY_S: Final = 60.0
_MAX_PERIOD_S: Final = 86_400.0

State = Literal["ready", "taken", "over"]
"""What a move makes of a run's dispatches; `held` (for its phase) and `enqueued` come of other writes."""


class Placement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a run stands in line: its queue, and its priority there (0 first). `limit` is its phase's concurrency.

    It is not begun before `not_before` (microseconds UTC). `interruptions` bounds how often it is dispatched again by
    itself when its owner is gone; with 0 it is left interrupted for a person to look at.
    """

    queue: str = DEFAULT_QUEUE
    priority: int = 0
    not_before: int = 0
    limit: int | None = None
    interruptions: int = MAX_INTERRUPTIONS

    def __post_init__(self) -> None:
        if not self.queue or len(self.queue) > _NAME_CHARACTERS or not self.queue.isprintable():
            raise InvalidInput(f"a queue's name is a text of 1 to {_NAME_CHARACTERS} characters")
        if self.queue.startswith("_"):
            raise InvalidInput(f"queue {self.queue!r}: names that begin with _ are the engine's own")
        if not 0 <= self.priority <= MAX_PRIORITY:
            raise InvalidInput(f"a priority is 0 (first) to {MAX_PRIORITY}, not {self.priority}")
        if self.interruptions < 0:
            raise InvalidInput(f"interruptions are 0 or more, not {self.interruptions}")

    def option(self) -> dict[str, Any]:
        """What the run's options keep of it."""
        kept = msgspec.to_builtins(self)
        assert isinstance(kept, dict)
        return kept

    def of_child(self, queue: str | None, limit: int | None) -> "Placement":
        """Where a child stands: in the queue of its agent, else in its parent's."""
        return Placement(
            queue=queue or self.queue, priority=self.priority, limit=limit, interruptions=self.interruptions
        )


def placement_of(options_json: str) -> Placement | None:
    """Where the run stands in line, or None for one that is not for workers."""
    if f'"{OPTION}"' not in options_json:
        return None
    found = codec.decode(options_json).get(OPTION)
    if not isinstance(found, dict):
        return None
    try:
        return msgspec.convert(found, Placement)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"options.{OPTION}: {error}") from error


def after(status: str) -> State:
    """What the dispatches of a run become when its status is this."""
    if status == "pending":
        return "ready"
    return "taken" if status == "running" else "over"


def rank(placement: Placement, *, begun: bool) -> int:
    """The order in a queue, lower first: what has begun goes on before anything of its priority begins.

    So a tree is finished branch by branch, and the runs that are under way do not grow with what is queued.
    """
    return 2 * placement.priority + (1 if begun else 2)


def delay_s(interruptions: int) -> float:
    """How long a run that lost its owner so often in a row is kept from being dispatched again."""
    return 0.0 if interruptions <= _FREE_TRIES else min(_MAX_DELAY_S, 2.0 ** (interruptions - _FREE_TRIES))


def name_of(run_id: str, run: int, n: int) -> str:
    """The dispatch's name in a queue. Enqueueing the same name again changes nothing.

    With the run's key in it no name comes twice: a run that is made under the id of one that was removed counts its
    dispatches anew, and a queue may still know the old one's.
    """
    return f"{run_id}:{run}.{n}"


def parse_name(name: str) -> tuple[str, int]:
    """The run's id and n of a dispatch's name, also of one that an older version gave (`ID:N`)."""
    run_id, _, numbers = name.rpartition(":")
    return run_id, int(numbers.rpartition(".")[2])


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table `[queues.NAME]` of runstone.toml. Runs wait in line; none of these limits loses one."""

    concurrency: int | None = None
    """How many runs of the queue are at work at a time, in all workers together."""
    per_worker: int | None = None
    """How many of them one worker has at most; without it as many as it has slots."""
    rate_limit: int | None = None
    """With `rate_period_s`: at most so many begin in any such time."""
    rate_period_s: float = 1.0
    agents: list[str] = []
    """Agents and workflows whose runs stand in this queue when a run of another queue starts them."""
    poll_s: float = 0.2
    """How often a worker looks into the queue."""

    def places(self, slots: int) -> int:
        """How many of them a worker with so many slots has at a time."""
        limits = (slots, self.per_worker, self.concurrency)
        return min(limit for limit in limits if limit is not None)

    def check(self, place: str) -> None:
        """Raises `InvalidDefinition` naming the place of what cannot be."""
        for name in ("concurrency", "per_worker", "rate_limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidDefinition(f"{place}.{name} is {value}; it must be 1 or more")
        for name in ("rate_period_s", "poll_s"):
            if not 0 < getattr(self, name) <= _MAX_PERIOD_S:
                raise InvalidDefinition(f"{place}.{name} must be more than 0 and at most {_MAX_PERIOD_S:g}")


def queue_of_agent(queues: Mapping[str, QueueSettings], name: str) -> str | None:
    """The queue that the settings give an agent or workflow, if any."""
    return next((queue for queue, settings in queues.items() if name in settings.agents), None)
