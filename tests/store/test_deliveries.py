"""Deliveries: each end is told to each listener until it is acknowledged, and a later end of the run is a new one."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger
from runstone.errors import AlreadyDelivered, Fenced, InvalidInput, NotFound, RevisionConflict
from runstone.store.writes.deliveries import TakeEnds
from runstone.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock, lease_s=90 * 86_400.0) as opened:
        yield opened


@pytest.fixture
def parent(ledger: Ledger) -> Any:
    return ledger.start_run(run_id="p", parent=None, thread_id="chat")


def end(ledger: Ledger, run_id: str, parent: Any, result: Any = None, **more: Any) -> None:
    with ledger.start_run(run_id=run_id, parent=parent, **more) as child:
        child.complete(result=result)


def names(deliveries: list[Any]) -> list[str]:
    return [one.run.id for one in deliveries]


def hear(ledger: Ledger, listener: str = "l", **more: Any) -> list[str]:
    return names(ledger.deliveries(listener, **({"parent": "p"} | more)))


def test_an_end_is_told_with_its_result_until_it_is_acknowledged(ledger: Ledger, parent: Any) -> None:
    result = {"text": "long " * 5_000}
    end(ledger, "c", parent, result)
    (told,) = ledger.deliveries("l", parent="p")
    assert (told.run.status, told.result) == ("completed", result)
    told.release().result()
    (told,) = ledger.deliveries("l", parent="p")
    told.ack().result()
    assert hear(ledger) == []
    assert hear(ledger, "other") == ["c"], "another listener is told for itself"


def test_a_failed_or_cancelled_child_is_told_and_a_running_or_interrupted_one_is_not(
    ledger: Ledger, parent: Any
) -> None:
    ledger.start_run(run_id="failed", parent=parent).fail("why").result()
    ledger.start_run(run_id="cancelled", parent=parent).cancel().result()
    ledger.start_run(run_id="interrupted", parent=parent).interrupt("gone")
    running = ledger.start_run(run_id="running", parent=parent)
    assert [(one.run.id, one.run.status) for one in ledger.deliveries("l", parent="p")] == [
        ("failed", "failed"),
        ("cancelled", "cancelled"),
    ]
    assert ledger.wait_all(["interrupted"])[0].status == "interrupted", "who waits for it is told as it is"
    running.complete().result()


def test_a_run_that_was_retried_and_ended_again_is_told_again(ledger: Ledger) -> None:
    with ledger.start_run(run_id="f", parent=None) as child:
        child.fail("once").result()
    (failed,) = ledger.deliveries("l", run_id="f")
    ledger.command("f", "retry")
    with ledger.continue_run("f") as child:
        assert ledger.deliveries("l", run_id="f") == [], "while it works again, nothing is told"
        failed.ack().result()
        child.complete(result="well")
    (again,) = ledger.deliveries("l", run_id="f")
    assert (again.run.attempt, again.result) == (2, "well")
    again.ack().result()
    assert ledger.deliveries("l", run_id="f") == []
    with pytest.raises(AlreadyDelivered):
        failed.ack().result()


def test_a_run_that_was_stopped_before_its_next_try_is_told_of_its_later_end_too(
    ledger: Ledger, clock: FakeClock
) -> None:
    """It ends twice in one attempt; whether the first end was acknowledged before the second one or after it."""
    for number, acknowledged in enumerate(("before", "between", "after", "never")):
        run_id = f"c{number}"
        ledger.start_run(run_id=run_id, parent=None).fail("why").result()
        (failed,) = ledger.deliveries("l", run_id=run_id)
        assert failed.run.status == "failed"
        for step in ("before", "between", "after"):
            clock.advance(1)
            if step == acknowledged:
                failed.ack().result()
            clock.advance(1)
            if step != "after":
                ledger.command(run_id, {"before": "retry", "between": "stop"}[step])
        clock.advance(0 if acknowledged != "never" else 60)
        (cancelled,) = ledger.deliveries("l", run_id=run_id)
        assert (cancelled.run.status, cancelled.run.attempt) == ("cancelled", 1)
        cancelled.ack().result()
        with pytest.raises(AlreadyDelivered):
            failed.ack().result()
        assert hear(ledger, run_id=run_id, parent=None) == []
    assert ledger.care.verify() == []


def test_a_write_takes_a_page_of_ends_however_many_children_there_are(
    ledger: Ledger, parent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        end(ledger, f"c{number:02}", parent)
    read: list[int] = []
    decide = TakeEnds.decide

    def counting(self: TakeEnds, batch: Any) -> Any:
        rows = type(batch).read

        def noted(batch: Any, name: str, **params: Any) -> Any:
            found = rows(batch, name, **params)
            read.append(len(found))
            return found

        monkeypatch.setattr(type(batch), "read", noted)
        try:
            return decide(self, batch)
        finally:
            monkeypatch.setattr(type(batch), "read", rows)

    monkeypatch.setattr(TakeEnds, "decide", counting)
    for page in (range(10), range(10, 20), range(20, 30)):
        assert hear(ledger, limit=10) == [f"c{number:02}" for number in page]
    assert read == [10, 10, 10]


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1", None])
def test_a_limit_that_is_none_is_refused_and_a_huge_one_is_not(
    ledger: Ledger, parent: Any, limit: Any
) -> None:
    end(ledger, "c", parent)
    with pytest.raises(InvalidInput):
        ledger.deliveries("l", parent="p", limit=limit)
    with pytest.raises(InvalidInput):
        parent.finished_children(limit=limit)
    assert names(parent.finished_children(limit=10**30)) == hear(ledger, limit=10**30) == ["c"]


def test_what_one_has_in_hand_nobody_else_is_told_until_the_time_has_passed(
    ledger: Ledger, parent: Any, clock: FakeClock
) -> None:
    end(ledger, "c", parent)
    assert hear(ledger, hold_s=30) == ["c"]
    clock.advance(29)
    assert hear(ledger) == []
    clock.advance(2)
    assert hear(ledger) == ["c"]


def test_who_is_meant_is_said_by_run_parent_root_or_thread(ledger: Ledger, parent: Any) -> None:
    end(ledger, "c", parent, thread_id="chat")
    with ledger.start_run(run_id="d", parent=parent) as child:
        end(ledger, "grandchild", child)
    end(ledger, "alone", None)
    assert hear(ledger, "by parent") == ["c", "d"]
    assert hear(ledger, "by root", parent=None, root="p") == ["c", "d", "grandchild"]
    assert hear(ledger, "by run", parent=None, run_id="alone") == ["alone"]
    assert hear(ledger, "by runs", parent=None, run_id=["alone", "c"]) == ["c", "alone"]
    assert hear(ledger, "by thread", parent=None, thread_id="chat") == ["c"]
    assert hear(ledger, "some", limit=1) == ["c"]
    with pytest.raises(InvalidInput):
        ledger.deliveries("l")
    with pytest.raises(NotFound):
        ledger.deliveries("l", run_id="nobody")
    for name in ("", "@parent"):
        with pytest.raises(InvalidInput):
            ledger.deliveries(name, parent="p")


def test_a_block_acknowledges_what_it_was_told_unless_it_fails(ledger: Ledger, parent: Any) -> None:
    end(ledger, "c", parent)
    with pytest.raises(ValueError, match="not yet"), ledger.deliveries("l", parent="p")[0]:
        raise ValueError("not yet")
    with ledger.deliveries("l", parent="p")[0] as told:
        assert told.run.id == "c"
    assert hear(ledger) == []


def test_who_waits_is_told_as_soon_as_the_first_one_ends(ledger: Ledger, parent: Any) -> None:
    child = ledger.start_run(run_id="c", parent=parent)
    heard: list[str] = []
    waiting = threading.Thread(
        target=lambda: heard.extend(names(ledger.deliveries("l", parent="p", timeout=60)))
    )
    waiting.start()
    child.complete().result()
    waiting.join(60)
    assert heard == ["c"]
    assert ledger.deliveries("l", parent="p", timeout=0.01) == []


# --- a parent's own ---------------------------------------------------------------------------------------------------


def test_a_parent_takes_an_end_in_and_acknowledges_it_in_one_transaction(ledger: Ledger, parent: Any) -> None:
    for number in range(4):
        end(ledger, f"c{number}", parent, number)
    first, second, third, fourth = parent.finished_children()
    parent.checkpoint(append={"heard": [first.result]}, acknowledge=[first]).result()
    parent.message("user", "two", acknowledge=[second]).result()
    parent.acknowledge([third]).result()
    assert names(parent.finished_children()) == ["c3"]
    with pytest.raises(AlreadyDelivered):
        parent.checkpoint(append={"heard": ["twice"]}, acknowledge=[first, fourth]).result()
    assert ledger.checkpoints.state("p") == {"heard": [0]}, "all of it, or nothing"
    assert names(parent.finished_children()) == ["c3"]
    assert hear(ledger) == ["c0", "c1", "c2", "c3"], "listeners are told for themselves"
    parent.interrupt("as it happens")
    again = ledger.continue_run("p")
    assert names(again.finished_children()) == ["c3"]
    with pytest.raises(Fenced):
        parent._core.submit(parent._with_ends(None, again.finished_children())).result()
    with pytest.raises(InvalidInput):
        again.acknowledge(ledger.deliveries("other", parent="p")).result()
    again.checkpoint({"heard": [0, 3]}, acknowledge=again.finished_children()).result()
    assert again.finished_children() == []
    assert ledger.care.verify() == []


def test_an_end_that_was_not_taken_in_stays_unacknowledged(ledger: Ledger, parent: Any) -> None:
    end(ledger, "c", parent)
    (child,) = parent.finished_children()
    one, two = parent._last_saved(), parent._last_saved()
    assert one is two
    parent.checkpoint({"n": 1}).result()
    parent._saved = one  # another save came between: this one is refused as a whole
    with pytest.raises(RevisionConflict):
        parent.checkpoint({"n": 2}, acknowledge=[child]).result()
    assert names(parent.finished_children()) == ["c"]


def test_another_parents_child_is_refused(ledger: Ledger, parent: Any) -> None:
    other = ledger.start_run(run_id="q", parent=None)
    end(ledger, "c", other)
    with pytest.raises(InvalidInput):
        parent.acknowledge(other.finished_children()).result()
    assert names(other.finished_children()) == ["c"]


# --- waiting for several ----------------------------------------------------------------------------------------------


def test_waiting_for_any_and_for_all(ledger: Ledger, parent: Any) -> None:
    one, two = (ledger.start_run(run_id=name, parent=parent) for name in ("one", "two"))
    assert [run.status for run in ledger.wait_all(["one", "two"], timeout=0.01)] == ["running", "running"]
    two.complete().result()
    assert [run.status for run in ledger.wait_any(["one", "two"])] == ["running", "completed"]
    done: list[str] = []
    waiting = threading.Thread(
        target=lambda: done.extend(run.id for run in ledger.wait_all(["two", "one", "two"]))
    )
    waiting.start()
    one.interrupt("gone")
    waiting.join(60)
    assert done == ["two", "one", "two"]
    assert ledger.wait_all([]) == ledger.wait_any([]) == []
    assert [run.id for run in ledger.wait_any("one")] == ["one"], "an id alone is one run, not its letters"
    with pytest.raises(NotFound):
        ledger.wait_any(["one", "nobody"])


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_acknowledgements_are_exported_with_their_run_and_removed_with_it(
    ledger: Ledger, parent: Any, tmp_path: Path
) -> None:
    end(ledger, "c", parent)
    end(ledger, "d", parent)
    parent.acknowledge(parent.finished_children()[:1]).result()
    first, _ = ledger.deliveries("l", parent="p")
    first.ack().result()
    parent.complete().result()
    ledger.care.export(tmp_path / "a.jsonl")
    with runstone.open(tmp_path / "other") as other:
        other.care.import_(tmp_path / "a.jsonl")
        assert hear(other) == ["d"], "what was in hand is free there"
        assert hear(other, "new") == ["c", "d"]
        assert other.care.verify() == []
        other.care.export(tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes().splitlines()[1:-1] == (
        tmp_path / "b.jsonl"
    ).read_bytes().splitlines()[1:-1]
    ledger.care.remove("p")
    assert ledger.reader.db.query("SELECT count(*) FROM acknowledgements") == [(0,)]
    assert ledger.care.verify() == []
