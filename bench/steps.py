"""Sequential durable steps per second, against DBOS Transact on SQLite and against raw transactions of the same rows.

Each side runs workflows of 100 trivial steps one after the other. DBOS works in a process of its own, so that its
threads don't disturb ours; the two are measured in turn and compared pair by pair.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import runstone
from bench.table import Pace, Result, alternate, comparison, raw_connection, workspace

CHUNK = 100
REGISTRY = runstone.Registry()


async def async_step(number: int) -> int:
    return number


def sync_step(number: int) -> int:
    return number


@REGISTRY.workflow("async-steps")
async def async_steps(ctx: Any, count: int) -> int:
    return sum([await ctx.step("add", async_step, number) for number in range(count)])


@REGISTRY.workflow("sync-steps")
async def sync_steps(ctx: Any, count: int) -> int:
    return sum([await ctx.step("add", sync_step, number) for number in range(count)])


class Ours:
    """A ledger that runs the workflows."""

    def __init__(self, folder: Path) -> None:
        self.ledger = runstone.open(folder)

    def rate(self, kind: str, seconds: float) -> float:
        """Steps per second."""
        return asyncio.run(self._rate(f"{kind}-steps", seconds))

    async def _rate(self, name: str, seconds: float) -> float:
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            assert await runstone.run(name, CHUNK, ledger=self.ledger, registry=REGISTRY) == sum(range(CHUNK))
            count += CHUNK
        return count / elapsed


class Peer:
    """The process of `bench/dbos_steps.py`."""

    def __init__(self, folder: Path, journal_mode: str) -> None:
        folder.mkdir()
        command = [sys.executable, "-m", "bench.dbos_steps", str(folder), journal_mode]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rate(self, kind: str, seconds: float) -> float:
        """Steps per second."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(kind, seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline() or "nan")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


class Raw:
    """What a recorded step is to the disk: a journal row and an event, in a transaction of their own."""

    def __init__(self, folder: Path) -> None:
        self.db = raw_connection(folder / "raw.db")
        self.db.execute(
            "CREATE TABLE journal (pk INTEGER PRIMARY KEY, run INTEGER, key TEXT, value TEXT, UNIQUE (run, pk))"
        )
        self.db.execute(
            "CREATE TABLE events (pk INTEGER PRIMARY KEY, run INTEGER, seq INTEGER, text TEXT, UNIQUE (run, seq))"
        )
        self.count = 0

    def rate(self, seconds: float) -> float:
        """Transactions per second."""
        first, started = self.count, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            self.count += 1
            with self.db:
                self.db.execute("INSERT INTO journal (run, key, value) VALUES (1, ?, '1')", ("k" * 32,))
                self.db.execute(
                    "INSERT INTO events (run, seq, text) VALUES (1, ?, ?)", (self.count, "x" * 80)
                )
        return (self.count - first) / elapsed

    def close(self) -> None:
        self.db.close()


def bench(pace: Pace) -> str:
    """Ours against DBOS as it comes, against DBOS on a WAL file, and against raw transactions."""
    with workspace() as folder:
        ours, raw = Ours(folder), Raw(folder)
        results = []
        for mode in ("delete", "wal"):
            peer = Peer(folder / mode, mode)
            try:
                results += list(_against(ours, peer, mode, pace))
            finally:
                peer.close()
        pairs = alternate(partial(ours.rate, "async", pace.seconds), partial(raw.rate, pace.seconds), pace)
        results.append(Result("async functions", pairs, unit="steps/s", other="raw, a transaction per step"))
        ours.ledger.close()
        raw.close()
    return comparison(results)


def _against(ours: Ours, peer: Peer, mode: str, pace: Pace) -> Iterator[Result]:
    # What DBOS users get is its default; the file in WAL shows what of the difference is the journal's.
    other, aim = ("DBOS", 5.0) if mode == "delete" else ("DBOS, its file in WAL", None)
    for kind in ("async", "sync"):
        pairs = alternate(
            partial(ours.rate, kind, pace.seconds), partial(peer.rate, kind, pace.seconds), pace
        )
        yield Result(f"{kind} functions", pairs, unit="steps/s", aim=aim, other=other)
