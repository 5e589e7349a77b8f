"""Puts a restored ledger in its place: in a workspace without one, or over the present one while nobody uses it."""

import fcntl
import os
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from runstone import workspace as places
from runstone.care import parts
from runstone.care.open_files import holders
from runstone.domain.records import Lease, ProcessRecord
from runstone.engine.background import folder as spools
from runstone.engine.groups import group_alive
from runstone.engine.liveness import identity_of
from runstone.engine.processes import is_alive
from runstone.errors import LedgerInUse, Refused, StoreCorrupt
from runstone.store import crashpoints
from runstone.store.clock import SystemClock
from runstone.store.reads import Reader
from runstone.store.sqlite import copy, migrate
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.workspace import Workspace

_SIDES: Final = ("-wal", "-shm", "-journal")
_SAME_SECOND: Final = 100
"""So many ledgers may be replaced in one second; a loop that replaces more is a mistake."""

_NAMED: Final = 3
"""So many of the processes that have the ledger open are named in a message."""


class Aside(msgspec.Struct, frozen=True):
    """Where what was in the place is kept; None for what was not there."""

    ledger: Path | None = None
    commands: Path | None = None


def replace(workspace: Workspace, part: Path, *, over: bool, told: copy.Told) -> Aside:
    """Makes `part` the workspace's ledger, whole or not at all. Gives where the one before is kept.

    Raises `Refused` where a ledger is in the place and `over` was not said, `LedgerInUse` where something uses it.
    """
    database = workspace.database
    aside, commands = _free_names(workspace)
    if not database.exists():
        return Aside(commands=_put(workspace, part, aside, commands))
    if not over:
        raise Refused(f"a ledger has come into {workspace.folder} meanwhile; nothing was changed")
    present = _alone(database)
    if present is None:
        moved = _replace_unreadable(workspace, part, aside, commands)
    else:
        with closing(present):
            require_unused(present)
            _keep(present, aside, told)
            copy.overwrite(present, part, told)
            crashpoints.point("restore.replaced")
            moved = _move_commands(workspace, commands)
    places.protect(workspace)
    return Aside(aside, moved)


def _free_names(workspace: Workspace) -> tuple[Path, Path]:
    """Names for the ledger and for the folder of its commands that nothing has: of a second there may be several."""
    stamp = f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in range(1, _SAME_SECOND):
        name = stamp if number == 1 else f"{stamp}-{number}"
        ledger, commands = (
            workspace.folder / f"ledger-{name}.db",
            workspace.folder / f"{spools.FOLDER}-{name}",
        )
        if not (ledger.exists() or commands.exists()):
            return ledger, commands
    raise Refused(
        f"{workspace.folder} has {_SAME_SECOND} replaced ledgers of this second; nothing was changed"
    )


def _move_commands(workspace: Workspace, name: Path) -> Path | None:
    """Puts aside what commands of the ledger before have left: a run of the same id must not take it over."""
    folder = workspace.folder / spools.FOLDER
    try:
        folder.rename(name)
    except FileNotFoundError:
        return None
    return name


def require_free(database: Path) -> None:
    """Raises `LedgerInUse` if something uses the ledger now; `replace` asks again when it has the lock."""
    present = _alone(database)
    if present is not None:
        with closing(present):
            require_unused(present)


def require_unused(present: SQLiteDatabase) -> None:
    """Raises `LedgerInUse` for a run that is held from elsewhere, and for a process of a run that still lives.

    What a damaged ledger does not tell is not asked: that nobody has it open is known by the lock.
    """
    clock = SystemClock()
    reader = Reader(lambda: present, clock)
    with suppress(StoreCorrupt):
        if not migrate.version(present):
            return  # an empty file: a ledger whose making was cut off
        for lease in reader.attempts.leases():
            _require_ended_lease(lease, clock.now())
        for record, _ in reader.attempts.unended_processes():
            _require_ended_process(record)


def _require_ended_lease(lease: Lease, now: int) -> None:
    identity = identity_of(lease.identity)
    if lease.expires_at.timestamp() * 1e6 < now or (identity is not None and is_alive(identity) is False):
        return
    raise LedgerInUse(
        f"run {lease.run_id} is held by process {lease.identity.get('pid')} on {lease.identity.get('host')}",
        hint=f"stop it first (runstone runs stop {lease.run_id}), or restore beside it with --to DIR",
    )


def _require_ended_process(record: ProcessRecord) -> None:
    identity = identity_of(record.identity)
    if identity is not None and group_alive(identity):
        raise LedgerInUse(
            f"process group {record.pgid} of run {record.run_id} still runs; the restored ledger would not know it",
            hint=f"stop it first (runstone runs stop {record.run_id}), or restore beside it with --to DIR",
        )


def _alone(database: Path) -> SQLiteDatabase | None:
    """The present ledger, locked against everyone; None if SQLite cannot open it. Raises `LedgerInUse`."""
    try:
        return copy.alone(database)
    except StoreCorrupt:
        return None
    except LedgerInUse as error:
        found = [str(holder) for holder in holders(database)[:_NAMED]]
        raise LedgerInUse(
            f"{database} is open in {', '.join(found) or 'this process, or one that cannot be seen'}"
        ) from error


def _keep(present: SQLiteDatabase, aside: Path, told: copy.Told) -> None:
    """Copies the present ledger aside, whatever is in its pages."""
    with parts.writing(aside) as part:
        with present.snapshot():
            copy.pages(present, part, told)
        copy.sync(part)
        part.rename(aside)
    parts.sync_folder(aside.parent)
    crashpoints.point("restore.kept")


def _put(workspace: Workspace, part: Path, aside: Path, commands: Path) -> Path | None:
    """Gives the part the ledger's name. A log without its ledger is put aside: it would be taken for the new one's.

    So are commands, before anybody can begin one with the new ledger. Gives where they are, if there were any.
    """
    _move_sides(workspace, aside)
    moved = _move_commands(workspace, commands)
    if not parts.link(part, workspace.database):
        if moved is not None:
            moved.rename(workspace.folder / spools.FOLDER)
        raise Refused(f"a ledger has come into {workspace.folder} meanwhile; nothing was changed")
    places.protect(workspace)
    parts.sync_folder(workspace.folder)
    crashpoints.point("restore.replaced")
    return moved


def _replace_unreadable(workspace: Workspace, part: Path, aside: Path, commands: Path) -> Path | None:
    """For a file that SQLite refuses to open: nobody can use it, so it may be moved and another put in its place."""
    descriptor = os.open(workspace.database, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:  # the locks of SQLite are locks of this kind; who opened it while it was whole still has one
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            found = ", ".join(str(holder) for holder in holders(workspace.database)[:_NAMED])
            raise LedgerInUse(
                f"{workspace.database} is open in {found or 'a process that cannot be seen'}"
            ) from error
        workspace.database.rename(aside)
        return _put(workspace, part, aside, commands)
    finally:
        os.close(descriptor)


def _move_sides(workspace: Workspace, aside: Path) -> None:
    for suffix in _SIDES:
        side = workspace.database.with_name(workspace.database.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
