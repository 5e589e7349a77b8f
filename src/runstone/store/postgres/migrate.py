"""Numbered, forward-only migrations. Each commits together with its record and is checked by its content afterwards.

The newest record of the table `migrations` says which schema a database has. One of a later version is opened only if
that version says that ours may still use it (`meta.usable_from`); its columns and tables that we do not know are left
alone.
"""

import hashlib
import secrets
from functools import cache
from importlib import resources

import msgspec

from runstone.errors import SchemaTooNew, SchemaTooOld, StoreCorrupt, WorkspaceNotFound
from runstone.store import crashpoints
from runstone.store.postgres.database import PostgresDatabase

_RECORDS = """CREATE TABLE migrations (
  number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)"""

_STANDING = """SELECT to_regclass('migrations') IS NOT NULL AND to_regclass('numbers') IS NOT NULL, EXISTS (
  SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    AND relname IN ('migrations', 'numbers', 'meta', 'runs', 'events', 'journal', 'threads', 'messages', 'views'))"""


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text; a migration that was released is never edited."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def migrations() -> list[Migration]:
    """All migrations in order, from the package's files `NNNN_name.sql`."""
    folder = resources.files("runstone.store.postgres") / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return [Migration(int(f.name[:4]), f.name[5:-4], f.read_text(encoding="utf-8")) for f in files]


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


def require_current(db: PostgresDatabase) -> None:
    """For readers, which never upgrade. Raises `WorkspaceNotFound`, `SchemaTooOld` or `SchemaTooNew`."""
    number = version(db)
    if number == 0:
        raise WorkspaceNotFound(
            "there is no ledger in this database", hint="create it by opening it once for writing"
        )
    if check(db):
        raise SchemaTooOld(
            f"the database has schema {number}; this version reads {migrations()[-1].number}",
            hint="open it once for writing to upgrade it, after a backup: pg_dump",
        )


def upgrade(db: PostgresDatabase, *, up_to: int | None = None) -> None:
    """Brings the ledger to the current schema, each step whole or not at all; several processes may do so at once."""
    steps = [m for m in migrations() if up_to is None or m.number <= up_to]
    if version(db) and (altered := verify_records(db)):
        raise StoreCorrupt(altered[0], hint="it was made by an unreleased version: use another database")
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


def verify_records(db: PostgresDatabase) -> list[str]:
    """What is wrong with the recorded migrations, a sentence each."""
    applied = {
        number: (name, checksum)
        for number, name, checksum in db.query("SELECT number, name, checksum FROM migrations")
    }
    return [
        f"migration {step.number} was applied with another content than this version has"
        for step in migrations()
        if step.number in applied and applied[step.number] != (step.name, step.checksum)
    ]
