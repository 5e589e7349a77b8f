"""A run that was moved goes on where its export is imported, and nowhere else: nothing is lost, nothing done twice."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.care import sealing
from runstone.domain import runs
from runstone.domain.runs import Head
from runstone.errors import InvalidInput, RunIsLive, RunMoved, StoreIO
from runstone.ledger import Ledger
from runstone.testing.crash import crash_environment

DONE: list[str] = []


def registry() -> runstone.Registry:
    made = runstone.Registry()

    @made.agent("reader")
    async def reader(ctx: Any, input: Any) -> Any:
        DONE.append(input)
        return {"read": input}

    @made.workflow("asking", version="1")
    async def asking(ctx: Any, input: Any) -> Any:
        await ctx.checkpoint({"turns": ["a"]}, label="begun")
        found = await ctx.map("reader", ["a", "b", "c"])
        answer = await ctx.ask("Publish?", choices=["yes", "no"])
        return {"found": found, "answer": answer}

    return made


MADE = registry()


def begin(ledger: Ledger, run_id: str = "asks") -> None:
    """A run with three finished children, a checkpoint and an open question."""
    with pytest.raises(runstone.AwaitingInput):
        asyncio.run(runstone.run("asking", {}, ledger=ledger, registry=MADE, run_id=run_id))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    DONE.clear()
    with runstone.open(tmp_path / "a") as ledger:
        begin(ledger)
        with ledger.start_run(run_id="over", parent=None) as run:
            run.complete(result=1)
        yield ledger


def told(ledger: Ledger, run_id: str) -> list[Any]:
    """A run's events, but for those of the move itself."""
    return [
        (event.seq, event.type, event.payload)
        for event in ledger.events(run_id, limit=1_000)
        if event.type not in ("run.moved", "run.returned")
    ]


REFUSED: dict[str, Callable[[Ledger], Any]] = {
    "answered": lambda one: one.answer(one.inputs.list(run_id="asks", status=None).items[0].id, "yes"),
    "stopped": lambda one: one.command("asks", "stop"),
    "resumed by an order": lambda one: one.command("asks", "resume"),
    "steered": lambda one: one.command("asks", "steer", message="on"),
    "resumed": lambda one: asyncio.run(runstone.resume("asks", ledger=one, registry=MADE)),
    "run under its id": lambda one: asyncio.run(
        runstone.run("asking", {}, ledger=one, registry=MADE, run_id="asks")
    ),
    "put in line": lambda one: runstone.enqueue("asking", {}, ledger=one, registry=MADE, run_id="asks"),
    "continued": lambda one: one.continue_run("asks", message="on"),
    "given another title": lambda one: one.update_run("asks", title="mine"),
    "moved again": lambda one: one.care.export(one.workspace.root / "again", ["asks"], move=True),
}


@pytest.mark.parametrize("attempt", REFUSED)
def test_a_moved_run_is_only_read_and_says_where_it_went_and_how_to_take_it_back(
    ledger: Ledger, tmp_path: Path, attempt: str
) -> None:
    before = told(ledger, "asks")
    done = ledger.care.export(tmp_path / "asks.jsonl", ["asks"], move=True)
    assert (done.moved, done.runs) == (1, 4)
    run = ledger.get_run("asks")
    assert run.status == "moved"
    assert run.status_reason is not None
    assert run.status_reason.startswith("moved to asks.jsonl of 20")
    with pytest.raises(RunMoved, match=r"asks\.jsonl of 20") as refused:
        REFUSED[attempt](ledger)
    assert refused.value.code == "run_moved"
    assert "runstone export --move --undo asks" in refused.value.hint
    assert told(ledger, "asks") == before
    assert [one.id for one in ledger.list_runs(status="moved")] == ["asks"]
    assert dict(ledger.counts())["needs_input"] == 0
    assert not ledger.inputs.list(status="open").items
    assert ledger.wait("asks", timeout=5).status == "moved"
    assert ledger.care.verify() == []


def test_it_goes_on_where_it_was_imported_and_finished_work_is_used_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    before, file = told(ledger, "asks"), tmp_path / "asks.jsonl"
    ledger.care.export(file, ["asks"], move=True)
    with runstone.open(tmp_path / "b") as there:
        there.care.import_(file)
        assert told(there, "asks") == before
        assert there.reader.states.value("asks", 1) == {"turns": ["a"]}
        (question,) = there.inputs.list(status="open").items
        there.answer(question.id, "yes", by="ana")
        done = asyncio.run(runstone.resume("asks", ledger=there, registry=MADE))
        assert done["answer"] == "yes"
        assert sorted(DONE) == ["a", "b", "c"]
        assert there.care.verify() == []
        assert there.care.import_(file).present == 4  # again: nothing new
    assert ledger.care.import_(file).present == 4  # also where it came from
    assert ledger.care.verify() == []


