"""Receipts of a client: what a write returns that goes to a server, perhaps by way of the spool."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from runstone.store.base import Write
from runstone.store.batch import Outcome
from runstone.store.writer import Receipt

if TYPE_CHECKING:
    from runstone.client.queue import Queue


_SENT: Final = Write()
"""What was written is in the spool: nothing of it is kept in memory."""


class RemoteReceipt(Receipt):
    """As any receipt. While the server is away, `result()` and `await` are content with the spool, and give None.

    `state` says which it is: `queued`, `spooled` (durable here), `acknowledged` (durable there) or `refused`.
    """

    __slots__ = ("__weakref__", "number", "queue")

    def __init__(self, queue: "Queue", unseen: list[Receipt] | None, number: int) -> None:
        super().__init__(queue, _SENT, unseen)
        self.queue = queue
        self.number = number

    @property
    def state(self) -> str:
        """`queued`, `spooled`, `acknowledged` or `refused`."""
        if not self.done and self.queue.is_durable(self.number):
            return "spooled"
        return super().state

    def settle(self, outcome: Outcome) -> None:
        """What became of it."""
        self._outcome = outcome

    def __await__(self) -> Generator[Any, None, Any]:
        future = self.queue.future(self)
        if not future.done():
            yield from future
        return self._value()
