"""Opens a workspace's file: creates it, upgrades it for writers, checks it for readers."""

import os
from collections.abc import Callable
from pathlib import Path

from runstone.errors import StoreReadOnly
from runstone.store.clock import SystemClock
from runstone.store.sqlite import migrate
from runstone.store.sqlite.database import SQLiteDatabase


def clock(path: Path) -> SystemClock:
    """This machine's clock: all who use the file are on it."""
    return SystemClock()


def prepare(path: Path, *, create: bool = True) -> None:
    """Creates or upgrades the file; several processes may do so at once. Raises `StoreError` subclasses.

    `create` is for stores whose place is there before the ledger. A file that is damaged, of another program or of a
    later version is refused before anything is set in it.
    """
    for place in (path.parent, path):
        if place.exists() and not (place.stat().st_mode & 0o222 and os.access(place, os.W_OK)):
            raise StoreReadOnly(f"{place} is not writable")
    if path.exists() and path.stat().st_size:
        db = SQLiteDatabase(path, readonly=True)
        try:
            migrate.check_open(db)
        finally:
            db.close()
    db = SQLiteDatabase(path, create=not path.exists())
    try:
        migrate.upgrade(db)
    finally:
        db.close()


def writer(path: Path) -> Callable[[], SQLiteDatabase]:
    """Opens the write connection."""

    def connect() -> SQLiteDatabase:
        db = SQLiteDatabase(path)
        db.on_change = migrate.check_open
        return db

    return connect


def reader(path: Path, *, check: bool = False) -> Callable[[], SQLiteDatabase]:
    """Opens a read connection; with `check` the schema is looked at each time (nobody writes it here)."""

    def connect() -> SQLiteDatabase:
        db = SQLiteDatabase(path, readonly=True)
        if check:
            migrate.require_current(db)
        return db

    return connect
