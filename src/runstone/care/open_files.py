"""Which processes have a file open: read from /proc, for messages and findings. What it can't see it does not name."""

import os
from pathlib import Path

import msgspec


class Holder(msgspec.Struct, frozen=True):
    """A process that has the file open."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


def holders(path: Path) -> list[Holder]:
    """The other processes of this machine that have the file open, as far as this user can see them."""
    try:
        wanted = path.stat()
        pids = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return []
    mine = os.getpid()
    return [Holder(pid, command(pid)) for pid in pids if pid != mine and _has_open(pid, wanted)]


def command(pid: int) -> str:
    """What the process was started as, short; "?" where that can't be read."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "?"
    return " ".join(words).strip()[:80] or "?"


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False  # it ended, or is another user's
    for name in names:
        try:
            found = os.stat(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False
