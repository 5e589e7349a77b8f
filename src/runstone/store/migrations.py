"""Numbered migrations: files `NNNN_name.sql` of a store's package, and what became of those that were applied."""

import hashlib
from functools import cache
from importlib import resources

import msgspec

from runstone.store.base import Database


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
def of(package: str) -> tuple[Migration, ...]:
    """All migrations of a store in order."""
    folder = resources.files(package) / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return tuple(Migration(int(f.name[:4]), f.name[5:-4], f.read_text(encoding="utf-8")) for f in files)


def altered(db: Database) -> list[str]:
    """What is wrong with the recorded migrations, a sentence each."""
    applied = {number: (name, checksum) for number, name, checksum in db.rows("applied_migrations")}
    return [
        f"migration {step.number} was applied with another content than this version has"
        for step in of(db.package)
        if step.number in applied and applied[step.number] != (step.name, step.checksum)
    ]
