"""Steps and dispatches over PostgreSQL against plain DBOS on the same server, workers beside each other, and takeovers.

A dispatch is a run of an agent (a workflow of one step on the other side) that gives twice its number: enqueued one by
one by this process, executed by a worker process with as many slots that looks into its queue as often, and waited for.
"""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import runstone
from bench import worker_agents  # noqa: F401  registers what is enqueued
from bench.postgres import databases, url
from bench.steps import Ours
from bench.table import Pace, Result, alternate, comparison, markdown, workspace

SLOTS = 32
POLL_S = 0.05
STEPS_AIM = 4.0
DISPATCHES_AIM = 0.7


class Peer:
    """The process of `bench/dbos_dispatches.py`."""

    def __init__(self, dsn: str) -> None:
        command = [sys.executable, "-m", "bench.dbos_dispatches", dsn, str(SLOTS), str(POLL_S)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rate(self, kind: str, amount: float) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(kind, amount, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline() or "nan")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


@contextmanager
def workers(dsn: str, count: int, *, lease_s: float = 30.0) -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Worker processes."""
    command = [
        *(sys.executable, "-m", "tests.workers.program", dsn, "--modules", "bench.worker_agents"),
        *("--slots", str(SLOTS), "--lease", str(lease_s)),
    ]
    there = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield there
    finally:
        for one in there:
            one.kill()
            one.wait(30)


def dispatch_rate(ledger: runstone.Ledger, count: int) -> float:
    """Runs per second, from the first that is enqueued to the last that has ended."""
    started = time.perf_counter()
    runs = [runstone.enqueue("double", number, ledger=ledger) for number in range(count)]
    ended = ledger.wait_all([run.id for run in runs], 300)
    assert {run.status for run in ended} == {"completed"}
    return count / (time.perf_counter() - started)


def map_rate(ledger: runstone.Ledger, count: int) -> float:
    """The same for children of one `ctx.map`, which stand in line by one commit."""
    started = time.perf_counter()
    done = ledger.wait(runstone.enqueue("many", count, ledger=ledger).id, 300)
    assert done.status == "completed"
    return count / (time.perf_counter() - started)


def bench(pace: Pace) -> str:
    """All tables."""
    quick = pace.rounds == 1
    count = 40 if quick else 400
    with databases() as (ledger_dsn, peer_dsn):
        dsn, peer = url(ledger_dsn), Peer(url(peer_dsn))
        try:
            first = comparison(_against(dsn, peer, count, pace))
        finally:
            peer.close()
        tables = [first, _beside(dsn, count), _takeovers(dsn, 1 if quick else 5, silent=not quick)]
    return "\n\n".join(tables)


def _against(dsn: str, peer: Peer, count: int, pace: Pace) -> Iterator[Result]:
    ours = Ours(dsn)  # type: ignore[arg-type]  # a ledger is opened by its DSN as by its folder
    pairs = alternate(
        partial(ours.rate, "async", pace.seconds), partial(peer.rate, "steps", pace.seconds), pace
    )
    yield Result("sequential steps", pairs, unit="steps/s", aim=STEPS_AIM, other="DBOS")
    with workers(dsn, 1):
        dispatch_rate(ours.ledger, 10)
        few = pace.fewer(3)
        pairs = alternate(
            partial(dispatch_rate, ours.ledger, count), partial(peer.rate, "dispatches", count), few
        )
        mapped = alternate(
            partial(map_rate, ours.ledger, count), partial(peer.rate, "dispatches", count), few
        )
    yield Result(
        "dispatches, enqueued one by one", pairs, unit="runs/s", aim=DISPATCHES_AIM, other="DBOS, one by one"
    )
    yield Result(
        "dispatches, children of one map", mapped, unit="runs/s", aim=DISPATCHES_AIM, other="DBOS, one by one"
    )
    ours.ledger.close()


def _beside(dsn: str, count: int) -> str:
    rows = []
    with runstone.open(dsn) as ledger:
        for number in (1, 2, 3, 4):
            with workers(dsn, number):
                dispatch_rate(ledger, 10 * number)  # all of them have begun
                rates = [map_rate(ledger, count) for _ in range(3)]
            rows.append((f"{number}", f"{statistics.median(rates):,.0f} runs/s"))
    return markdown(("workers on this machine", "dispatches"), rows)


def _takeovers(dsn: str, times: int, *, silent: bool) -> str:
    rows = []
    with runstone.open(dsn) as ledger:
        for what, how, count in (
            ("kill -9", signal.SIGKILL, times),
            ("SIGSTOP", signal.SIGSTOP, int(silent)),
        ):
            taken = [_takeover(dsn, ledger, how) for _ in range(count)]
            if taken:
                rows.append(
                    (what, f"{statistics.median(taken):.1f} s", f"{min(taken):.1f} to {max(taken):.1f} s")
                )
    return markdown(("a worker's end", "until its run is at work elsewhere (median)", "range"), rows)


def _takeover(dsn: str, ledger: runstone.Ledger, how: signal.Signals) -> float:
    """With the leases and heartbeats that a worker has without settings: 30 s and 5 s."""
    with workspace() as folder, workers(dsn, 1) as one:
        run = runstone.enqueue("held", str(folder), ledger=ledger)
        _began(folder, 1)
        with workers(dsn, 1):
            warm = runstone.enqueue("double", 1, ledger=ledger)
            ledger.wait(warm.id, 60)
            time.sleep(2)  # the other worker has started, too
            os.kill(one[0].pid, how)
            ended = time.time()
            _began(folder, 2)
            ledger.wait(run.id, 60)
        return float((folder / "began").read_text().split()[1]) - ended


def _began(folder: Path, times: int) -> None:
    deadline = time.monotonic() + 120
    file = folder / "began"
    while not file.exists() or len(file.read_text().split()) < times:
        assert time.monotonic() < deadline
        time.sleep(0.01)
