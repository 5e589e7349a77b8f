"""A run that is for workers has one dispatch each time that it is ready, and a claim by any other is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone.domain import codec, inputs
from runstone.domain.dispatches import MAX_INTERRUPTIONS, OPTION, Placement
from runstone.errors import DispatchOver, Fenced
from runstone.store.sqlite import open as sqlite
from runstone.store.writes.dispatching import MoveDispatches, ReturnDispatch, TakeDuty
from runstone.store.writes.inputs import AnswerInput, AskInput
from runstone.store.writes.journal import Hint, RecordStep, StartChildren
from runstone.store.writes.lifecycle import (
    ClaimRun,
    CreateRun,
    EndRun,
    InterruptRun,
    ParkRun,
    ResumeRun,
    YieldRun,
)
from runstone.store.writes.removal import PruneRun, RemoveRun
from runstone.store.writes.verbs import GiveOrder
from runstone.testing.contract import OTHER, OWNER, Connect, Store, new_run

FOR_WORKERS = {OPTION: Placement(queue="q", priority=3).option()}
DONE = ("run.completed", {})


def dispatches(store: Store, run_id: str) -> list[tuple[int, str]]:
    """(n, state) of all that there are."""
    pk = store.reader.rows("pk_of", run_id=run_id)[0][0]
    return store.reader.rows("dispatches_of", run=pk)


def ready(store: Store) -> list[str]:
    rows = store.reader.rows("ready_dispatches", now=store.clock.now(), limit=100)
    return [run_id for run_id, *_ in rows]


def n_of(store: Store, run_id: str) -> int:
    return dispatches(store, run_id)[-1][0]


def claim(store: Store, run_id: str, n: int | None = None) -> int:
    number = n_of(store, run_id) if n is None else n
    return int(store.do(ClaimRun(run_id, OWNER, dispatch=number)).head.attempt)


class DispatchContract:
    """The suite. A subclass gives the fixture `connect`."""

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError("a subclass names its backend")

    @pytest.fixture
    def store(self, connect: Connect) -> Iterator[Store]:
        store = Store(connect)
        yield store
        store.close()

    @pytest.fixture
    def parent(self, store: Store) -> Store:
        """A run `p` for workers at work in attempt 1, with children `a` and `b` for workers."""
        store.do(CreateRun(new_run("p", options=FOR_WORKERS)))
        claim(store, "p")
        self.children(store, ["a", "b"])
        return store

    def children(self, store: Store, names: list[str], **identity: Any) -> None:
        given = {"options": FOR_WORKERS, "parent_run_id": "p"} | identity
        store.do(
            StartChildren("p", 1, [(new_run(name, **given), Hint(name, name)) for name in names])
        )  # fmt: skip

    def park(self, store: Store, *branches: tuple[str, list[str]]) -> None:
        parked = ParkRun("p", 1, "run.waiting", {"reason": "children"}, branches=list(branches))
        assert store.do(parked) is True

    # --- when a run is ready -------------------------------------------------------------------------------------

    def test_a_run_that_is_made_for_workers_is_dispatched_and_no_other_is(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        store.do(CreateRun(new_run("mine", options={"retry": {"max_attempts": 2}})))
        assert ready(store) == ["w"]
        assert dispatches(store, "mine") == []
        (row,) = store.reader.rows("ready_dispatches", now=store.clock.now(), limit=9)
        assert row[2:] == (1, "q", 8), "n, the queue, and the rank of a run that begins at priority 3"

    def test_a_delayed_run_is_ready_when_its_time_has_come(self, store: Store) -> None:
        later = Placement(not_before=store.clock.now() + 5_000_000)
        store.do(CreateRun(new_run("w", options={OPTION: later.option()})))
        assert ready(store) == []
        store.clock.advance(5)
        assert ready(store) == ["w"]

    def test_a_claimed_run_is_dispatched_no_more_until_it_is_ready_again(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        claim(store, "w")
        assert (ready(store), dispatches(store, "w")) == ([], [(1, "taken")])
        store.do(EndRun("w", 1, "run.failed", {"error": {"message": "no"}}))
        assert dispatches(store, "w") == [(1, "over")]
        store.do(GiveOrder("w", "c", "retry", {}, by="ana"))
        assert ready(store) == ["w"]
        assert [state for _, state in dispatches(store, "w")] == ["over", "ready"]

    @pytest.mark.parametrize("together", [True, False])
    def test_the_last_children_to_end_dispatch_their_parent_once(self, parent: Store, together: bool) -> None:
        claim(parent, "a"), claim(parent, "b")
        self.park(parent, ("all", ["a", "b"]))
        ends = [EndRun(name, 1, *DONE) for name in ("a", "b")]
        if together:
            assert all(outcome.error is None for outcome in parent.writer.transact(ends, set()))
        else:
            parent.do(ends[0])
            assert ready(parent) == [], "it waits for all of them"
            parent.do(ends[1])
        assert ready(parent) == ["p"]
        assert [state for _, state in dispatches(parent, "p")] == ["over", "ready"]
        assert claim(parent, "p") == 2

    @pytest.mark.parametrize("together", [True, False])
    def test_any_child_to_end_dispatches_its_parent_once(self, parent: Store, together: bool) -> None:
        claim(parent, "a"), claim(parent, "b")
        self.park(parent, ("any", ["a", "b"]))
        ends = [EndRun(name, 1, *DONE) for name in ("a", "b")]
        if together:
            parent.writer.transact(ends, set())
        else:
            for end in ends:
                parent.do(end)
        assert ready(parent) == ["p"]
        assert [state for _, state in dispatches(parent, "p")] == ["over", "ready"]

    def test_an_answer_dispatches_the_run_that_waits_for_it(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        claim(store, "w")
        asked = inputs.question("Go on?", now=store.clock.now(), choices=["yes"])
        store.do(AskInput("w", 1, asked, "i"))
        store.do(ParkRun("w", 1, "run.awaited", {"reason": "Go on?"}, questions=["i"]))
        assert ready(store) == []
        store.do(AnswerInput("i", b'"yes"', "ana"))
        assert ready(store) == ["w"]
        store.do(AnswerInput("i", b'"yes"', "ana"))
        assert len(dispatches(store, "w")) == 2, "the same answer again dispatches nothing"

    def test_a_timer_dispatches_the_run_once_its_time_has_come(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        claim(store, "w")
        wake_at = store.clock.now() + 2_000_000
        store.do(ParkRun("w", 1, "run.waiting", {"reason": "timer", "wake_at": wake_at}))
        assert store.reader.rows("due_dispatched", now=store.clock.now()) == []
        store.clock.advance(2)
        assert store.reader.rows("due_dispatched", now=store.clock.now()) == [("w", 0)]
        for _ in range(2):
            store.do(ResumeRun("w", "the time has come", expect=frozenset({"waiting"})))
        assert ready(store) == ["w"]
        assert len(dispatches(store, "w")) == 2

    # --- when its owner is gone ----------------------------------------------------------------------------------

    def test_a_run_whose_owner_is_gone_is_dispatched_again_in_that_transaction(self, parent: Store) -> None:
        claim(parent, "a")
        self.park(parent, ("all", ["a", "b"]))
        assert parent.do(InterruptRun("a", 1, "process 7 is gone")) == ["a"]
        assert ready(parent) == ["a", "b"], "what hangs on it is left as it is"
        assert parent.reader.runs.get("p").status == "waiting"
        types = [event.type for event in parent.reader.events.after("a")]
        assert types[-2:] == ["run.interrupted", "run.resumed"]
        assert claim(parent, "a") == 2
        with pytest.raises(Fenced):
            parent.do(EndRun("a", 1, *DONE))

    def test_of_two_reconcilers_one_dispatches_it_again(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        claim(store, "w")
        verdicts = [InterruptRun("w", 1, "gone") for _ in range(2)]
        changed = [outcome.value for outcome in store.writer.transact(verdicts, set())]
        assert changed == [["w"], []]
        assert store.do(InterruptRun("w", 1, "gone")) == []
        assert [state for _, state in dispatches(store, "w")] == ["over", "ready"]

    def test_one_that_ends_its_owners_each_time_is_left_for_people(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        for attempt in range(1, MAX_INTERRUPTIONS + 1):
            store.clock.advance(61)  # it is kept back longer and longer
            assert ready(store) == ["w"]
            assert claim(store, "w") == attempt
            store.do(YieldRun("w", attempt, "killed"))
            assert store.reader.runs.get("w").status == "pending"
        store.clock.advance(61)
        assert claim(store, "w") == MAX_INTERRUPTIONS + 1
        store.do(YieldRun("w", MAX_INTERRUPTIONS + 1, "killed"))
        assert store.reader.runs.get("w").status == "interrupted"
        store.clock.advance(61)
        assert ready(store) == []

    def test_one_that_records_something_each_time_may_lose_its_owner_as_often_as_it_does(
        self, store: Store
    ) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        for attempt in range(1, MAX_INTERRUPTIONS + 5):
            store.clock.advance(1)
            assert claim(store, "w") == attempt
            store.clock.advance(1)
            store.do(RecordStep("w", attempt, Hint(f"k{attempt}", "step"), b"1", 1))
            store.do(YieldRun("w", attempt, "deployed anew"))
        assert ready(store) == ["w"]

    @pytest.mark.parametrize(("verb", "status"), [("pause", "paused"), ("stop", "interrupted")])
    def test_one_that_was_told_to_stop_or_pause_is_not_begun_again(
        self, store: Store, verb: str, status: str
    ) -> None:
        from runstone.store.writes.boards import RequestStop

        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        claim(store, "w")
        if verb == "stop":
            store.do(RequestStop("w", "c", {}, by="ana", idempotency_key=None))
        else:
            store.do(GiveOrder("w", "c", "pause", {}, by="ana"))
        store.do(InterruptRun("w", 1, "gone"))
        assert (store.reader.runs.get("w").status, ready(store)) == (status, [])

    # --- who may claim -------------------------------------------------------------------------------------------

    def test_a_dispatch_is_claimed_once(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        claims = [ClaimRun("w", owner, dispatch=1) for owner in (OWNER, OTHER)]
        first, second = store.writer.transact(claims, set())
        assert (first.error, type(second.error)) == (None, DispatchOver)

    @pytest.mark.parametrize("how", ["paused and resumed", "interrupted", "removed from the line"])
    def test_an_older_dispatch_claims_nothing(self, store: Store, how: str) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        if how == "interrupted":
            claim(store, "w")
            store.do(InterruptRun("w", 1, "gone"))
        elif how == "paused and resumed":
            store.do(GiveOrder("w", "c1", "pause", {}, by="ana"))
            store.do(GiveOrder("w", "c2", "resume", {}, by="ana"))
        else:
            store.do(GiveOrder("w", "c1", "pause", {}, by="ana"))
            pk = store.reader.rows("pk_of", run_id="w")[0][0]
            store.do(MoveDispatches("forget_dispatches", [(pk, 1)]))
            store.do(GiveOrder("w", "c2", "resume", {}, by="ana"))
        with pytest.raises(DispatchOver):
            claim(store, "w", 1)
        assert claim(store, "w") >= 1

    def test_what_a_worker_gives_back_comes_again_later_under_a_new_number(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        assert store.do(ReturnDispatch("w", 1, "no agent of that name", 5)) is True
        assert store.do(ReturnDispatch("w", 1, "no agent of that name", 5)) is False
        assert ready(store) == []
        store.clock.advance(5)
        assert ready(store) == ["w"]
        with pytest.raises(DispatchOver):
            claim(store, "w", 1)
        assert claim(store, "w") == 1

    # --- phases --------------------------------------------------------------------------------------------------

    def test_a_phase_has_no_more_in_line_than_may_run_and_the_next_follows_an_end(self, store: Store) -> None:
        store.do(CreateRun(new_run("p", options=FOR_WORKERS)))
        claim(store, "p")
        limited = {OPTION: Placement(limit=2).option()}
        self.children(store, ["c1", "c2", "c3", "c4"], options=limited, phase="inspect")
        assert ready(store) == ["c1", "c2"]
        claim(store, "c1"), claim(store, "c2")
        assert ready(store) == []
        ends = [EndRun(name, 1, *DONE) for name in ("c1", "c2")]
        store.writer.transact(ends, set())
        assert ready(store) == ["c3", "c4"]

    def test_a_child_that_loses_its_owner_keeps_its_place_in_a_phase(self, store: Store) -> None:
        store.do(CreateRun(new_run("p", options=FOR_WORKERS)))
        claim(store, "p")
        limited = {OPTION: Placement(limit=1).option()}
        self.children(store, ["c1", "c2"], options=limited, phase="inspect")
        claim(store, "c1")
        store.do(InterruptRun("c1", 1, "gone"))
        assert ready(store) == ["c1"], "what has begun goes on before anything begins"

    # --- the relay's own -----------------------------------------------------------------------------------------

    def test_a_dispatch_that_was_claimed_or_ended_is_not_put_in_line_again(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        pk = store.reader.rows("pk_of", run_id="w")[0][0]
        claim(store, "w")
        for statement in ("enqueue_dispatches", "forget_dispatches"):
            store.do(MoveDispatches(statement, [(pk, 1)]))
            assert dispatches(store, "w") == [(1, "taken")]
        store.do(EndRun("w", 1, *DONE))
        store.do(MoveDispatches("enqueue_dispatches", [(pk, 1)]))
        assert dispatches(store, "w") == [(1, "over")]
        store.do(MoveDispatches("forget_dispatches", [(pk, 1)]))
        assert dispatches(store, "w") == []

    def test_a_dispatch_that_was_lost_is_given_anew_and_the_lost_one_is_refused(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        pk = store.reader.rows("pk_of", run_id="w")[0][0]
        store.do(MoveDispatches("enqueue_dispatches", [(pk, 1)]))
        assert store.do(ReturnDispatch("w", 1, "no worker had it any more", 0.0)) is True
        (lost, new) = dispatches(store, "w")
        assert (lost, new[1]) == ((1, "over"), "ready")
        assert new[0] > 1
        with pytest.raises(DispatchOver):
            store.do(ClaimRun("w", OWNER, dispatch=1))
        assert store.do(ReturnDispatch("w", 1, "found again", 0.0)) is False
        store.do(ClaimRun("w", OWNER, dispatch=new[0]))
        assert store.reader.runs.get("w").status == "running"

    def test_a_duty_is_one_owners_until_it_runs_out(self, store: Store) -> None:
        assert store.do(TakeDuty("d", "one", 5)) is True
        assert store.do(TakeDuty("d", "two", 5)) is False
        store.clock.advance(4)
        assert store.do(TakeDuty("d", "one", 5)) is True
        store.clock.advance(4)
        assert store.do(TakeDuty("d", "two", 5)) is False
        store.clock.advance(2)
        assert store.do(TakeDuty("d", "two", 5)) is True

    def test_a_run_is_removed_with_its_dispatches(self, store: Store) -> None:
        store.do(CreateRun(new_run("w", options=FOR_WORKERS)))
        claim(store, "w")
        store.do(EndRun("w", 1, *DONE))
        while store.do(PruneRun("w")):
            pass
        while store.do(RemoveRun("w")):
            pass
        assert store.reader.rows("pk_of", run_id="w") == []
        assert store.reader.rows("over_dispatches", before=store.clock.now(), limit=9) == []


class TestSQLite(DispatchContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[[], Any]:
        path = tmp_path / "ledger.db"
        sqlite.prepare(path)
        return sqlite.writer(path)


def test_a_wrong_placement_is_refused() -> None:
    from runstone.errors import InvalidInput

    for wrong in ({"queue": ""}, {"queue": "_x"}, {"priority": -1}, {"interruptions": -1}):
        with pytest.raises(InvalidInput):
            Placement(**wrong)  # type: ignore[arg-type]
    assert codec.decode(codec.encode(Placement().option())) == {}
