"""Commands in the background, as tests see them: who keeps and watches them, what they printed, and how to wait."""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from runstone.domain.records import AgentRun
from runstone.engine import process_table
from runstone.ledger import Ledger

_T = TypeVar("_T")
PYTHON = sys.executable


def eventually(look: Callable[[], _T], limit_s: float = 20.0) -> _T:
    """What `look` gives as soon as that is true; it fails after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {limit_s} s"
        pause(0.01)
    return found


def pause(seconds: float) -> None:
    """Lets a moment pass while other processes work; every use is bounded."""
    select.select([], [], [], seconds)


def command_of(ledger: Ledger, run_id: str) -> int:
    """The pid of the run's command."""
    return eventually(lambda: [one for one in ledger.processes(run_id) if one.ended_at is None])[-1].pgid


def watcher_of(ledger: Ledger, run_id: str) -> int:
    """The pid of the run's watcher."""
    lease = eventually(lambda: ledger.lease(run_id))
    assert lease is not None
    return int(lease.identity["pid"])


def keeper_of(ledger: Ledger, run_id: str) -> int:
    """The pid of the command's keeper: the parent of its process."""
    return parent_of(command_of(ledger, run_id))


def parent_of(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return int(stat[stat.rindex(b")") + 2 :].split()[1])


def lives(pid: int) -> bool:
    row = process_table.read(pid)
    return row is not None and not row.dead


def kill(*pids: int) -> None:
    """Kills them all at once, as nobody of them may have the time to replace another."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        eventually(lambda pid=pid: not lives(pid))  # type: ignore[misc]


def messages(ledger: Ledger, run_id: str) -> list[Any]:
    thread = ledger.get_run(run_id).worker_thread_id
    found: list[Any] = []
    while thread is not None:
        page = ledger.threads.messages(thread, after=len(found), limit=5_000).items
        found += page
        if len(page) < 5_000:
            break
    return found


def printed(ledger: Ledger, run_id: str, stream: str = "stdout") -> list[str]:
    """The lines of a stream as the thread has them; their numbers must be without a gap, in each attempt."""
    lines: list[str] = []
    number = 1
    for message in messages(ledger, run_id):
        if message.role != "output" or message.extra["stream"] != stream:
            continue
        if message.extra["first_line"] == 1:
            number = 1
        assert message.extra["first_line"] >= number, (message.extra, number)
        number = message.extra["first_line"] + message.extra["lines"]
        texts = message.text.split("\n")
        assert len(texts) == message.extra["lines"]
        lines += texts
    return lines


def reading(ledger: Ledger, run_id: str, status: str) -> AgentRun:
    """The run as soon as it has that status."""
    eventually(lambda: ledger.get_run(run_id).status == status)
    return ledger.get_run(run_id)


def ended(ledger: Ledger, run_id: str, limit_s: float = 30.0) -> Any:
    """The run when it has ended; between a killed watcher and the next one it reads interrupted for a moment."""

    deadline = time.monotonic() + limit_s
    while (run := ledger.wait(run_id, 1.0)).status not in ("completed", "failed", "cancelled"):
        told = [(event.type, event.payload) for event in ledger.events(run_id, limit=1000).items[-6:]]
        assert time.monotonic() < deadline, (run.status, run.status_reason, told)
        pause(0.01)
    return run


def counting(count: int, *, per_s: int = 0, burst: int = 20) -> list[str]:
    """A command that prints the numbers from 1 to `count`, at most `per_s` in a second."""
    program = (
        "import sys,time\n"
        f"n,per,burst=0,{per_s},{burst}\n"
        "t=time.monotonic()\n"
        f"while n<{count}:\n"
        "    n+=1\n"
        "    sys.stdout.write('%d\\n'%n)\n"
        "    if n%burst==0 or not per:\n"
        "        sys.stdout.flush() if n%burst==0 else None\n"
        "        if per:\n"
        "            left=t+n/per-time.monotonic()\n"
        "            time.sleep(left) if left>0 else None\n"
    )
    return [PYTHON, "-I", "-S", "-c", program]


def processes_of(folder: Path) -> Iterator[tuple[int, str]]:
    """Keepers and watchers of a workspace, and what was started with it in the environment."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            about = line + (entry / "environ").read_bytes().decode(errors="replace")
            if f"RUNSTONE_WORKSPACE={folder}\0" in about or f"{folder}/.runstone" in line:
                yield int(entry.name), line


def end_all(folder: Path) -> None:
    """Ends what a test left: keepers first, as they start watchers."""
    for _ in range(50):
        found = sorted(processes_of(folder), key=lambda one: "keeper.py" not in one[1])
        if not found:
            return
        for pid, _line in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        pause(0.02)
