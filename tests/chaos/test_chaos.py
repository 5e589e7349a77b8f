"""Workers are killed and stopped, and their database is restarted, while they work; then all completes, done once."""

import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from tests.postgres import server
from tests.workers import chaos, flows

FAULTS_S = 60.0
TREES = 30
WITHIN_S = 240.0


@pytest.fixture
def own_server() -> Iterator[server.Server]:
    """A server that may be stopped: no other test is on it."""
    with tempfile.TemporaryDirectory(prefix="runstone-chaos-") as folder:
        os.chmod(folder, 0o755)
        one = server.Server(Path(folder), port=server.free_port())
        one.create()
        one.start()
        yield one
        one.stop()


@pytest.mark.timeout(FAULTS_S + WITHIN_S + 120)
def test_workers_and_their_database_may_die_at_any_time(own_server: server.Server, tmp_path: Path) -> None:
    assert TREES * flows.RUNS_OF_A_TREE >= 500
    survive(own_server, tmp_path, trees=TREES, faults_s=FAULTS_S, every=(3, 8), within_s=WITHIN_S)


def survive(
    own: server.Server,
    folder: Path,
    *,
    trees: int,
    faults_s: float,
    every: tuple[float, float],
    within_s: float,
) -> None:
    """Three workers execute trees while faults are made; then the faults stop. `RUNSTONE_SEED` repeats a run's."""
    seed = int(os.environ.get("RUNSTONE_SEED", str(time.time_ns() % 10_000)))
    dsn = f"postgresql://postgres@127.0.0.1:{own.port}/postgres"
    log = folder / "workers.log"
    with runstone.open(dsn, lease_s=chaos.LEASE_S, heartbeat_s=chaos.LEASE_S / 6) as ledger:
        reader = chaos.Reader(dsn, ledger.cursor())
        reader.start()
        ids = chaos.queue(ledger, trees)
        workers = chaos.Workers(dsn, log, count=3)
        try:
            chaos.Faults(workers, own, random.Random(seed), every).during(faults_s)
            began = time.monotonic()
            workers.revive()
            left = chaos.until_done(ledger, ids, within_s)
            print(
                f"RUNSTONE_SEED={seed}: {trees * flows.RUNS_OF_A_TREE} runs, {dict(workers.faults)}; "
                f"done {time.monotonic() - began:.1f} s after the last fault"
            )
            assert left == [], log.read_text()[-5_000:]
            assert workers.faults["killed"]
            assert workers.faults["database restarted"]
            chaos.check(ledger, ids, reader)
        finally:
            reader.ended.set()
            workers.close()
