"""Which server a workspace has: one at a time, known by a lock that ends with its process, and a file that names it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from runstone.client.connecting import ServerFile, server_file, server_of
from runstone.errors import ServerRuns, StoreReadOnly

_LOCK: Final = "up.lock"
_LOOKS_S: Final = 0.5
"""So long whoever starts one waits for others who only look whether there is one."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Holds the place of the workspace's server. `folder` is `.runstone/`. Raises `ServerRuns`, `StoreReadOnly`."""
    lock = _open(folder)
    try:
        until = time.monotonic() + _LOOKS_S
        while not _locked(lock, fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise runs(server_of(folder))
            time.sleep(0.02)
        try:
            yield
        finally:
            server_file(folder).unlink(missing_ok=True)
    finally:
        os.close(lock)


def announce(folder: Path, url: str) -> None:
    """Says where the server listens, for this user's other programs."""
    file = server_file(folder)
    new = file.with_name(f"{file.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(
            descriptor, msgspec.json.encode(ServerFile(url=url, pid=os.getpid(), started_at=time.time()))
        )
    finally:
        os.close(descriptor)
    new.replace(file)


def running(folder: Path) -> ServerFile | None:
    """The workspace's server, if one runs and listens."""
    try:
        lock = _open(folder, create=False)
    except (FileNotFoundError, StoreReadOnly):
        return None
    try:
        return None if _locked(lock, fcntl.LOCK_SH) else server_of(folder)
    finally:
        os.close(lock)


def until_ended(folder: Path, seconds: float) -> bool:
    """Waits until no server runs; whether that is so."""
    until = time.monotonic() + seconds
    while running(folder) is not None:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _open(folder: Path, *, create: bool = True) -> int:
    place = folder / "server"
    try:
        if create:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return os.open(place / _LOCK, flags, 0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreReadOnly(f"{place} cannot be written: {error.strerror}") from error


def _locked(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def runs(there: ServerFile | None) -> ServerRuns:
    """The error that names the server that runs."""
    if there is None:
        return ServerRuns("a server of this workspace is just starting")
    return ServerRuns(
        f"a server of this workspace runs at {there.url} (process {there.pid})", url=there.url, pid=there.pid
    )
