"""The port to what carries dispatches to workers. The ledger decides; a queue only brings a run to some worker."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from runstone.domain.dispatches import QueueSettings


class Queued(msgspec.Struct, frozen=True):
    """A dispatch on its way into its queue. Its name is the run's id and the dispatch's number."""

    name: str
    run_id: str
    queue: str
    rank: int


class Queues(Protocol):
    """Queues outside of the ledger. What they lose is given to them again, and what they give twice is claimed once."""

    def enqueue(self, dispatches: Sequence[Queued]) -> None:
        """Puts them in line, all or none; a name that is there already changes nothing."""

    def forget(self, names: Sequence[str]) -> None:
        """Takes them out of line, whatever became of them, so that they hold nobody's place."""

    def in_line(self, names: Sequence[str]) -> set[str]:
        """Those of the names that still wait for a worker, or were handed to one in this moment."""

    def serve(
        self, queues: Mapping[str, QueueSettings], slots: int, work: Callable[[str, int], None]
    ) -> None:
        """Begins to hand dispatches of these queues to `work` (run id, n), in threads; returns at once."""

    def width(self, queue: str, settings: QueueSettings, slots: int) -> int:
        """How many of the queue one worker is handed at a time, at least as many as this one takes."""

    def close(self) -> None:
        """Ends its threads and connections."""
