"""What is reported from elsewhere, item by item: what it makes, what is refused, and how observed runs live."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain import ingest as items
from runstone.engine.supervisor import HEARTBEAT_S
from runstone.ledger import Ledger
from runstone.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock) as ledger:
        yield ledger
        assert ledger.care.verify() == []


def moment(clock: FakeClock, seconds: float = 0) -> str:
    return datetime.fromtimestamp(clock.now() / 1e6 + seconds, UTC).isoformat()


def outcomes(ledger: Ledger, *batch: Any) -> list[str]:
    return [one.code or one.outcome for one in ledger.ingest(batch)]


def run(clock: FakeClock, status: str = "running", run_id: str = "r", **more: Any) -> dict[str, Any]:
    return {"item": "run", "run_id": run_id, "status": status, "at": moment(clock), **more}


def event(key: str | None = None, run_id: str = "r", **more: Any) -> dict[str, Any]:
    key_ = {} if key is None else {"key": key}
    return {"item": "event", "run_id": run_id, "type": "note.taken", **key_, **more}


def types(ledger: Ledger, run_id: str = "r") -> list[str]:
    return [one.type for one in ledger.events(run_id).items]


def fall_silent(ledger: Ledger, clock: FakeClock, seconds: float = 301) -> None:
    clock.advance(seconds)
    ledger.reconcile()
    clock.advance(HEARTBEAT_S + 1)
    ledger.reconcile()


def test_a_run_that_is_only_named_is_pending_and_holds_no_lease(ledger: Ledger) -> None:
    assert outcomes(ledger, {"item": "run", "run_id": "r", "title": "Index", "labels": {"team": "a"}}) == [
        "accepted"
    ]
    found = ledger.get_run("r")
    assert (found.status, found.title, found.labels, found.attempt) == ("pending", "Index", {"team": "a"}, 0)
    assert ledger.lease("r") is None


def test_all_kinds_of_items_of_many_runs_come_in_one_batch(ledger: Ledger, clock: FakeClock) -> None:
    found = ledger.ingest([
        run(clock, run_id="child", parent_run_id="r", agent_id="reader"),
        run(clock, agent_id="lead"),
        event("e1", payload={"n": 1}),
        {"item": "event", "run_id": "child", "type": "tool.started", "payload": {"call_id": "c", "tool": "grep"}},
        {"item": "event", "run_id": "child", "type": "tool.completed", "payload": {"call_id": "c", "ok": False}},
        {
            "item": "usage", "run_id": "child", "provider": "acme", "model": "m", "input_tokens": 7,
            "cost_usd": "0.25", "request_id": "q",
        },
        {"item": "message", "run_id": "child", "role": "user", "text": "find it", "key": "m1"},
    ])  # fmt: skip
    assert {one.outcome for one in found} == {"accepted"}
    assert ledger.get_run("child").root_run_id == "r"
    told = ledger.telemetry("r")
    assert (told.subtree.input_tokens, told.subtree.cost_usd) == (7, 0.25)
    assert ledger.telemetry("child").tool_failures == {"grep": 1}
    assert [one.text for one in ledger.threads.messages("child.thread").items] == ["find it"]


def test_a_bad_item_is_refused_by_itself_with_its_place_and_takes_none_along(
    ledger: Ledger, clock: FakeClock
) -> None:
    batch = [
        5,
        run(clock),
        {"item": "verdict", "run_id": "r"},
        event(type="run.completed"),
        event("k", payload={"n": 1}),
        event(run_id="nobody"),
        {"item": "event", "run_id": "r", "type": "tool.started", "payload": {"tool": 1}},
        {"item": "usage", "run_id": "r", "provider": "p", "model": "m"},
        {"item": "run", "run_id": "r", "status": "completed"},
        run(clock, run_id="x", kind="workflow"),
        {"item": "message", "run_id": "r", "role": "user", "text": "kept", "surplus": 1},
        event(payload={"n": 2}),
    ]
    found = ledger.ingest(batch)
    assert [one.index for one in found] == list(range(len(batch)))
    assert [one.code for one in found] == [
        "invalid_item", None, "invalid_item", "invalid_event", None, "not_found", "invalid_event", "invalid_item",
        "invalid_item", "invalid_item", "invalid_item", None,
    ]  # fmt: skip
    assert all(one.hint for one in found if one.code)
    assert [one.payload["n"] for one in ledger.events("r").items if one.type == "note.taken"] == [1, 2]


def test_a_batch_of_one_run_takes_no_item_of_another(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock), run(clock, run_id="other")])
    found = ledger.ingest([{"type": "note.taken"}, event(run_id="other")], run_id="r")
    assert [one.code for one in found] == [None, "invalid_item"]
    assert "note.taken" in types(ledger)
    assert "note.taken" not in types(ledger, "other")


def test_more_items_than_a_batch_may_have_are_refused_as_a_whole(ledger: Ledger) -> None:
    with pytest.raises(runstone.errors.InvalidInput, match="at most"):
        ledger.ingest([event()] * (items.MAX_ITEMS + 1))


def test_the_same_key_and_request_count_once(ledger: Ledger, clock: FakeClock) -> None:
    batch = [
        run(clock),
        event("k"),
        {"item": "message", "run_id": "r", "role": "user", "text": "hi", "key": "k"},
        {
            "item": "usage",
            "run_id": "r",
            "provider": "p",
            "model": "m",
            "output_tokens": 4,
            "request_id": "q",
        },
    ]
    assert outcomes(ledger, *batch) == ["accepted"] * 4
    before = types(ledger)
    assert outcomes(ledger, *batch, event("k")) == ["repeated"] * 5
    assert types(ledger) == before
    assert ledger.telemetry("r").own.output_tokens == 4


def test_a_report_extends_the_lease_and_silence_interrupts(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock)])
    clock.advance(200)
    ledger.ingest([event()])
    clock.advance(200)
    ledger.reconcile()
    assert ledger.get_run("r").status == "running"
    fall_silent(ledger, clock)
    found = ledger.get_run("r")
    assert (found.status, found.status_reason) == ("interrupted", "silent")


def test_a_run_says_itself_how_long_it_may_be_silent(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock, silent_after_s=10)])
    clock.advance(11)
    assert ledger.get_run("r").status == "interrupted"  # as shown, before anybody judged it


def test_news_after_silence_opens_a_new_attempt(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock), event("a")])
    fall_silent(ledger, clock)
    clock.advance(1)
    assert outcomes(ledger, event("b")) == ["accepted"]
    assert (ledger.get_run("r").status, ledger.get_run("r").attempt) == ("running", 2)
    assert types(ledger)[-3:] == ["run.resumed", "run.started", "note.taken"]


def test_what_is_told_late_is_kept_and_changes_no_status(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock)])
    then = moment(clock, 100)
    fall_silent(ledger, clock)
    usage = {
        "item": "usage",
        "run_id": "r",
        "provider": "p",
        "model": "m",
        "output_tokens": 4,
        "request_id": "q",
    }
    assert outcomes(ledger, event("late", at=then), usage | {"at": then}) == ["accepted", "accepted"]
    found = ledger.get_run("r")
    assert (found.status, found.attempt) == ("interrupted", 1)
    assert ledger.telemetry("r").own.output_tokens == 4
    assert ledger.events("r").items[-2].attempt == 1


def test_the_end_of_a_run_that_fell_silent_is_believed(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock)])
    ended = run(clock, "completed", summary="done", result={"n": 1}, at=moment(clock, 100))
    fall_silent(ledger, clock)
    assert outcomes(ledger, ended) == ["accepted"]
    found = ledger.get_run("r")
    assert (found.status, found.summary, ledger.result("r")) == ("completed", "done", {"n": 1})


def test_an_old_report_never_undoes_a_newer_one(ledger: Ledger, clock: FakeClock) -> None:
    failed = run(clock, "failed", error="no memory")
    ledger.ingest([run(clock)])
    clock.advance(5)
    failed["at"] = moment(clock)
    ledger.ingest([failed])
    clock.advance(5)
    ledger.ingest([run(clock)])
    assert ledger.get_run("r").attempt == 2
    assert outcomes(ledger, failed) == ["late"]
    assert (ledger.get_run("r").status, ledger.get_run("r").attempt) == ("running", 2)


def test_a_completed_run_is_final(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock), run(clock, "completed")])
    clock.advance(5)
    assert outcomes(ledger, run(clock), run(clock, "failed")) == ["illegal_transition", "illegal_transition"]
    assert outcomes(ledger, event("after")) == ["accepted"]
    assert ledger.get_run("r").status == "completed"


@pytest.mark.parametrize("status", sorted(set(items.STATUSES) - {"running"}))
def test_each_status_can_be_the_first_that_is_heard_of_a_run(
    ledger: Ledger, clock: FakeClock, status: str
) -> None:
    assert outcomes(ledger, run(clock, status, reason="said so")) == ["accepted"]
    assert ledger.get_run("r").status == status
    clock.advance(1)
    again = outcomes(ledger, run(clock))
    assert again == (["illegal_transition"] if status == "completed" else ["accepted"])


def test_a_run_of_a_living_process_is_not_moved_from_elsewhere(ledger: Ledger, clock: FakeClock) -> None:
    with ledger.start_run(run_id="r", agent_id="own") as own:
        assert outcomes(ledger, run(clock, "failed"), event("e")) == ["not_observed", "accepted"]
        assert ledger.get_run("r").status == "running"
        own.complete()


def test_another_run_under_a_known_id_is_refused_with_its_status(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock, agent_id="a")])
    clock.advance(1)
    assert outcomes(ledger, run(clock, "completed", agent_id="b")) == ["run_mismatch"]
    assert ledger.get_run("r").status == "running"


def test_what_is_reported_passes_the_redactor(ledger: Ledger, clock: FakeClock) -> None:
    secret = "sk-ant-api03-" + "a1B2" * 20
    ledger.ingest(
        [
            run(clock, title=f"use {secret}", agent_id="a"),
            event(payload={"text": secret}),
            run(clock, "failed", error=f"bad key {secret}"),
        ]
    )
    shown = f"{ledger.get_run('r').to_dict()} {[one.to_dict() for one in ledger.events('r').items]}"
    assert secret not in shown


def test_an_observed_run_is_not_resumed_here(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock, agent_id="a")])
    fall_silent(ledger, clock)
    assert runstone.execution.resumable(ledger) == []
    with pytest.raises(runstone.errors.IllegalTransition, match="observed"):
        asyncio.run(runstone.resume("r", ledger=ledger))


def test_a_parent_that_waits_hears_of_a_reported_end(ledger: Ledger, clock: FakeClock) -> None:
    ledger.ingest([run(clock), run(clock, run_id="c", parent_run_id="r")])
    clock.advance(1)
    ledger.ingest([run(clock, "completed", run_id="c")])
    assert types(ledger)[-1] == "child.completed"