def test_a_move_that_is_taken_back_leaves_all_as_it_was(ledger: Ledger, tmp_path: Path) -> None:
    (question,) = ledger.inputs.list(status="open").items
    before = ledger.get_run("asks")
    ledger.care.export(tmp_path / "asks.jsonl", ["asks"], move=True)
    assert ledger.care.take_back(["asks"]) == 1
    assert ledger.care.take_back() == 0
    after = ledger.get_run("asks")
    assert (after.status, after.status_reason, after.wake_at) == (
        before.status, before.status_reason, before.wake_at,
    )  # fmt: skip
    ledger.answer(question.id, "no")
    assert asyncio.run(runstone.resume("asks", ledger=ledger, registry=MADE))["answer"] == "no"
    assert sorted(DONE) == ["a", "b", "c"]
    assert ledger.care.verify() == []


@pytest.mark.parametrize("status", ["pending", "paused", "interrupted", "waiting"])
def test_each_unfinished_status_is_sealed_and_comes_back(ledger: Ledger, tmp_path: Path, status: str) -> None:
    made = runstone.Registry()

    @made.workflow("sleeper", version="1")
    async def sleeper(ctx: Any, input: Any) -> Any:
        await ctx.sleep(3_600)

    if status == "pending":
        runstone.enqueue("sleeper", None, ledger=ledger, registry=made, run_id="one")
    elif status == "waiting":
        with pytest.raises((runstone.RunInterrupted, asyncio.TimeoutError)):
            asyncio.run(
                asyncio.wait_for(
                    runstone.run("sleeper", ledger=ledger, registry=made, run_id="one", park_after_s=0.01), 1
                )
            )
    else:
        run = ledger.start_run(run_id="one", parent=None)
        if status == "paused":
            run.pause(state={"n": 1})
        else:
            run.interrupt("it ends")
    before = ledger.get_run("one")
    assert before.status == status
    ledger.care.export(tmp_path / "one.jsonl", ["one"], move=True)
    assert ledger.get_run("one").status == "moved"
    assert ledger.get_run("one").wake_at is None
    ledger.supervisor.reconcile()
    assert ledger.care.verify() == []
    ledger.care.take_back()
    after = ledger.get_run("one")
    assert (after.status, after.status_reason, after.wake_at) == (
        before.status, before.status_reason, before.wake_at,
    )  # fmt: skip
    assert ledger.care.verify() == []


def test_a_question_of_a_moved_run_does_not_expire_where_it_came_from(tmp_path: Path) -> None:
    with runstone.open(tmp_path / "a") as ledger:
        run = ledger.start_run(run_id="one", parent=None)
        run.ask("Now?", expires_s=60, state={})
        ledger.care.export(tmp_path / "one.jsonl", ["one"], move=True)
        (question,) = ledger.inputs.list(run_id="one", status=None).items
        assert question.status == "withdrawn"
        later = ledger.core.now() + 3_600_000_000
        assert ledger.reader.rows("any_due_input", now=later) == [(0,)]
        assert ledger.reader.rows("due_inputs", now=later) == []
        ledger.care.take_back()
        assert ledger.reader.rows("any_due_input", now=later) == [(1,)]


def test_a_run_that_had_ended_in_a_moved_tree_is_tried_again_there_only(
    ledger: Ledger, tmp_path: Path
) -> None:
    with ledger.start_run(run_id="top", parent=None) as top:
        with pytest.raises(ValueError, match="lost"), ledger.start_run(run_id="kid", parent=top):
            raise ValueError("lost")
        top.pause(state={})
    ledger.care.export(tmp_path / "top.jsonl", ["top"], move=True)
    assert ledger.get_run("kid").status == "failed"
    with pytest.raises(RunMoved, match=r"of a tree that was moved to top\.jsonl"):
        ledger.command("kid", "retry")


