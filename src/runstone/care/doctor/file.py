"""The ledger's file: whether it is sound and current, its log, and its backups."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runstone.care import backup as backups
from runstone.care import parts
from runstone.care.doctor.check import Check, note, ok, problem, warning
from runstone.errors import SchemaTooNew, StoreError
from runstone.store.sqlite import inspect
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.workspace import Workspace

LOG_LARGE: Final = 256 << 20
_QUICK_S: Final = 5.0
_FREE_SHARE: Final = 0.25
_FREE_BYTES: Final = 64 << 20
_DAY_S: Final = 86_400
_OLD_DAYS: Final = 7


def check_file(db: SQLiteDatabase) -> Iterator[Check]:
    """What SQLite says of the file."""
    found = inspect.numbers(db)
    yield check_schema(db, found)
    yield check_mode(found.journal_mode)
    yield check_free(found.free_pages, found.pages, found.page_size, shrinks=found.auto_vacuum == 2)
    yield check_sound(db)


def check_schema(db: SQLiteDatabase, found: inspect.Numbers) -> Check:
    """The schema's number against what this version knows."""
    try:
        inspect.usable(db)
    except SchemaTooNew as error:
        return problem("file.schema", f"{error}", "pip install --upgrade runstone")
    if found.schema < found.known_schema:
        return note(
            "file.schema",
            f"schema {found.schema}; opening it for writing upgrades it to {found.known_schema}, after a backup",
            "runstone verify --upgrade",
        )
    return ok("file.schema", f"schema {found.schema}")


def check_mode(mode: str) -> Check:
    """Readers and a writer at once need the log; whoever opens the ledger for writing turns it on."""
    if mode == "wal":
        return ok("file.journal", "the write-ahead log is on")
    return note(
        "file.journal",
        f"journal mode is {mode}; opening it for writing sets wal",
        "runstone verify --upgrade",
    )


def check_free(free: int, pages: int, size: int, *, shrinks: bool) -> Check:
    """Pages that hold nothing."""
    told = f"{pages * size >> 20:,} MB, {free * size >> 20:,} MB of them free; pages of {size} bytes"
    if shrinks and free * size > _FREE_BYTES and free > pages * _FREE_SHARE:
        return note("file.pages", f"{told}: space can be given back", "runstone prune --help")
    return ok("file.pages", told)


def check_sound(db: SQLiteDatabase) -> Check:
    """SQLite's quick check, as far as it comes in a few seconds."""
    rows = inspect.rows_within(db, _QUICK_S, "integrity")
    if rows is None:
        return note("file.sound", f"the quick check took longer than {_QUICK_S:.0f} s", "runstone verify")
    bad = [str(row[0]) for row in rows if row[0] != "ok"]
    if bad:
        return problem("file.sound", f"the file is damaged: {bad[0]}", "runstone verify")
    return ok("file.sound", "SQLite's quick check finds nothing")


def check_opening(path: Path, error: StoreError) -> Check:
    """A file that cannot be read at all."""
    backup = newest_backup(path)
    if backup is None:
        return problem("file.open", f"{error}", f"ls -l {shlex.quote(str(path.parent))}")
    return problem("file.open", f"{error}", f"runstone restore {shlex.quote(str(backup))} --replace")


def newest_backup(database: Path) -> Path | None:
    """The last backup of the default folder."""
    found = backups.listed(Workspace(database.parent.parent))
    return found[-1] if found else None


def check_log(size: int, readers: list[int]) -> Check:
    """`readers` are processes that read the log now: one that never ends keeps it from being taken over."""
    if size < LOG_LARGE:
        return ok("file.log", f"the log has {size >> 20} MB")
    if readers:
        told = f"the log has grown to {size >> 20:,} MB; process {readers[0]} may be reading it for long"
        return warning("file.log", told, f"ps -o pid,stat,etime,args -p {','.join(map(str, readers))}")
    return warning(
        "file.log",
        f"the log has grown to {size >> 20:,} MB",
        "runstone verify --upgrade",
    )


def check_backups(workspace: Workspace, now: int, newest_event: int | None) -> Iterator[Check]:
    """How old the last backup is, against what came since; and copies of before an upgrade or a restore."""
    found = backups.listed(workspace)
    if not found:
        yield note("backups.last", "there is no backup", "runstone backup")
    else:
        taken = found[-1].stat().st_mtime
        days = int((now / 1e6 - taken) // _DAY_S)
        total = sum(file.stat().st_size for file in found)
        told = f"{len(found)} backups, {total >> 20:,} MB, the last {days} days old"
        newer = newest_event is not None and newest_event / 1e6 > taken
        old = days >= _OLD_DAYS and newer
        yield note("backups.last", told, "runstone backup --keep 7") if old else ok("backups.last", told)
    kept = [*workspace.folder.glob("ledger-before-*.db"), *workspace.folder.glob("ledger-replaced-*.db")]
    if kept:
        size = sum(file.stat().st_size for file in kept)
        names = " ".join(shlex.quote(str(file)) for file in sorted(kept))
        what = "1 copy" if len(kept) == 1 else f"{len(kept)} copies"
        told = (
            f"{what} from before an upgrade, repair or restore, {size / 1e6:,.1f} MB: remove when all is well"
        )
        yield note("backups.kept", told, f"rm {names}")
    left = [
        part
        for folder in (backups.folder_of(workspace), workspace.folder)
        for part in parts.abandoned(folder)
    ]
    if left:
        yield note(
            "backups.parts",
            f"{len(left)} files of a backup or a restore that did not end",
            "runstone backup",
        )
