"""Many commands at once that print numbered lines at a steady rate, and what must hold of all of them."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from runstone.ledger import Ledger
from tests.engine.background.commands import PYTHON, eventually, pause, printed

_WIDTH = 40
_PROGRAM = """
import os, sys, time
go, count, per = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
out = open(sys.argv[4], "w") if len(sys.argv) > 4 else sys.stdout
while not os.path.exists(go):
    time.sleep(0.01)
start, n, late = time.monotonic(), 0, 0.0
while n < count:
    before = time.monotonic()
    out.write("".join("%d %s\\n" % (i, "x" * {width}) for i in range(n + 1, n + 21)))
    out.flush()
    late = max(late, time.monotonic() - before)
    n += 20
    left = start + n / per - time.monotonic()
    if left > 0:
        time.sleep(left)
sys.stderr.write("%.4f %.4f\\n" % (time.monotonic() - start, late))
""".replace("{width}", str(_WIDTH))


class Seen(msgspec.Struct):
    """What was measured. Times in seconds."""

    slowest_command: float
    """The time that the slowest command took; at its rate it takes `seconds`."""
    longest_write: float
    taken_over_after: float
    """From the first line until the last run had ended, with all of its lines."""
    watcher_mb: float
    """The most memory that a watcher ever held."""

    def __str__(self) -> str:
        return (
            f"slowest command {self.slowest_command:.2f} s, longest write {self.longest_write * 1000:.0f} ms, "
            f"all taken over after {self.taken_over_after:.1f} s, largest watcher {self.watcher_mb:.0f} MB"
        )


def crowd(ledger: Ledger, folder: Path, *, commands: int, per_s: int, seconds: int) -> Seen:
    """Starts them, lets all go at once, and checks that every line is in its thread once and in order."""
    go, count = folder / "go", per_s * seconds
    command = [PYTHON, "-I", "-S", "-c", _PROGRAM, str(go), str(count), str(per_s)]
    with ThreadPoolExecutor(8) as pool:
        starts = [pool.submit(ledger.exec, command, run_id=f"c{n}", wait_s=120) for n in range(commands)]
        ids = [start.result().id for start in starts]
    started = time.monotonic()
    go.touch()
    memory = 0
    while any(ledger.get_run(run_id).status == "running" for run_id in ids):
        assert time.monotonic() - started < seconds + 180, "not all was taken over"
        memory = max([memory, *map(_peak_kb, _watchers(ledger))])
        pause(0.2)
    over = time.monotonic() - started
    expected = [f"{number} {'x' * _WIDTH}" for number in range(1, count + 1)]
    times = []
    for run_id in ids:
        assert ledger.get_run(run_id).status == "completed", run_id
        assert printed(ledger, run_id) == expected, (
            f"lines of {run_id} are lost, repeated or in another order"
        )
        times.append([float(part) for part in printed(ledger, run_id, "stderr")[0].split()])
    return Seen(max(took for took, _ in times), max(late for _, late in times), over, memory / 1024)


def alone(folder: Path, *, commands: int, per_s: int, seconds: int) -> float:
    """The time that the slowest of the same commands takes with plain files, without a ledger."""
    import subprocess

    go = folder / "go-alone"
    command = [PYTHON, "-I", "-S", "-c", _PROGRAM, str(go), str(per_s * seconds), str(per_s)]
    running = [
        subprocess.Popen([*command, str(folder / f"alone-{n}")], stderr=subprocess.PIPE)
        for n in range(commands)
    ]
    eventually(lambda: all(one.poll() is None for one in running))
    go.touch()
    return max(float(one.communicate(timeout=seconds + 120)[1].split()[0]) for one in running)


def _watchers(ledger: Ledger) -> list[int]:
    return [lease.identity["pid"] for lease in ledger.reader.attempts.leases()]


def _peak_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1])
    return 0
