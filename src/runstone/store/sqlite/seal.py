"""Sealing a ledger that is moved: from then on it can be read, and nobody goes on writing it, in whatever process.

The number of the schema is made one that no version knows. Writers look at it in each transaction, those of older
versions, too; what they had acknowledged before is in the file, and goes along.
"""

from pathlib import Path

from runstone.errors import RunIsLive
from runstone.store.sqlite import migrate
from runstone.store.sqlite.database import SQLiteDatabase


def sealed_for(path: Path) -> str | None:
    """Where the ledger was moved to, or is being moved; None if it goes on here."""
    db = SQLiteDatabase(path, readonly=True)
    try:
        if db.query("PRAGMA user_version")[0][0] != migrate.SEALED:
            return None
        return str(db.query("SELECT value FROM meta WHERE name = 'moved_to'")[0][0])
    finally:
        db.close()


def seal(path: Path, to: str, now: int) -> None:
    """Seals it. Raises `RunIsLive` where somebody works on a run; nothing has changed then."""
    db = SQLiteDatabase(path)
    try:
        db.begin()
        try:
            live = [row[0] for row in db.rows("all_leases") if row[4] >= now]
            if live:
                raise RunIsLive(
                    f"{len(live)} runs are being worked on, {live[0]} among them; nothing was moved",
                    hint="end what works on them, or wait: runstone runs list --status running",
                    run_id=live[0],
                )
            db.insert("note_in_meta", [("moved_to", to), ("usable_from", str(migrate.SEALED))])
            db.query(f"PRAGMA user_version = {migrate.SEALED}")
            db.commit()
        except BaseException:
            db.rollback()
            raise
    finally:
        db.close()


def unseal(path: Path) -> str | None:
    """Lets it go on here again. Gives where it had been moved to; None for one that was not sealed."""
    to = sealed_for(path)
    if to is None:
        return None
    db = SQLiteDatabase(path)
    try:
        db.begin()
        try:
            number = migrate.version(db)
            db.insert("note_in_meta", [("usable_from", str(number))])
            db.query("DELETE FROM meta WHERE name = 'moved_to'")
            db.query(f"PRAGMA user_version = {number}")
            db.commit()
        except BaseException:
            db.rollback()
            raise
    finally:
        db.close()
    return to
