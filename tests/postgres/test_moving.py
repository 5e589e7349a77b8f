"""A workspace that is moved into PostgreSQL goes on there: nothing is lost, and finished work is not done again."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.care import moving
from runstone.errors import ImportConflict, LedgerMoved, RunIsLive
from runstone.ledger import Ledger
from runstone.store.sqlite import seal
from runstone.workspace import locate
from tests.care import world

COUNTED: dict[str, int] = {}


def registry() -> runstone.Registry:
    made = runstone.Registry()

    @made.agent("reader")
    async def reader(ctx: Any, input: Any) -> Any:
        COUNTED[f"{ctx.run_id}"] = COUNTED.get(f"{ctx.run_id}", 0) + 1
        return {"read": input}

    @made.workflow("asking", version="1")
    async def asking(ctx: Any, input: Any) -> Any:
        found = await ctx.map("reader", ["a", "b", "c"])
        if input.get("stop"):
            raise asyncio.CancelledError
        answer = await ctx.ask("Publish?", choices=["yes", "no"])
        return {"found": found, "answer": answer}

    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A workspace with runs of all kinds, one that asks, and one that was interrupted after its children."""
    folder = tmp_path / "here"
    world.build(folder)
    COUNTED.clear()
    made = registry()
    with runstone.open(folder) as ledger:
        with pytest.raises(runstone.AwaitingInput):
            asyncio.run(runstone.run("asking", {}, ledger=ledger, registry=made, run_id="asks"))
        with pytest.raises((runstone.RunInterrupted, asyncio.CancelledError)):
            asyncio.run(runstone.run("asking", {"stop": 1}, ledger=ledger, registry=made, run_id="broken"))
        assert ledger.get_run("broken").status == "interrupted"
        ledger.views.put("mine", {"kind": "workflow"})
        with ledger.start_run(run_id="old", parent=None) as run:
            run.usage(provider="p", model="m", input_tokens=5, cost_usd=1, request_id="old/1")
        ledger.care.remove("old")
    return folder


@pytest.fixture
def target(dsn: str) -> Iterator[Ledger]:
    with runstone.open(dsn) as ledger:
        yield ledger


def told(ledger: Ledger) -> dict[str, Any]:
    """All that a ledger says, but for positions and for what an arrival adds."""
    ids = [run.id for run in ledger.list_runs(limit=1_000, sort="created", order="asc", archived=None)]
    said: dict[str, Any] = {"ids": ids}
    for run_id in ids:
        run = ledger.get_run(run_id)
        events = [
            (e.seq, e.type, e.payload, e.timestamp, e.attempt) for e in ledger.events(run_id, limit=1_000)
        ]
        states = ledger.reader.states
        numbers = [one.number for one in states.checkpoints(run_id)]
        said[run_id] = {
            "run": (run.kind, run.status, run.title, run.labels, run.summary, run.error, run.attempt),
            "lineage": (run.parent_run_id, run.root_run_id, run.depth, run.forked_from, run.child_key),
            "events": events, "result": ledger.result(run_id), "input": ledger.input(run_id),
            "spent": ledger.telemetry(run_id).subtree, "states": [states.value(run_id, n) for n in numbers],
            "journal": [(j.key, j.kind, j.child_run_id, j.value) for j in ledger.reader.journal.of(run_id)],
        }  # fmt: skip
    said["threads"] = {
        thread.id: [(m.seq, m.role, m.text) for m in ledger.threads.messages(thread.id, limit=1_000)]
        for thread in ledger.threads.list(limit=200)
    }
    said["questions"] = [(one.id, one.status, one.message) for one in ledger.inputs.list(limit=200)]
    said["usage"] = [(row.by, row.totals) for row in ledger.usage(["day", "model"])]
    said["views"] = [(view.id, view.name, view.filters) for view in ledger.views.list()]
    return said


def test_all_of_a_workspace_goes_on_in_the_database(source: Path, target: Ledger) -> None:
    with runstone.open(source, readonly=True) as here:
        before = told(here)
    done = moving.move(locate(source, create=False), target)
    assert done.imported.runs == len(before["ids"]) > 10
    assert told(target) == before
    assert target.care.verify() == []
    counted = dict(COUNTED)
    (question,) = [one for one in target.inputs.list(status="open") if one.run_id == "asks"]
    target.answer(question.id, "yes", by="ana")
    made = registry()
    assert asyncio.run(runstone.resume("asks", ledger=target, registry=made))["answer"] == "yes"
    with pytest.raises((runstone.RunInterrupted, asyncio.CancelledError)):
        asyncio.run(runstone.resume("broken", ledger=target, registry=made))
    assert counted == COUNTED  # no child ran again
    reused = [event for event in target.events("broken", limit=1_000) if event.type == "child.reused"]
    assert len(reused) == 3
    assert target.care.verify() == []


def test_a_ledger_that_was_moved_is_only_read_until_the_move_is_undone(source: Path, target: Ledger) -> None:
    workspace = locate(source, create=False)
    with runstone.open(source) as before:
        moving_beside = pytest.raises(LedgerMoved)
        moving.move(workspace, target)
        with moving_beside:  # also a process that had it open
            before.update_run("asks", title="too late")
    with pytest.raises(LedgerMoved, match="can only be read here"):
        runstone.open(source)
    with runstone.open(source, readonly=True) as reading:
        assert reading.get_run("asks").status == "awaiting_user"
    again = moving.move(workspace, target)
    assert (again.imported.runs, again.imported.messages) == (0, 0)
    usage = [row.totals for row in target.usage(["model"])]
    assert moving.undo(workspace) is not None
    assert moving.undo(workspace) is None
    with runstone.open(source) as here:
        assert [row.totals for row in here.usage(["model"])] == usage
        assert here.care.verify() == []


def test_a_move_that_was_killed_is_finished_by_another(source: Path, dsn: str) -> None:
    command = [sys.executable, "-m", "runstone", "--workspace", str(source), "migrate", "--to", dsn]
    killed = subprocess.run(
        command,
        env={"PATH": "", "RUNSTONE_CRASH_AT": "writer.after_begin:8"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    with runstone.open(source, readonly=True) as here, runstone.open(dsn) as there:
        everyone = {run.id for run in here.list_runs(limit=1_000, archived=None)}
        arrived = {run.id for run in there.list_runs(limit=1_000, archived=None)}
        assert 0 < len(arrived) < len(everyone)
        before = told(here)
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    with runstone.open(dsn) as there:
        assert {**told(there), "ids": sorted(before["ids"])} == {**before, "ids": sorted(before["ids"])}
        assert there.care.verify() == []


def test_a_conflict_is_told_and_changes_nothing_on_either_side(source: Path, target: Ledger) -> None:
    with target.start_run(run_id="asks", parent=None, title="another one"):
        pass
    with pytest.raises(ImportConflict):
        moving.move(locate(source, create=False), target)
    assert len(target.list_runs()) == 1
    assert seal.sealed_for(source / ".runstone" / "ledger.db") is None
    runstone.open(source).close()


def test_nothing_is_moved_while_somebody_works_on_a_run(source: Path, target: Ledger) -> None:
    with runstone.open(source) as here, here.start_run(run_id="live", parent=None):
        with pytest.raises(RunIsLive, match="live"):
            moving.move(locate(source, create=False), target)
        here.update_run("asks", title="it goes on")
    assert list(target.list_runs()) == []
