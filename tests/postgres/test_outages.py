"""Servers that go and come back, standbys that take over, and writers that stand still."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runstone.store.clock import SystemClock
from runstone.store.postgres import open as postgres
from runstone.store.postgres.database import PostgresDatabase
from runstone.store.writer import Writer
from runstone.store.writes.events import Append
from runstone.store.writes.lifecycle import OpenRun
from runstone.testing.contract import OWNER, event, new_run
from tests.postgres import server
from tests.postgres.server import Server


class Busy(threading.Thread):
    """Writes one event after the other into a run of its own, and keeps those that were acknowledged."""

    def __init__(self, dsn: str, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.acknowledged: list[int] = []
        self.wanted = 1 << 30
        self.progress = threading.Event()
        self._writer = Writer(postgres.writer(dsn), SystemClock())
        self._writer.submit(OpenRun(new_run(run_id), OWNER)).result()

    def run(self) -> None:
        for number in itertools.count():
            if number >= self.wanted:
                break
            receipts = [
                self._writer.submit(Append(self.run_id, 1, [event(3 * number + n)])) for n in range(3)
            ]
            for receipt in receipts:
                receipt.result()
            self.acknowledged += range(3 * number, 3 * number + 3)
            self.progress.set()
        self._writer.close()

    def goes_on(self) -> None:
        """Waits until something that was asked for after this call is acknowledged."""
        for _ in range(2):
            self.progress.clear()
            assert self.progress.wait(60)

    def end(self) -> None:
        """Lets it write a little more, and end."""
        self.wanted = len(self.acknowledged) // 3 + 5
        self.join(60)
        assert not self.is_alive()


def stored(dsn: str, run_id: str) -> list[Any]:
    db = postgres.reader(dsn)()
    rows = db.query(
        "SELECT (e.payload::json ->> 'n')::bigint FROM events e JOIN runs r ON r.id = e.run "
        "WHERE r.run_id = :run_id AND e.type = 'work.done' ORDER BY e.position",
        {"run_id": run_id},
    )
    db.close()
    return [number for (number,) in rows]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user can come to, too."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="runstone-outage-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_writers_go_on_over_crashes_of_the_server_and_lose_and_double_nothing(folder: Path) -> None:
    one = Server(folder, port=server.free_port())
    one.create()
    one.start()
    postgres.prepare(one.dsn)
    writers = [Busy(one.dsn, name) for name in "ab"]
    for writer in writers:
        writer.start()
    try:
        for mode in ("immediate", "fast", "immediate"):
            for writer in writers:
                writer.goes_on()
            one.stop(mode)
            one.start()
        for writer in writers:
            writer.goes_on()
            writer.end()
            assert stored(one.dsn, writer.run_id) == writer.acknowledged
    finally:
        one.stop()


def test_writers_go_on_when_a_standby_takes_over_for_a_primary_that_was_stopped(folder: Path) -> None:
    settings = (*server.SETTINGS, "wal_level=replica", "max_wal_senders=4", "hot_standby=on")
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    primary = Server(folder / "one", port=server.free_port(), settings=settings)
    primary.create()
    primary.start()
    standby = Server(folder / "two", port=server.free_port(), settings=settings)
    standby.copy_of(primary)
    standby.start()
    with psycopg.connect(primary.dsn, autocommit=True) as admin:  # what is acknowledged is on both
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        admin.execute("SELECT pg_reload_conf()")
    both = f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres dbname=postgres"
    postgres.prepare(both)
    writer = Busy(both, "r")
    writer.start()
    try:
        writer.goes_on()
        primary.stop("immediate")
        standby.promote()
        with psycopg.connect(standby.dsn, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")
        writer.goes_on()
        writer.end()
        assert stored(both, "r") == writer.acknowledged
    finally:
        primary.stop()
        standby.stop()


class Stopped(PostgresDatabase):
    """A connection whose process stands still with the lock in its hands, once."""

    stand_still: threading.Event | None = None
    go_on = threading.Event()

    def commit(self) -> None:
        if self.stand_still is not None:
            self.query("SELECT set_config('idle_in_transaction_session_timeout', '200ms', true)")
            self.stand_still.set()
            self.stand_still = None
            assert self.go_on.wait(60)
        super().commit()


def test_a_writer_that_stands_still_holds_up_the_others_for_a_moment_and_writes_once_when_it_goes_on(
    dsn: str,
) -> None:
    connection = Stopped(dsn)
    stopped = Writer(lambda: connection, SystemClock())
    other = Writer(postgres.writer(dsn), SystemClock())
    for name, writer in (("a", stopped), ("b", other)):
        writer.submit(OpenRun(new_run(name), OWNER)).result()
    stands = connection.stand_still = threading.Event()
    late = stopped.submit(Append("a", 1, [event(0)]))
    assert stands.wait(60)
    other.submit(Append("b", 1, [event(0)])).result()
    assert not late.done
    connection.go_on.set()
    late.result()
    assert stored(dsn, "a") == stored(dsn, "b") == [0]
    stopped.close()
    other.close()
