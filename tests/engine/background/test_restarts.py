"""A command that failed is started again as its policy says, and a stop ends the waiting."""

import asyncio
from pathlib import Path

import pytest

import runstone
from runstone.engine.background.restarts import LONGEST_DELAY_S, Restart
from runstone.errors import InvalidInput, RunFailed
from runstone.ledger import Ledger
from tests.engine.background.commands import ended, eventually, printed, processes_of, reading


def failing(tmp_path: Path, times: int) -> list[str]:
    """Fails so often, then succeeds."""
    counter = tmp_path / "tries"
    return ["sh", "-c", f"echo x >> {counter}; echo try; [ $(wc -l < {counter}) -gt {times} ]"]


def test_a_command_that_fails_twice_is_started_a_third_time(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(failing(tmp_path, 2), restart={"on": "failure", "max": 3, "delay_s": 0.05})
    done = ended(ledger, run.id)
    assert (done.status, done.attempt, done.error) == ("completed", 3, None)
    attempts = ledger.attempts(run.id)
    assert [attempt.outcome for attempt in attempts] == ["failed", "failed", "completed"]
    assert "exit code 1" in (attempts[0].reason or "")
    assert printed(ledger, run.id) == ["try"] * 3
    waits = [
        event.payload for event in ledger.events(run.id, limit=1000).items if event.type == "run.waiting"
    ]
    assert [wait["reason"].partition(":")[0] for wait in waits] == ["restarts in 0.05 s", "restarts in 0.1 s"]
    assert ledger.care.verify() == []


def test_after_the_last_restart_it_has_failed(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(failing(tmp_path, 9), restart={"max": 1, "delay_s": 0.01})
    done = ended(ledger, run.id)
    assert (done.status, done.attempt) == ("failed", 2)


def test_a_time_limit_counts_as_a_failure(ledger: Ledger) -> None:
    run = ledger.exec(["sleep", "100"], timeout_s=0.3, restart={"max": 1, "delay_s": 0.01})
    done = ended(ledger, run.id)
    assert (done.status, done.attempt) == ("failed", 2)
    assert done.error is not None
    assert done.error["code"] == "command_timed_out"


def test_a_stop_cancels_a_run_that_waits_for_its_restart(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(failing(tmp_path, 9), restart={"max": 3, "delay_s": 500})
    waiting = reading(ledger, run.id, "waiting")
    assert waiting.wake_at is not None
    assert "restarts in 500 s: sh ended with exit code 1" in (waiting.status_reason or "")
    assert ledger.command(run.id, "stop").status == "applied"
    assert ledger.get_run(run.id).status == "cancelled"
    eventually(lambda: not list(processes_of(tmp_path)))
    assert (tmp_path / "tries").read_text() == "x\n"


def test_without_a_policy_it_is_not_started_again(ledger: Ledger, tmp_path: Path) -> None:
    for policy in (None, {"on": "never"}):
        run = ledger.exec(failing(tmp_path, 9), restart=policy)
        assert ended(ledger, run.id).attempt == 1


def test_a_failed_command_is_started_again_by_a_resume(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(failing(tmp_path, 1))
    assert ended(ledger, run.id).status == "failed"
    assert ledger.resume_exec(run.id).attempt == 2
    assert ended(ledger, run.id).status == "completed"
    assert ledger.resume_exec(run.id).status == "completed"


def test_resume_waits_for_the_end_and_gives_the_result(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(failing(tmp_path, 2))
    assert ended(ledger, run.id).status == "failed"
    with pytest.raises(RunFailed, match="exit code 1"):
        asyncio.run(runstone.resume(run.id, ledger=ledger))
    assert asyncio.run(runstone.resume(run.id, ledger=ledger)) == {"exit_code": 0}
    assert ledger.get_run(run.id).attempt == 3


def test_delays_double_up_to_ten_minutes() -> None:
    policy = Restart(max=100, delay_s=1.0)
    assert [policy.delay_after(number) for number in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert policy.delay_after(90) == LONGEST_DELAY_S
    assert policy.delay_after(101) is None
    assert [Restart(delay_s=3600.0).delay_after(number) for number in (1, 2)] == [3600.0, 3600.0]


@pytest.mark.parametrize("given", [{"on": "always"}, {"max": -1}, {"delay_s": -1}, {"times": 3}, "failure"])
def test_a_policy_that_is_none_is_refused_before_there_is_a_run(ledger: Ledger, given: object) -> None:
    with pytest.raises(InvalidInput):
        ledger.exec(["true"], restart=given)  # type: ignore[arg-type]
    assert ledger.list_runs().items == []
