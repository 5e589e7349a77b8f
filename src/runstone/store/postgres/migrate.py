"""Numbered, forward-only migrations. Each commits together with its record and is checked by its content afterwards.

The newest record of the table `migrations` says which schema a database has. One of a later version is opened only if
that version says that ours may still use it (`meta.usable_from`); its columns and tables that we do not know are left
alone.
"""

import secrets

from runstone.errors import SchemaTooNew, SchemaTooOld, StoreCorrupt, WorkspaceNotFound
from runstone.store import crashpoints
from runstone.store.migrations import Migration, altered, of
from runstone.store.postgres.database import PostgresDatabase

_RECORDS = """CREATE TABLE migrations (
  number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)"""

_STANDING = """SELECT to_regclass('migrations') IS NOT NULL AND to_regclass('numbers') IS NOT NULL, EXISTS (
  SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    AND relname IN ('migrations', 'numbers', 'meta', 'runs', 'events', 'journal', 'threads', 'messages', 'views'))"""


def migrations() -> tuple[Migration, ...]:
    """All migrations of this store in order."""
    return of("runstone.store.postgres")


def version(db: PostgresDatabase) -> int:
    """The ledger's schema number; 0 for a database without one. Raises `StoreCorrupt` for one of another program."""
    ours, taken = db.query(_STANDING)[0]
    if not ours:
        if taken:
            raise StoreCorrupt(
                "the database has tables of another program under the names of Runstone's",
                hint="give the ledger a database of its own, or a schema: postgresql://...?options=-csearch_path=NAME",
            )
        return 0
    return int(db.query("SELECT coalesce(max(number), 0) FROM migrations")[0][0])


def check(db: PostgresDatabase, *, up_to: int | None = None) -> bool:
    """Whether migrations are missing. Raises `SchemaTooNew` where this version may not use the ledger."""
    known = up_to or migrations()[-1].number
    number = version(db)
    if number > known:
        rows = db.query("SELECT value FROM meta WHERE name = 'usable_from'")
        if not rows or int(rows[0][0]) > known:
            raise SchemaTooNew(
                f"the database has schema {number}; this version of Runstone knows up to {known}"
            )
    return number < known


def require(db: PostgresDatabase) -> None:
    """Raises `WorkspaceNotFound` for a database without a ledger."""
    if version(db) == 0:
        raise WorkspaceNotFound(
            "there is no ledger in this database", hint="make it by writing there: runstone --dsn DSN run ..."
        )


def require_current(db: PostgresDatabase) -> None:
    """For readers, which never upgrade. Raises `WorkspaceNotFound`, `SchemaTooOld` or `SchemaTooNew`."""
    require(db)
    if check(db):
        raise SchemaTooOld(
            f"the database has schema {version(db)}; this version reads {migrations()[-1].number}",
            hint="open it once for writing to upgrade it, after a backup: pg_dump",
        )


def upgrade(db: PostgresDatabase, *, up_to: int | None = None) -> None:
    """Brings the ledger to the current schema, each step whole or not at all; several processes may do so at once."""
    steps = [m for m in migrations() if up_to is None or m.number <= up_to]
    if version(db) and (wrong := altered(db)):
        raise StoreCorrupt(wrong[0], hint="it was made by an unreleased version: use another database")
    if not check(db, up_to=steps[-1].number):
        return
    for step in steps:
        _apply(db, step)


def _apply(db: PostgresDatabase, step: Migration) -> None:
    with db.alone():
        if version(db) >= step.number:  # another process was first
            return
        if step.number == 1:
            db.run(_RECORDS)
        db.run(step.sql)
        if step.number == 1:
            db.run(f"INSERT INTO meta VALUES ('epoch', '{secrets.token_hex(4)}')")  # noqa: S608
        # The texts are this package's own: a number, a file's name, a hash.
        db.run(f"INSERT INTO migrations VALUES ({step.number}, '{step.name}', '{step.checksum}')")  # noqa: S608
        db.run(
            f"INSERT INTO meta VALUES ('usable_from', '{step.number}') "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )
        crashpoints.point("migrate.before_commit")
    crashpoints.point("migrate.after_commit")
