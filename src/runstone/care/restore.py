"""`restore`: a ledger from a backup, in a workspace of its own or in the place of the present one.

A restored ledger is a new one with an old content: it begins an epoch, and nothing in it is in the hands of the
original's owners. All of that is done to a copy beside the place; what takes the place is whole, or nothing does.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone import workspace as places
from runstone.care import backup as backups
from runstone.care import parts
from runstone.care.replacing import replace, require_free
from runstone.domain.clock import Clock
from runstone.errors import InvalidInput, NotFound, Refused, StoreCorrupt, StoreReadOnly
from runstone.store import crashpoints
from runstone.store.base import Write
from runstone.store.clock import SystemClock
from runstone.store.reads import Reader
from runstone.store.sqlite import copy
from runstone.store.sqlite import open as sqlite
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.store.writer import Writer
from runstone.store.writes.boards import MoveCommand
from runstone.store.writes.lifecycle import InterruptRun
from runstone.store.writes.restoring import BeginEpoch, DisownProcess
from runstone.workspace import Workspace

_GROUP: Final = 1_000


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger that was restored."""

    workspace: Path
    file: Path
    runs: int
    events: int
    epoch: str
    from_epoch: str
    schema: int
    from_schema: int
    interrupted: tuple[str, ...]
    """Runs that were running when the backup was taken, and those that hung on them."""
    rejected: int
    """Orders that nobody had carried out."""
    disowned: int
    """Process groups that the original had started, and that only it may end."""
    replaced: Path | None
    """The ledger that was there before, kept aside."""
    commands: Path | None
    """The folder of its background commands, kept aside: a run of the same id is another one now."""
    elapsed_ms: int


class _Parted(msgspec.Struct, frozen=True):
    """What was taken out of the original's hands."""

    epoch: str
    interrupted: tuple[str, ...]
    rejected: int
    disowned: int


def restore(
    file: Path,
    root: Path,
    *,
    over: bool = False,
    told: copy.Told = lambda done, of: None,
    clock: Clock | None = None,
) -> Restored:
    """Restores the backup `file` into the workspace `root`; `over` replaces the ledger that is there.

    Raises `NotFound`, `StoreCorrupt` for a file that is no ledger or a damaged one, `SchemaTooNew`, `Refused` where a
    ledger is in the place, `LedgerInUse` where it must not be replaced now; nothing has changed then.
    """
    began = time.monotonic()
    workspace = Workspace(root.resolve())
    with closing(_source(file)) as source:
        facts = copy.facts(source)
        _require_place(workspace, file, over)
        with _staging(workspace) as part:
            copy.snapshot(source, part, told)
            events = backups.check(part, facts, full=False)
            parted = _part(part, facts, file, clock or SystemClock())
            crashpoints.point("restore.prepared")
            schema = _finish(part)
            aside = replace(workspace, part, over=over, told=told)
    return Restored(
        workspace=workspace.root, file=file, runs=facts.runs, events=events, epoch=parted.epoch,
        from_epoch=facts.epoch, schema=schema, from_schema=facts.schema, interrupted=parted.interrupted,
        rejected=parted.rejected, disowned=parted.disowned, replaced=aside.ledger, commands=aside.commands,
        elapsed_ms=int((time.monotonic() - began) * 1000),
    )  # fmt: skip


def _source(file: Path) -> SQLiteDatabase:
    if not file.exists():
        raise NotFound(f"there is no file {file}", hint="see what there is: ls .runstone/backups")
    if not file.is_file():
        raise InvalidInput(
            f"{file} is no file", hint="name the backup's file, such as .runstone/backups/ledger-….db"
        )
    return copy.open_file(file)


def _require_place(workspace: Workspace, file: Path, over: bool) -> None:
    """Refuses early what `replace` would refuse late, before anything large is copied."""
    database = workspace.database
    if not database.exists():
        return
    if file.samefile(database):
        raise InvalidInput(f"{file} is the ledger that is there")
    if not over:
        raise Refused(
            f"{workspace.folder} has a ledger; nothing was changed",
            hint="restore beside it with --to DIR, or put it aside with --replace",
        )
    require_free(database)


@contextmanager
def _staging(workspace: Workspace) -> Iterator[Path]:
    """The file that is made ready in the workspace's own folder, so that it can take the place in one step."""
    made = [folder for folder in (workspace.folder, workspace.root) if not folder.exists()]
    try:
        places.create(workspace.root)
        parts.sweep(workspace.folder)
    except OSError as error:
        raise StoreReadOnly(f"{workspace.folder} cannot be written: {error.strerror}") from error
    try:
        with parts.writing(workspace.folder / f"{parts.STAGING}{secrets.token_hex(4)}.db") as part:
            try:
                yield part
            finally:
                for left in parts.sides(part):
                    left.unlink(missing_ok=True)
    finally:
        if not workspace.database.exists():
            _take_back(workspace, made)


def _take_back(workspace: Workspace, made: list[Path]) -> None:
    """Removes the folders that this restore made, where nothing has come into them."""
    with suppress(OSError):
        if workspace.folder in made:
            (workspace.folder / ".gitignore").unlink()
        for folder in made:
            folder.rmdir()


def _part(part: Path, facts: copy.Facts, file: Path, clock: Clock) -> _Parted:
    """Parts the copy from its original: a new epoch, and nothing that is in somebody's hands."""
    sqlite.prepare(part)
    reason = f"the ledger was restored from {file.name}, as it was at position {facts.last_position}"
    writer = Writer(sqlite.writer(part), clock)
    try:
        with closing(Reader(sqlite.reader(part), clock)) as reader:
            running: list[Write] = [
                InterruptRun(run, attempt, reason) for run, attempt in reader.rows("running_runs")
            ]
            processes: list[Write] = [
                DisownProcess(record.run_id, record.attempt, record.pgid, reason)
                for record, _ in reader.attempts.unended_processes()
            ]
            orders: list[Write] = [
                MoveCommand(one, "rejected", reason) for (one,) in reader.rows("open_command_ids")
            ]
        epoch = secrets.token_hex(4)
        origin = {"from_epoch": facts.epoch, "position": facts.last_position, "at": clock.now()}
        _all(writer, [BeginEpoch(epoch, origin), *processes, *orders])
        interrupted = [run for changed in _all(writer, running) for run in changed]
    finally:
        writer.close()
    return _Parted(epoch, tuple(interrupted), len(orders), len(processes))


def _all(writer: Writer, writes: list[Write]) -> list[Any]:
    """Writes all of them, and gives their values."""
    values: list[Any] = []
    for start in range(0, len(writes), _GROUP):
        receipts = [writer.submit(write, []) for write in writes[start : start + _GROUP]]
        values += [receipt.result() for receipt in receipts]
    return values


def _finish(part: Path) -> int:
    """Checks what takes the place once more. Gives its schema."""
    with closing(SQLiteDatabase(part, readonly=True)) as db:
        if found := copy.quick_check(db):
            raise StoreCorrupt(f"the restored copy is damaged: {found[0]}")
        return copy.facts(db).schema
