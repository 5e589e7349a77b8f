"""Files that appear under their name only when they are whole: until then they are `NAME.part`.

A part is locked while somebody writes it, so that whoever comes next knows what a killed one left.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runstone.errors import StoreBusy, StoreIO, StoreReadOnly

PART: Final = ".part"
STAGING: Final = "restoring-"
"""Parts of `restore` begin so, in the workspace's own folder."""


@contextmanager
def writing(target: Path) -> Iterator[Path]:
    """The file that becomes `target`: empty, for its owner only, locked, and gone at the end unless it was moved."""
    part = target.with_name(target.name + PART)
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreReadOnly(
            f"{part} cannot be written: {error.strerror}", hint="name a file in a folder that you may write"
        ) from error
    try:
        if not _lock(descriptor, part):
            raise StoreBusy(f"another process writes {part}", hint="wait for it, or name another file")
        try:
            os.ftruncate(descriptor, 0)
            yield part
        except OSError as error:
            raise StoreIO(f"{error.filename or part} cannot be written: {error.strerror}") from error
        finally:
            for name in (part, part.with_name(part.name + "-journal")):
                name.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Whether the file is this process's now, and still the one of that name. SQLite's locks are of another kind."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def sweep(folder: Path) -> list[Path]:
    """Removes what killed backups left in the folder: parts that nobody locks."""
    removed = list(abandoned(folder))
    for left in removed:
        left.unlink(missing_ok=True)
    return removed


def abandoned(folder: Path) -> Iterator[Path]:
    """What killed backups and restores left in the folder."""
    for part in folder.glob(f"*.db{PART}"):
        try:
            descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # it has just ended, or is another user's
        try:
            if _lock(descriptor, part):
                yield part
                yield from sides(part) if part.name.startswith(STAGING) else ()
        finally:
            os.close(descriptor)


def sides(part: Path) -> list[Path]:
    """What working on a part of `restore` leaves beside it: SQLite's own files, and the copy of an upgrade."""
    return [file for file in part.parent.glob(f"{part.stem}*") if file != part]


def link(part: Path, name: Path) -> bool:
    """Moves the part to a name that must be free; False if it is not."""
    try:
        os.link(part, name)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links (FAT): the look and the move are two steps there
        if name.exists():
            return False
        part.rename(name)
    return True


def sync(path: Path) -> None:
    """Makes a file's content durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes the names in the folder durable."""
    sync(folder)
