"""Several workers share a ledger in PostgreSQL: one attempt works at a time, and what dies or is cut off goes on."""

import itertools
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import runstone
from runstone.domain.dispatches import OPTION, Placement
from runstone.store.writes.lifecycle import ClaimRun, CreateRun
from runstone.testing.contract import OTHER, new_run
from tests.postgres import server
from tests.workers import chaos
from tests.workers.proxy import Proxy

WAIT_S = 60.0


@pytest.fixture
def url(dsn: str) -> str:
    """The database as a URL."""
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    return f"postgresql://{given['user']}@{given['host']}:{given['port']}/{given['dbname']}"


@pytest.fixture
def ledger(url: str) -> Iterator[runstone.Ledger]:
    with runstone.open(url, lease_s=chaos.LEASE_S, heartbeat_s=chaos.LEASE_S / 6) as opened:
        yield opened


@pytest.fixture
def team(url: str, tmp_path: Path) -> Iterator[chaos.Workers]:
    workers = chaos.Workers(url, tmp_path / "workers.log", count=0)
    yield workers
    workers.close()


def until(met: Callable[[], Any], team: chaos.Workers) -> None:
    deadline = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < deadline, team.log.read_text()[-3_000:]
        time.sleep(0.02)


def done(ledger: runstone.Ledger, run_id: str, team: chaos.Workers) -> Any:
    # One whose owner has died reads interrupted for a moment, which ends a wait.
    until(lambda: ledger.wait(run_id, 5).status in ("completed", "failed", "cancelled"), team)
    run = ledger.get_run(run_id)
    assert run.status == "completed", (run.status, run.error, team.log.read_text()[-3_000:])
    return ledger.reader.values.json(run.result_ref)


def calls(folder: Path) -> list[list[str]]:
    file = folder / "calls"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def gates(ledger: runstone.Ledger, folder: Path, count: int) -> list[str]:
    given = {"folder": str(folder)}
    return [
        runstone.enqueue("gate", given, ledger=ledger, run_id=f"gate-{number}").id for number in range(count)
    ]


def test_a_tree_of_depth_5_completes_with_one_slot_in_the_whole_system(
    ledger: runstone.Ledger, team: chaos.Workers
) -> None:
    team.slots = team.concurrency = 1
    team.add(), team.add()
    runstone.enqueue("deep", {"depth": 5}, ledger=ledger, run_id="d")
    assert done(ledger, "d", team) == 2 * (1 + 2) + 2 * 10 * (1 + 2 + 3 + 4 + 5)
    runs = ledger.list_runs(limit=100).items
    assert len(runs) == 6 + 5 + 2
    attempts = sorted(
        (one.started_at, one.ended_at) for run in runs for one in ledger.reader.attempts.of(run.id)
    )
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(attempts)), [
        (run.id, run.agent_id, one.number, one.outcome, one.reason, str(one.started_at), str(one.ended_at))
        for run in runs
        for one in ledger.reader.attempts.of(run.id)
    ]
    assert ledger.care.verify() == []


