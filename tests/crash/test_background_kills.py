"""Background commands whose processes are killed: each alone, together, and the machine. All real, with SIGKILL."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone import background
from runstone.cli import following
from runstone.cli.output import Output
from runstone.engine import process_table, processes
from runstone.engine.background import keeping
from runstone.ledger import Ledger
from tests.engine.background.commands import (
    command_of,
    counting,
    end_all,
    ended,
    eventually,
    keeper_of,
    kill,
    lives,
    pause,
    printed,
    processes_of,
    reading,
    watcher_of,
)

COUNT = 300
NUMBERS = [str(number) for number in range(1, COUNT + 1)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as ledger:
        try:
            yield ledger
        finally:
            end_all(tmp_path)


def slowly(count: int = COUNT) -> list[str]:
    """About two seconds of work."""
    return counting(count, per_s=150, burst=5)


def begun(ledger: Ledger, run_id: str) -> None:
    eventually(lambda: len(printed(ledger, run_id)) > 20)


def test_the_starter_killed_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    program = (
        f"import os, signal, runstone\nledger = runstone.open({str(tmp_path)!r})\n"
        f"ledger.exec({slowly()!r}, run_id='mine')\nos.kill(0, signal.SIGKILL)\n"
    )
    starter = subprocess.run([sys.executable, "-c", program], start_new_session=True, check=False)
    assert starter.returncode == -signal.SIGKILL
    assert ended(ledger, "mine").status == "completed"
    assert printed(ledger, "mine") == NUMBERS
    assert len(ledger.attempts("mine")) == 1


def test_a_killed_watcher_is_replaced_and_the_command_does_not_notice(ledger: Ledger) -> None:
    run = ledger.exec(slowly())
    begun(ledger, run.id)
    command = command_of(ledger, run.id)
    kill(watcher_of(ledger, run.id))
    eventually(lambda: ledger.get_run(run.id).attempt == 2)
    assert lives(command)
    assert ended(ledger, run.id).status == "completed"
    assert printed(ledger, run.id) == NUMBERS
    assert len(ledger.processes(run.id)) == 1, "it was executed twice"
    assert ledger.processes(run.id)[0].exit_code == 0
    assert [attempt.outcome for attempt in ledger.attempts(run.id)] == ["interrupted", "completed"]
    assert ledger.care.verify() == []


def test_a_killed_keeper_leaves_the_watcher_at_work_and_an_end_that_is_told_as_it_is(ledger: Ledger) -> None:
    run = ledger.exec(slowly())
    begun(ledger, run.id)
    kill(keeper_of(ledger, run.id))
    done = reading(ledger, run.id, "interrupted")
    assert printed(ledger, run.id) == NUMBERS
    assert "end was not seen" in (done.status_reason or "")
    assert ledger.processes(run.id)[0].ended_at is not None
    again = ledger.resume_exec(run.id)
    assert again.attempt == 2
    assert ended(ledger, run.id).status == "completed"
    assert printed(ledger, run.id) == NUMBERS * 2


def test_a_killed_command_fails_with_the_signal(ledger: Ledger) -> None:
    run = ledger.exec(slowly(10_000))
    begun(ledger, run.id)
    kill(command_of(ledger, run.id))
    done = ended(ledger, run.id)
    assert done.status == "failed"
    assert "SIGKILL" in done.error["message"]
    found = printed(ledger, run.id)
    assert found == [str(number) for number in range(1, len(found) + 1)]


def untaken(ledger: Ledger, run_id: str, folder: Path) -> list[str]:
    """The lines in the spool file, once there are some that nobody has taken over; the first one is its mark."""
    spool = folder / "exec" / run_id / "1.stdout"

    def lines() -> list[str]:
        return spool.read_text().rpartition("\n")[0].split("\n")[1:]

    eventually(lambda: len(lines()) > len(printed(ledger, run_id)) + 10)
    return lines()


def orphaned(ledger: Ledger, count: int = COUNT) -> tuple[str, int]:
    """A command that lives on without keeper and watcher, and its run, as another process sees it."""
    run = ledger.exec(slowly(count))
    begun(ledger, run.id)
    command = command_of(ledger, run.id)
    kill(keeper_of(ledger, run.id), watcher_of(ledger, run.id))
    ledger.reconcile()
    return run.id, command


def test_an_orphaned_command_is_named_where_its_run_is_interrupted(ledger: Ledger) -> None:
    run_id, command = orphaned(ledger, 10_000)
    run = ledger.get_run(run_id)
    assert run.status == "interrupted"
    assert f"its command still runs: pid {command}" in (run.status_reason or "")
    event = [event for event in ledger.events(run_id, limit=1000).items if event.type == "run.interrupted"][
        -1
    ]
    assert event.payload["living"] == [command]
    assert lives(command)


def test_a_stop_ends_an_orphaned_command_and_takes_over_what_it_printed(ledger: Ledger) -> None:
    run_id, command = orphaned(ledger, 10_000)
    spooled = untaken(ledger, run_id, ledger.workspace.folder)
    ledger.command(run_id, "stop")
    run = ledger.get_run(run_id)
    assert run.status == "cancelled"
    assert not lives(command)
    found = printed(ledger, run_id)
    assert found == [str(number) for number in range(1, len(found) + 1)]
    assert len(found) >= len(spooled)
    assert ledger.processes(run_id)[0].ended_at is not None
    assert ledger.care.verify() == []


def test_a_resume_adopts_an_orphaned_command(ledger: Ledger) -> None:
    run_id, _command = orphaned(ledger)
    run = ledger.resume_exec(run_id)
    assert run.status == "running"
    assert run.attempt == 2
    eventually(lambda: ledger.get_run(run_id).status != "running")
    assert printed(ledger, run_id) == NUMBERS, "a line was lost or stored twice"
    assert len(ledger.processes(run_id)) == 1, "it was executed a second time"


def test_all_killed_and_resumed_keeps_every_line_and_starts_again(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(slowly())
    begun(ledger, run.id)
    kill(keeper_of(ledger, run.id), watcher_of(ledger, run.id), command_of(ledger, run.id))
    spooled = (ledger.workspace.folder / "exec" / run.id / "1.stdout").read_text().splitlines()[1:]
    ledger.reconcile()
    left = ledger.get_run(run.id)
    assert left.status == "interrupted"
    assert "still runs" not in (left.status_reason or "")
    assert ledger.resume_exec(run.id).attempt == 2
    assert ended(ledger, run.id).status == "completed"
    assert printed(ledger, run.id) == spooled + NUMBERS
    assert not list(processes_of(tmp_path)) or eventually(lambda: not list(processes_of(tmp_path)))


def test_who_waits_goes_on_waiting_between_two_watchers_and_is_told_if_that_takes_long(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second watcher is held back, so that the moment between the two lasts as long as it is looked at."""
    first, go = tmp_path / "first", tmp_path / "go"
    held = f'mkdir {first} 2>&- || while [ ! -e {go} ]; do sleep 0.02; done; exec "$@"'
    real = background.watcher_command
    monkeypatch.setattr(
        background, "watcher_command", lambda *about: ["/bin/sh", "-c", held, "sh", *real(*about)]
    )
    run = ledger.exec(slowly())
    begun(ledger, run.id)
    kill(watcher_of(ledger, run.id))
    ledger.reconcile()
    assert ledger.get_run(run.id).status == "interrupted"
    before = time.monotonic()
    ledger.wait(run.id, 0.5)
    assert time.monotonic() - before >= 0.5, "it did not wait for the next watcher"
    monkeypatch.setattr(following, "_UNRECORDED_S", 0.0)
    look = following.looks(ledger, run.id, Output())
    assert [next(look).status, next(look).status] == ["interrupted"] * 2
    assert "not recorded at the moment" in capsys.readouterr().err
    go.touch()
    assert ledger.wait(run.id, 30).status == "completed"
    assert printed(ledger, run.id) == NUMBERS


