"""A question is kept whole, answered once, and puts its run among those that need input as long as it is open."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger
from runstone.domain import runs
from runstone.errors import (
    AlreadyAnswered,
    AmbiguousId,
    IllegalTransition,
    InputExpired,
    InputWithdrawn,
    InvalidAnswer,
    InvalidCursor,
    InvalidInput,
    NotFound,
    RunstoneError,
)
from runstone.testing.clock import FakeClock

DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    # No heartbeat of the machine's time: what a reader sees before anybody wrote it down is looked at here.
    with runstone.open(tmp_path, clock=clock, lease_s=90 * DAY_S, heartbeat_s=80 * DAY_S) as opened:
        yield opened


@pytest.fixture
def run(ledger: Ledger) -> Any:
    return ledger.start_run(run_id="r")


def types(ledger: Ledger, run_id: str = "r") -> list[str]:
    return [event.type for event in ledger.events(run_id, limit=1_000)]


# --- kept and given back --------------------------------------------------------------------------------------------


def test_a_question_is_given_back_as_it_was_asked(ledger: Ledger, run: Any) -> None:
    schema = {"type": "string", "description": "d" * 6_000}
    message = "Which? " + "long " * 2_000
    asked = ledger.inputs.ask(
        "r", message, choices=["main", "dev"], key="branch", reason="to publish", schema=schema, expires_s=60,
        default="dev",
    )  # fmt: skip
    assert (asked.message, asked.choices, asked.response_schema) == (message, ("main", "dev"), schema)
    assert (asked.key, asked.reason, asked.default, asked.status) == ("branch", "to publish", "dev", "open")
    assert asked.expires_at is not None
    assert (asked.expires_at - asked.asked_at).total_seconds() == 60
    assert (asked.run_id, asked.attempt, asked.response, asked.answered_by) == ("r", 1, None, None)
    assert ledger.inputs.get(asked.id) == asked
    assert "default" not in ledger.inputs.ask("r", "plain").to_dict()


@pytest.mark.parametrize("response", [None, False, 0, "", "x" * 9_000, {"b": [1, 2.5], "a": None}, ["é"]])
def test_an_answer_is_given_back_equal_with_who_and_when(ledger: Ledger, run: Any, response: Any) -> None:
    asked = ledger.inputs.ask("r", "What?")
    answered = ledger.answer(asked.id, response, by="ana")
    assert answered.response == response
    assert type(answered.response) is type(response)
    assert (answered.status, answered.answered_by) == ("answered", "ana")
    assert answered.answered_at == answered.closed_at
    assert answered.answered_at is not None
    (entry,) = ledger.journal("r")
    assert (entry.kind, entry.name, entry.finished) == ("answer", "What?", True)
    assert ledger.care.verify() == []


def test_questions_are_listed_from_the_one_that_waits_longest(ledger: Ledger, run: Any) -> None:
    ids = [ledger.inputs.ask("r", f"Question {n}?").id for n in range(5)]
    other = ledger.start_run(run_id="other")
    ids.append(ledger.inputs.ask("other", "Question?").id)
    ledger.answer(ids[1], 1)
    page = ledger.inputs.list(limit=2)
    assert [one.id for one in page] == [ids[0], ids[2]]
    rest = ledger.inputs.list(limit=10, cursor=page.next_cursor)
    assert [one.id for one in rest] == ids[3:]
    assert rest.next_cursor is None
    assert [one.id for one in ledger.inputs.list(status="answered")] == [ids[1]]
    assert [one.id for one in ledger.inputs.list(status=None, run_id="other")] == [ids[5]]
    assert len(ledger.inputs.list(status=None).items) == 6
    for wrong in ({"status": "late"}, {"limit": 0}, {"cursor": "x"}, {"cursor": 5}, {"run_id": 5}):
        with pytest.raises((InvalidInput, InvalidCursor)):
            ledger.inputs.list(**wrong)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        ledger.inputs.list(run_id="nobody")
    other.complete()


def test_any_unique_part_of_an_id_will_do(ledger: Ledger, run: Any) -> None:
    one, other = ledger.inputs.ask("r", "A?"), ledger.inputs.ask("r", "B?")
    assert ledger.inputs.resolve(one.id[-8:]) == one.id
    assert ledger.inputs.resolve(other.id) == other.id
    with pytest.raises(AmbiguousId):
        ledger.inputs.resolve("-7")
    for wrong in ("", "nothing"):
        with pytest.raises(NotFound):
            ledger.inputs.resolve(wrong)


# --- answered once --------------------------------------------------------------------------------------------------


def test_the_first_answer_counts_and_the_same_again_is_harmless(ledger: Ledger, run: Any) -> None:
    asked = ledger.inputs.ask("r", "Which?")
    ledger.answer(asked.id, {"a": 1, "b": 2}, by="ana")
    again = ledger.answer(asked.id, {"b": 2, "a": 1}, by="bo")
    assert again.answered_by == "ana"
    with pytest.raises(AlreadyAnswered, match=r'by ana already: \{"a":1,"b":2\}'):
        ledger.answer(asked.id, {"a": 2, "b": 1}, by="bo")
    assert types(ledger).count("input.answered") == 1
    assert len(ledger.journal("r")) == 1


def test_an_answer_that_does_not_fit_changes_nothing(ledger: Ledger, run: Any) -> None:
    asked = ledger.inputs.ask("r", "Which?", choices=["a", "b"])
    for wrong in ("c", None, ["a"]):
        with pytest.raises(InvalidAnswer):
            ledger.answer(asked.id, wrong)
    with pytest.raises(RunstoneError):
        ledger.answer(asked.id, float("nan"))
    with pytest.raises(InvalidInput):
        ledger.answer(asked.id, "a", by="x" * 500)
    assert ledger.inputs.get(asked.id).status == "open"
    assert types(ledger).count("input.answered") == 0


def test_of_many_who_answer_at_once_one_is_taken_and_the_others_are_told(ledger: Ledger, run: Any) -> None:
    asked = ledger.inputs.ask("r", "Who?")
    taken, refused, start = list[int](), list[str](), threading.Barrier(8)

    def answer(number: int) -> None:
        start.wait()
        try:
            ledger.answer(asked.id, number, by=str(number))
            taken.append(number)
        except AlreadyAnswered as error:
            refused.append(str(error))

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(taken) == 1
    assert len(refused) == 7
    assert all(f"by {taken[0]} already" in told for told in refused)
    assert ledger.inputs.get(asked.id).response == taken[0]


def test_nobody_answers_what_is_not_there(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="no input request"):
        ledger.answer("nothing", 1)


# --- over -----------------------------------------------------------------------------------------------------------


def test_a_question_expires_by_the_ledgers_clock(ledger: Ledger, run: Any, clock: FakeClock) -> None:
    asked = ledger.inputs.ask("r", "Now?", expires_s=30 * DAY_S)
    kept = ledger.inputs.ask("r", "Or?", expires_s=30 * DAY_S, default={"x": 1})
    clock.advance(30 * DAY_S - 1)
    assert ledger.inputs.get(asked.id).status == "open"
    clock.advance(2)
    # Before anybody wrote it down a reader sees it, and no answer is taken.
    assert ledger.inputs.get(asked.id).status == "expired"
    assert (ledger.inputs.get(asked.id).response, ledger.inputs.get(kept.id).response) == (None, {"x": 1})
    assert ledger.inputs.list().items == []
    assert ledger.counts()["needs_input"] == 0
    with pytest.raises(InputExpired):
        ledger.answer(asked.id, "late")
    assert "input.expired" not in types(ledger)
    ledger.reconcile()
    ledger.flush()
    assert types(ledger).count("input.expired") == 2
    assert (ledger.inputs.get(asked.id).response, ledger.inputs.get(kept.id).response) == (None, {"x": 1})
    assert [entry.kind for entry in ledger.journal("r")] == ["answer"]
    with pytest.raises(InputExpired):
        ledger.answer(kept.id, {"x": 1})
    assert ledger.care.verify() == []


ENDS: dict[str, Callable[[Ledger, Any], object]] = {
    "completed": lambda ledger, run: run.complete().result(),
    "failed": lambda ledger, run: run.fail("no").result(),
    "cancelled": lambda ledger, run: run.cancel().result(),
    "stopped while parked": lambda ledger, run: (run.pause(), ledger.command("r", "stop")),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_run_that_ends_asks_nothing_any_more(ledger: Ledger, run: Any, end: str) -> None:
    asked = [ledger.inputs.ask("r", f"{n}?").id for n in range(3)]
    ledger.answer(asked[0], "yes")
    ENDS[end](ledger, run)
    assert [ledger.inputs.get(one).status for one in asked] == ["answered", "withdrawn", "withdrawn"]
    with pytest.raises(InputWithdrawn):
        ledger.answer(asked[1], "late")
    with pytest.raises(IllegalTransition):
        ledger.inputs.ask("r", "More?")
    told = types(ledger)
    assert told.count("input.withdrawn") == 2
    assert max(index for index, type in enumerate(told) if type == "input.withdrawn") < max(
        index for index, type in enumerate(told) if type in runs.MOVES
    )
    assert ledger.counts()["needs_input"] == 0
    assert ledger.care.verify() == []


def test_a_question_survives_its_owner(ledger: Ledger, run: Any) -> None:
    asked = ledger.inputs.ask("r", "Which?")
    run.interrupt("gone")
    assert ledger.get_run("r").status == "interrupted"
    assert ledger.answer(asked.id, "main").response == "main"
    assert ledger.get_run("r").status == "interrupted"  # nobody is woken who was not parked for it


def test_questions_go_with_their_run(ledger: Ledger, run: Any) -> None:
    asked = ledger.inputs.ask("r", "x" * 9_000)
    ledger.answer(asked.id, "y" * 9_000)
    run.complete().result()
    ledger.care.remove("r")
    with pytest.raises(NotFound):
        ledger.inputs.get(asked.id)
    assert ledger.care.verify() == []


# --- buckets --------------------------------------------------------------------------------------------------------


LEAVES: dict[str, Callable[[Any], object]] = {
    "running": lambda run: None,
    "paused": lambda run: run.pause(),
    "interrupted": lambda run: run.interrupt("x"),
    "awaiting_user": lambda run: run.ask("More?"),
    "completed": lambda run: run.complete().result(),
}


def test_a_run_is_in_one_bucket_and_in_needs_input_as_long_as_it_asks(ledger: Ledger) -> None:
    ids, kept = {}, list[Any]()  # a handle that is lost would leave its run interrupted
    for status, leave in LEAVES.items():
        for asks in (False, True):
            name = f"{status}-{asks}"
            run = ledger.start_run(run_id=name)
            if asks:
                ids[name] = ledger.inputs.ask(name, "Which?").id
            leave(run)
            kept.append(run)
    ledger.create_run(kind="subagent", run_id="pending")
    shown = {
        bucket: sorted(run.id for run in ledger.list_runs(bucket=bucket, limit=100))
        for bucket in runs.BUCKETS
    }
    assert shown["needs_input"] == [
        "awaiting_user-False", "awaiting_user-True", "interrupted-True", "paused-True", "running-True",
    ]  # fmt: skip
    assert shown["working"] == ["paused-False", "pending", "running-False"]
    assert shown["completed"] == ["completed-False", "completed-True"]
    assert shown["stopped"] == ["interrupted-False"]
    assert {bucket: len(found) for bucket, found in shown.items()} == ledger.counts()
    both = ledger.list_runs(bucket=["needs_input", "working"], limit=100).items
    assert sorted(run.id for run in both) == sorted(shown["needs_input"] + shown["working"])
    with_status = ledger.list_runs(bucket="needs_input", status=["running", "awaiting_user"], limit=100).items
    assert sorted(run.id for run in with_status) == sorted([*shown["needs_input"], "running-False"])
    paged, cursor = list[str](), None
    for _ in range(10):
        page = ledger.list_runs(bucket="needs_input", limit=2, cursor=cursor)
        paged += [run.id for run in page]
        if (cursor := page.next_cursor) is None:
            break
    assert sorted(paged) == shown["needs_input"]
    ledger.answer(ids["running-True"], 1)
    assert ledger.counts()["needs_input"] == 4
    assert [run.id for run in ledger.list_runs(bucket="needs_input", status=None, kind="workflow")] == []


# --- the questions of commands --------------------------------------------------------------------------------------


def test_a_command_that_asks_again_gets_the_answer_until_it_took_it(ledger: Ledger, run: Any) -> None:
    first = ledger.inputs.ask("r", "More?")
    assert ledger.inputs.ask("r", "More?").id == first.id  # the command ran into its timeout, and asks again
    ledger.answer(first.id, "yes")
    assert ledger.inputs.ask("r", "More?").response == "yes"
    ledger.inputs.take(first.id)
    second = ledger.inputs.ask("r", "More?")
    assert second.id != first.id
    assert second.status == "open"


def test_waiting_ends_with_the_answer_and_at_its_timeout(ledger: Ledger, run: Any) -> None:
    asked = ledger.inputs.ask("r", "Which?")
    assert ledger.inputs.wait(asked.id, timeout=0).status == "open"
    answer = threading.Timer(0.05, ledger.answer, (asked.id, "main"))
    answer.start()
    assert ledger.inputs.wait(asked.id, timeout=30).response == "main"
    answer.join()
