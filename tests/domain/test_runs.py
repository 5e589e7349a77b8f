"""The table of moves, and what events make of a row."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain import codec, events, runs
from runstone.errors import Fenced, IllegalTransition, InvalidEvent, ValueTooLarge


def head(**fields: Any) -> runs.Head:
    return runs.Head(pk=1, run_id="r", kind="subagent", **fields)


def test_terminal_states_are_left_by_a_new_attempt_alone() -> None:
    for status in runs.ENDED:
        leaving = [event for event, (origins, _) in runs.MOVES.items() if status in origins]
        assert leaving == (["run.reopened"] if status == "completed" else ["run.resumed"])


def test_every_status_is_reached_and_every_bucket_holds_its_statuses() -> None:
    assert {target for _, target in runs.MOVES.values()} == set(runs.STATUSES)
    assert sorted(status for statuses in runs.BUCKETS.values() for status in statuses) == sorted(
        runs.STATUSES
    )
    assert set(runs.MOVES) <= runs.FOLDED_TYPES <= set(events.CATALOGUE)


@pytest.mark.parametrize("status", runs.STATUSES)
def test_only_the_open_attempt_of_a_running_run_passes_the_fence(status: str) -> None:
    for attempt in (1, 2, 3):
        if status == "running" and attempt == 2:
            runs.check_fence(head(status=status, attempt=2), attempt)
        else:
            with pytest.raises(Fenced):
                runs.check_fence(head(status=status, attempt=2), attempt)


def test_an_unknown_status_moves_nowhere() -> None:
    for event in runs.MOVES:
        with pytest.raises(IllegalTransition):
            runs.check_move(head(status="hibernating"), event)


LONG = st.text(max_size=20).map(lambda text: (text + '\x00é"') * 900)


@given(LONG, LONG, st.lists(st.text(min_size=1, max_size=60), max_size=80))
def test_no_text_of_a_row_is_above_its_bound(reason: str, message: str, causes: list[str]) -> None:
    row = head(status="running", attempt=1)
    reason = reason.encode(errors="ignore").decode()
    message = message.encode(errors="ignore").decode()
    causes = [cause.encode(errors="ignore").decode() for cause in causes]
    error = {
        "code": reason,
        "type": reason,
        "hint": reason,
        "message": message,
        "caused_by": causes,
        "traceback": reason,
    }
    for event, payload in (
        ("run.waiting", {"reason": reason, "error": error}),
        ("run.failed", {"reason": reason, "error": error}),
        ("run.completed", {"summary": message}),
        ("run.interrupted", {"reason": reason}),
        ("run.updated", {"title": message}),
        ("run.created", {"title": message}),
    ):
        runs.apply(row, event, payload, 1)
        texts = [value for value in msgspec.structs.asdict(row).values() if isinstance(value, str)]
        assert max(len(text.encode()) for text in texts) <= codec.ROW_TEXT_BYTES
        if row.error_json is not None:
            assert codec.decode(row.error_json)["message"]


def test_causes_are_kept_as_they_are_or_left_out() -> None:
    """A resumed run asks which children had ended it: half an id would be nobody's."""
    causes = ["x" * 200] * 40
    kept = runs.clip_error({"message": "m" * 5_000, "caused_by": causes})
    assert set(kept["caused_by"]) == {"x" * 200}
    assert len(codec.encode(kept)) <= codec.ROW_TEXT_BYTES


@pytest.mark.parametrize("name", ["labels", "options"])
@pytest.mark.parametrize("event", ["run.created", "run.updated"])
def test_what_a_row_holds_itself_is_refused_when_it_is_too_long(event: str, name: str) -> None:
    with pytest.raises(ValueTooLarge):
        runs.apply(head(status="running"), event, {name: {"a": "x" * 5_000}}, 1)


def test_options_of_a_pending_run_may_be_changed() -> None:
    """A budget that is raised before a run is claimed must not be lost."""
    row = head(status="pending")
    runs.apply(row, "run.updated", {"options": {"budget": {"max_tokens": 5}}}, 1)
    assert codec.decode(row.options_json) == {"budget": {"max_tokens": 5}}


@pytest.mark.parametrize(
    "event_type",
    [
        "",
        "work",
        "Work.done",
        "work.",
        ".done",
        "work..done",
        "w" * 99 + ".d",
        "work.done\n",
        5,
        None,
        ["work.done"],
    ],
)
def test_what_is_no_event_type_is_refused(event_type: Any) -> None:
    with pytest.raises(InvalidEvent):
        events.check_emit(event_type, {})


def test_what_the_ledger_writes_itself_cannot_be_emitted() -> None:
    for event_type, entry in events.CATALOGUE.items():
        if entry.own:
            with pytest.raises(InvalidEvent):
                events.check_emit(event_type, {})
            with pytest.raises(InvalidEvent):
                events.check_emit(event_type.split(".", maxsplit=1)[0] + ".invented", {})
        else:
            payload = {name: kind("1") if kind is not int else 1 for name, kind in entry.required.items()}
            assert events.check_emit(event_type, payload) == entry.importance
