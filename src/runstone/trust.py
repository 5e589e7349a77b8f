"""Whether a workspace's own code may run: its files belong to this user, and the user said so once.

Trust is given to a folder, by its path, and kept in the user's state folder, where a workspace cannot write it.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from runstone.errors import ConfigNotTrusted

VARIABLE: Final = "RUNSTONE_STATE_DIR"
_ROOT_USER: Final = 0


def is_trusted(root: Path) -> bool:
    """Whether this user has trusted the folder."""
    record = _record(root)
    try:
        return record.is_file() and (not hasattr(os, "getuid") or record.stat().st_uid == os.getuid())
    except OSError:
        return False


def trust(root: Path) -> None:
    """Lets what runs things load the folder's runstone.toml from now on, for this user. Raises ConfigNotTrusted."""
    record = _record(root)
    try:
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record.write_text(f"{root.resolve()}\n")
    except OSError as error:
        raise ConfigNotTrusted(
            f"the trust in {root} cannot be recorded in {record.parent}: {error.strerror}",
            hint=f"make that folder writable, or name another one in ${VARIABLE}",
        ) from error


def read_owned(file: Path) -> bytes:
    """The file's bytes. Raises ConfigNotTrusted if anyone but this user and root could have written them."""
    try:
        _require_owned(file.parent, file.parent.stat())
        with file.open("rb") as stream:
            _require_owned(file, os.fstat(stream.fileno()))
            return stream.read()
    except OSError as error:
        raise ConfigNotTrusted(f"{file} cannot be read: {error.strerror}", hint="check its rights") from error


def _require_owned(path: Path, found: os.stat_result) -> None:
    if not hasattr(os, "getuid"):  # no owners of this kind there; the recorded trust has to do
        return
    user = os.getuid()
    if found.st_uid not in {user, _ROOT_USER}:
        raise ConfigNotTrusted(
            f"{path} belongs to user {found.st_uid}, not to you ({user})",
            hint=f"read it, and make it yours: chown {user} {path}",
        )
    mode = found.st_mode
    sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX  # as /tmp: others cannot replace what is yours
    others = mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _own_group(found.st_gid, user))
    if others and not sticky:
        raise ConfigNotTrusted(
            f"{path} can be written by other users", hint=f"read it, then take that away: chmod go-w {path}"
        )


def _own_group(group: int, user: int) -> bool:
    """Where everyone has a group of their own name, files are group-writable by default, and that is harmless."""
    import grp
    import pwd

    try:
        return grp.getgrgid(group).gr_name == pwd.getpwuid(user).pw_name
    except KeyError:
        return False


def _record(root: Path) -> Path:
    folder = os.environ.get(VARIABLE)
    if not folder:
        import platformdirs

        folder = platformdirs.user_state_dir("runstone", appauthor=False)
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    return Path(folder) / "trusted" / name
