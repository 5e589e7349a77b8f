"""Orders to runs of other processes: a stop of fifty processes, and of those whose owner was killed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import runstone
from runstone.ledger import Ledger
from tests.crash.world import Server, pause, require_live_leases

COUNT = 50


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def processes(ledger: Ledger) -> list[int]:
    """Leaders of process groups that the tree has started."""
    return [one.pgid for node in ledger.tree("r").walk() for one in ledger.processes(node.run.id)]


def living(pids: list[int]) -> list[int]:
    return [
        pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def at_work(pids: list[int]) -> bool:
    """Whether each was let through its gate: one that was not ends with its owner."""
    return all(psutil.Process(pid).name() == "sleep" for pid in living(pids)) and len(living(pids)) == len(
        pids
    )


def crowd(folder: Path, server: Server) -> tuple[Ledger, list[int], object]:
    """Fifty commands at work below a run of another process."""
    owner = server.start(folder, "crowd", str(folder), str(COUNT))
    ledger = runstone.open(folder, lease_s=5.0, heartbeat_s=0.5)
    waited = 0.0
    while True:
        found = ledger.list_runs(parent_id="r", limit=100).items
        if len(found) == COUNT and len(pids := processes(ledger)) == COUNT and at_work(pids):
            return ledger, pids, owner
        assert waited < 60, Counter(run.status for run in found)
        pause(0.05)
        waited += 0.05


@pytest.mark.parametrize("owner_dies", [False, True], ids=["owner lives", "owner killed"])
def test_a_stop_of_fifty_processes_leaves_none_alive_and_every_row_says_why(
    tmp_path: Path, server: Server, owner_dies: bool
) -> None:
    ledger, pids, owner = crowd(tmp_path, server)
    try:
        if owner_dies:
            owner.kill()  # type: ignore[attr-defined]
            assert len(living(pids)) == COUNT, "the commands outlive it"
        order = ledger.command("r", "stop", by="ana", reason="enough")
        if order.status == "applied":
            assert living(pids) == [], "it said that it had stopped"
        run = ledger.wait("r", timeout=60)
        assert run.status == "cancelled"
        assert living(pids) == []
        require_story(ledger)
    finally:
        for pid in living(pids):
            psutil.Process(pid).kill()
        owner.kill()  # type: ignore[attr-defined]
        ledger.close()


def require_story(ledger: Ledger) -> None:
    """Every row has ended, and its events say who stopped it and why."""
    nodes = list(ledger.tree("r").walk())
    assert Counter(node.run.status for node in nodes) == Counter(cancelled=COUNT + 1)
    assert ledger.get_run("r").status_reason == "enough"
    require_live_leases(ledger)
    for node in nodes:
        events = [event.type for event in ledger.events(node.run.id, limit=1_000)]
        assert events.count("run.cancelled") == 1, events
        assert {one.status for one in ledger.commands.list(node.run.id)} == {"applied"}, node.run.id
        if node.run.id != "r":
            assert node.run.status_reason == "parent stopped"
            assert events.count("process.started") == events.count("process.ended") == 1, events
            assert events.index("process.ended") < events.index("run.cancelled")
        assert all(
            attempt.outcome in ("cancelled", "interrupted") for attempt in ledger.attempts(node.run.id)
        )
    assert ledger.care.verify() == []


@pytest.mark.parametrize("side", ["before", "after"])
def test_whoever_dies_as_he_stops_a_tree_has_stopped_all_of_it_or_nothing(
    tmp_path: Path, server: Server, side: str
) -> None:
    names = ("r", "a", "b")
    with runstone.open(tmp_path) as ledger:
        runs = [ledger.start_run(run_id=name, parent=None if name == "r" else "r") for name in names]
        for run in reversed(runs):
            run.pause(state={})
        point = (f"GiveOrders.{side}_commit", 1)
        victim = server.start(tmp_path, "ordering", str(tmp_path), "stop", crash=point)
        assert victim.wait_gone(30)
        assert victim.said() == [], "it was not killed"
        status = "paused" if side == "before" else "cancelled"
        assert {name: ledger.get_run(name).status for name in names} == dict.fromkeys(names, status)
        assert ledger.care.verify() == []
