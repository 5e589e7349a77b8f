"""The other side of `bench/steps.py`, in a process of its own: DBOS Transact on SQLite, one workflow of N steps.

Reads lines `KIND SECONDS` (KIND: async, sync) and answers each with the steps per second that it reached. The file's
journal mode is DBOS's own default, or WAL where `wal` is the second argument; `synchronous` is SQLite's default, FULL.
"""

import asyncio
import sqlite3
import sys
import time
from pathlib import Path

from dbos import DBOS, DBOSConfig

CHUNK = 100
"""Steps of one workflow; workflows follow each other until the time is over."""


@DBOS.step()
async def async_step(number: int) -> int:
    return number


@DBOS.workflow()
async def async_workflow(count: int) -> int:
    return sum([await async_step(number) for number in range(count)])


@DBOS.step()
def sync_step(number: int) -> int:
    return number


@DBOS.workflow()
def sync_workflow(count: int) -> int:
    return sum(sync_step(number) for number in range(count))


async def async_rate(seconds: float) -> float:
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        assert await async_workflow(CHUNK) == sum(range(CHUNK))
        count += CHUNK
    return count / elapsed


def sync_rate(seconds: float) -> float:
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        assert sync_workflow(CHUNK) == sum(range(CHUNK))
        count += CHUNK
    return count / elapsed


def main(folder: Path, journal_mode: str) -> None:
    path = folder / "dbos.db"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA journal_mode = {journal_mode}")  # WAL stays with the file
    db.close()
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{path}",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    try:
        for line in sys.stdin:
            kind, seconds = line.split()
            rate = asyncio.run(async_rate(float(seconds))) if kind == "async" else sync_rate(float(seconds))
            print(rate, flush=True)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
