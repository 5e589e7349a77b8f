"""The database's clock decides, whatever the machine's own says."""

import time

import pytest

from runstone.store.postgres import open as postgres
from runstone.store.postgres.clock import KEPT, ServerClock
from runstone.store.writer import Writer
from runstone.store.writes.lifecycle import OpenRun
from runstone.testing.contract import OWNER, new_run


def test_of_the_servers_answers_the_one_that_took_the_shortest_way_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: own * 1_000)
    clock = ServerClock()
    assert clock.now() == own
    clock.heard(own + 5_000_000)
    clock.heard(own + 4_900_000)  # said a tenth of a second before it was heard
    assert clock.now() == own + 5_000_000
    for _ in range(KEPT):  # the machine's clock was put forward
        clock.heard(own - 7)
    assert clock.now() == own - 7


def test_leases_end_by_the_servers_clock_on_a_machine_whose_own_is_wrong(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600 * 10**9)
    clock = postgres.clock(dsn)
    writer = Writer(postgres.writer(dsn), clock)
    before = real() // 1_000
    writer.submit(OpenRun(new_run("r"), OWNER)).result()
    after = real() // 1_000
    writer.close()
    db = postgres.reader(dsn)()
    ((expires,),) = db.query("SELECT expires_at FROM leases")
    db.close()
    assert before - 1_000_000 <= expires - OWNER.lease_us <= after + 1_000_000
