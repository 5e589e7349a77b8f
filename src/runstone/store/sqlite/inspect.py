"""Looks at a ledger's file for `doctor`: what SQLite can do here, and what it says of the file. Nothing is changed."""

import time
from typing import Any, Final

import apsw
import msgspec

from runstone.store.base import Row
from runstone.store.sqlite import migrate
from runstone.store.sqlite.database import SQLiteDatabase

_STEPS: Final = 20_000
"""Steps of SQLite's machine between two looks at the clock: a millisecond, about."""


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """The SQLite that is linked here."""

    version: str
    driver: str
    options: tuple[str, ...]


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of itself."""

    journal_mode: str
    auto_vacuum: int
    page_size: int
    pages: int
    free_pages: int
    schema: int
    known_schema: int

    @property
    def bytes(self) -> int:
        """The size of the file, without its log."""
        return self.pages * self.page_size


def library() -> Library:
    """The SQLite that is linked here."""
    return Library(
        version=apsw.sqlite_lib_version(), driver=apsw.apsw_version(), options=tuple(apsw.compile_options)
    )


def numbers(db: SQLiteDatabase) -> Numbers:
    """What the file says of itself. Raises `StoreError` subclasses."""
    schema = migrate.version(db)

    def pragma(name: str) -> Any:
        return db.query(f"PRAGMA {name}")[0][0]

    return Numbers(
        journal_mode=pragma("journal_mode"), auto_vacuum=pragma("auto_vacuum"), page_size=pragma("page_size"),
        pages=pragma("page_count"), free_pages=pragma("freelist_count"), schema=schema,
        known_schema=migrate.migrations()[-1].number,
    )  # fmt: skip


def usable(db: SQLiteDatabase) -> None:
    """Raises `SchemaTooNew` or `StoreCorrupt` if this version cannot use the file."""
    migrate.check(db)


def rows_within(db: SQLiteDatabase, seconds: float, name: str, /, **params: Any) -> list[Row] | None:
    """Rows of the statement, or None if that took longer."""
    late = False
    deadline = time.monotonic() + seconds

    def look() -> bool:
        nonlocal late
        late = time.monotonic() > deadline
        return late

    db.raw.set_progress_handler(look, _STEPS)
    try:
        return db.rows(name, params)
    except Exception:
        if late:
            return None
        raise
    finally:
        db.raw.set_progress_handler(None)
