"""Who works with the ledger's file now: read from /proc/locks, which opens and so disturbs nothing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from runstone.care.doctor.check import Check, note, ok, problem, warning
from runstone.care.doctor.file import check_log
from runstone.care.open_files import command

_WRITER: Final = 120  # bytes of the -shm file that SQLite locks: one for who writes, five for who reads
_READERS: Final = range(123, 128)
_LOOKS: Final = 4
_PAUSE_S: Final = 0.1


class Lock(NamedTuple):
    """A lock that a process holds."""

    kind: str
    pid: int
    inode: int
    first: int
    last: int


def check_locks(database: Path, pause: Callable[[float], None] = time.sleep) -> Iterator[Check]:
    """Writers, readers, and who waits in the queue."""
    shared = database.with_name(database.name + "-shm")
    queue = database.with_name(database.name + "-queue")
    if not Path("/proc/locks").exists():
        yield note("locks.writer", "locks of others cannot be seen on this system")
        return
    looks = []
    for number in range(_LOOKS):
        if number:
            pause(_PAUSE_S)
        looks.append(_held(shared))
        if not writers(looks[-1]):
            break
    yield check_writer(looks, stopped)
    readers = sorted(
        {lock.pid for lock in looks[-1] if any(lock.first <= byte <= lock.last for byte in _READERS)}
    )
    log = database.with_name(database.name + "-wal")
    yield check_log(log.stat().st_size if log.exists() else 0, readers)
    waiting = sorted({lock.pid for lock in _held(queue) if lock.kind == "FLOCK"})
    if waiting:
        yield note("locks.queue", f"process {waiting[0]} waits for its turn to write", f"ps -p {waiting[0]}")


def parse(text: str) -> list[Lock]:
    """The held locks of /proc/locks (proc_locks(5)); those that are waited for have an arrow."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 8 or words[1] == "->":
            continue
        kind, pid, place, first, last = words[1], int(words[4]), words[5], words[6], words[7]
        end = 2**63 if last == "EOF" else int(last)
        found.append(Lock(kind, pid, int(place.rpartition(":")[2]), int(first), end))
    return found


def _held(path: Path) -> list[Lock]:
    try:
        inode = path.stat().st_ino
        text = Path("/proc/locks").read_text()
    except OSError:
        return []
    return [lock for lock in parse(text) if lock.inode == inode]


def writers(locks: list[Lock]) -> set[int]:
    """Processes that hold the write lock."""
    return {lock.pid for lock in locks if lock.first <= _WRITER <= lock.last}


def check_writer(looks: list[list[Lock]], is_stopped: Callable[[int], bool]) -> Check:
    """No transaction of Runstone lasts over 200 ms: who holds the lock in every look is stuck, or another program."""
    held = set.intersection(*(writers(look) for look in looks))
    if not held:
        return ok("locks.writer", "nobody holds the write lock for long")
    pid = min(held)
    told = f"process {pid} ({command(pid)}) holds the write lock"
    if is_stopped(pid):
        return problem("locks.writer", f"{told} and is stopped: nobody can write", f"kill -CONT {pid}")
    return warning("locks.writer", f"{told} for long: others wait", f"ps -o pid,stat,etime,args -p {pid}")


def stopped(pid: int) -> bool:
    """Whether the process was stopped by a signal."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False
