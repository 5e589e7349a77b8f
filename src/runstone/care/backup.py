"""`backup`: one file with everything in it, taken while others write.

The copy appears under its name only when it is whole, checked and synced; until then it is `NAME.part`, which is
locked while somebody writes it, so that the next backup knows what a killed one left.
"""

import os
import re
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from runstone import workspace as places
from runstone.care import parts
from runstone.errors import InvalidInput, StoreCorrupt, StoreError, StoreReadOnly
from runstone.ledger import Ledger
from runstone.store import crashpoints
from runstone.store.sqlite import copy
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.workspace import Workspace

FOLDER: Final = "backups"
_MINE: Final = re.compile(r"ledger-\d{8}T\d{6}Z(-\d+)?\.db")
_SAME_SECOND: Final = 100
"""So many backups of one second get names; a loop that makes more of them is a mistake."""

_OWN_FILES: Final = (".gitignore", FOLDER, places.DATABASE)


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was taken. Times are milliseconds, sizes bytes."""

    file: Path
    bytes: int
    runs: int
    events: int
    last_position: int
    epoch: str
    schema: int
    checked: str
    """`quick`: the file and its counts; `full`: every run against its events, too."""
    elapsed_ms: int
    log_bytes: int
    """How large the write-ahead log was when the copy was done: it keeps what others write meanwhile."""
    removed: tuple[Path, ...] = ()
    left_out: tuple[Path, ...] = ()
    """What lies beside the ledger and is not in it."""


class BackupFile(Workspace, frozen=True, kw_only=True):
    """A ledger's file anywhere, for what works on a workspace's."""

    file: Path

    @property
    def database(self) -> Path:
        """The file itself."""
        return self.file


def folder_of(workspace: Workspace) -> Path:
    """Where backups go by default."""
    return workspace.folder / FOLDER


def listed(workspace: Workspace) -> list[Path]:
    """The backups of the default folder that were named by their time, oldest first."""
    found = [
        file for file in folder_of(workspace).glob("*.db") if _MINE.fullmatch(file.name) and file.is_file()
    ]
    return sorted(found, key=lambda file: file.stem)


def backup(
    workspace: Workspace,
    file: Path | None = None,
    *,
    force: bool = False,
    full: bool = False,
    keep: int | None = None,
    told: copy.Told = lambda done, of: None,
) -> Backup:
    """Copies the ledger into `file`, by default a new one in `.runstone/backups/`, and checks the copy.

    `full` verifies the copy as `verify` does; `keep` then removes all but the newest so many of the default folder.
    Raises `InvalidInput`, `StoreBusy` if another process writes that very file, and other `StoreError` subclasses;
    nothing is left behind then.
    """
    if keep is not None and (keep < 1 or file is not None):
        raise InvalidInput("keep is at least 1, and for backups in the workspace's own folder only")
    began = time.monotonic()
    target = _target(workspace, file, force)
    with parts.writing(target) as part:
        source = copy.open_file(workspace.database)
        relief = _relief(workspace.database)
        try:
            facts = copy.snapshot(source, part, told, relieve=relief)
            log_bytes = _size(workspace.database.with_name(workspace.database.name + "-wal"))
        finally:
            for connection in filter(None, (source, relief)):
                connection.close()
        crashpoints.point("backup.copied")
        events = check(part, facts, full=full)
        final = _publish(part, target, replace=force, counted=file is None)
    return Backup(
        file=final, bytes=facts.bytes, runs=facts.runs, events=events, last_position=facts.last_position,
        epoch=facts.epoch, schema=facts.schema, checked="full" if full else "quick", log_bytes=log_bytes,
        removed=_remove_older(workspace, keep), left_out=tuple(left_out(workspace)),
        elapsed_ms=int((time.monotonic() - began) * 1000),
    )  # fmt: skip


def _target(workspace: Workspace, file: Path | None, force: bool) -> Path:
    """The name that the backup is to have; the default folder is made where it is missing."""
    if file is None:
        folder = folder_of(workspace)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            parts.sweep(folder)
            parts.sweep(workspace.folder)
        except OSError as error:
            raise StoreReadOnly(
                f"{folder} cannot be written: {error.strerror}",
                hint="name a file elsewhere: runstone backup FILE",
            ) from error
        return folder / f"ledger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"
    if file.is_dir():
        raise InvalidInput(f"{file} is a folder; name the file in it: {file / 'ledger.db'}")
    if not file.parent.is_dir():
        make = shlex.join(["mkdir", "-p", str(file.parent)])
        raise InvalidInput(f"there is no folder {file.parent}", hint=f"make it: {make}")
    if file.resolve().parent == workspace.folder.resolve() and file.name.startswith(places.DATABASE):
        raise InvalidInput(f"{file} is the ledger itself, or one of its own files; name another")
    if file.exists() and not force:
        raise InvalidInput(
            f"{file} exists; nothing was written", hint="name another file, or replace it with --force"
        )
    return file


def check(part: Path, facts: copy.Facts, *, full: bool) -> int:
    """Reads the copy as whoever restores it will. Gives how many events it has; raises `StoreCorrupt`."""
    db = SQLiteDatabase(part, readonly=True)
    try:
        found = copy.quick_check(db)
        if not found and copy.facts(db) != facts:
            found = ["the copy does not have what was copied"]
        events = 0 if found else copy.count_events(db)
    finally:
        db.close()
    if full and not found:
        with Ledger(BackupFile(root=part.parent, file=part), readonly=True) as ledger:
            found = [str(one) for one in ledger.care.verify()]
    if found:
        raise StoreCorrupt(
            f"the ledger is damaged, and so is its copy, which was not kept: {found[0]}",
            hint="see all that is wrong: runstone verify; an older backup may be sound: runstone restore FILE --to DIR",
        )
    return events


def _publish(part: Path, target: Path, *, replace: bool, counted: bool) -> Path:
    """Gives the copy its name. `counted`: a name that is taken gets a number."""
    for number in range(1, _SAME_SECOND):
        name = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        if replace:
            part.replace(name)
        elif not parts.link(part, name):
            if counted:
                continue
            raise InvalidInput(f"{name} exists; nothing was written", hint="replace it with --force")
        parts.sync_folder(name.parent)
        crashpoints.point("backup.published")
        return name
    raise InvalidInput(f"{target} and {_SAME_SECOND} more of this second exist")


def left_out(workspace: Workspace) -> list[Path]:
    """What lies beside the ledger, and in no backup: files of commands that run, and the settings."""
    inside = [
        entry
        for entry in sorted(workspace.folder.iterdir())
        if not entry.name.startswith(_OWN_FILES) and not entry.match("ledger-*.db")
    ]
    settings = workspace.root / "runstone.toml"
    return [*inside, *([settings] if settings.exists() else [])]


def _relief(database: Path) -> SQLiteDatabase | None:
    """A connection that may take the log over into the file; None where this user may only read."""
    if not (os.access(database, os.W_OK) and os.access(database.parent, os.W_OK)):
        return None
    try:
        return SQLiteDatabase(database)
    except StoreError:
        return None  # a damaged file is found by the check of the copy


def _remove_older(workspace: Workspace, keep: int | None) -> tuple[Path, ...]:
    if keep is None:
        return ()
    older = tuple(listed(workspace)[:-keep])
    for file in older:
        file.unlink(missing_ok=True)
    return older


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
