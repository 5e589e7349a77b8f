"""Awaited durable appends with 1 to 1,000 concurrent appenders, and `emit_many`, against raw APSW `executemany`.

The raw side writes the same rows in batches of the same size, into one events table with one unique index (run, seq),
with the same pragmas: it is what the disk and SQLite can do with no validation, no fencing and no asyncio.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import runstone
from bench.table import Pace, Result, alternate, comparison, raw_connection, workspace

ACTIVE_RUNS = 100
PAYLOAD = {"call_id": "call_0123456789", "tool": "search", "arguments": "x" * 210, "n": 1234}
TEXT = '{"call_id":"call_0123456789","tool":"search","arguments":"' + "x" * 210 + '","n":1234}'
AIMS = {1: 0.9, 10: 0.65, 100: 0.75, 1_000: 0.7}
"""The ratio to reach, by appenders."""

INSERT = "INSERT INTO events (run, seq, attempt, at, type, payload) VALUES (?, ?, ?, ?, ?, ?)"


class Raw:
    """The raw limit: one transaction per batch, with `executemany`, or with a statement per row."""

    def __init__(self, folder: Path, *, first_run: int = 0) -> None:
        self.db = raw_connection(folder / "raw.db")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, run INTEGER NOT NULL, "
            "seq INTEGER NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL, "
            "payload TEXT NOT NULL, UNIQUE (run, seq))"
        )
        self.first_run = first_run
        self.seqs = [0] * ACTIVE_RUNS

    def rate(self, size: int, seconds: float) -> float:
        """Events per second in batches of `size`."""
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            rows = self.rows(size, count)
            with self.db:
                self.db.executemany(INSERT, rows)
            count += size
        return count / elapsed

    def rowwise_rate(self, size: int, seconds: float) -> float:
        """Events per second with a statement for each row, written by a thread of its own as a ledger does it."""
        rates: list[float] = []

        def write() -> None:
            count, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < seconds:
                with self.db:
                    for row in self.rows(size, count):
                        self.db.execute(INSERT, row)
                count += size
            rates.append(count / elapsed)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        return rates[0]

    def rows(self, size: int, first: int) -> list[tuple[Any, ...]]:
        """The next `size` rows, over all active runs in turn."""
        rows = []
        for index in range(size):
            run = (first + index) % ACTIVE_RUNS
            self.seqs[run] += 1
            rows.append(
                (self.first_run + run, self.seqs[run], 1, 1_790_000_000_000_000, "tool.started", TEXT)
            )
        return rows

    def close(self) -> None:
        self.db.close()


class Ours:
    """The ledger, with `appenders` tasks that each await every event."""

    def __init__(self, place: Path | str) -> None:
        self.ledger = runstone.open(place)
        self.runs = [self.ledger.start_run(agent_id="bench") for _ in range(ACTIVE_RUNS)]

    def rate(self, appenders: int, seconds: float) -> float:
        """Events per second."""
        return asyncio.run(self._rate(appenders, seconds))

    async def _rate(self, appenders: int, seconds: float) -> float:
        deadline, count = time.perf_counter() + seconds, 0

        async def append(run: runstone.RunHandle) -> None:
            nonlocal count
            while time.perf_counter() < deadline:
                await run.emit("tool.started", PAYLOAD)
                count += 1

        started = time.perf_counter()
        await asyncio.gather(*(append(self.runs[index % ACTIVE_RUNS]) for index in range(appenders)))
        return count / (time.perf_counter() - started)

    def many_rate(self, size: int, seconds: float) -> float:
        """Events per second with `emit_many`, one write after the other."""
        batch, count, started = [("tool.started", PAYLOAD)] * size, 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            self.runs[count // size % ACTIVE_RUNS].emit_many(batch).result()
            count += size
        return count / elapsed

    def close(self) -> None:
        for run in self.runs:
            run.complete()
        self.ledger.close()


@contextlib.contextmanager
def both() -> Iterator[tuple[Ours, Raw]]:
    """Both sides, on files of their own."""
    with workspace() as folder:
        ours, raw = Ours(folder), Raw(folder)
        try:
            yield ours, raw
        finally:
            raw.close()
            ours.close()


def bench(pace: Pace) -> str:
    """Ours, raw and their ratio."""
    with both() as (ours, raw):
        return comparison(_lines(ours, raw, pace))


def _lines(ours: Ours, raw: Raw, pace: Pace) -> Iterator[Result]:
    seconds = pace.seconds
    for n, aim in AIMS.items():
        pairs = alternate(partial(ours.rate, n, seconds), partial(raw.rate, n, seconds), pace)
        yield Result(f"awaited appends, {n:,} appenders", pairs, unit="events/s", aim=aim)
    pairs = alternate(partial(ours.many_rate, 1_000, seconds), partial(raw.rate, 1_000, seconds), pace)
    yield Result("`emit_many` of 1,000", pairs, unit="events/s", aim=0.85)
