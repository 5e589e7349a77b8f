"""The workspace: the folder with `.runstone/` in it, or a PostgreSQL database that several machines share.

Finds or creates it, and sees that only its owner can read what lies in the folder. A shared ledger has a folder on each
machine, too: for its settings (runstone.toml), its server's token and the output of commands in the background.
"""

import hashlib
import os
import re
import stat
import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

from runstone.domain import codec
from runstone.errors import InvalidInput, StoreReadOnly, WorkspaceNotFound

FOLDER: Final = ".runstone"
DATABASE: Final = "ledger.db"
SHARED: Final = "shared"
VARIABLE: Final = "RUNSTONE_WORKSPACE"
DSN: Final = "RUNSTONE_DSN"

_DSN: Final = re.compile(r"postgres(?:ql)?:|\s*(?:host|hostaddr|port|dbname|user|service)\s*=")
_PASSWORD: Final = re.compile(
    r"(?<=://)([^:@/?]*):[^@/]*(?=@)|\b(?:ssl)?password\s*=\s*(?:'(?:[^'\\]|\\.)*'|[^\s&]*)", re.IGNORECASE
)


_SECRET: Final = re.compile(
    r"(?<=://)[^:@/?]*:([^@/]*)(?=@)|\b(?:ssl)?password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&]*))",
    re.IGNORECASE,
)


class Workspace(msgspec.Struct, frozen=True):
    """A folder that holds a ledger, or this machine's folder for a ledger that is in PostgreSQL."""

    root: Path
    created: bool = False
    dsn: str | None = None
    """How a shared ledger is reached. It may have a password in it: show `name`."""
    may_begin: bool = True
    """Whether a database that holds no ledger yet may become one."""

    @property
    def folder(self) -> Path:
        """`.runstone/`, which ignores itself in git and is readable by its owner only; of a shared one a part of it."""
        folder = self.root / FOLDER
        if self.dsn is None:
            return folder
        return folder / SHARED / hashlib.blake2b(shown_dsn(self.dsn).encode(), digest_size=6).hexdigest()

    @property
    def name(self) -> str:
        """What people know it by: the folder, or the DSN without its password."""
        return str(self.root) if self.dsn is None else shown_dsn(self.dsn)

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


def is_dsn(text: str | os.PathLike[str] | None) -> bool:
    """Whether it names a database, and no folder."""
    return isinstance(text, str) and _DSN.match(text) is not None


def shown_dsn(dsn: str) -> str:
    """The DSN without its password, as it may be shown."""
    return _PASSWORD.sub(lambda found: found[1] or "", dsn).strip()


def passwords_of(dsn: str) -> list[str]:
    """The passwords in a DSN, as they are written and as they are meant."""
    found = [next(filter(None, match.groups()), "") for match in _SECRET.finditer(dsn)]
    return [form for text in found if text for form in dict.fromkeys((text, unquote(text)))]


def here(start: Path | None = None) -> Path:
    """The folder whose settings count for a shared ledger.

    `$RUNSTONE_WORKSPACE`, else the nearest with a workspace or a runstone.toml at or above the current one, else that.
    """
    named = os.environ.get(VARIABLE)
    if named and start is None:
        return Path(named).resolve()
    folder = (start or Path.cwd()).resolve()
    found = (p for p in (folder, *folder.parents) if (p / FOLDER).is_dir() or (p / "runstone.toml").is_file())
    return next(found, folder)


def dsn_of(path: str | os.PathLike[str] | None) -> str | None:
    """The shared ledger that is meant: the one that is named, else that of `$RUNSTONE_DSN` where nothing is named."""
    if path is None:
        return os.environ.get(DSN) or None
    return path if isinstance(path, str) and is_dsn(path) else None


def _furnish(workspace: Workspace) -> None:
    """Makes this machine's folder for a shared ledger. Raises `StoreReadOnly`."""
    _create(workspace.root, notice=False)
    try:
        workspace.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreReadOnly(f"{workspace.folder} cannot be created: {error.strerror}") from error


def locate(path: str | os.PathLike[str] | None, *, create: bool) -> Workspace:
    """The workspace of `path` (exactly there, or a DSN), else of `$RUNSTONE_DSN`, else the one that `find` finds.

    It is created there or here if it may be. Raises `InvalidInput`, `WorkspaceNotFound` or `StoreReadOnly`.
    """
    if dsn := dsn_of(path):
        return Workspace(here(), dsn=dsn, may_begin=create)
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
    """Takes group and others every right to a file that was just created; prompts and results are in it.

    A shared ledger gets this machine's folder. Raises `StoreReadOnly`.
    """
    if workspace.dsn is not None:
        _furnish(workspace)
    for name in (DATABASE, DATABASE + "-wal", DATABASE + "-shm"):
        path = workspace.folder / name
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o600)
        except FileNotFoundError:
            continue