@pytest.mark.parametrize("who", ["keeper", "both"])
def test_a_restart_that_nobody_is_left_to_make_is_not_waited_for(
    ledger: Ledger, tmp_path: Path, who: str
) -> None:
    run = ledger.exec(["sh", "-c", "echo once; exit 3"], restart={"max": 3, "delay_s": 3600})
    reading(ledger, run.id, "waiting")
    eventually(lambda: len(list(processes_of(tmp_path))) == 2)
    kill(*(pid for pid, line in processes_of(tmp_path) if who == "both" or "keeper.py" in line))
    if who == "both":
        assert ledger.wait(run.id, 30).status == "waiting", (
            "who only reads changes nothing, and does not wait for ever"
        )
        assert ledger.reconcile() == [run.id]
    left = reading(ledger, run.id, "interrupted")
    assert "its keeper is gone" in (left.status_reason or "")
    assert left.attempt == 1
    eventually(lambda: not list(processes_of(tmp_path)))
    assert ledger.resume_exec(run.id).attempt == 2
    reading(ledger, run.id, "waiting")
    assert printed(ledger, run.id) == ["once", "once"]
    assert ledger.care.verify() == []


@pytest.mark.parametrize("how", ["resumed", "asked for again"])
def test_a_command_whose_keeper_and_watcher_died_before_it_ran_runs_when_it_is(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    go, real = tmp_path / "go", background.watcher_command
    held = f'while [ ! -e {go} ]; do sleep 0.02; done; exec "$@"'
    monkeypatch.setattr(
        background, "watcher_command", lambda *about: ["/bin/sh", "-c", held, "sh", *real(*about)]
    )
    run = ledger.exec(["echo", "ran"], wait_s=0.1)
    assert run.status == "pending"
    assert ledger.reconcile() == [], "its keeper lives"
    kill(*(pid for pid, line in processes_of(tmp_path)))
    assert ledger.reconcile() == [], "it may be about to get one"
    monkeypatch.setattr(keeping, "_STARTING_S", 0.0)
    assert ledger.reconcile() == [run.id]
    assert ledger.get_run(run.id).status == "interrupted"
    go.touch()
    if how == "resumed":
        ledger.resume_exec(run.id)
    else:
        ledger.exec(["echo", "ran"], run_id=run.id)
    assert ended(ledger, run.id).status == "completed"
    assert printed(ledger, run.id) == ["ran"]
    assert ledger.care.verify() == []


def test_the_result_of_an_adopted_command_is_as_given_and_its_event_is_redacted(ledger: Ledger) -> None:
    secret = "sk-ant-api03-" + "a1B2" * 20
    line = f'{{"runstone": "complete", "summary": "uses {secret}", "result": {{"key": "{secret}"}}}}'
    run = ledger.exec(
        ["sh", "-c", f"echo '{line}'; while [ ! -e go ]; do sleep 0.05; done"], cwd=ledger.workspace.root
    )
    eventually(lambda: "output.completed" in [event.type for event in ledger.events(run.id).items])
    kill(watcher_of(ledger, run.id))
    eventually(lambda: ledger.get_run(run.id).attempt == 2)
    (ledger.workspace.root / "go").touch()
    assert ended(ledger, run.id).status == "completed"
    assert ledger.result(run.id) == {"key": secret}
    assert not [event for event in ledger.events(run.id).items if secret in str(event.payload)]
    assert secret not in (ledger.get_run(run.id).summary or "")


def test_a_command_that_ended_while_nobody_watched_is_not_executed_again(ledger: Ledger) -> None:
    run = ledger.exec(slowly())
    begun(ledger, run.id)
    keeper, watcher = keeper_of(ledger, run.id), watcher_of(ledger, run.id)
    os.kill(watcher, signal.SIGSTOP)
    folder = ledger.workspace.folder / "exec" / run.id
    eventually((folder / "1.exit.json").exists)
    kill(keeper, watcher)
    ledger.reconcile()
    assert ledger.get_run(run.id).status == "interrupted"
    ledger.resume_exec(run.id)
    assert ended(ledger, run.id).status == "completed"
    assert printed(ledger, run.id) == NUMBERS
    assert len(ledger.processes(run.id)) == 1


def test_after_a_restart_of_the_machine_nothing_is_signalled_or_adopted(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a copy of the workspace on a machine that was booted since: the pids mean other processes there."""
    run_id, command, spooled = unwatched(ledger)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / ".runstone", copy / ".runstone")
    require_left_alone(copy, run_id, spooled, monkeypatch)
    assert lives(command), "a process of another boot was signalled"


def unwatched(ledger: Ledger) -> tuple[str, int, list[str]]:
    """A command whose watcher is stopped: its run, its pid, and what it has printed since."""
    run = ledger.exec(slowly(10_000))
    begun(ledger, run.id)
    command = command_of(ledger, run.id)
    os.kill(watcher_of(ledger, run.id), signal.SIGSTOP)
    return run.id, command, untaken(ledger, run.id, ledger.workspace.folder)


def require_left_alone(place: Path, run_id: str, spooled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What who opens the workspace after the restart sees, and what a stop does then."""
    monkeypatch.setattr(process_table, "boot_id", lambda: "the boot after")
    monkeypatch.setattr(process_table, "pid_namespace", lambda: "pid:[4026531836]")
    processes._identify_self.cache_clear()
    try:
        with runstone.open(place) as after:
            left = after.get_run(run_id)
            assert (left.status, left.status_reason) == ("interrupted", "the machine was restarted")
            after.command(run_id, "stop")
            assert after.get_run(run_id).status == "cancelled"
            assert printed(after, run_id)[: len(spooled)] == spooled
    finally:
        processes._identify_self.cache_clear()


@pytest.mark.parametrize("seed", range(3))
def test_a_watcher_killed_at_random_moments_loses_and_repeats_nothing(ledger: Ledger, seed: int) -> None:
    rng = random.Random(seed)
    count = 20_000
    run = ledger.exec(counting(count, per_s=6_000))
    kills = 0
    for _ in range(40):
        pause(rng.uniform(0.0, 0.5))
        if ledger.get_run(run.id).status == "completed":
            break
        lease = ledger.lease(run.id)
        if lease is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(lease.identity["pid"], signal.SIGKILL)
                kills += 1
    assert ended(ledger, run.id, 60).status == "completed"
    assert printed(ledger, run.id) == [str(number) for number in range(1, count + 1)]
    assert kills >= 3
    assert len(ledger.processes(run.id)) == 1
    assert ledger.care.verify() == []


ONCE = Path(__file__).with_name("crashing_watcher.py")
POINTS = [
    f"{write}.{side}_commit:{count}"
    for write, count in (
        *(("ClaimRun", 1), ("StartProcess", 1), ("TakeOutput", 1), ("ParkRun", 1), ("ResumeRun", 1)),
        *(("ClaimRun", 2), ("StartProcess", 2), ("TakeOutput", 2), ("EndCommand", 1)),
    )
    for side in ("before", "after")
]


@pytest.mark.parametrize("part", range(3))
def test_a_watcher_killed_at_any_of_its_writes_executes_and_stores_each_thing_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """A command that fails once and is restarted; its watcher is killed at each boundary of each of its writes."""
    for index, point in list(enumerate(POINTS))[part::3]:
        folder, mark = tmp_path / str(index), tmp_path / f"crash-{index}"
        command = [sys.executable, str(ONCE), str(mark), point]
        monkeypatch.setattr(background, "watcher_command", lambda *about, command=command: [*command, *about])
        with runstone.open(folder) as ledger:
            try:
                script = f"echo x >> {mark}.ran; echo one; [ $(wc -l < {mark}.ran) = 2 ]"
                run = ledger.exec(["sh", "-c", script], restart={"max": 3, "delay_s": 0.05})
                assert ended(ledger, run.id).status == "completed", point
                assert mark.exists(), f"{point} was not passed"
                assert printed(ledger, run.id) == ["one", "one"], point
                assert Path(f"{mark}.ran").read_text() == "x\nx\n", f"executed again at {point}"
                assert ledger.care.verify() == []
            finally:
                end_all(folder)
