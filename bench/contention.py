"""Eight processes append to one ledger, each event awaited: how many events in all, and the longest that one waited.

The other side is raw APSW with SQLite's own busy handler (a limit of 60 s): the same rows, a transaction each, and no
queue between the processes.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import runstone
from bench.appends import INSERT, PAYLOAD, Raw
from bench.table import Pace, markdown, workspace

PROCESSES = 8
SECONDS_EACH = 5
"""For every second of the pace: starvation needs time to show."""


class Waits(NamedTuple):
    """What one process saw."""

    events: int
    longest_s: float


def measured(append: Callable[[], object], seconds: float) -> Waits:
    """Appends until the time is over."""
    count, longest = 0, 0.0
    before, end = time.perf_counter(), time.perf_counter() + seconds
    while before < end:
        append()
        now = time.perf_counter()
        longest, before, count = max(longest, now - before), now, count + 1
    return Waits(count, longest)


def of_ledger(folder: Path, seconds: float) -> Waits:
    """One of the eight, with a ledger and a run of its own."""
    with runstone.open(folder) as ledger, ledger.start_run(agent_id="bench") as run:
        _ready()
        return measured(lambda: run.emit("tool.started", PAYLOAD).result(), seconds)


def of_raw(folder: Path, seconds: float) -> Waits:
    """One of the eight, with a connection of its own."""
    raw = Raw(folder, first_run=1_000 * int(sys.argv[4]))

    def append() -> None:
        raw.db.execute("BEGIN IMMEDIATE")
        raw.db.execute(INSERT, raw.rows(1, 0)[0])
        raw.db.execute("COMMIT")

    _ready()
    return measured(append, seconds)


def _ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def bench(pace: Pace) -> str:
    """A line per side: events per second of all, the longest wait, and what the slowest process reached."""
    with workspace() as folder:
        runstone.open(folder).close()
        Raw(folder).close()
        rows = [_line(f"{PROCESSES} processes, {name}", side, folder, pace) for name, side in _SIDES]
    return markdown(("what", "events/s", "longest wait", "slowest and fastest process"), rows)


_SIDES = (("ours", "ledger"), ("raw with SQLite's busy handler", "raw"))


def _line(name: str, side: str, folder: Path, pace: Pace) -> tuple[str, ...]:
    seconds = pace.seconds * SECONDS_EACH
    seen = list(_run(side, folder, seconds))
    rates = sorted(one.events / seconds for one in seen)
    longest = max(one.longest_s for one in seen)
    return name, f"{sum(rates):,.0f}", f"{longest:,.2f} s", f"{rates[0]:,.0f} and {rates[-1]:,.0f} events/s"


def _run(side: str, folder: Path, seconds: float) -> Iterator[Waits]:
    command = [sys.executable, "-m", "bench.contention", side, str(folder), str(seconds)]
    started = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        events, longest_s = process.communicate(timeout=seconds + 120)[0].split()
        yield Waits(int(events), float(longest_s))


if __name__ == "__main__":
    waits = {"ledger": of_ledger, "raw": of_raw}[sys.argv[1]](Path(sys.argv[2]), float(sys.argv[3]))
    print(waits.events, waits.longest_s)
