"""What people tell runs that stand in line or work elsewhere: answers, stops, pauses, retries, larger budgets."""

from collections import Counter
from pathlib import Path
from typing import Any

import runstone
from tests.postgres.test_workers import calls, done, ledger, team, until, url
from tests.workers import chaos

__all__ = ["ledger", "team", "url"]


def types(ledger: runstone.Ledger, run_id: str) -> "Counter[str]":
    return Counter(event.type for event in ledger.events(run_id, limit=500))


def at_work(folder: Path, count: int) -> Any:
    return lambda: len(calls(folder)) == count


def test_a_run_that_waits_for_an_answer_holds_no_slot_and_goes_on_with_it(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    team.slots = team.concurrency = 1
    team.add()
    runstone.enqueue("asks", None, ledger=ledger, run_id="a")
    until(lambda: ledger.get_run("a").status == "awaiting_user", team)
    runstone.enqueue("deep", {"depth": 1}, ledger=ledger, run_id="d")
    assert done(ledger, "d", team) == 26
    (asked,) = ledger.inputs.list(run_id="a").items
    ledger.answer(asked.id, "yes")
    assert done(ledger, "a", team) == [6, "yes"]
    assert Counter(run.agent_id for run in ledger.list_runs(parent_id="a").items) == Counter(leaf=1)


def test_a_stop_reaches_all_below_a_run_and_frees_their_places(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    team.slots = team.concurrency = 2
    team.add()
    runstone.enqueue("gates", {"folder": str(tmp_path)}, ledger=ledger, run_id="g")
    until(at_work(tmp_path, 2), team)
    ledger.command("g", "stop")
    until(lambda: {run.status for run in ledger.list_runs(limit=50).items} == {"cancelled"}, team)
    runstone.enqueue("deep", {"depth": 0}, ledger=ledger, run_id="d")
    assert done(ledger, "d", team) == 6
    assert types(ledger, "g")["run.started"] == types(ledger, "g")["run.waiting"], "nobody took it up again"


def test_a_run_that_is_stopped_in_line_is_never_begun(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    (tmp_path / "open").touch()
    for name in ("one", "two"):
        runstone.enqueue("gate", {"folder": str(tmp_path)}, ledger=ledger, run_id=name)
    ledger.command("one", "stop")
    team.add()
    done(ledger, "two", team)
    assert [run for run, _attempt, _pid in calls(tmp_path)] == ["two"]
    until(lambda: not ledger.reader.rows("over_dispatches", before=2**62, limit=9), team)


def test_a_tree_is_paused_and_goes_on(ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path) -> None:
    team.add()
    runstone.enqueue("gates", {"folder": str(tmp_path)}, ledger=ledger, run_id="g")
    until(at_work(tmp_path, 2), team)
    ledger.command("g", "pause")
    until(lambda: ledger.get_run("g").status == "paused", team)
    (tmp_path / "open").touch()
    ledger.command("g", "resume")
    assert len(done(ledger, "g", team)) == 2
    assert ledger.care.verify() == []


def test_a_failed_run_is_tried_again_and_does_only_what_was_not_done(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    team.add()
    runstone.enqueue("mended", {"folder": str(tmp_path)}, ledger=ledger, run_id="m")
    until(lambda: ledger.get_run("m").status == "failed", team)
    (tmp_path / "mended").touch()
    ledger.command("m", "retry")
    assert done(ledger, "m", team) == 12
    below = ledger.list_runs(parent_id="m").items
    assert [run.attempt for run in below] == [1] * 4
    assert ledger.telemetry("m").reused["children"] == 4


def test_a_budget_keeps_children_in_line_from_beginning_until_it_is_larger(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path
) -> None:
    (tmp_path / "mended").touch()
    team.add()
    runstone.enqueue(
        "mended", {"folder": str(tmp_path)}, ledger=ledger, run_id="m", budget={"max_children": 2}
    )
    until(lambda: ledger.inputs.list(run_id="m").items, team)
    until(lambda: ledger.get_run("m").status == "awaiting_user", team)
    assert Counter(run.status for run in ledger.list_runs(parent_id="m").items)["completed"] == 2
    (asked,) = ledger.inputs.list(run_id="m").items
    ledger.answer(asked.id, {"max_children": 10})
    assert done(ledger, "m", team) == 12
    assert len(ledger.inputs.list(run_id="m", status=None).items) == 1, "it asked once"
