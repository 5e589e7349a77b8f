"""Numbered, forward-only migrations. Each commits together with its record and is checked by its content afterwards.

`PRAGMA user_version` is the number of the last migration. A ledger of a later version is opened only if that version
says that ours may still use it (`meta.usable_from`); its columns and tables that we do not know are left alone.
"""

import os
import secrets
import time
from pathlib import Path
from typing import Any

import apsw

from runstone.errors import (
    LedgerMoved,
    SchemaTooNew,
    SchemaTooOld,
    StoreCorrupt,
    StoreError,
    WorkspaceNotFound,
)
from runstone.store import crashpoints
from runstone.store.blobs import decompress
from runstone.store.migrations import Migration, altered, of
from runstone.store.sqlite.database import SQLiteDatabase, typed
from runstone.store.writes import texts

SEALED = 1_000_000_000
"""The schema number of a ledger that was moved: no version knows it, so that nobody goes on writing, however old."""

APPLICATION_ID = 0x52756E53  # "RunS": `file` and SQLite tools can tell whose file it is

_RECORDS = """
CREATE TABLE migrations (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT"""


def migrations() -> tuple[Migration, ...]:
    """All migrations of this store in order."""
    return of("runstone.store.sqlite")


def version(db: SQLiteDatabase) -> int:
    """The ledger's schema number; 0 for an empty file. Raises `StoreCorrupt` for a file that is no ledger.

    That of a sealed one is what it had: whoever writes asks `check_open` first.
    """
    try:
        number = int(db.raw.execute("PRAGMA user_version").get)
        application = int(db.raw.execute("PRAGMA application_id").get)
        empty = not db.raw.execute("SELECT count(*) FROM sqlite_schema").get
    except apsw.Error as error:
        raise typed(error) from error
    if application != APPLICATION_ID and not (empty and application == 0):
        raise StoreCorrupt(
            f"{db.path} is a SQLite database of another program",
            hint="name another workspace with --workspace DIR",
        )
    return int(db.query("SELECT max(number) FROM migrations")[0][0]) if number == SEALED else number


def check_open(db: SQLiteDatabase) -> None:
    """For writers. Raises `LedgerMoved` for a ledger that is sealed, and as `check` does."""
    if db.query("PRAGMA user_version")[0][0] == SEALED:
        (to,) = db.query("SELECT value FROM meta WHERE name = 'moved_to'")[0]
        raise LedgerMoved(f"{db.path} was moved to {to}, and can only be read here")
    check(db)


def check(db: SQLiteDatabase, *, up_to: int | None = None) -> bool:
    """Whether migrations are missing. Raises `SchemaTooNew` where this version may not use the ledger."""
    known = up_to or migrations()[-1].number
    number = version(db)
    if number > known:
        rows = db.query("SELECT value FROM meta WHERE name = 'usable_from'")
        if not rows or int(rows[0][0]) > known:
            raise SchemaTooNew(f"{db.path} has schema {number}; this version of Runstone knows up to {known}")
    return number < known


def require_current(db: SQLiteDatabase) -> None:
    """For readers, which never upgrade. Raises `WorkspaceNotFound`, `SchemaTooOld` or `SchemaTooNew`."""
    if version(db) == 0:
        raise WorkspaceNotFound(f"{db.path} is being created; there is nothing to read yet")
    if check(db):
        raise SchemaTooOld(
            f"{db.path} has schema {version(db)}; this version reads {migrations()[-1].number}"
        )


def upgrade(db: SQLiteDatabase, *, up_to: int | None = None) -> None:
    """Brings the ledger to the current schema. A ledger with content is backed up first, beside the file."""
    steps = [m for m in migrations() if up_to is None or m.number <= up_to]
    before = version(db)
    if before and (wrong := altered(db)):
        raise StoreCorrupt(
            f"{db.path}: {wrong[0]}", hint="it was made by an unreleased version: use another workspace"
        )
    if not check(db, up_to=steps[-1].number):
        return
    db.raw.create_scalar_function("searchable", _searchable, 2, deterministic=True)
    if before:
        backup(db, db.path.with_name(f"{db.path.stem}-before-{steps[-1].number:04}.db"))
    for step in steps:
        _apply(db, step)


def _apply(db: SQLiteDatabase, step: Migration) -> None:
    db.begin()
    try:
        if version(db) < step.number:  # another process may have been first
            if step.number == 1:
                db.query(f"PRAGMA application_id = {APPLICATION_ID}")
                db.query(_RECORDS)
            db.query(step.sql)
            if step.number == 1:
                db.query("INSERT INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
            db.query(
                "INSERT INTO migrations VALUES (?, ?, ?, ?)",
                (step.number, step.name, step.checksum, time.time_ns() // 1000),
            )
            db.query(
                "INSERT INTO meta VALUES ('usable_from', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (str(step.number),),
            )
            db.query(f"PRAGMA user_version = {step.number}")
            crashpoints.point("migrate.before_commit")
        db.commit()
        crashpoints.point("migrate.after_commit")
    except BaseException:
        db.rollback()
        raise


def _searchable(*blob: Any) -> str:
    """What the full-text index takes of a blob (codec, data); a damaged one is left out, and `verify` names it."""
    number, data = blob
    try:
        return texts.indexed(decompress(number, data).decode(errors="replace"))
    except StoreError:
        return ""


def backup(db: SQLiteDatabase, target: Path) -> None:
    """Copies the ledger through SQLite (never by the file system) into `target`, which is there whole or not at all.

    One that exists is kept: it is of an upgrade that did not finish, and the older copy is the better one.
    """
    if target.exists():
        return
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)  # prompts and results are in it
    try:
        destination = apsw.Connection(str(part))
        try:
            with destination.backup("main", db.raw, "main") as copy:
                while not copy.done:
                    copy.step(1_000)
        finally:
            destination.close()
    except apsw.Error as error:
        part.unlink(missing_ok=True)
        raise typed(error) from error
    crashpoints.point("migrate.before_backup")
    part.replace(target)
    crashpoints.point("migrate.after_backup")
