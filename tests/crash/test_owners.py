"""Two processes and one run: who was stopped and replaced is refused, and nobody disturbs who lives."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import runstone
from runstone.ledger import Ledger
from tests.crash.programs import HEARTBEAT_S, LEASE_S, slow_registry
from tests.crash.world import PROGRAMS, Server, Victim, all_events, executions, pause, require_whole

UNSHARE = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]


def opened(folder: Path) -> Ledger:
    return runstone.open(folder, lease_s=LEASE_S, heartbeat_s=HEARTBEAT_S)


def until(what: str, check: object, limit_s: float = 30.0) -> None:
    waited = 0.0
    while not check():  # type: ignore[operator]
        assert waited < limit_s, f"{what} did not come within {limit_s} s"
        pause(0.01)
        waited += 0.01


def stop_between_commits(folder: Path, pid: int) -> None:
    """Stops the process where it holds no lock of the file: nobody could write before it goes on, or is ended."""
    for _ in range(50):
        os.kill(pid, signal.SIGSTOP)
        other = apsw.Connection(str(folder / ".runstone" / "ledger.db"))
        other.set_busy_timeout(200)
        try:
            other.execute("BEGIN IMMEDIATE; ROLLBACK")
            return
        except apsw.BusyError:
            os.kill(pid, signal.SIGCONT)
            pause(0.003)
        finally:
            other.close()
    raise AssertionError("it always holds the lock")


def has_owner_lost(folder: Path, run_id: str) -> bool:
    with runstone.open(folder, readonly=True) as ledger:
        return ledger.get_run(run_id).status == "interrupted"


def test_a_stopped_and_replaced_owner_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with Server() as server:
        first = server.start(tmp_path, "hold", str(tmp_path), "r1")
        assert first.wait_said("ready")
        until("some appends", lambda: len(first.acknowledged()) > 5)
        stop_between_commits(tmp_path, first.pid)
        try:
            until("the end of the lease", lambda: has_owner_lost(tmp_path, "r1"))
            with opened(tmp_path) as ledger:
                second = ledger.continue_run("r1")
                assert second.attempt == 2
                seq, _ = second.emit("mine.written", {}).result()
                os.kill(first.pid, signal.SIGCONT)
                assert first.wait_gone()
                refused = [line["refused"] for line in first.said() if "refused" in line]
                assert refused == ["fenced"] * 4, first.said()[-5:]
                assert ledger.get_run("r1").status == "running"
                assert [e.seq for e in all_events(ledger, "r1") if e.attempt == 1 and e.seq > seq] == []
                second.complete(result="second").result()
                require_whole(ledger, first.acknowledged())
                assert ledger.result("r1") == "second"
        finally:
            first.kill()


def test_the_processes_of_a_stopped_owner_are_gone_before_the_new_attempt_starts_its_own(
    tmp_path: Path,
) -> None:
    with Server() as server:
        first = server.start(tmp_path, "execute_slow", str(tmp_path), "r1", "20")
        until("the tool's start", lambda: executions(tmp_path)[0])
        stop_between_commits(tmp_path, first.pid)
        try:
            until("the end of the lease", lambda: has_owner_lost(tmp_path, "r1"))
            with opened(tmp_path) as ledger:
                work = runstone.resume("r1", ledger=ledger, registry=slow_registry(str(tmp_path), "0.05"))
                assert asyncio.run(work) == {"tool": "k"}
                lines, _ = executions(tmp_path)
                assert [what for what, _, _ in lines] == ["start", "start", "end"], lines
                seq = all_events(ledger, "r1")[-1].seq
                os.kill(first.pid, signal.SIGCONT)
                assert first.wait_gone(), first.said()
                assert all_events(ledger, "r1")[-1].seq == seq
                assert ledger.get_run("r1").status == "completed"
                assert ledger.care.verify() == []
                assert [
                    process.ended_at is None
                    for process in ledger.processes(ledger.tree("r1").children[0].run.id)
                ] == [
                    False,
                    False,
                ]
        finally:
            first.kill()


def test_a_second_process_never_disturbs_the_runs_of_a_live_one(tmp_path: Path) -> None:
    with Server() as server:
        first = server.start(tmp_path, "hold", str(tmp_path), "r1")
        assert first.wait_said("ready")
        for _ in range(8):  # longer than a lease: opening, reconciling and closing again and again
            with opened(tmp_path) as ledger:
                assert ledger.reconcile() == []
                pause(LEASE_S / 5)
                assert ledger.reconcile() == []
                assert ledger.get_run("r1").status == "running"
                with pytest.raises(runstone.RunstoneError) as caught:
                    ledger.continue_run("r1")
                assert caught.value.code == "run_is_live"
        before = len(first.acknowledged())
        until("more appends", lambda: len(first.acknowledged()) > before + 5)
        first.kill()
        with opened(tmp_path) as ledger:
            assert ledger.get_run("r1").status == "interrupted"
            require_whole(ledger, first.acknowledged())


@pytest.mark.skipif(
    sys.platform != "linux"
    or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0,
    reason="unshare is not allowed here",
)
def test_another_pid_namespace_is_no_proof_of_death(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as out:
        process = subprocess.Popen(
            [*UNSHARE, sys.executable, str(PROGRAMS), "hold", str(tmp_path), "r1"], stdout=out
        )
    first = Victim(process.pid, said)
    try:
        assert first.wait_said("ready")
        with opened(tmp_path) as ledger:
            for _ in range(6):
                assert ledger.reconcile() == []
                pause(LEASE_S / 4)
            assert ledger.get_run("r1").status == "running"
            lease = ledger.lease("r1")
            assert lease is not None
            assert lease.identity["pid_namespace"] != ledger.supervisor.identity.pid_namespace
            process.kill()
            process.wait(10)
            assert ledger.reconcile() == [], "killed, but from here nobody can know"
            until("the end of the lease", lambda: ledger.get_run("r1").status == "interrupted")
            second = ledger.continue_run("r1")
            assert second.attempt == 2
            second.complete().result()
            require_whole(ledger, first.acknowledged())
    finally:
        process.kill()
        process.wait(10)
