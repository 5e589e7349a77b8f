"""All looks, each by itself: one that fails is a finding, and the others go on."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from runstone.care.doctor import (
    database,
    disk,
    file,
    ghosts,
    locks,
    machine,
    place,
    rights,
    settings,
    versions,
)
from runstone.care.doctor.check import Check, note, problem
from runstone.domain.clock import Clock
from runstone.engine.liveness import DeadOwners
from runstone.errors import StoreError
from runstone.store import backends
from runstone.store.clock import SystemClock
from runstone.store.reads import Reader
from runstone.store.sqlite import copy
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.workspace import Workspace


def examine(workspace: Workspace | None, root: Path, clock: Clock | None = None) -> list[Check]:
    """What there is to say of the workspace; without one, of this machine and the folder `root`. Never raises."""
    clock = clock or SystemClock()
    found = list(_each(("versions", versions.check_versions), ("machine", machine.check_machine)))
    found += _each(("environment", lambda: settings.check_environment(os.environ)))
    found += _each(("settings", lambda: settings.check_settings(root)))
    found += _each(("settings.redaction", lambda: settings.check_redaction(root)))
    if workspace is None:
        return [
            *found,
            note("workspace", f"there is no workspace in {root} or above", "runstone run repo-audit"),
        ]
    if workspace.dsn is not None:
        return found + list(_of_database(workspace, workspace.dsn, clock))
    folder = workspace.folder
    found += _each(
        ("place", lambda: place.check_place(folder)),
        ("rights", lambda: rights.check_rights(workspace)),
        # Before SQLite opens the file here: this process's own locks are of no interest.
        ("locks", lambda: locks.check_locks(workspace.database)),
    )
    return found + list(_of_ledger(workspace, clock))


def _of_ledger(workspace: Workspace, clock: Clock) -> Iterator[Check]:
    try:
        db = copy.open_file(workspace.database)
    except StoreError as error:
        yield file.check_opening(workspace.database, error)
        yield from _each(("backups", lambda: file.check_backups(workspace, clock.now(), None)))
        return
    try:
        yield from _of_open_ledger(workspace, db, clock)
    finally:
        db.close()


def _of_open_ledger(workspace: Workspace, db: SQLiteDatabase, clock: Clock) -> Iterator[Check]:
    reader = Reader(lambda: db, clock, dead=DeadOwners(clock))
    newest = _newest(db)
    yield from _each(
        ("file", lambda: file.check_file(db)),
        ("ghosts", lambda: ghosts.check_ghosts(reader, workspace, clock.now())),
        ("settings.hook", lambda: settings.check_hook(db)),
        ("disk", lambda: disk.check_disk(db)),
        ("machine.clock", lambda: [machine.check_clock(clock.now(), newest)]),
        ("backups", lambda: file.check_backups(workspace, clock.now(), newest)),
    )


def _of_database(workspace: Workspace, dsn: str, clock: Clock) -> Iterator[Check]:
    try:
        backends.of(dsn)
        from runstone.store.postgres import inspect
        from runstone.store.postgres import open as postgres

        db = postgres.reader(dsn)()
    except StoreError as error:
        yield database.check_opening(error)
        return
    try:
        try:
            facts = inspect.server(db)
        except StoreError as error:
            yield database.check_opening(error)
            return
        yield from _each(("database", lambda: database.check_server(facts)))
        if facts.schema:
            clock = postgres.clock(dsn)
            reader = Reader(lambda: db, clock, dead=DeadOwners(clock))
            yield from _each(
                ("database.rights", lambda: [database.check_rights(inspect.rights(db))]),
                ("ghosts", lambda: ghosts.check_ghosts(reader, workspace, clock.now())),
            )
    finally:
        db.close()


def _newest(db: SQLiteDatabase) -> int | None:
    try:
        newest = db.rows("newest_event")[0][0]
    except StoreError:
        return None  # the looks at the file say why
    return None if newest is None else int(newest)


def _each(*looks: tuple[str, Callable[[], Iterable[Check]]]) -> Iterator[Check]:
    for name, look in looks:
        try:
            yield from look()
        except Exception as error:
            yield problem(name, f"this look failed: {type(error).__name__}: {error}", "runstone verify")