def test_a_queues_concurrency_holds_over_all_workers_and_is_freed_by_a_dead_one(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    team.concurrency = 2
    workers = [team.add(), team.add()]
    gates(ledger, tmp_path, 5)
    until(lambda: len(calls(tmp_path)) == 2, team)
    first = {pid for _run, _attempt, pid in calls(tmp_path)}
    for worker in [worker for worker in workers if str(worker.pid) in first]:
        worker.kill()
        worker.wait(30)
    team.add()
    until(lambda: len(calls(tmp_path)) >= 4, team)  # the places of the dead are given anew
    assert ledger.list_runs(status="running").items, "and two are at work"
    (tmp_path / "open").touch()
    for number in range(5):
        done(ledger, f"gate-{number}", team)
    spans = sorted(
        (one.started_at, one.ended_at)
        for number in range(5)
        for one in ledger.reader.attempts.of(f"gate-{number}")
    )
    for began, ended in spans:
        assert sum(other < ended and began < until_ for other, until_ in spans) <= 2 + 1


def test_priorities_and_delays_decide_who_is_first(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    (tmp_path / "open").touch()
    team.slots = team.concurrency = 1
    given = {"folder": str(tmp_path)}
    for name, more in (
        ("late", {"delay_s": 1.5}), ("last", {"priority": 9}), ("second", {"priority": 1}), ("first", {"priority": 0})
    ):  # fmt: skip
        runstone.enqueue("gate", given, ledger=ledger, run_id=name, **more)  # type: ignore[arg-type]
    team.add()
    for name in ("late", "last", "second", "first"):
        done(ledger, name, team)
    order = [run for run, _attempt, _pid in calls(tmp_path)]
    assert order.index("first") < order.index("second") < order.index("last")
    late = ledger.get_run("late")
    assert late.started_at is not None
    assert (late.started_at - late.created_at).total_seconds() >= 1.5


@pytest.mark.parametrize("slots", [(4, 1)])
def test_workers_of_a_queue_keep_their_own_number_of_slots(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path, slots: tuple[int, int]
) -> None:
    workers = []
    for team.slots in slots:
        workers.append(team.add())
    # Both have registered before there is anything to do: the last one's number must not be the other's.
    until(lambda: server.queues_width(ledger.workspace.dsn or "") == max(slots), team)
    gates(ledger, tmp_path, 9)
    until(lambda: len(calls(tmp_path)) == sum(slots), team)
    until(lambda: "dispatch.returned" in {event.type for event in all_events(ledger)}, team)
    (tmp_path / "open").touch()
    for number in range(9):
        done(ledger, f"gate-{number}", team)
    spans: dict[str, list[tuple[Any, Any]]] = {}
    for run, attempt, pid in calls(tmp_path):
        one = next(one for one in ledger.reader.attempts.of(run) if one.number == int(attempt))
        spans.setdefault(pid, []).append((one.started_at, one.ended_at))
    for worker, most in zip(workers, slots, strict=True):
        mine = spans[str(worker.pid)]
        assert max(sum(began <= at < ended for began, ended in mine) for at, _ in mine) == most
    returned = [event for event in all_events(ledger) if event.type == "dispatch.returned"]
    assert len(returned) <= max(slots) - min(slots), "each of them once, and not again and again"
    assert ledger.care.verify() == []


def all_events(ledger: runstone.Ledger) -> list[Any]:
    return [event for run in ledger.list_runs(limit=100) for event in ledger.events(run.id, limit=100)]


def test_a_rate_holds_over_all_workers(
    ledger: runstone.Ledger, url: str, tmp_path: Path, team: chaos.Workers
) -> None:
    """By the times of the claims in the ledger. A claim comes a moment after its start counts, never before."""
    (tmp_path / "open").touch()
    team.rate = (2, 2.0)
    team.add(), team.add()
    gates(ledger, tmp_path, 6)
    for number in range(6):
        done(ledger, f"gate-{number}", team)
    claimed = sorted(ledger.reader.attempts.of(f"gate-{number}")[0].started_at for number in range(6))
    first = claimed[0]
    assert (claimed[-1] - first).total_seconds() > 2.0, (
        "six at two in two seconds take four, less the first's delay"
    )


def test_a_worker_that_is_cut_off_loses_its_run_and_what_it_says_later_is_refused(
    ledger: runstone.Ledger, url: str, team: chaos.Workers, tmp_path: Path
) -> None:
    port = int(psycopg.conninfo.conninfo_to_dict(url)["port"])
    proxy = Proxy(port)
    try:
        alone = team.add(url.replace(f":{port}/", f":{proxy.port}/"))
        gates(ledger, tmp_path, 1)
        until(lambda: len(calls(tmp_path)) == 1, team)
        other = team.add()
        proxy.cut()
        # Its process lives on this machine, so that only its silence speaks.
        until(lambda: len(calls(tmp_path)) == 2, team)
        (tmp_path / "open").touch()
        assert done(ledger, "gate-0", team) == other.pid
        proxy.mend()
        (tmp_path / "open").unlink()
        again = runstone.enqueue("gate", {"folder": str(tmp_path), "again": True}, ledger=ledger).id
        (tmp_path / "open").touch()
        done(ledger, again, team)
        assert [pid for _run, _attempt, pid in calls(tmp_path)][:2] == [str(alone.pid), str(other.pid)]
        types = Counter(event.type for event in ledger.events("gate-0", limit=500))
        assert (types["run.completed"], types["run.interrupted"]) == (1, 1)
        assert ledger.get_run("gate-0").attempt == 2
    finally:
        proxy.close()


def test_a_stopped_worker_that_goes_on_does_nothing_twice(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    stopped = team.add()
    gates(ledger, tmp_path, 1)
    until(lambda: len(calls(tmp_path)) == 1, team)
    other = team.add()
    stopped.send_signal(signal.SIGSTOP)
    until(lambda: len(calls(tmp_path)) == 2, team)
    (tmp_path / "open").touch()
    stopped.send_signal(signal.SIGCONT)
    assert done(ledger, "gate-0", team) == other.pid
    assert Counter(event.type for event in ledger.events("gate-0", limit=500))["run.completed"] == 1


def test_reconcilers_that_race_dispatch_each_run_of_a_dead_owner_once(
    ledger: runstone.Ledger, url: str
) -> None:
    """Their owner is a process of this machine that is no more, so that all of them see it at once."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = runstone.open(url)
    identity = dead.supervisor.owner.identity_json.replace(f'"pid":{os.getpid()}', f'"pid":{gone.pid}')
    owner = type(OTHER)("dead", identity, 60_000_000)
    names = [f"r{number}" for number in range(40)]
    for name in names:
        ledger.core.submit(CreateRun(new_run(name, options={OPTION: Placement().option()})), []).result()
        ledger.core.submit(ClaimRun(name, owner, dispatch=1), []).result()
    others = [runstone.open(url) for _ in range(3)]  # opening reconciles, too
    racing = [threading.Thread(target=one.supervisor.reconcile) for one in [ledger, dead, *others] * 2]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join()
    for one in [dead, *others]:
        one.close()
    ready = ledger.reader.rows("ready_dispatches", now=2**62, limit=100)
    assert sorted(run_id for run_id, *_ in ready) == sorted(names)
    for name in names:
        types = Counter(event.type for event in ledger.events(name, limit=100))
        assert (types["run.interrupted"], types["run.resumed"]) == (1, 1)


@pytest.mark.parametrize(
    "point",
    [
        "relay.after_enqueue",
        "MoveDispatches.before_commit",
        "InterruptRun.before_commit",
        "ClaimRun.after_commit",
    ],
)
def test_a_worker_that_dies_between_two_statements_leaves_nothing_undone(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path, point: str
) -> None:
    """More points are in the campaign."""
    dies_between(ledger, team, tmp_path, point)


def dies_between(ledger: runstone.Ledger, team: chaos.Workers, folder: Path, point: str) -> None:
    """The only worker that there is dies at the point, with one run to take over and others in line."""
    first = team.add()
    (lost,) = gates(ledger, folder, 1)
    until(lambda: len(calls(folder)) == 1, team)
    first.kill()
    first.wait(30)
    (folder / "open").touch()
    runstone.enqueue("deep", {"depth": 1}, ledger=ledger, run_id="d")
    armed = team.add(RUNSTONE_CRASH_AT=point)
    until(lambda: armed.poll() is not None, team)
    assert armed.returncode == -signal.SIGKILL
    team.add(), team.add()
    done(ledger, lost, team)
    assert done(ledger, "d", team) == 2 * (1 + 2) + 2 * 10
    assert Counter(event.type for event in ledger.events("d", limit=500))["run.completed"] == 1
    assert len(ledger.list_runs(limit=200).items) == 1 + 2 + 1 + 2
    assert ledger.care.verify() == []


def test_the_work_completes_when_a_standby_takes_over_in_its_middle(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="runstone-failover-") as place:
        os.chmod(place, 0o755)
        settings = (*server.SETTINGS, "wal_level=replica", "max_wal_senders=4", "hot_standby=on")
        for name in ("one", "two"):
            (Path(place) / name).mkdir()
        primary = server.Server(Path(place) / "one", port=server.free_port(), settings=settings)
        primary.create()
        primary.start()
        standby = server.Server(Path(place) / "two", port=server.free_port(), settings=settings)
        standby.copy_of(primary)
        standby.start()
        _change(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        url = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
        team = chaos.Workers(url, tmp_path / "workers.log", count=0)
        try:
            with runstone.open(url, lease_s=chaos.LEASE_S, heartbeat_s=chaos.LEASE_S / 6) as ledger:
                reader = chaos.Reader(url, ledger.cursor())
                reader.start()
                team.add(), team.add()
                ids = chaos.queue(ledger, 4)
                until(lambda: len(ledger.list_runs(status="completed", limit=50).items) >= 10, team)
                primary.stop("immediate")
                standby.promote()
                _change(standby, "ALTER SYSTEM RESET synchronous_standby_names")
                assert chaos.until_done(ledger, ids, 2 * WAIT_S) == [], team.log.read_text()[-3_000:]
                chaos.check(ledger, ids, reader)
                assert [worker.poll() for worker in team.there] == [None, None], (
                    "nobody had to start them anew"
                )
        finally:
            team.close()
            primary.stop()
            standby.stop()


def _change(one: server.Server, statement: str) -> None:
    with psycopg.connect(one.dsn, autocommit=True) as admin:
        admin.execute(statement)  # type: ignore[call-overload]
        admin.execute("SELECT pg_reload_conf()")
