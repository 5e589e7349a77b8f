"""Awaited durable appends with 1 to 1,000 concurrent appenders, and `emit_many`, against raw APSW `executemany`.

The raw side writes the same rows in batches of the same size, into one events table with one unique index (run, seq),
with the same pragmas: it is what the disk and SQLite can do with no validation, no fencing and no asyncio.
"""

import asyncio
import threading
import time
from pathlib import Path

import apsw

import runstone
from bench.table import Result, alternate, workspace

ACTIVE_RUNS = 100
PAYLOAD = {"call_id": "call_0123456789", "tool": "search", "arguments": "x" * 210, "n": 1234}
TEXT = '{"call_id":"call_0123456789","tool":"search","arguments":"' + "x" * 210 + '","n":1234}'
APPENDERS = (1, 10, 100, 1_000)
AIMS = {1: 0.9, 10: 0.65, 100: 0.75, 1_000: 0.7}
SECONDS = 1.0


class Raw:
    """The raw limit: `executemany` in a transaction."""

    def __init__(self, folder: Path, *, rowwise: bool = False) -> None:
        self.db = apsw.Connection(str(folder / "raw.db"))
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 2000", "cache_size = -16000"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL, "
            "attempt INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL, payload TEXT NOT NULL, UNIQUE (run, seq))"
        )
        self.seqs = [0] * ACTIVE_RUNS

    def rate(self, size: int, seconds: float) -> float:
        """Events per second in batches of `size`."""
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            rows = []
            for index in range(size):
                run = (count + index) % ACTIVE_RUNS
                self.seqs[run] += 1
                rows.append((run, self.seqs[run], 1, 1_790_000_000_000_000, "tool.started", TEXT))
            with self.db:
                self.db.executemany(
                    "INSERT INTO events (run, seq, attempt, at, type, payload) VALUES (?, ?, ?, ?, ?, ?)", rows
                )
            count += size
        return count / elapsed

    def close(self) -> None:
        self.db.close()


class Ours:
    """The ledger, with `appenders` tasks that each await every event."""

    def __init__(self, folder: Path) -> None:
        self.ledger = runstone.open(folder)
        self.runs = [self.ledger.start_run(agent_id="bench") for _ in range(ACTIVE_RUNS)]

    def rate(self, appenders: int, seconds: float) -> float:
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
        self.ledger.close()


def bench() -> list[Result]:
    """Rows of the table: ours, raw and their ratio, measured in turn."""
    results = []
    with workspace() as folder:
        ours, raw = Ours(folder), Raw(folder)
        for appenders in APPENDERS:
            pair = alternate(lambda n=appenders: ours.rate(n, SECONDS), lambda n=appenders: raw.rate(n, SECONDS))
            results.append(Result(f"awaited appends, {appenders:,} appenders", *pair, unit="events/s", aim=AIMS[appenders]))
        pair = alternate(lambda: ours.many_rate(1_000, SECONDS), lambda: raw.rate(1_000, SECONDS))
        results.append(Result("emit_many of 1,000", *pair, unit="events/s", aim=0.85))
        results += beside_a_busy_thread(ours, raw)
        ours.close()
        raw.close()
    return results


def beside_a_busy_thread(ours: Ours, raw: Raw) -> list[Result]:
    """The same with a pure Python thread in the process, which holds the interpreter lock as long as it may."""
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            number = (number * 1_103_515_245 + 12_345) % 2_147_483_648

    thread = threading.Thread(target=work)
    thread.start()
    try:
        results = []
        for appenders in (100, 1_000):
            pair = alternate(lambda n=appenders: ours.rate(n, SECONDS), lambda n=appenders: raw.rate(n, SECONDS))
            name = f"the same beside a busy thread, {appenders:,}"
            results.append(Result(name, *pair, unit="events/s", aim=10.0, other="a statement per row"))
        return results
    finally:
        stop.set()
        thread.join()
