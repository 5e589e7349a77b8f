"""Reading one tracked file of a work tree exactly once, without following links out of it."""

import hashlib
import os
import stat

from runstone.audit.git_tree import SUBMODULE, SYMLINK, Tracked, name_of
from runstone.audit.records import FileEntry
from runstone.audit.text_checks import kind_of

MAX_BYTES = 1_000_000  # Above this a tracked file is data or generated; tools take seconds to minutes on it.


class Unreadable(Exception):
    """A tracked path that can't be inspected. The message is the reason that the report shows."""


def describe(root: bytes, tracked: Tracked) -> FileEntry:
    """The entry of one tracked path: size, hash and kind of its bytes now, or why it is not inspected."""
    name, raw = name_of(tracked.path)
    entry: FileEntry = {"path": name, "mode": tracked.mode, "kind": "skipped", "size": 0, "sha256": ""}
    if raw is not None:
        entry["raw"] = raw
    try:
        data = read_tracked(root, tracked.path, tracked.mode)
    except Unreadable as problem:
        # The object id stands in for the content: a new version of a skipped file is a changed input, too.
        return entry | {"sha256": f"git:{tracked.object_id}", "skip": str(problem)}
    return entry | {"size": len(data), "sha256": digest(data), "kind": kind_of(name, data)}


def digest(data: bytes) -> str:
    """The hash that makes a changed file a changed input."""
    return hashlib.sha256(data).hexdigest()


def read_tracked(root: bytes, path: bytes, mode: str) -> bytes:
    """The bytes of a regular file below `root`. Raises Unreadable with a reason for everything else."""
    if mode == SUBMODULE:
        raise Unreadable("submodule: its files belong to another repository")
    if mode == SYMLINK:
        raise Unreadable("symbolic link")
    place = os.path.join(root, path)
    folder = os.path.dirname(place)
    # A folder that was swapped for a link would lead outside, although the last part is an honest file.
    if os.path.realpath(folder) != os.path.normpath(
        os.path.join(os.path.realpath(root), os.path.dirname(path))
    ):
        reason = "behind a symbolic link" if os.path.isdir(folder) else "deleted in the working tree"
        raise Unreadable(reason)
    return _read_regular(place)


def _read_regular(place: bytes) -> bytes:
    # O_NONBLOCK: opening a FIFO that somebody put in a file's place must not wait for a writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(place, flags)
    except FileNotFoundError:
        raise Unreadable("deleted in the working tree") from None
    except OSError as error:
        if os.path.islink(place):
            raise Unreadable("symbolic link in the working tree") from None
        raise Unreadable(f"can't be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not a regular file in the working tree")
        if status.st_size > MAX_BYTES:
            raise Unreadable(f"larger than {MAX_BYTES:,} bytes ({status.st_size:,})")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES:,} bytes")
    return data
