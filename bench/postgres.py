"""Awaited durable appends into a ledger in PostgreSQL against COPY of the same rows; and by several processes.

The server is the tests' own, on this machine, with its files on the disk of the current directory and `fsync` on. The
raw side writes batches of the same size, each in a transaction, into one events table with one unique index (run, seq),
with no validation, no fencing, no order among writers and no asyncio.
"""

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

import runstone
from bench.appends import ACTIVE_RUNS, PAYLOAD, TEXT, Ours
from bench.contention import Waits, measured
from bench.table import Pace, Result, alternate, comparison, markdown, workspace
from tests.postgres.server import Server, free_port

AIM = 0.7
COLUMNS = "(run, seq, attempt, at, type, payload)"
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "max_connections=100",
)


class Raw:
    """The raw limit: one transaction per batch, with COPY; one row with an INSERT that commits by itself."""

    def __init__(self, dsn: str, *, first_run: int = 0) -> None:
        self.db = psycopg.connect(dsn, autocommit=True)
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS events (position bigserial PRIMARY KEY, run bigint NOT NULL, "
            "seq bigint NOT NULL, attempt bigint NOT NULL, at bigint NOT NULL, type text NOT NULL, "
            "payload text NOT NULL, UNIQUE (run, seq))"
        )
        self.first_run = first_run
        self.seqs = [0] * ACTIVE_RUNS

    def rate(self, size: int, seconds: float) -> float:
        """Events per second in batches of `size`."""
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            self.append(size, count)
            count += size
        return count / elapsed

    def append(self, size: int, first: int) -> None:
        """Writes one batch."""
        rows = self.rows(size, first)
        if size == 1:
            self.db.execute(f"INSERT INTO events {COLUMNS} VALUES (%s, %s, %s, %s, %s, %s)", rows[0])
            return
        with self.db.cursor().copy(f"COPY events {COLUMNS} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

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


@contextlib.contextmanager
def databases() -> Iterator[tuple[str, str]]:
    """A server of this bench's own; the DSNs of a database for the ledger and of one for the raw side."""
    with workspace() as folder:
        folder.chmod(0o755)
        server = Server(folder, port=free_port(), settings=SETTINGS)
        server.create()
        server.start()
        try:
            with psycopg.connect(server.dsn, autocommit=True) as admin:
                admin.execute("CREATE DATABASE ledger")
                admin.execute("CREATE DATABASE raw")
            yield make_conninfo(server.dsn, dbname="ledger"), make_conninfo(server.dsn, dbname="raw")
        finally:
            server.stop("fast")


def url(dsn: str) -> str:
    """The same as a URL, as a ledger is opened by one."""
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    return f"postgresql://{given['user']}@{given['host']}:{given['port']}/{given['dbname']}"


def bench(pace: Pace) -> str:
    """Both tables."""
    with databases() as (ledger, raw):
        return comparison(_lines(ledger, raw, pace)) + "\n\n" + _processes(ledger, raw, pace)


def _lines(ledger: str, raw_dsn: str, pace: Pace) -> Iterator[Result]:
    ours, raw, seconds = Ours(url(ledger)), Raw(raw_dsn), pace.seconds
    try:
        for n in (1, 10, 100, 1_000):
            pairs = alternate(partial(ours.rate, n, seconds), partial(raw.rate, n, seconds), pace)
            yield Result(
                f"awaited appends, {n:,} appenders", pairs, unit="events/s", aim=AIM, other="raw COPY"
            )
        pairs = alternate(partial(ours.many_rate, 1_000, seconds), partial(raw.rate, 1_000, seconds), pace)
        yield Result("`emit_many` of 1,000", pairs, unit="events/s", aim=AIM, other="raw COPY")
    finally:
        raw.close()
        ours.close()


# --- several processes -----------------------------------------------------------------------------------------------


def of_ledger(dsn: str, size: int, seconds: float) -> Waits:
    """One of several processes, with a run of its own: so many events at a time, each time awaited."""
    with runstone.open(url(dsn)) as ledger, ledger.start_run(agent_id="bench") as run:
        _ready()
        return measured(lambda: run.emit_many([("tool.started", PAYLOAD)] * size).result(), seconds)


def of_raw(dsn: str, size: int, seconds: float) -> Waits:
    """The same with a connection of its own."""
    raw = Raw(dsn, first_run=1_000 * random.randrange(1 << 40))
    _ready()
    return measured(lambda: raw.append(size, 0), seconds)


def _ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def _processes(ledger: str, raw: str, pace: Pace) -> str:
    rows = []
    for size in (1, 100):
        for count in (1, 2, 4):
            for name, dsn in (("ledger", ledger), ("raw", raw)):
                seen = list(_run(name, dsn, size, count=count, seconds=2 * pace.seconds))
                total = size * sum(one.events for one in seen) / (2 * pace.seconds)
                longest = 1_000 * max(one.longest_s for one in seen)
                rows.append(
                    (f"{count} processes, {size} at a time", name, f"{total:,.0f}", f"{longest:,.0f} ms")
                )
    return markdown(("what", "side", "events/s", "longest wait"), rows)


def _run(side: str, dsn: str, size: int, *, count: int, seconds: float) -> Iterator[Waits]:
    command = [sys.executable, "-m", "bench.postgres", side, dsn, str(size), str(seconds)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
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
    waits = {"ledger": of_ledger, "raw": of_raw}[sys.argv[1]](
        sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    )
    print(waits.events, waits.longest_s)
