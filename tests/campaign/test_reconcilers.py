"""Who judges a dead worker's runs may die between any two statements, and others may judge them at the same moment."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.engine.registry import default_registry
from tests.postgres import server
from tests.postgres.test_workers import calls, until
from tests.workers import chaos, dispatched, flows

__all__ = ["flows"]

ROOT = Path(__file__).parents[2]
STATEMENTS = 300
"""More than a look needs; the loop ends with the first kill that comes too late."""

ROUNDS = 8
RACING = 6
FIRST = 6
"""Before this statement one of those that race is killed in the first round, and before the next one in the next."""

GATES = 3
WAIT_S = 300.0


def opened(dsn: str) -> runstone.Ledger:
    return runstone.open(dsn, lease_s=chaos.LEASE_S, heartbeat_s=chaos.LEASE_S / 6)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """What a killed worker leaves: a parent that waits, children at work, a question that is due, a stop not obeyed."""
    folder = tmp_path_factory.mktemp("left")
    with server.database() as dsn:
        team = chaos.Workers(dsn, folder / "workers.log", count=1)
        try:
            with opened(dsn) as ledger:
                runstone.enqueue("mixed", {"folder": str(folder)}, ledger=ledger, run_id="m")
                runstone.enqueue("gate", {"folder": str(folder)}, ledger=ledger, run_id="stopped")
                until(lambda: len(calls(folder)) == GATES + 1, team)
                until(lambda: statuses(ledger) == Counter(waiting=1, completed=2, running=GATES + 1), team)
                team.there[0].send_signal(signal.SIGSTOP)
                ledger.inputs.ask("stopped", "Due?", expires_s=0, default="no")
                ledger.command("stopped", "stop", by="ana")
        finally:
            team.close()
        (folder / "open").touch()
        yield dsn, folder
    server.drop_lent()


def statuses(ledger: runstone.Ledger) -> "Counter[str]":
    return Counter(run.status for run in ledger.list_runs(limit=50))


def reconciler(dsn: str, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.workers.reconciler", dsn, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def require_judged(ledger: runstone.Ledger) -> None:
    """Each run that lost its owner is in line once, and the one that was stopped is not."""
    assert ledger.care.verify() == []
    assert ledger.reader.attempts.leases() == []
    assert ledger.reader.rows("running_without_lease") == []
    assert statuses(ledger) == Counter(waiting=1, completed=2, pending=GATES, cancelled=1)
    ready = [run_id for run_id, *_ in ledger.reader.rows("ready_dispatches", now=2**62, limit=100)]
    children = {run.id for run in ledger.list_runs(parent_id="m", status="pending")}
    assert sorted(ready) == sorted(children)
    for run_id in [*children, "stopped"]:
        types = events(ledger, run_id)
        assert (types["run.interrupted"], types["run.resumed"]) == (1, int(run_id != "stopped"))
    assert (events(ledger, "stopped")["input.expired"], events(ledger, "stopped")["run.cancelled"]) == (1, 1)


def events(ledger: runstone.Ledger, run_id: str) -> "Counter[str]":
    return Counter(event.type for event in ledger.events(run_id, limit=500))


def require_completed(ledger: runstone.Ledger, folder: Path) -> None:
    """A worker brings it to its end: each result is recorded once, and what had ended is not done again."""
    before = len(calls(folder))
    work = dispatched.resume("m", ledger=ledger, registry=default_registry(), park_after_s=0.1)
    assert asyncio.run(work) == [2, GATES]
    again = calls(folder)[before:]
    assert Counter(attempt for _run, attempt, _pid in again) == Counter({"2": GATES})
    runs = [node.run for node in ledger.tree("m").walk()]
    assert Counter(run.status for run in runs) == Counter(completed=1 + 2 + GATES)
    assert all(events(ledger, run.id)["run.completed"] == 1 for run in runs)
    assert Counter(run.attempt for run in runs if run.id != "m") == Counter({1: 2, 2: GATES})
    assert ledger.reader.attempts.leases() == []
    assert ledger.care.verify() == []


def test_a_reconciler_killed_between_any_two_statements_leaves_nothing_undone(
    left: tuple[str, Path], record_property: Any
) -> None:
    template, folder = left
    for count in range(1, STATEMENTS):
        dsn = server.copy_of(template)
        try:
            victim = reconciler(dsn, "--kill", str(count))
            victim.communicate(timeout=WAIT_S)
            with opened(dsn) as ledger:
                require_judged(ledger)
                require_completed(ledger, folder)
        finally:
            server.drop(dsn)
        if victim.returncode == 0:
            break
        assert victim.returncode == -signal.SIGKILL
    else:
        raise AssertionError(f"it needs more than {STATEMENTS} statements")
    record_property("told", f"killed before each of {count - 1} statements")
    assert count > 10


def test_processes_that_judge_the_same_dead_worker_at_once_put_each_run_in_line_once(
    left: tuple[str, Path], tmp_path: Path, record_property: Any
) -> None:
    """One of them is killed in the middle, too, unless the others leave it nothing to do."""
    template, folder = left
    killed = 0
    for number in range(ROUNDS):
        dsn = server.copy_of(template)
        try:
            gate = tmp_path / f"gate-{number}"
            racing = [reconciler(dsn, "--gate", str(gate)) for _ in range(RACING)]
            racing.append(reconciler(dsn, "--gate", str(gate), "--kill", str(FIRST + number)))
            gate.touch()
            for one in racing:
                one.communicate(timeout=WAIT_S)
            assert [one.returncode for one in racing[:-1]] == [0] * RACING
            killed += racing[-1].returncode == -signal.SIGKILL
            with opened(dsn) as ledger:
                require_judged(ledger)
                require_completed(ledger, folder)
        finally:
            server.drop(dsn)
    record_property("told", f"{ROUNDS} rounds of {RACING}, and one more that was killed in {killed} of them")
    assert killed
