"""What is shown otherwise than it is: processes without a run, runs without an owner, folders without either."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from runstone.care.doctor.check import Check, note, ok, warning
from runstone.domain.records import Lease, ProcessRecord
from runstone.engine.background.folder import FOLDER, ExecFolder, Launch
from runstone.engine.groups import group_alive
from runstone.engine.liveness import identity_of
from runstone.engine.processes import ProcessIdentity, is_alive
from runstone.store.reads import Reader
from runstone.workspace import Workspace

_SHOWN: Final = 20
Alive = Callable[[ProcessIdentity], bool | None]


def check_ghosts(reader: Reader, workspace: Workspace, now: int) -> Iterator[Check]:
    """Processes, leases and folders of commands."""
    yield from check_processes(reader.attempts.unended_processes(), group_alive)
    yield from check_leases(reader.attempts.leases(), now, is_alive)
    yield from check_folders(workspace, lambda run_id: _status(reader, run_id))


def check_processes(recorded: Iterable[tuple[ProcessRecord, str]], alive: Alive) -> Iterator[Check]:
    """Process groups that were recorded and not ended, with the status of their run."""
    living, gone = [], []
    for record, status in recorded:
        identity = identity_of(record.identity)
        lives = None if identity is None else alive(identity)
        if lives and status != "running":
            living.append((record, status))
        elif lives is False and status != "running":
            gone.append(record)
    for record, status in living[:_SHOWN]:
        told = f"run {record.run_id} is {status}, and its process group {record.pgid} still runs"
        yield warning("ghosts.processes", told, f"runstone runs stop {shlex.quote(record.run_id)}")
    if gone:
        told = (
            f"{len(gone)} process groups have ended and nobody recorded it, the first of run {gone[0].run_id}"
        )
        yield note("ghosts.processes", told, f"runstone runs show {shlex.quote(gone[0].run_id)}")
    if not living and not gone:
        yield ok("ghosts.processes", "no process is left of a run that does not run")


def check_leases(leases: Iterable[Lease], now: int, alive: Alive) -> Iterator[Check]:
    """Leases whose owner is dead or has been silent: readers show those runs interrupted, nobody has recorded it."""
    lost = [lease for lease in leases if _lost(lease, now, alive)]
    if not lost:
        yield ok("ghosts.leases", "every lease has an owner")
        return
    told = f"{len(lost)} runs have lost their owner and are not recorded as interrupted yet, the first {lost[0].run_id}"
    yield note("ghosts.leases", told, "runstone verify --upgrade")


def _lost(lease: Lease, now: int, alive: Alive) -> bool:
    identity = identity_of(lease.identity)
    if identity is not None and alive(identity) is False:
        return True
    return lease.expires_at.timestamp() * 1e6 < now


def check_folders(workspace: Workspace, status_of: Callable[[str], str | None]) -> Iterator[Check]:
    """Folders of background commands whose run has completed, or is not there."""
    place = workspace.folder / FOLDER
    left = []
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        launch = _launch(workspace, folder.name)
        if launch is None or status_of(launch.run_id) in (None, "completed"):
            left.append(folder)
    if left:
        told = f"{len(left)} folders of commands have no run that needs them, the first {left[0].name}"
        yield note(
            "ghosts.folders", told, f"rm -r {' '.join(shlex.quote(str(one)) for one in left[:_SHOWN])}"
        )
    else:
        yield ok("ghosts.folders", "every folder of a command has its run")


def _launch(workspace: Workspace, name: str) -> Launch | None:
    try:
        text = (workspace.folder / FOLDER / name / "launch.json").read_bytes()
        launch: Any = msgspec.json.decode(text, type=Launch)
    except (OSError, msgspec.MsgspecError):
        return None
    return launch if ExecFolder(workspace.folder, launch.run_id).path.name == name else None


def _status(reader: Reader, run_id: str) -> str | None:
    rows = reader.rows("run_status", run_id=run_id)
    return str(rows[0][0]) if rows else None
