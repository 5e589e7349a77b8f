"""Connections that are lost: what was acknowledged is stored, and what was sent again is stored once."""

from collections.abc import Iterator
from typing import Any

import pytest

from runstone.errors import StoreUnreachable
from runstone.store.clock import SystemClock
from runstone.store.postgres import open as postgres
from runstone.store.writer import Writer
from runstone.store.writes.events import Append
from runstone.store.writes.lifecycle import OpenRun
from runstone.testing.contract import OWNER, event, new_run
from tests.postgres.proxy import Proxy


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    proxy = Proxy(dsn)
    yield proxy
    proxy.close()


@pytest.fixture
def writer(proxy: Proxy) -> Iterator[Writer]:
    writer = Writer(postgres.writer(proxy.dsn), SystemClock())
    yield writer
    writer.close()


def told(dsn: str, run_id: str = "r") -> list[Any]:
    db = postgres.reader(dsn)()
    rows = db.query(
        "SELECT (e.payload::json ->> 'n')::bigint FROM events e JOIN runs r ON r.id = e.run "
        "WHERE r.run_id = :run_id AND e.type = 'work.done' ORDER BY e.seq",
        {"run_id": run_id},
    )
    db.close()
    return [number for (number,) in rows]


@pytest.mark.parametrize("kind", ["before", "during", "after"])
def test_a_batch_whose_connection_is_lost_in_commit_is_stored_once(
    proxy: Proxy, writer: Writer, dsn: str, kind: str
) -> None:
    writer.submit(OpenRun(new_run("r"), OWNER)).result()
    for number in range(6):
        proxy.cut = kind if number % 2 else None
        receipts = [writer.submit(Append("r", 1, [event(10 * number + part)])) for part in range(3)]
        assert [receipt.result() for receipt in receipts]
    assert proxy.cuts == 3
    assert told(dsn) == [10 * number + part for number in range(6) for part in range(3)]


def test_a_server_that_is_away_for_a_while_is_waited_for(proxy: Proxy, writer: Writer, dsn: str) -> None:
    writer.submit(OpenRun(new_run("r"), OWNER)).result()
    proxy.refuse = 3
    proxy.cut_all()
    writer.submit(Append("r", 1, [event(1)])).result()
    proxy.cut, proxy.refuse = "after", 3
    writer.submit(Append("r", 1, [event(2)])).result()
    assert proxy.refuse == 0
    assert told(dsn) == [1, 2]


def test_a_reader_goes_on_over_a_lost_connection(proxy: Proxy) -> None:
    db = postgres.reader(proxy.dsn)()
    before = db.rows("sequences")
    proxy.cut_all()
    assert db.rows("sequences") == before
    db.close()


def test_a_read_that_was_cut_off_in_a_snapshot_is_an_error_and_no_mixture(proxy: Proxy) -> None:
    db = postgres.reader(proxy.dsn)()

    def read_twice() -> None:
        with db.snapshot():
            assert db.rows("sequences")
            proxy.cut_all()
            db.rows("sequences")

    with pytest.raises(StoreUnreachable):
        read_twice()
    assert db.rows("sequences")
    db.close()


def test_two_writers_that_lose_their_commits_know_each_their_own(proxy: Proxy, dsn: str) -> None:
    writers = [Writer(postgres.writer(proxy.dsn), SystemClock()) for _ in range(2)]
    for name, writer in zip("ab", writers, strict=True):
        writer.submit(OpenRun(new_run(name), OWNER)).result()
    for number in range(8):
        proxy.cut = "after" if number % 2 else "before"
        for name, writer in zip("ab", writers, strict=True):
            writer.submit(Append(name, 1, [event(number)])).result()
    assert told(dsn, "a") == told(dsn, "b") == list(range(8))
    for writer in writers:
        writer.close()
