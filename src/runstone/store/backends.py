"""Which store a ledger is in: a file of SQLite's, or a PostgreSQL database. Asked once, when a ledger is opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from runstone.domain.clock import Clock
from runstone.errors import PostgresMissing
from runstone.store.base import Database


class Backend(Protocol):
    """The module `open` of a store. `place` is what it opens: a path, or a DSN."""

    def clock(self, place: Any, /) -> Clock:
        """The clock that all who use the ledger go by."""

    def prepare(self, place: Any, /, *, create: bool = True) -> None:
        """Upgrades the ledger; with `create` makes it where there is none. Raises `StoreError` subclasses."""

    def writer(self, place: Any, /) -> Callable[[], Database]:
        """Opens the write connection."""

    def reader(self, place: Any, /, *, check: bool = False) -> Callable[[], Database]:
        """Opens a read connection; with `check` the schema is looked at each time."""


def of(place: Path | str) -> Backend:
    """The store of a path or of a DSN. Raises `PostgresMissing` where that driver is not installed."""
    if isinstance(place, Path):
        from runstone.store.sqlite import open as sqlite

        return cast(Backend, sqlite)
    try:
        from runstone.store.postgres import open as postgres
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise PostgresMissing from error
    return cast(Backend, postgres)


def roles(dsn: str) -> dict[str, str]:
    """Makes the roles of a shared ledger's database; what each may, by its name. Raises `StoreError` subclasses."""
    of(dsn)
    from runstone.store.postgres import roles as made

    return made.make(dsn)
