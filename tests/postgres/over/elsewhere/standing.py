"""Which database stands for a folder, told by a file in it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from runstone import workspace as places
from runstone.errors import RunstoneError, WorkspaceNotFound

FILE = ".shared-ledger"
READY = "LEDGERS_READY"
"""Names the folder with what stands ready for folders that are made here."""

locate_folder = places.locate


def dsn_of(root: Path) -> str | None:
    """The DSN of what stands for the folder."""
    try:
        return (root / FILE).read_text()
    except OSError:
        return None


def stands_for(root: Path, dsn: str) -> None:
    """Has a ledger stand for a folder."""
    root.mkdir(parents=True, exist_ok=True)
    part = root / f"{FILE}.part"
    part.write_text(dsn)
    part.rename(root / FILE)


def folder(path: Any) -> Path | None:
    """The folder that is meant; None where something else is named, or nothing."""
    if path is None or places.is_dsn(path):
        return None
    try:
        return places._folder(path).resolve()  # what is refused elsewhere is refused here, too
    except RunstoneError:
        return None


def locate(path: Any, *, create: bool) -> places.Workspace:
    """As `runstone.workspace.locate`, for folders that a shared ledger stands for."""
    root = folder(path)
    if root is None:
        return locate_folder(path, create=create)
    dsn = dsn_of(root) or (_made(root) if create else None)
    if dsn is None:
        raise WorkspaceNotFound(f"there is no Runstone workspace in {root}")
    return places.Workspace(root, dsn=dsn, may_begin=create)


def _made(root: Path) -> str | None:
    """What stands ready becomes the folder's."""
    root.mkdir(parents=True, exist_ok=True)
    for laid in sorted(Path(os.environ.get(READY, "/nowhere")).glob("*")):
        with suppress(FileNotFoundError):  # another process has taken it
            laid.rename(root / FILE)
            return dsn_of(root)
    return None
