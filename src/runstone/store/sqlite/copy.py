"""Copies a ledger's file as of one moment while others write, and puts a file in the place of a ledger's content.

The read transaction pins one snapshot, and SQLite's backup reads through that same connection. A backup without it
begins anew whenever another connection commits: beside a busy writer it never ends.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from runstone.errors import LedgerInUse, StoreBusy, StoreCorrupt, StoreError, StoreFull
from runstone.store.sqlite import migrate
from runstone.store.sqlite.database import SQLiteDatabase, typed

PAGES: Final = 1_000
"""Pages (of 4 KB) that are copied at a time; between two portions the caller is told, and may stop."""

Told = Callable[[int, int], None]
"""Called with the pages that are copied and those that there are."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger's file says of itself as of one moment."""

    schema: int
    epoch: str
    runs: int
    last_position: int
    bytes: int


def open_file(path: Path) -> SQLiteDatabase:
    """A ledger's file, read as it is, also from a folder that cannot be written. Raises `StoreError` subclasses."""
    try:
        db = SQLiteDatabase(path, readonly=True)
        db.query("PRAGMA schema_version")  # the first look at the file, at the latest
        return db
    except StoreError:
        if _beside(path, "-wal").exists() or os.access(path.parent, os.W_OK):
            raise
    # Without its two files SQLite reads a ledger only where it could make them, or if nobody writes.
    return SQLiteDatabase(path, immutable=True)


def facts(db: SQLiteDatabase) -> Facts:
    """What the file says. Raises `StoreCorrupt` if it is no ledger, `SchemaTooNew` if this version can't read it."""
    migrate.check(db)
    schema = migrate.version(db)
    if not schema:
        raise StoreCorrupt(f"{db.path} is empty: no ledger was ever in it")
    runs, position, epoch, _ = db.rows("snapshot_facts")[0]
    pages, size = db.query("PRAGMA page_count")[0][0], db.query("PRAGMA page_size")[0][0]
    return Facts(schema=schema, epoch=epoch, runs=runs, last_position=position, bytes=pages * size)


def snapshot(
    source: SQLiteDatabase, target: Path, told: Told, *, relieve: SQLiteDatabase | None = None
) -> Facts:
    """Copies what `source` sees at one moment into the empty file `target`, and syncs it. Gives what is in it.

    Writers go on meanwhile; the write-ahead log keeps what they write until the snapshot ends. `relieve` is a
    connection that then takes the log over into the file, so that no writer has to. Raises `StoreError` subclasses.
    """
    with source.snapshot():
        found = facts(source)
        pages(source, target, told)
    if relieve is not None:
        relieve.query("PRAGMA wal_checkpoint(PASSIVE)")
    sync(target)
    return found


def pages(source: SQLiteDatabase, target: Path, told: Told) -> None:
    """Copies every page into the empty file `target`, whatever is in them; the caller holds the snapshot."""
    size = source.query("PRAGMA page_count")[0][0] * source.query("PRAGMA page_size")[0][0]
    room = shutil.disk_usage(target.parent).free
    if room < size:
        raise StoreFull(f"the copy needs {size:,} bytes, and {target.parent} has {room:,} free")
    try:
        _copy_pages(source.raw, target, told)
    except apsw.Error as error:
        raise typed(error) from error


def _copy_pages(source: Any, target: Path, told: Told) -> None:
    copy = apsw.Connection(str(target))
    try:
        # Nobody sees the file before it is whole and synced, so a journal of it would protect nothing.
        copy.execute("PRAGMA journal_mode = OFF").fetchall()
        copy.execute("PRAGMA synchronous = OFF")
        with copy.backup("main", source, "main") as work:
            while not work.done:
                work.step(PAGES)
                told(work.page_count - work.remaining, work.page_count)
        # One file that can be read anywhere: no log beside it, and none asked for.
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        copy.close()


def quick_check(db: SQLiteDatabase) -> list[str]:
    """What SQLite finds wrong with the file, a sentence each."""
    return [str(row[0]) for row in db.rows("integrity") if row[0] != "ok"]


def count_events(db: SQLiteDatabase) -> int:
    """How many events the file holds."""
    return int(db.rows("count_events")[0][0])


def alone(path: Path) -> SQLiteDatabase:
    """The ledger's file, locked so that no other connection can use it. Raises `LedgerInUse` if one does now.

    Everyone who has a ledger open keeps a shared lock on its file: getting the exclusive one proves that nobody has.
    """
    try:
        return SQLiteDatabase(path, exclusive=True)
    except StoreBusy as error:
        raise LedgerInUse(f"{path} is open in another process") from error


def overwrite(target: SQLiteDatabase, source: Path, told: Told) -> None:
    """Gives the ledger `target` (see `alone`) the content of the file `source`, in one transaction of SQLite.

    The file itself stays: whoever waits to open it must not come to another one with the same log beside it.
    """
    try:
        part = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            with target.raw.backup("main", part, "main") as work:
                while not work.done:
                    work.step(PAGES)
                    told(work.page_count - work.remaining, work.page_count)
        finally:
            part.close()
        target.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except apsw.Error as error:
        raise typed(error) from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def sync(path: Path) -> None:
    """Makes the file's content durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
