"""What the operating system says about processes: Linux through /proc, macOS through psutil and sysctl.

Only this module knows the difference. What it can't see it refuses to judge (`ProcessesUnreadable`): a hidden
process is not a dead one.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from runstone.errors import ProcessesUnreadable

_INITIAL_NAMESPACE: Final = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel: a machine, not a container
_WHOLE_MACHINE: Final = "machine"  # macOS has no PID namespaces
_DARWIN = sys.platform == "darwin"
_LINUX = sys.platform == "linux"


class Process(NamedTuple):
    """One row. `start` is exact and never changes: with `pid` it names a process until the next boot.

    Linux: clock ticks since boot. macOS: microseconds since the epoch, as the clock stood at the start.
    """

    pid: int
    pgid: int
    session: int
    start: int
    dead: bool  # a zombie: it runs nothing any more, and only waits to be reaped


def read(pid: int) -> Process | None:
    """The process of that number, or None. Raises ProcessesUnreadable where it can't tell."""
    _require_sight()
    row = _read(pid)
    if row is None and _exists(pid):
        # It appeared between the two looks, or it is another user's and /proc is mounted with hidepid.
        row = _read(pid)
        if row is None and _exists(pid):
            raise ProcessesUnreadable(f"process {pid} exists, but this user may not see it")
    return row


def scan() -> Iterator[Process]:
    """Every process that this one can see. Raises ProcessesUnreadable if that is not its own namespace."""
    _require_sight()
    for pid in _pids():
        with contextlib.suppress(PermissionError):
            row = _read(pid)
            if row is not None:
                yield row


@lru_cache(maxsize=1)
def boot_id() -> str:
    """A name for this boot of the machine, the same for all its processes and containers."""
    if _DARWIN:
        # Not kern.boottime, which is "now minus uptime" and moves with every correction of the clock.
        return _sysctl_text("kern.bootsessionuuid")
    return _text("/proc/sys/kernel/random/boot_id") or "unknown"


def pid_namespace() -> str | None:
    """The space in which this process's pids mean something; None if it can't see that space."""
    if _DARWIN:
        return _WHOLE_MACHINE
    try:
        _require_sight()
        return os.readlink("/proc/self/ns/pid")
    except (OSError, ProcessesUnreadable):
        return None


def ends_with_the_boot(namespace: str | None) -> bool:
    """Whether another boot id proves that this namespace's processes are gone.

    Of a machine, but not of a container: two containers on two machines may share a name and a machine id.
    """
    return namespace in (_INITIAL_NAMESPACE, _WHOLE_MACHINE)


@lru_cache(maxsize=1)
def host() -> str:
    """This machine's name and a digest of its id: names alone ("ubuntu", "localhost") are not unique.

    On macOS without the name, which follows the network that a laptop is in.
    """
    if _DARWIN:
        return f"mac-{_digest(_darwin_machine_id())}"
    machine = _text("/etc/machine-id") or _text("/var/lib/dbus/machine-id")
    return f"{os.uname().nodename}-{_digest(machine)}" if machine else os.uname().nodename


def _require_sight() -> None:
    # By pid, because a forked child keeps the cache.
    problem = _blindness(os.getpid())
    if problem is not None:
        raise ProcessesUnreadable(problem)


@lru_cache(maxsize=1)
def _blindness(own_pid: int) -> str | None:
    """Why this process can't look at its peers. In a new PID namespace under an old /proc all numbers lie."""
    if _DARWIN:
        return None
    if not _LINUX:
        return f"Runstone cannot watch processes on {sys.platform}"
    try:
        seen = os.readlink("/proc/self")
    except OSError as error:
        return f"/proc cannot be read: {error.strerror}"
    return None if seen == str(own_pid) else "/proc belongs to another PID namespace than this process"


def _pids() -> list[int]:
    if _DARWIN:
        import psutil

        return psutil.pids()
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _read(pid: int) -> Process | None:
    return _read_darwin(pid) if _DARWIN else _read_linux(pid)


def _read_linux(pid: int) -> Process | None:
    """From /proc/PID/stat (proc_pid_stat(5)); the numbers below count from its field 3, after the name."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            stat = file.read(4096)
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may hold spaces and brackets itself.
    fields = stat[stat.rindex(b")") + 2 :].split()
    # A leader whose main thread has ended shows as a zombie while its other threads work on.
    dead = fields[0] in (b"Z", b"X") and int(fields[17]) <= 1
    return Process(pid, pgid=int(fields[2]), session=int(fields[3]), start=int(fields[19]), dead=dead)


def _read_darwin(pid: int) -> Process | None:
    import psutil

    try:
        process: Any = psutil.Process(pid)
        # The public create_time() is corrected by what the clock was changed since psutil was imported,
        # so that two observers would read two starts of one process. `monotonic` gives the recorded one.
        started = process._proc.create_time(monotonic=True)
        dead = process.status() == psutil.STATUS_ZOMBIE
        row = Process(pid, os.getpgid(pid), os.getsid(pid), start=round(started * 1_000_000), dead=dead)
    except psutil.AccessDenied as error:
        raise PermissionError(pid) from error
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None
    return row


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _digest(machine_id: str) -> str:
    # machine-id(5) asks not to publish the id itself.
    return hashlib.sha256(f"runstone {machine_id}".encode()).hexdigest()[:8]


def _sysctl_text(name: str) -> str:
    import ctypes

    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    failed = ctypes.CDLL(None).sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, 0)
    return "unknown" if failed else buffer.value.decode("ascii")


def _darwin_machine_id() -> str:
    import ctypes

    class Timespec(ctypes.Structure):
        _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

    identifier = (ctypes.c_ubyte * 16)()
    failed = ctypes.CDLL(None).gethostuuid(identifier, ctypes.byref(Timespec(1, 0)))
    return os.uname().nodename if failed else bytes(identifier).hex()