def test_only_whole_trees_are_moved_and_none_that_somebody_works_on(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    child = next(run.id for run in ledger.list_runs(parent_id="asks"))
    with pytest.raises(InvalidInput, match="part of the tree of asks"):
        ledger.care.export(file, [child], move=True)
    with ledger.start_run(run_id="live", parent=None):
        for runs in (["live"], ["asks", "live"], None):
            with pytest.raises(RunIsLive, match="live"):
                ledger.care.export(file, runs, move=True)
        assert not file.exists()
        assert ledger.get_run("asks").status == "awaiting_user"
    for wrong in ({"subtree": False}, {"redact": True}, {"force": True}):
        with pytest.raises(InvalidInput):
            ledger.care.export(file, ["asks"], move=True, **wrong)  # type: ignore[arg-type]
    file.write_text("the only copy of another move")
    with pytest.raises(InvalidInput, match="exists"):
        ledger.care.export(file, ["asks"], move=True)
    assert file.read_text() == "the only copy of another move"
    assert ledger.get_run("asks").status == "awaiting_user"


def test_everything_but_what_was_moved_before_is_moved(ledger: Ledger, tmp_path: Path) -> None:
    ledger.care.export(tmp_path / "first.jsonl", ["asks"], move=True)
    begin(ledger, "later")
    done = ledger.care.export(tmp_path / "rest.jsonl", move=True)
    assert done.moved == 1
    with runstone.open(tmp_path / "b") as there:
        for name in ("first", "rest"):
            there.care.import_(tmp_path / f"{name}.jsonl")
        assert sorted(run.id for run in there.list_runs(depth="0")) == ["asks", "later", "over"]
        assert there.care.verify() == []
    assert ledger.get_run("over").status == "completed"  # what has ended is a copy
    assert ledger.care.take_back() == 2


def test_what_changes_while_it_is_exported_is_exported_anew(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, turns = tmp_path / "asks.jsonl", iter(range(2))
    export = sealing.export

    def beside(*args: Any, **more: Any) -> Any:
        done = export(*args, **more)
        if (turn := next(turns, None)) is not None:
            ledger.update_run("asks", title=f"turn {turn}")
        return done

    monkeypatch.setattr(sealing, "export", beside)
    ledger.care.export(file, ["asks"], move=True)
    with runstone.open(tmp_path / "b") as there:
        there.care.import_(file)
        assert there.get_run("asks").title == "turn 1"
        assert told(there, "asks") == told(ledger, "asks")


def test_a_file_that_cannot_be_written_seals_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """A child process may write 4 KB and no more, as on a full disk."""
    file = tmp_path / "asks.jsonl"
    code = (
        "import resource, signal, sys, runstone, runstone.errors\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"ledger = runstone.open({str(tmp_path / 'a')!r})\n"
        "ledger.flush()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        f"    ledger.care.export({str(file)!r}, ['asks'], move=True)\n"
        "except runstone.errors.StoreError as error:\n"
        "    sys.exit(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert StoreIO.code in done.stderr, done.stderr
    assert not file.exists()
    assert ledger.get_run("asks").status == "awaiting_user"


POINTS = (
    "export.before_link",
    "export.after_link",
    "export.before_seal",
    "SealTrees.before_commit",
    "SealTrees.after_commit",
)


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_is_sealed_with_a_whole_file_or_not_sealed(
    ledger: Ledger, tmp_path: Path, point: str
) -> None:
    file = tmp_path / "asks.jsonl.zst"
    command = [sys.executable, "-m", "runstone", "--workspace", str(tmp_path / "a")]
    moving = [*command, "export", "asks", "--move", "-o", str(file)]
    killed = subprocess.run(
        moving, env={"PATH": os.environ["PATH"], **crash_environment(point)}, capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    status = ledger.get_run("asks").status
    assert status == ("moved" if point == "SealTrees.after_commit" else "awaiting_user")
    assert ledger.care.verify() == []
    if status == "awaiting_user":
        file.unlink(missing_ok=True)
        done = subprocess.run([*moving, "--json"], capture_output=True, check=True, text=True)
        assert json.loads(done.stdout)["moved"] == 1
    with runstone.open(tmp_path / "b") as there:
        assert there.care.import_(file).runs == 4
        there.answer(there.inputs.list(status="open").items[0].id, "yes")
        asyncio.run(runstone.resume("asks", ledger=there, registry=MADE))
        assert sorted(DONE) == ["a", "b", "c"]


def test_a_run_that_is_in_line_is_in_line_where_it_was_imported_and_there_only(tmp_path: Path) -> None:
    with runstone.open(tmp_path / "a") as here, runstone.open(tmp_path / "b") as there:
        runstone.enqueue("asking", {}, ledger=here, registry=MADE, run_id="one", queue="night")
        here.care.export(tmp_path / "copy.jsonl", ["one"])
        with runstone.open(tmp_path / "c") as copy:
            copy.care.import_(tmp_path / "copy.jsonl")
            assert ready(copy) == []  # a copy begins nothing by itself
        here.care.export(tmp_path / "one.jsonl", ["one"], move=True)
        there.care.import_(tmp_path / "one.jsonl")
        assert (ready(here), ready(there)) == ([], [("one", "night")])
        here.care.take_back()
        assert ready(here) == [("one", "night")]


def ready(ledger: Ledger) -> list[tuple[str, str]]:
    """Runs that workers would be given, with their queues."""
    rows = ledger.reader.rows("ready_dispatches", now=ledger.core.now() + 1_000_000, limit=10)
    return [(row[0], row[3]) for row in rows]


def test_the_event_of_a_move_adds_up_to_a_row_that_names_its_export() -> None:
    head = Head(pk=1, run_id="one", kind="workflow", status="paused")
    runs.apply(head, "run.moved", {"export": "x.jsonl", "made_at": "2026-11-30", "status": "paused"}, 1)
    assert (head.status, head.status_reason) == ("moved", "moved to x.jsonl of 2026-11-30")
