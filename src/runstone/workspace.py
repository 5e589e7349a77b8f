"""The workspace: the folder with `.runstone/` in it. Finds or creates it, and sees that only its owner can read it."""

import os
import stat
import sys
from pathlib import Path
from typing import Final

import msgspec

from runstone.domain import codec
from runstone.errors import InvalidInput, StoreReadOnly, WorkspaceNotFound

FOLDER: Final = ".runstone"
DATABASE: Final = "ledger.db"
VARIABLE: Final = "RUNSTONE_WORKSPACE"


class Workspace(msgspec.Struct, frozen=True):
    """A folder that holds a ledger."""

    root: Path
    created: bool = False

    @property
    def folder(self) -> Path:
        """`.runstone/`, which ignores itself in git and is readable by its owner only."""
        return self.root / FOLDER

    @property
    def database(self) -> Path:
        """The ledger's file. Open it through Runstone or SQLite only: see docs/explanation/durability.md."""
        return self.folder / DATABASE


def find(start: Path | None = None) -> Workspace | None:
    """The workspace that `$RUNSTONE_WORKSPACE` names, else the nearest at `start` or above, else None."""
    named = os.environ.get(VARIABLE)
    if named and start is None:
        return _at(Path(named))
    folder = (start or Path.cwd()).resolve()
    for place in (folder, *folder.parents):
        if (workspace := _at(place)) is not None:
            return workspace
    return None


def _at(root: Path) -> Workspace | None:
    try:
        return Workspace(root.resolve()) if (root / FOLDER / DATABASE).is_file() else None
    except PermissionError as error:
        raise StoreReadOnly(
            f"{root / FOLDER} belongs to somebody else, and you may not read it",
            hint="ask its owner, or name another workspace with --workspace DIR",
        ) from error


def locate(path: str | os.PathLike[str] | None, *, create: bool) -> Workspace:
    """The workspace of `path` (exactly there), or the one that `find` finds; created there or here if it may be.

    Raises `InvalidInput`, `WorkspaceNotFound` or `StoreReadOnly`.
    """
    named = os.environ.get(VARIABLE)
    given = None if path is None else _folder(path)
    found = _at(given) if given is not None else find()
    if found is not None:
        return found
    root = given or Path(named or Path.cwd())
    if not create:
        where = f"in {root}" if given or named else f"in {root} or above"
        raise WorkspaceNotFound(f"there is no Runstone workspace {where}")
    return _create(root, notice=given is None and not named)


def _folder(path: str | os.PathLike[str]) -> Path:
    """A caller's path. An empty one is refused: it must not mean the current folder by accident."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text or not _fits_file_names(text):
        raise InvalidInput(
            f"the workspace's path must be the path of a folder, not {codec.shown(path)}",
            hint='name the folder; "." is the current one',
        )
    if text.startswith(("postgresql:", "postgres:")):
        raise InvalidInput("this version keeps the ledger in a folder, not in PostgreSQL")
    return Path(text)


def _fits_file_names(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def create(root: Path) -> Workspace:
    """The workspace's folder in `root`, made where it is missing; no ledger is. Raises `StoreReadOnly`."""
    return _create(root, notice=False)


def _create(root: Path, *, notice: bool) -> Workspace:
    folder = root / FOLDER
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise StoreReadOnly(f"{folder} cannot be created: {error.strerror}") from error
    if notice and not (folder / DATABASE).exists():
        sys.stderr.write(f"runstone: created the workspace {folder}\n")
    return Workspace(root.resolve(), created=True)


def protect(workspace: Workspace) -> None:
    """Takes group and others every right to a file that was just created; prompts and results are in it."""
    for name in (DATABASE, DATABASE + "-wal", DATABASE + "-shm"):
        path = workspace.folder / name
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o600)
        except FileNotFoundError:
            continue
