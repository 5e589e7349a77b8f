"""Who else may read or write what is the owner's alone."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runstone.care.doctor.check import Check, note, ok, problem, warning
from runstone.workspace import DATABASE, Workspace

_PRIVATE: Final = ("ledger*.db*", "backups", "backups/*", "exec")


def check_rights(workspace: Workspace) -> Iterator[Check]:
    """Modes and owners of the folder and what is in it, and whether git leaves it alone."""
    yield check_private(workspace.folder, [file for glob in _PRIVATE for file in workspace.folder.glob(glob)])
    yield check_owner(workspace.folder)
    yield check_writable(workspace)
    yield check_parent(workspace.root)
    yield check_ignored(workspace.folder)


def check_private(folder: Path, files: list[Path]) -> Check:
    """Prompts and results are in these files: the folder is 0700, what is in it 0600."""
    paths = [folder, *sorted(files)]
    open_ = [path for path in paths if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_:
        names = " ".join(shlex.quote(str(path)) for path in open_)
        return warning(
            "rights.private", f"others may read {', '.join(p.name for p in open_[:3])}", f"chmod go= {names}"
        )
    return ok("rights.private", "only the owner may read the ledger")


def check_owner(folder: Path) -> Check:
    """A file of another user (after sudo) keeps this one from writing."""
    user = os.getuid()
    foreign = [path for path in (folder, *sorted(folder.iterdir())) if path.stat().st_uid != user]
    if foreign and user != 0:
        who = f"{', '.join(path.name for path in foreign[:3])} belong to another user"
        return problem("rights.owner", who, f"sudo chown -R {user} {shlex.quote(str(folder))}")
    if foreign:
        return note(
            "rights.owner", f"{foreign[0].name} belongs to user {foreign[0].stat().st_uid}, you are root"
        )
    return ok("rights.owner", "all files are yours")


def check_writable(workspace: Workspace) -> Check:
    """Reading works without."""
    shut = [path for path in (workspace.folder, workspace.database) if path.exists() and not _writable(path)]
    if shut:
        return warning(
            "rights.writable", f"{shut[0]} cannot be written", f"chmod u+w {shlex.quote(str(shut[0]))}"
        )
    return ok("rights.writable", "the ledger can be written")


def _writable(path: Path) -> bool:
    # The mode, too: root may write everything, and Runstone does not.
    return bool(path.stat().st_mode & 0o222) and os.access(path, os.W_OK)


def check_parent(root: Path) -> Check:
    """Whoever may write the folder above may put another ledger, or another runstone.toml, in the place of yours."""
    for folder in (root, *root.parents):
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return warning(
                "rights.parent", f"everyone may write {folder}", f"chmod o-w {shlex.quote(str(folder))}"
            )
    mode = root.stat().st_mode
    if mode & stat.S_IWGRP:
        return note("rights.parent", f"the group may write {root}", f"chmod g-w {shlex.quote(str(root))}")
    return ok("rights.parent", "nobody else may change the folders above")


def check_ignored(folder: Path) -> Check:
    """The ledger has what no repository should have."""
    ignore = folder / ".gitignore"
    try:
        ignored = "*" in ignore.read_text().split()
    except OSError:
        ignored = False
    if ignored:
        return ok("rights.git", f"git leaves {folder.name} alone")
    return warning(
        "rights.git", f"git would take {folder.name}/{DATABASE}", f"echo '*' > {shlex.quote(str(ignore))}"
    )
