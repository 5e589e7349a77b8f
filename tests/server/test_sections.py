"""What a person looks at first, groups of lists, and how far who asks has seen."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.server.conftest import Running


def test_runs_at_the_top_stand_where_people_look_with_what_is_below_them(
    running: Running, http: httpx.Client
) -> None:
    ledger = running.ledger
    made = http.post("/api/v1/runs", json={"name": "broken-team", "input": None}).json()["id"]
    running.until(made, "failed")
    with ledger.start_run(run_id="top", kind="worker_thread", title="The whole", parent=None) as top:
        with ledger.start_run(run_id="middle", agent_id="m", parent=top) as middle:
            with ledger.start_run(run_id="asks", agent_id="a", parent=middle) as asks:
                asks.ask("Which?", choices=["a", "b"])
            with ledger.start_run(run_id="done", agent_id="d", parent=middle):
                pass
            found = http.get("/api/v1/home").json()
        top.pause(state={})
    sections = {one["bucket"]: [run["id"] for run in one["items"]] for one in found["sections"]}
    assert list(sections) == ["needs_input", "failed", "stopped", "working", "completed"]
    assert sections == {
        "needs_input": ["asks"], "failed": [made], "stopped": [], "working": ["top"], "completed": [],
    }  # fmt: skip
    assert {one["bucket"]: one["total"] for one in found["sections"]} == {
        "needs_input": 1, "failed": 1, "stopped": 0, "working": 1, "completed": 0,
    }  # fmt: skip
    assert found["below"] == {
        "top": {"needs_input": 1, "working": 1, "completed": 1}, made: {"failed": 1},
    }  # fmt: skip
    assert [(one["id"], one["title"], one["agent_id"]) for one in found["above"]["asks"]] == [
        ("top", "The whole", None),
        ("middle", None, "m"),
    ]
    assert [one["message"] for one in found["inputs"]] == ["Which?"]
    assert found["as_of"]


def test_interrupted_runs_come_before_stopped_ones_whichever_changed_last(
    running: Running, http: httpx.Client
) -> None:
    ledger = running.ledger
    with pytest.raises(asyncio.CancelledError), ledger.start_run(run_id="lost", parent=None):
        raise asyncio.CancelledError
    for name in ("stopped-1", "stopped-2"):
        with ledger.start_run(run_id=name, parent=None) as run:
            run.pause(state={})
        ledger.command(name, "stop")
    found = http.get("/api/v1/home?limit=2").json()
    stopped: Any = next(one for one in found["sections"] if one["bucket"] == "stopped")
    assert (stopped["total"], [run["id"] for run in stopped["items"]]) == (3, ["lost", "stopped-2"])


def test_groups_of_a_list_have_its_filters_and_each_leads_to_its_runs(
    running: Running, http: httpx.Client
) -> None:
    ledger = running.ledger
    for number, agent in enumerate(["x", "y", "x", None]):
        with ledger.start_run(
            run_id=f"r{number}", agent_id=agent, parent=None, labels={"n": str(number % 2)}
        ) as run:
            if number == 3:
                run.pause(state={})
    groups = http.get("/api/v1/runs/groups?by=agent_id").json()
    assert groups["complete"] is True
    assert [(one["key"], one["count"]) for one in groups["items"]] == [("", 1), ("x", 2), ("y", 1)]
    for one in groups["items"]:
        page = http.get("/api/v1/runs", params={"agent_id": one["key"]}).json()["items"]
        assert len(page) == one["count"], one
    odd = http.get("/api/v1/runs/groups?by=agent_id&label.n=1").json()["items"]
    assert [(one["key"], one["count"]) for one in odd] == [("", 1), ("y", 1)]
    buckets = http.get("/api/v1/runs/groups?by=bucket&status=completed&status=paused").json()["items"]
    assert [(one["key"], one["count"]) for one in buckets] == [("working", 1), ("completed", 3)]
    (day,) = http.get("/api/v1/runs/groups?by=day&offset_minutes=120").json()["items"]
    ends = {"updated_from": day["updated_from"], "updated_to": day["updated_to"]}
    assert len(http.get("/api/v1/runs", params=ends).json()["items"]) == day["count"] == 4
    assert http.get("/api/v1/runs/groups?by=mood").status_code == 400


def test_an_open_question_is_in_the_group_where_people_look(running: Running, http: httpx.Client) -> None:
    made = http.post("/api/v1/runs", json={"name": "asker", "input": None}).json()["id"]
    running.until(made, "awaiting_user")
    assert [one["key"] for one in http.get("/api/v1/runs/groups?by=bucket").json()["items"]] == [
        "needs_input"
    ]


def test_who_asks_is_me_and_notes_only_their_own(running: Running, http: httpx.Client) -> None:
    reader = running.client("read")
    cursor = http.get("/api/v1/runs").json()["as_of"]
    marked = reader.put("/api/v1/viewers/me/seen", json={"cursor": cursor}).json()
    assert (marked["viewer"], marked["seen"]["cursor"]) == ("read", cursor)
    assert http.get("/api/v1/viewers/read/seen").json() == marked
    assert http.get("/api/v1/viewers/me/seen").json() == {"viewer": "control", "seen": None}
    assert reader.put("/api/v1/viewers/control/seen", json={"cursor": cursor}).status_code == 403
    assert http.put("/api/v1/viewers/read/seen", json={"cursor": cursor}).status_code == 200
