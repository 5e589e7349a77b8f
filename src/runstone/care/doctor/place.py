"""The file system under the workspace: its kind, its locks, and its room."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from runstone.care.doctor.check import Check, note, ok, problem, warning

NETWORK: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.glusterfs",
    }
)
SHARED: Final = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs", "fuse.grpcfuse", "fakeowner"})
PASSING: Final = frozenset({"tmpfs", "ramfs", "overlay", "aufs"})
_SPARE: Final = 64 << 20
"""Below this much room, writing is about to end."""
_LOCKER: Final = """
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(7)
"""


class Mount(NamedTuple):
    """A line of /proc/mounts."""

    point: str
    kind: str
    options: frozenset[str]


def check_place(folder: Path) -> Iterator[Check]:
    """What the folder's file system is and does."""
    mount = mount_of(folder.resolve(), _mounts())
    yield check_kind(mount, folder)
    yield check_barriers(mount, os.environ.get("LD_PRELOAD", ""))
    yield check_locks(folder)
    stats = os.statvfs(folder)
    size = sum(file.stat().st_size for file in folder.glob("ledger.db*") if file.is_file())
    free = stats.f_bavail * stats.f_frsize
    yield check_room(free, size, folder)
    yield check_inodes(stats.f_favail if stats.f_files else None, folder)


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text()
    except OSError:
        return ""


def mount_of(path: Path, mounts: str) -> Mount | None:
    """The mount that holds the path; the last of the longest, as later ones cover earlier ones."""
    best = None
    for line in mounts.splitlines():
        _, point, kind, options, *_ = line.split(" ")
        point = point.encode().decode("unicode_escape")  # a space is \\040 there
        if path.is_relative_to(point) and (best is None or len(point) >= len(best.point)):
            best = Mount(point, kind, frozenset(options.split(",")))
    return best


def check_kind(mount: Mount | None, folder: Path) -> Check:
    """The log of SQLite needs memory that all its processes share: one machine, one local disk."""
    if mount is None:
        return note(
            "place.kind", "the kind of file system cannot be seen here", f"df -T {shlex.quote(str(folder))}"
        )
    told, look = f"{folder} is on {mount.kind} ({mount.point})", f"df -T {shlex.quote(str(folder))}"
    if mount.kind in NETWORK:
        return problem("place.kind", f"{told}: a network file system loses writes of two machines", look)
    if mount.kind in SHARED or mount.kind.startswith("fuse"):
        return warning("place.kind", f"{told}: its locks and flushes are not known to hold", look)
    if mount.kind in PASSING:
        return warning("place.kind", f"{told}: it is gone with the container or the next start", look)
    return ok("place.kind", told)


def check_barriers(mount: Mount | None, preload: str) -> Check:
    """Whether a flush is passed on, as far as that can be seen."""
    off = {"nobarrier", "barrier=0"} & (mount.options if mount else frozenset())
    if off:
        return problem(
            "place.flush", f"mounted with {', '.join(off)}: a power cut loses what was acknowledged", "mount"
        )
    if "eatmydata" in preload:
        return problem(
            "place.flush",
            "libeatmydata is loaded: nothing that is acknowledged is on disk",
            "unset LD_PRELOAD",
        )
    return ok("place.flush", "nothing is seen that would drop a flush")


def check_locks(folder: Path) -> Check:
    """Takes a lock in a file of its own, and sees whether another process is kept out."""
    import fcntl

    if not os.access(folder, os.W_OK):
        return note("place.locks", f"{folder} cannot be written, so its locks were not tried")
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fsync(file.fileno())
        except OSError as error:
            return problem("place.locks", f"locks or flushes fail: {error.strerror}", f"df -T {folder}")
        command = [sys.executable, "-I", "-c", _LOCKER, file.name]
        code = subprocess.run(command, check=False, timeout=30, stdin=subprocess.DEVNULL).returncode
    if code == 7:
        return ok("place.locks", "a lock keeps other processes out")
    return problem(
        "place.locks",
        "a lock does not keep other processes out: two writers would damage the ledger",
        f"df -T {folder}",
    )


def check_room(free: int, size: int, folder: Path) -> Check:
    """`size` is the ledger with its log."""
    told = f"{free >> 20:,} MB free, the ledger has {size >> 20:,} MB"
    look = f"df -h {shlex.quote(str(folder))}"
    if free < _SPARE:
        return problem("place.room", f"the disk is about to be full: {told}", look)
    if free < size:
        return warning("place.room", f"there is no room for a backup beside the ledger: {told}", look)
    return ok("place.room", told)


def check_inodes(free: int | None, folder: Path) -> Check:
    """`free` is None where the file system has no such bound."""
    if free is not None and free < 1_000:
        return warning(
            "place.inodes", f"{free} files more can be made here", f"df -i {shlex.quote(str(folder))}"
        )
    return ok("place.inodes", "there is room for more files")
