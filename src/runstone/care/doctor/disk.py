"""Where the bytes are."""

from collections.abc import Iterator
from typing import Final

from runstone.care.doctor.check import Check, note, ok
from runstone.store.base import Row
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.store.sqlite.inspect import library, rows_within

_LOOK_S: Final = 2.0


def check_disk(db: SQLiteDatabase) -> Iterator[Check]:
    """The largest tables, runs, threads and values, each as far as it is found in two seconds."""
    if "ENABLE_DBSTAT_VTAB" in library().options:
        yield _told("disk.tables", "largest tables", _rows(db, "bytes_by_table"), size=True)
    else:
        yield note("disk.tables", "this SQLite cannot tell what each table takes", "runstone verify --help")
    yield _told("disk.runs", "runs with most events", _rows(db, "biggest_runs"))
    yield _told("disk.threads", "threads with most messages", _rows(db, "biggest_threads"))
    yield _told("disk.blobs", "largest values", _rows(db, "biggest_blobs"), size=True)


def _rows(db: SQLiteDatabase, name: str) -> list[Row] | None:
    return rows_within(db, _LOOK_S, name)


def _told(name: str, what: str, rows: list[Row] | None, *, size: bool = False) -> Check:
    if rows is None:
        return note(name, f"{what}: the ledger is too large to look in {_LOOK_S:.0f} s")
    if not rows:
        return ok(name, f"{what}: none")
    shown = ", ".join(
        f"{who[:40]} {count >> 10:,} kB" if size else f"{who[:60]} {count:,}" for who, count in rows
    )
    return ok(name, f"{what}: {shown}")
