"""SQLite's write-ahead log: made empty, so that what a file lost is lost on the disk, too."""

from pathlib import Path

from runstone.store.sqlite.database import SQLiteDatabase

_PATIENCE_MS = 100
"""So long writers wait for us at most, where a reader still needs the log."""


def truncate(path: Path) -> bool:
    """Copies the log into the file, and empties it. False where somebody still reads what is in it: it is kept then."""
    db = SQLiteDatabase(path)
    try:
        db.rows("copy_log")  # most of it, beside writers; what is left for the next one is little
        db.raw.set_busy_timeout(_PATIENCE_MS)
        busy, *_ = db.rows("empty_log")[0]
        return not busy
    finally:
        db.close()
