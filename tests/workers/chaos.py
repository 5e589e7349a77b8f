"""Chaos: workers are killed and stopped, and their database is restarted, while they execute trees of runs."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import runstone
from runstone.errors import StoreError
from tests.postgres.server import Server
from tests.workers import flows

ROOT = Path(__file__).parents[2]
LEASE_S = 3.0


class Workers:
    """Worker processes, of which some are always about to be killed."""

    def __init__(
        self, dsn: str, log: Path, *, count: int, slots: int = 6, concurrency: int | None = None
    ) -> None:
        self.dsn = dsn
        self.log = log
        self.slots = slots
        self.concurrency = concurrency
        self.rate: tuple[int, float] | None = None
        self.there = [self._start() for _ in range(count)]
        self.faults: Counter[str] = Counter()

    def add(self, dsn: str | None = None, **environment: str) -> "subprocess.Popen[bytes]":
        """Starts one more."""
        self.there.append(self._start(dsn, **environment))
        return self.there[-1]

    def _start(self, dsn: str | None = None, **environment: str) -> "subprocess.Popen[bytes]":
        command = [
            *(sys.executable, "-m", "tests.workers.program", dsn or self.dsn),
            *("--modules", "tests.workers.flows", "--lease", str(LEASE_S), "--slots", str(self.slots)),
            *(() if self.concurrency is None else ("--concurrency", str(self.concurrency))),
            *(() if self.rate is None else ("--rate", *map(str, self.rate))),
        ]
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
        env = os.environ | {"PYTHONPATH": path} | environment
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, number: int) -> None:
        """Kills one with -9 and starts another."""
        self.faults["killed"] += 1
        self._end(self.there[number])
        self.there[number] = self._start()

    def pause(self, number: int, for_s: float) -> None:
        """Stops one for a while, mostly for longer than its lease."""
        self.faults["stopped"] += 1
        worker = self.there[number]
        worker.send_signal(signal.SIGSTOP)
        time.sleep(for_s)  # the fault itself lasts so long
        worker.send_signal(signal.SIGCONT)

    @staticmethod
    def _end(worker: "subprocess.Popen[bytes]") -> None:
        worker.kill()
        worker.wait(30)

    def revive(self) -> None:
        """Starts anew those that ended by themselves; counts them."""
        for number, worker in enumerate(self.there):
            if worker.poll() is not None:
                self.faults[f"ended by itself with {worker.returncode}"] += 1
                self.there[number] = self._start()

    def close(self) -> None:
        for worker in self.there:
            self._end(worker)


class Reader(threading.Thread):
    """Follows the ledger from before the first event, over every outage, and keeps what it was given."""

    def __init__(self, dsn: str, cursor: str) -> None:
        super().__init__(daemon=True)
        self.dsn = dsn
        self.cursor = cursor
        self.epoch = cursor.partition("-")[0]
        self.seen: list[tuple[str, int]] = []
        self.ended = threading.Event()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                with suppress(StoreError):
                    self._follow()
        except BaseException as error:
            self.failed = error

    def _follow(self) -> None:
        with runstone.open(self.dsn, readonly=True) as ledger:
            while not self.ended.is_set():
                for event in ledger.tail(after=self.cursor, timeout=0.5):
                    self.seen.append((event.run_id, event.seq))
                    self.cursor = f"{self.epoch}-{event.position}"


class Faults:
    """Makes faults until it is over."""

    def __init__(
        self, workers: Workers, server: Server | None, rng: random.Random, every: tuple[float, float]
    ) -> None:
        self.workers = workers
        self.server = server
        self.rng = rng
        self.every = every

    def during(self, for_s: float) -> None:
        """One fault after the other."""
        until = time.monotonic() + for_s
        restart_at = time.monotonic() + self.rng.uniform(5, 15)
        while (now := time.monotonic()) < until:
            if self.server is not None and now >= restart_at:
                self._restart(self.server)
                restart_at = time.monotonic() + self.rng.uniform(5, 40)
            time.sleep(
                min(self.rng.uniform(*self.every), max(0.0, until - time.monotonic()))
            )  # between faults
            self.workers.revive()
            number = self.rng.randrange(len(self.workers.there))
            if self.rng.random() < 0.6:
                self.workers.kill(number)
            else:
                self.workers.pause(number, self.rng.uniform(1, 2.5 * LEASE_S))

    def _restart(self, server: Server) -> None:
        self.workers.faults["database restarted"] += 1
        server.stop(self.rng.choice(["immediate", "fast"]))
        time.sleep(self.rng.uniform(0, 2))  # the outage itself
        server.start()


def queue(ledger: runstone.Ledger, trees: int) -> list[str]:
    """Puts trees in line."""
    return [
        runstone.enqueue("tree", {"tree": number}, ledger=ledger, run_id=f"tree-{number}").id
        for number in range(trees)
    ]


def until_done(ledger: runstone.Ledger, ids: list[str], within_s: float) -> list[str]:
    """Waits; gives the ids of what has not ended by then."""
    deadline = time.monotonic() + within_s
    left = list(ids)
    while left and time.monotonic() < deadline:
        with suppress(StoreError):
            ledger.wait(left[0], min(5.0, max(0.1, deadline - time.monotonic())))
        with suppress(StoreError):
            left = [
                one for one in left if ledger.get_run(one).status not in ("completed", "failed", "cancelled")
            ]
    return left


def check(ledger: runstone.Ledger, ids: list[str], reader: Reader) -> None:
    """What must hold once the faults have stopped and all is done."""
    every: list[tuple[str, int]] = []
    for number, run_id in enumerate(ids):
        top = ledger.get_run(run_id)
        assert top.status == "completed", (run_id, top.status, top.status_reason, top.error)
        assert ledger.reader.values.json(top.result_ref) == flows.result_of(number)
        below = _below(ledger, run_id)
        assert len(below) == flows.RUNS_OF_A_TREE, "each child was started once"
        assert {one.status for one in below} == {"completed"}
        _check_totals(ledger, run_id, [one.id for one in below])
        for one in below:
            events = list(_events(ledger, one.id))
            types = Counter(event.type for event in events)
            assert types["run.completed"] == 1, "each result was recorded once"
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            every += [(one.id, event.seq) for event in events]
    assert ledger.list_runs(status="running").items == []
    assert ledger.reader.attempts.leases() == []
    assert ledger.reader.rows("ready_dispatches", now=2**62, limit=10) == []
    assert [str(found) for found in ledger.care.verify()] == []
    deadline = time.monotonic() + 30
    while len(set(reader.seen)) < len(every) and time.monotonic() < deadline:
        time.sleep(0.1)  # it follows within half a second
    reader.ended.set()
    reader.join(30)
    assert reader.failed is None
    assert len(reader.seen) == len(set(reader.seen)), "nothing came twice"
    assert set(every) - set(reader.seen) == set(), "nothing was missed"


def _below(ledger: runstone.Ledger, run_id: str) -> list[Any]:
    found, stack = [], [ledger.tree(run_id)]
    while stack:
        node = stack.pop()
        found.append(node.run)
        stack += node.children
    return found


def _events(ledger: runstone.Ledger, run_id: str) -> Any:
    after = 0
    while page := ledger.events(run_id, after=after, limit=500).items:
        yield from page
        after = page[-1].seq


def _check_totals(ledger: runstone.Ledger, run_id: str, below: list[str]) -> None:
    """The totals of the subtree are what its runs have spent, and each request counts once."""
    own = [ledger.telemetry(one).own for one in below]
    total = ledger.telemetry(run_id).subtree
    assert total.input_tokens == sum(one.input_tokens for one in own)
    assert total.output_tokens == sum(one.output_tokens for one in own)
    assert total.requests == sum(one.requests for one in own) == 2 * flows.BRANCHES * flows.LEAVES
