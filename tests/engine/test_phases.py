"""Declarative workflows over the real engine: the rules for failures, and that phases run side by side."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.domain import workflows
from runstone.errors import RunOutcome
from tests.engine.phased import INPUT, RUN, check_phases

WAIT_S = 60.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


def small(folder: Path, on_failure: str, **more: Any) -> Registry:
    """left fails while FOLDER/fail is there; right is independent; after_left and after_right follow."""
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        if input == "bad" and (folder / "fail").exists():
            raise ValueError("bad")
        return input

    table = [
        {"name": "left", "agent": "work", "for_each": ["good", "bad"], "on_failure": on_failure, **more},
        {"name": "right", "agent": "work", "input": "right"},
        {"name": "after-left", "agent": "work", "input": "{phases.left.results}", "depends_on": ["left"]},
        {"name": "after-right", "agent": "work", "input": "right", "depends_on": ["right"]},
        {"name": "last", "agent": "work", "input": "last", "depends_on": ["after-left", "after-right"]},
    ]
    summary = "left gave {phases.left.results}"
    names.add_declarative(workflows.parse("small", {"phases": table, "summary": summary}))
    return names


def run_small(ledger: Ledger, names: Registry) -> dict[str, str]:
    with contextlib.suppress(RunOutcome):
        asyncio.run(runstone.run("small", None, ledger=ledger, run_id=RUN, registry=names))
    check_phases(ledger)
    return {phase.name: phase.status for phase in ledger.phases(RUN)}


def test_stop_starts_no_phase_after_the_failure_and_a_resume_goes_on(ledger: Ledger) -> None:
    (ledger.workspace.root / "fail").touch()
    names = small(ledger.workspace.root, "stop")
    states = run_small(ledger, names)
    assert states["left"] == "failed"
    assert {"after-left", "last"} & {name for name, state in states.items() if state != "pending"} == set()
    assert ledger.get_run(RUN).status == "failed"
    (ledger.workspace.root / "fail").unlink()
    assert set(run_small(ledger, names).values()) == {"completed"}
    assert ledger.result(RUN)["phases"]["left"] == ["good", "bad"]


def test_skip_dependents_finishes_the_rest_says_why_and_then_fails(ledger: Ledger) -> None:
    (ledger.workspace.root / "fail").touch()
    names = small(ledger.workspace.root, "skip_dependents")
    assert run_small(ledger, names) == {
        "left": "failed",
        "right": "completed",
        "after-left": "skipped",
        "after-right": "completed",
        "last": "skipped",
    }
    reasons = {phase.name: phase.reason for phase in ledger.phases(RUN)}
    assert reasons["after-left"] == "phase left failed"
    assert reasons["last"] == "phase after-left was skipped"
    assert ledger.get_run(RUN).status == "failed"
    (ledger.workspace.root / "fail").unlink()
    assert set(run_small(ledger, names).values()) == {"completed"}
    assert len(ledger.list_runs(parent_id=RUN, limit=100).items) == 6


def test_continue_goes_on_with_null_and_completes(ledger: Ledger) -> None:
    (ledger.workspace.root / "fail").touch()
    states = run_small(ledger, small(ledger.workspace.root, "continue"))
    assert states == {"left": "failed"} | dict.fromkeys(
        ["right", "after-left", "after-right", "last"], "completed"
    )
    assert ledger.get_run(RUN).status == "completed"
    assert ledger.get_run(RUN).summary == 'left gave ["good",null]'
    assert ledger.result(RUN)["phases"]["after-left"] == [["good", None]]


def test_a_failed_child_is_tried_again_as_its_phase_says(ledger: Ledger) -> None:
    (ledger.workspace.root / "fail").touch()
    retry = {"max_attempts": 3, "backoff_s": 0.0}
    states = run_small(ledger, small(ledger.workspace.root, "continue", retry=retry))
    assert states["left"] == "failed"
    bad = next(run for run in ledger.list_runs(parent_id=RUN, status="failed").items)
    assert len(ledger.attempts(bad.id)) in {2, 3}  # fewer where a try brought nothing new


def test_another_retry_rule_does_no_finished_work_again(ledger: Ledger) -> None:
    (ledger.workspace.root / "fail").touch()
    run_small(ledger, small(ledger.workspace.root, "stop"))
    (ledger.workspace.root / "fail").unlink()
    before = {run.id for run in ledger.list_runs(parent_id=RUN, limit=100).items if run.phase == "left"}
    states = run_small(ledger, small(ledger.workspace.root, "stop", retry={"max_attempts": 5}))
    assert set(states.values()) == {"completed"}
    assert {
        run.id for run in ledger.list_runs(parent_id=RUN, limit=100).items if run.phase == "left"
    } == before


def test_a_part_that_is_missing_fails_its_phase_with_the_reason(ledger: Ledger) -> None:
    names = small(ledger.workspace.root, "stop")
    table = [{"name": "each", "agent": "work", "for_each": "{input.files}"}]
    names.add_declarative(workflows.parse("each", {"phases": table}))
    with pytest.raises(runstone.RunFailed, match=r"phase each: for_each needs \{input.files\}"):
        asyncio.run(runstone.run("each", {}, ledger=ledger, run_id=RUN, registry=names))
    (phase,) = ledger.phases(RUN)
    assert (phase.status, phase.planned) == ("failed", 0)
    assert phase.reason is not None
    assert "{input.files}" in phase.reason


def test_an_empty_for_each_is_a_phase_that_completed(ledger: Ledger) -> None:
    names = small(ledger.workspace.root, "stop")
    table = [{"name": "each", "agent": "work", "for_each": "{input.files}"}]
    names.add_declarative(workflows.parse("each", {"phases": table}))
    result = asyncio.run(runstone.run("each", {"files": []}, ledger=ledger, run_id=RUN, registry=names))
    assert result == {"phases": {"each": []}}
    assert ledger.phases(RUN)[0].status == "completed"


def test_independent_phases_run_side_by_side(ledger: Ledger) -> None:
    """Each of the two waits for the other: one after the other they would wait for ever."""
    names, met = Registry(), {"x": asyncio.Event(), "y": asyncio.Event()}

    @names.agent("meet")
    async def meet(ctx: Any, input: Any) -> Any:
        met[input["own"]].set()
        await asyncio.wait_for(met[input["other"]].wait(), WAIT_S)

    pair = [("x", "y"), ("y", "x")]
    table = [{"name": own, "agent": "meet", "input": {"own": own, "other": other}} for own, other in pair]
    names.add_declarative(workflows.parse("pair", {"phases": table}))
    asyncio.run(runstone.run("pair", INPUT, ledger=ledger, run_id=RUN, registry=names))
    assert {phase.status for phase in ledger.phases(RUN)} == {"completed"}
