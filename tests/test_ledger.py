"""The ledger's own calls: what a handle saves, what is refused at the door, and what a reader may ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.errors import (
    InvalidCursor,
    InvalidEvent,
    InvalidInput,
    NotFound,
    NotJournalable,
    RevisionConflict,
    RunMismatch,
    StoreReadOnly,
    ValueTooLarge,
)
from runstone.ledger import Ledger
from runstone.store.writes.checkpoints import SaveCheckpoint


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as ledger:
        yield ledger


# --- checkpoints ----------------------------------------------------------------------------------------------


def test_a_checkpoint_that_was_refused_is_saved_whole_by_the_next_one(ledger: Ledger) -> None:
    """What the refused one held was never stored, so the next may not leave it out as unchanged."""
    run = ledger.start_run(run_id="r")
    run.checkpoint({"messages": [1]}).result()
    ledger.core.submit(SaveCheckpoint("r", 1, [], label="another's", after=1), []).result()
    refused = run.checkpoint({"messages": [1, 2], "goal": "x"})
    with pytest.raises(RevisionConflict):
        refused.result()
    assert run.checkpoint({"messages": [1, 2], "goal": "x"}).result() == 3
    assert ledger.checkpoints.state("r") == {"messages": [1, 2], "goal": "x"}
    ledger.core.submit(SaveCheckpoint("r", 1, [], label="another's", after=3), []).result()
    with pytest.raises(RevisionConflict):
        run.checkpoint(append={"messages": [3]}).result()
    run.checkpoint(append={"messages": [4]}).result()
    assert ledger.checkpoints.state("r") == {"messages": [1, 2, 4], "goal": "x"}
    run.pause(state={"messages": [1, 2, 4, 5]})
    assert ledger.checkpoints.state("r") == {"messages": [1, 2, 4, 5]}
    assert ledger.care.verify() == []


def test_a_checkpoint_that_never_left_changes_nothing(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    run.checkpoint({"messages": [1]}).result()
    for bad in (
        lambda: run.checkpoint(append={"messages": [2]}, label="x" * 5_000),
        lambda: run.checkpoint(append={"messages": [2, b""]}),
        lambda: run.checkpoint(append={"messages": [2], "goal": "no list"}),  # type: ignore[dict-item]
        lambda: run.checkpoint({"messages": [1, 2, (3,)]}),
    ):
        with pytest.raises(InvalidInput):
            bad()
    run.checkpoint(append={"messages": [2]}).result()
    assert ledger.checkpoints.state("r") == {"messages": [1, 2]}


def test_checkpoints_may_be_given_one_after_the_other_without_waiting(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    receipts = [run.checkpoint(append={"m": [n]}) for n in range(100)]
    assert [receipt.result() for receipt in receipts] == list(range(1, 101))
    assert ledger.checkpoints.state("r") == {"m": list(range(100))}
    assert ledger.checkpoints.state("r", 40) == {"m": list(range(40))}
    with pytest.raises(NotFound):
        ledger.checkpoints.state("r", 101)


def test_a_continued_run_goes_on_from_its_checkpoint(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    run.checkpoint({"m": [1, 2, 3], "n": 1})
    run.pause(state={"m": [1, 9], "n": 1})
    run = ledger.continue_run("r", message="on")
    assert (run.state, run.message_in) == ({"m": [1, 9], "n": 1}, "on")
    run.checkpoint(append={"m": [4]}).result()
    assert ledger.checkpoints.state("r") == {"m": [1, 9, 4], "n": 1}
    assert [ledger.checkpoints.state("r", n) for n in (1, 2)] == [
        {"m": [1, 2, 3], "n": 1},
        {"m": [1, 9], "n": 1},
    ]


# --- what is refused at the door ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda run: run.emit("nodots"), InvalidEvent),
        (lambda run: run.emit("Run.done"), InvalidEvent),
        (lambda run: run.emit("run.completed"), InvalidEvent),
        (lambda run: run.emit("usage.invented"), InvalidEvent),
        (lambda run: run.emit("ledger.reset"), InvalidEvent),
        (lambda run: run.emit(["work.done"]), InvalidEvent),
        (lambda run: run.emit("tool.started", {"tool": "x"}), InvalidEvent),
        (lambda run: run.emit("iteration.started", {"n": True}), InvalidEvent),
        (lambda run: run.emit("work.done", {"a": {1, 2}}), NotJournalable),
        (lambda run: run.emit("work.done", importance=3), InvalidInput),
        (lambda run: run.emit("work.done", event_key="k" * 501), ValueTooLarge),
        (lambda run: run.emit("work.done", {"x": "y" * (64 * 1024 * 1024)}), ValueTooLarge),
        (lambda run: run.message("user", "\ud800"), NotJournalable),
        (lambda run: run.message("user", 5), InvalidInput),
        (lambda run: run.message("", "x"), InvalidInput),
        (lambda run: run.messages([]), InvalidInput),
        (lambda run: run.update(title="x" * 5_000), ValueTooLarge),
        (lambda run: run.update(labels={"a": "x" * 5_000}), ValueTooLarge),
        (lambda run: run.update(labels={"a": 1}), InvalidInput),
        (lambda run: run.complete(summary=5), InvalidInput),
        (lambda run: run.complete(result=(1,)), NotJournalable),
        (lambda run: run.usage(provider="p", model="m", cost_usd="much"), InvalidInput),
    ],
)
def test_what_no_run_may_say_is_refused_at_once_and_changes_nothing(
    ledger: Ledger, call: Any, error: type[Exception]
) -> None:
    run = ledger.start_run(run_id="r")
    with pytest.raises(error):
        call(run)
    assert [event.type for event in ledger.events("r")] == ["run.created", "run.started"]
    run.emit("work.done").result()


@pytest.mark.parametrize(
    "fields",
    [{"kind": "workflow"}, {"kind": "x"}, {"title": "x" * 5_000}, {"agent_id": "a b"}, {"labels": {"a": "x" * 5_000}},
     {"options": {"a": "x" * 5_000}}, {"prompt": "\udcff"}, {"prompt": 5}, {"input": b""}, {"run_id": "a/b"},
     {"run_id": ""}, {"run_id": "x" * 201}, {"parent": "a b"}, {"parent": "mine", "run_id": "mine"}],
)  # fmt: skip
def test_what_is_no_run_is_refused(ledger: Ledger, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ledger.start_run(**fields)
    assert ledger.list_runs().items == []


def test_runs_cannot_be_below_each_other(ledger: Ledger) -> None:
    below = ledger.start_run(run_id="a", parent="b")
    between = ledger.start_run(run_id="c", parent="a")
    with pytest.raises(InvalidInput, match="below it"):
        ledger.start_run(run_id="b", parent="c")
    top = ledger.start_run(run_id="b")
    assert [node.run.id for node in ledger.tree("b").walk()] == ["b", "a", "c"]
    assert {ledger.get_run(run.id).root_run_id for run in (below, between, top)} == {"b"}


def test_creation_is_idempotent_and_another_run_is_a_mismatch(ledger: Ledger) -> None:
    assert ledger.create_run(kind="subagent", run_id="r", input={"a": 1}).status == "pending"
    assert ledger.create_run(kind="subagent", run_id="r", input={"a": 1}).attempt == 0
    for other in ({"input": {"a": 2}}, {"input": {"a": True}}, {"kind": "team_member", "input": {"a": 1}}):
        with pytest.raises(RunMismatch):
            ledger.create_run(**{"kind": "subagent", "run_id": "r", **other})
    run = ledger.start_run(run_id="r", input={"a": 1})
    assert run.attempt == 1
    assert len(ledger.list_runs()) == 1


# --- reading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda ledger: ledger.threads.list(cursor="x"), InvalidCursor),
        (lambda ledger: ledger.threads.list(limit=0), InvalidInput),
        (lambda ledger: ledger.threads.messages("t", after=-1), InvalidInput),
        (lambda ledger: ledger.threads.messages("t", limit="x"), InvalidInput),
        (lambda ledger: ledger.threads.get("nothing"), NotFound),
        (lambda ledger: ledger.boards.get("nothing"), NotFound),
        (lambda ledger: ledger.boards.card("nothing"), NotFound),
        (lambda ledger: ledger.boards.cards("b", limit=-1), InvalidInput),
        (lambda ledger: ledger.get_run("nobody"), NotFound),
        (lambda ledger: ledger.tree("nobody"), NotFound),
        (lambda ledger: ledger.telemetry("nobody"), NotFound),
        (lambda ledger: ledger.resolve("nobody"), NotFound),
        (lambda ledger: ledger.blob("0" * 64), NotFound),
    ],
)
def test_what_is_not_there_is_a_typed_error(ledger: Ledger, call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(ledger)


def test_threads_and_messages_go_page_by_page(ledger: Ledger) -> None:
    for number in range(7):
        ledger.threads.create(f"t{number}", title=f"title {number}")
    first = ledger.threads.list(limit=4)
    second = ledger.threads.list(limit=4, cursor=first.next_cursor)
    assert [thread.id for thread in [*first, *second]] == [f"t{number}" for number in reversed(range(7))]
    assert second.next_cursor is None
    ledger.threads.append_many("t0", [("user", str(n)) for n in range(5)])
    page = ledger.threads.messages("t0", limit=2)
    assert [m.text for m in page] == ["0", "1"]
    assert [m.text for m in ledger.threads.messages("t0", after=page.next_cursor)] == ["2", "3", "4"]
    assert [m.text for m in ledger.threads.last_messages("t0", 2)] == ["3", "4"]
    assert ledger.threads.create("t0").title == "title 0"


def test_a_reader_writes_nothing(tmp_path: Path, ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    with runstone.open(tmp_path, readonly=True) as reader:
        assert reader.get_run("r").status == "running"
        for call in (
            reader.start_run,
            lambda: reader.update_run("r", title="x"),
            reader.reconcile,
        ):
            with pytest.raises(StoreReadOnly):
                call()
    assert not run.stopping


def test_events_of_the_ledger_itself_are_as_important_as_the_catalogue_says(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r")
    run.emit("note.taken")
    run.fail("no").result()
    told = {event.type: event.importance for event in ledger.events("r").items}
    assert told == {"run.created": 1, "run.started": 1, "note.taken": 1, "run.failed": 2}
