"""Workers that are cut off from the database, silently or at once, while they execute trees: done once all the same."""

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

import runstone
from tests.postgres import server
from tests.postgres.test_workers import until
from tests.workers import chaos, flows
from tests.workers.proxy import Proxy

FAULTS_S = 60.0
TREES = 40
WITHIN_S = 240.0
WORKERS = 3


@pytest.mark.timeout(FAULTS_S + WITHIN_S + 120)
def test_workers_that_are_cut_off_record_each_result_once(tmp_path: Path, record_property: Any) -> None:
    """A silent cut lasts up to more than two leases; what was sent meanwhile arrives when it is over.

    They are cut off once all are at work: one that finds no database as it starts ends, and says so.
    """
    seed = int(os.environ.get("RUNSTONE_SEED") or random.SystemRandom().randrange(10**6))
    with server.database() as dsn:
        port = int(conninfo_to_dict(dsn)["port"])
        name = conninfo_to_dict(dsn)["dbname"]
        proxies = [Proxy(port) for _ in range(WORKERS)]
        team = chaos.Workers(dsn, tmp_path / "workers.log", count=0)
        try:
            with runstone.open(dsn, lease_s=chaos.LEASE_S, heartbeat_s=chaos.LEASE_S / 6) as ledger:
                start = ledger.cursor()
                reader = chaos.Reader(dsn, start)
                reader.start()
                ids = chaos.queue(ledger, TREES)
                for proxy in proxies:
                    team.add(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}")
                until(
                    lambda: len({lease.owner for lease in ledger.reader.attempts.leases()}) == WORKERS, team
                )
                made = cut_again_and_again(proxies, random.Random(seed), FAULTS_S)
                began = time.monotonic()
                left = chaos.until_done(ledger, ids, WITHIN_S)
                done_s = time.monotonic() - began
                lost = sum(event.type == "run.interrupted" for event in ledger.tail(after=start, timeout=0))
                record_property(
                    "told",
                    f"seed {seed}: {TREES * flows.RUNS_OF_A_TREE} runs, {dict(made)}, {lost} times a run lost its "
                    f"owner, done {done_s:.1f} s after the last cut",
                )
                assert left == [], team.log.read_text()[-5_000:]
                ended = [worker.poll() for worker in team.there]
                assert ended == [None] * WORKERS, team.log.read_text()[-5_000:]
                chaos.check(ledger, ids, reader)
                assert lost, "no cut was long enough to matter"
        finally:
            team.close()
            for proxy in proxies:
                proxy.close()


def cut_again_and_again(proxies: list[Proxy], rng: random.Random, for_s: float) -> "Counter[str]":
    """Mends each before the next."""
    made: Counter[str] = Counter()
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        time.sleep(rng.uniform(0.5, 2))  # between faults
        proxy = rng.choice(proxies)
        if rng.random() < 0.4:
            made["broken off"] += 1
            proxy.break_off()
            continue
        made["silently cut"] += 1
        proxy.cut()
        time.sleep(rng.uniform(0.2, 2.5 * chaos.LEASE_S))  # the fault itself lasts so long
        proxy.mend()
    return made
