"""Positions rise in the order of commits: whoever reads on from the last one that was seen misses nothing."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runstone.store.clock import SystemClock
from runstone.store.postgres import open as postgres
from runstone.store.postgres.database import PostgresDatabase
from runstone.store.writer import Writer
from runstone.store.writes.events import Append
from runstone.store.writes.lifecycle import OpenRun
from runstone.testing.contract import OWNER, event, new_run

WRITERS = 4
BATCHES = 25


class Slow(PostgresDatabase):
    """A connection whose transactions take their time between the events and the commit, each another one."""

    def commit(self) -> None:
        self.query("SELECT pg_sleep(:s)", {"s": random.choice(["0", "0.001", "0.01", "0.03"])})
        super().commit()


class Tail(threading.Thread):
    """Reads on from the last position that it saw, until it is told that all is written and there is no more."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._db = postgres.reader(dsn)()
        self.seen: list[tuple[Any, ...]] = []
        self.done = threading.Event()

    def run(self) -> None:
        cursor = 0
        while True:
            done = self.done.is_set()
            rows = self._db.query(
                "SELECT position, run, seq FROM events WHERE position > :after ORDER BY position",
                {"after": cursor},
            )
            self.seen += rows
            if rows:
                cursor = rows[-1][0]
            elif done:
                break
        self._db.close()


@pytest.fixture
def tail(dsn: str) -> Iterator[Tail]:
    tail = Tail(dsn)
    tail.start()
    yield tail
    tail.done.set()
    tail.join()


def test_a_tail_misses_no_event_of_racing_slow_transactions(dsn: str, tail: Tail) -> None:
    def write(number: int) -> None:
        writer = Writer(lambda: Slow(dsn), SystemClock())
        run_id = f"run-{number}"
        writer.submit(OpenRun(new_run(run_id), OWNER)).result()
        for batch in range(BATCHES):
            receipts = [writer.submit(Append(run_id, 1, [event(batch)])) for _ in range(3)]
            for receipt in receipts:
                receipt.result()
        writer.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tail.done.set()
    tail.join()
    db = postgres.reader(dsn)()
    stored = db.query("SELECT position, run, seq FROM events ORDER BY position")
    db.close()
    assert len(stored) == WRITERS * (2 + 3 * BATCHES)
    assert tail.seen == stored
    for run in {row[1] for row in stored}:
        assert [seq for _, of, seq in stored if of == run] == list(range(1, 3 + 3 * BATCHES))


def test_two_writers_of_one_run_give_no_number_twice(dsn: str) -> None:
    """Each has the run's head in memory, and is told of the other's commits."""
    writers = [Writer(lambda: Slow(dsn), SystemClock()) for _ in range(2)]
    writers[0].submit(OpenRun(new_run("r"), OWNER)).result()
    receipts = []
    for number in range(40):
        receipts.append(writers[number % 2].submit(Append("r", 1, [event(number)])))
        if number % 7 == 0:
            receipts[-1].result()
    for receipt in receipts:
        receipt.result()
    for writer in writers:
        writer.close()
    db = postgres.reader(dsn)()
    assert [seq for (seq,) in db.query("SELECT seq FROM events ORDER BY position")] == list(range(1, 43))
    db.close()
