"""Opens a shared ledger: creates or upgrades its schema for writers, checks it for readers."""

from collections.abc import Callable

from runstone.store.postgres import migrate
from runstone.store.postgres.clock import ServerClock
from runstone.store.postgres.database import PostgresDatabase

_clocks: dict[str, ServerClock] = {}


def clock(dsn: str) -> ServerClock:
    """The database's clock, as this process last heard it."""
    return _clocks.setdefault(dsn, ServerClock())


def prepare(dsn: str, *, create: bool = True) -> None:
    """Upgrades the schema; with `create` makes it in a database that has none. Several processes may do so at once.

    Raises `StoreError` subclasses, and `WorkspaceNotFound` without `create`. A database of another program or of a
    later version is refused before anything is changed in it.
    """
    db = PostgresDatabase(dsn, clock=clock(dsn))
    try:
        if not create:
            migrate.require(db)
        migrate.upgrade(db)
    finally:
        db.close()


def writer(dsn: str) -> Callable[[], PostgresDatabase]:
    """Opens the write connection."""

    def connect() -> PostgresDatabase:
        db = PostgresDatabase(dsn, clock=clock(dsn))
        db.on_change = migrate.check
        return db

    return connect


def reader(dsn: str, *, check: bool = False) -> Callable[[], PostgresDatabase]:
    """Opens a read connection; with `check` the schema is looked at each time (nobody writes it here)."""

    def connect() -> PostgresDatabase:
        db = PostgresDatabase(dsn, readonly=True, clock=clock(dsn))
        try:
            if check:
                migrate.require_current(db)
        except BaseException:
            db.close()
            raise
        return db

    return connect
