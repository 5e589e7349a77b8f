"""Which database stands for a folder, told by a file in it."""

from pathlib import Path
from typing import Any

from runstone import workspace as places
from runstone.errors import WorkspaceNotFound

FILE = ".shared-ledger"


def dsn_of(root: Path) -> str | None:
    """The DSN of what stands for the folder."""
    try:
        return (root / FILE).read_text()
    except OSError:
        return None


def stands_for(root: Path, dsn: str) -> None:
    """Has a ledger stand for a folder."""
    part = root / f"{FILE}.part"
    part.write_text(dsn)
    part.rename(root / FILE)


def locate(path: Any, *, create: bool) -> places.Workspace:
    """As `runstone.workspace.locate`, for folders that a shared ledger stands for."""
    root = Path(path).resolve()
    dsn = dsn_of(root)
    if dsn is None:
        raise WorkspaceNotFound(f"there is no ledger for {root}")
    return places.Workspace(root, dsn=dsn, may_begin=create)
