"""The store's contract: what a database must do (`Database`), and what a write is (`Write`).

A backend implements `Database`: transactions, and statements by name, from `queries/` and its own. Everything above it
(batches, writes, reads) is shared, so every backend decides alike. `runstone.testing.contract` holds the suite.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from runstone.store.batch import Batch

Row = tuple[Any, ...]


class Database(Protocol):
    """One connection. Methods raise `StoreError` subclasses only."""

    package: ClassVar[str]
    """Where the backend's statements and migrations lie."""

    def begin(self, ahead: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        """Starts a write transaction; waits, bounded, for other processes (`StoreBusy`).

        `ahead` are statements that will be asked first if others have committed, with their parameters.
        """

    def commit(self) -> None:
        """Makes the transaction durable; returns only then."""

    def rollback(self) -> None:
        """Takes the transaction back."""

    def rows(self, name: str, params: dict[str, Any] | None = None, /, **more: Any) -> list[Row]:
        """Rows of the statement called `name`."""

    def select(self, columns: str, tables: str, where: str, tail: str, params: dict[str, Any]) -> list[Row]:
        """Rows of a list: named columns and tables, and a condition put together by `store/lists`.

        What backends say in different words stands in the condition as `{name}` (see `queries/parts.sql`).
        """

    def snapshot(self) -> AbstractContextManager[None]:
        """Several reads as of one moment; for a reader, and short."""

    def each(self, name: str, **params: Any) -> Iterator[Row]:
        """Rows of a statement one after the other, for a connection of one's own: they are not held in memory."""

    def insert(self, name: str, rows: list[Row]) -> None:
        """Runs the one-row statement called `name` for all rows, in few statements.

        In a write transaction they may go to the store with what follows: what it refuses is raised by then, or by the
        commit, before anything is stored.
        """

    def changed_elsewhere(self) -> bool:
        """Whether another connection committed since this was last asked, inside a write transaction."""

    def await_commit(self, stop: threading.Event, limit_s: float) -> None:
        """Rests until `stop` is set, or `limit_s` is over, or longer where the store tells of commits by itself.

        For whoever looks for others' commits, on a connection of its own. It says nothing: `changed_elsewhere` does.
        """

    @property
    def in_transaction(self) -> bool:
        """Whether a write transaction is open."""

    def close(self) -> None:
        """Closes the connection."""

    def abandon(self) -> None:
        """In a forked child: never touches the connection again, and never lets it be closed either."""


class Write:
    """One change, decided inside the transaction. Each write is accepted or refused by itself.

    `decide` reads heads and rows from the batch, raises a typed error to refuse, and otherwise stages events and rows.
    It reads before it stages, may be called again when a batch is replayed, and returns the receipt's value.
    """

    __slots__ = ()

    size = 256
    """Bytes that the write holds in the queue, about."""

    light = False
    """It refuses before it stages anything, so that nothing needs to be noted to take it back (plain events)."""

    urgent = False
    """Goes first in its batch (heartbeats)."""

    def decide(self, batch: "Batch") -> Any:
        raise NotImplementedError
