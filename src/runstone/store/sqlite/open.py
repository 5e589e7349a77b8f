"""Opens a workspace's file: creates it, upgrades it for writers, checks it for readers."""

from collections.abc import Callable
from pathlib import Path

from runstone.errors import StoreReadOnly
from runstone.store.sqlite import migrate
from runstone.store.sqlite.database import SQLiteDatabase


def prepare(path: Path) -> None:
    """Creates or upgrades the file; several processes may do so at once. Raises `StoreError` subclasses."""
    if path.exists() and not path.stat().st_mode & 0o200:
        raise StoreReadOnly(f"{path} is not writable")
    db = SQLiteDatabase(path, create=not path.exists())
    try:
        migrate.upgrade(db)
    finally:
        db.close()


def writer(path: Path) -> Callable[[], SQLiteDatabase]:
    """Opens the write connection."""
    return lambda: SQLiteDatabase(path)


def reader(path: Path, *, check: bool = False) -> Callable[[], SQLiteDatabase]:
    """Opens a read connection; with `check` the schema is looked at each time (readers of a ledger nobody writes here)."""

    def connect() -> SQLiteDatabase:
        db = SQLiteDatabase(path, readonly=True)
        if check:
            migrate.require_current(db)
        return db

    return connect
