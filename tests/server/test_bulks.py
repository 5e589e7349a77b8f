"""An order for many runs is kept until each has it: named refusals, a cancel, and a restart in the middle of it."""

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

import runstone
from runstone.errors import RunstoneError, StoreBusy
from runstone.server.bulks import Bulks
from runstone.store.writes import bulks
from runstone.store.writes.bulks import CancelBulk, MakeBulk, SettleBulkRun
from tests.server.conftest import Running, crew, serving


def ended(http: httpx.Client, running: Running, bulk: Any) -> Any:
    """The order, once the last of its runs has it."""
    changed = threading.Event()
    number = running.ledger.signals.subscribe(None, changed.set)
    try:
        for _ in range(300):
            found = http.get(f"/api/v1/bulks/{bulk['id']}").json()
            if found["ended_at"] is not None:
                return found
            changed.wait(0.1)
            changed.clear()
    finally:
        running.ledger.signals.unsubscribe(number)
    raise AssertionError(found)


def test_each_run_gets_the_order_and_a_refusal_is_named_and_ends_nothing(
    running: Running, http: httpx.Client
) -> None:
    with running.ledger.start_run(run_id="done", parent=None):
        pass
    sleeping = [http.post("/api/v1/runs", json={"name": "sleeper", "input": None}).json()["id"] for _ in "ab"]
    body = {"verb": "stop", "run_ids": [sleeping[0], "done", "nobody", sleeping[1]]}
    answer = http.post("/api/v1/bulks", json=body, headers={"idempotency-key": "k"})
    assert (answer.status_code, answer.json()["total"]) == (202, 4)
    again = http.post("/api/v1/bulks", json=body, headers={"idempotency-key": "k"})
    assert again.json()["id"] == answer.json()["id"]
    found = ended(http, running, answer.json())
    assert (found["given"], found["refused"], found["left_out"]) == (2, 2, 0)
    assert [one["run_id"] for one in found["refusals"]] == ["done", "nobody"]
    assert "there is no run nobody" in found["refusals"][1]["reason"]
    for run_id in sleeping:
        assert running.until(run_id, "cancelled")["status"] == "cancelled"
    assert [one["id"] for one in http.get("/api/v1/bulks").json()["items"]] == [found["id"]]


def test_many_runs_go_on_and_are_put_away(running: Running, http: httpx.Client, tmp_path: Path) -> None:
    made = [http.post("/api/v1/runs", json={"name": "failing", "input": None}).json()["id"] for _ in "ab"]
    for run_id in made:
        running.until(run_id, "failed")
    found = ended(http, running, http.post("/api/v1/bulks", json={"verb": "retry", "run_ids": made}).json())
    assert (found["given"], found["refusals"]) == (2, [])
    for run_id in made:
        assert running.until(run_id, "failed")["attempt"] == 2
    found = ended(http, running, http.post("/api/v1/bulks", json={"verb": "archive", "run_ids": made}).json())
    assert found["given"] == 2
    assert http.get("/api/v1/runs").json()["items"] == []


def test_a_restart_goes_on_with_what_is_left_and_gives_nothing_twice(tmp_path: Path) -> None:
    """The server died after the first run had its order, and before that was noted."""
    root = tmp_path / "workspace"
    with serving(root, crew()) as running:
        http = running.client()
        made = [http.post("/api/v1/runs", json={"name": "failing", "input": None}).json()["id"] for _ in "ab"]
        for run_id in made:
            running.until(run_id, "failed")
    with runstone.open(root) as ledger:
        ledger.core.submit(MakeBulk("b", "retry", made, by="ana"), []).result()
        ledger.commands.give(
            made[0], "retry", scope="subtree", by="ana", reason=None, idempotency_key="bulk b"
        )
    with serving(root, crew()) as running:
        http = running.client()
        found = ended(http, running, {"id": "b"})
        assert (found["given"], found["refusals"]) == (2, [])
        for run_id in made:
            run = running.until(run_id, "failed")
            orders = http.get(f"/api/v1/runs/{run_id}/commands").json()["items"]
            assert (run["attempt"], [one["verb"] for one in orders if one["verb"] == "retry"]) == (
                2,
                ["retry"],
            )
            assert orders[-1]["requested_by"] == "ana"


def test_what_was_not_given_when_it_is_cancelled_is_left_out(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        core, found = ledger.core, ledger.reader.bulks
        core.submit(MakeBulk("b", "stop", ["x", "y", "z"], by=None), []).result()
        core.submit(SettleBulkRun("b", 0, "x", None), []).result()
        core.submit(CancelBulk("b"), []).result()
        core.submit(SettleBulkRun("b", 1, "y", "late"), []).result()
        one = found.get("b")
        assert (one.cancelled, one.given, one.refused, one.left_out) == (True, 1, 0, 2)
        assert one.ended_at is not None
        core.submit(CancelBulk("b"), []).result()
        assert found.get("b") == one
        assert found.next(10) == []
        assert ledger.care.verify() == []


def test_a_store_that_cannot_be_written_refuses_no_run(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        ledger.core.submit(MakeBulk("b", "resume", ["x"], by=None), []).result()
        tries: list[str] = []

        def go_on(run_id: str, by: str | None, key: str) -> None:
            tries.append(key)
            raise StoreBusy("held")

        with ledger.start_run(run_id="x", parent=None) as run:
            run.pause(state={})
        work = Bulks(ledger, go_on)
        with pytest.raises(StoreBusy):
            work._give_next()
        assert tries == ["bulk b"]
        assert ledger.reader.bulks.get("b").refused == 0


def test_there_are_so_many_under_way_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulks, "OPEN_MAX", 2)
    monkeypatch.setattr(bulks, "KEPT", 3)
    with runstone.open(tmp_path) as ledger:
        submit = ledger.core.submit
        for name in "abcdef":
            submit(MakeBulk(name, "stop", ["x"], by=None), []).result()
            submit(SettleBulkRun(name, 0, "x", None), []).result()
        assert [one.id for one in ledger.reader.bulks.all()] == ["f", "e", "d"]
        for name in "gh":
            submit(MakeBulk(name, "stop", ["x"], by=None), []).result()
        with pytest.raises(RunstoneError, match="under way"):
            submit(MakeBulk("i", "stop", ["x"], by=None), []).result()


@pytest.mark.parametrize(
    "body",
    [
        {"verb": "remove", "run_ids": ["a"]},
        {"verb": "stop", "run_ids": []},
        {"verb": "stop", "run_ids": ["a", "a"]},
        {"verb": "stop"},
    ],
)
def test_what_is_no_order_is_refused(http: httpx.Client, body: Any) -> None:
    assert http.post("/api/v1/bulks", json=body).status_code in (400, 422)
    assert http.get("/api/v1/bulks").json()["items"] == []


def test_it_takes_control(running: Running) -> None:
    body = {"verb": "stop", "run_ids": ["a"]}
    assert running.client("ingest").post("/api/v1/bulks", json=body).status_code == 403
