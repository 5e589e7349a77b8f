"""Events, timelines, branches, views, usage and search over a real server: what the ledger says, and its refusals."""

import httpx
import pytest

from tests.server.conftest import Running


@pytest.fixture
def told(running: Running) -> None:
    with running.ledger.start_run(
        run_id="top", agent_id="lead", parent=None, title="Look at all", labels={"team": "web"}
    ) as top:
        top.emit_many([("work.done", {"n": n}) for n in range(5)]).result()
        with running.ledger.start_run(run_id="below", parent=top) as below:
            below.emit("tool.completed", {"call_id": "1", "tool": "grep", "ok": True})
            below.usage(provider="p", model="m", input_tokens=1, cost_usd="0.0123", request_id="q")


def test_events_are_read_both_ways_by_type_and_importance(told: None, http: httpx.Client) -> None:
    def seqs(query: str) -> tuple[list[int], int | None]:
        answer = http.get(f"/api/v1/runs/top/events?{query}").json()
        return [event["seq"] for event in answer["items"]], answer["next_seq"]

    assert seqs("type=work.&limit=3") == ([3, 4, 5], 5)
    assert seqs("type=work.&limit=3&after=5") == ([6, 7], None)
    assert seqs("type=work.done&order=desc&limit=2&before=7") == ([6, 5], 5)
    assert seqs("type=run.started&type=work.done&limit=2") == ([2, 3], 3)
    assert seqs("min_importance=2")[0] == [10]
    for bad in ("type=*", "order=up", "min_importance=3", "after=-1", "limit=0"):
        answer = http.get(f"/api/v1/runs/top/events?{bad}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input"), bad
    assert http.get("/api/v1/runs/gone/events").status_code == 404


def test_a_long_payload_is_left_out_of_a_page_and_told_by_its_reference(
    running: Running, http: httpx.Client
) -> None:
    payload = {"text": "y" * 100_000}
    with running.ledger.start_run(run_id="wordy", parent=None) as run:
        run.emit_many([("work.done", {"text": "short"}), ("work.done", payload)]).result()
    whole = http.get("/api/v1/runs/wordy/events?type=work.").json()["items"]
    cut = http.get("/api/v1/runs/wordy/events?type=work.&max_bytes=50000").json()["items"]
    assert whole[1]["payload"] == payload
    assert [event["payload"] for event in cut] == [{"text": "short"}, None]
    assert cut[0] == whole[0]
    assert {"payload_ref", "payload_bytes"}.isdisjoint(whole[1])
    raw = http.get(f"/api/v1/blobs/{cut[1]['payload_ref']}")
    assert raw.json() == payload
    assert len(raw.content) == cut[1]["payload_bytes"]
    assert http.get("/api/v1/runs/wordy/events?max_bytes=-1").json()["code"] == "invalid_input"


def test_a_timeline_and_branches_are_those_of_the_ledger(
    told: None, running: Running, http: httpx.Client
) -> None:
    drawn = http.get("/api/v1/runs/top/timeline?buckets=1").json()
    assert [(row["run_id"], row["critical"], row["children"]) for row in drawn["items"]] == [
        ("top", True, 1),
        ("below", True, 0),
    ]
    assert drawn["items"][1]["activity"][0]["tool_calls"] == 1
    assert drawn["items"][0]["spans"][-1]["outcome"] == "completed"
    first = http.get("/api/v1/runs/top/branches?limit=1").json()
    rest = http.get("/api/v1/runs/top/branches", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [page["items"][0]["run"]["id"] for page in (first, rest)] == ["top", "below"]
    assert first["items"][0]["subtree"]["cost_usd"] == "0.0123"
    assert rest["next_cursor"] is None
    assert (
        http.get("/api/v1/runs/top/branches?depth=1&cursor=" + first["next_cursor"]).json()["code"]
        == "invalid_cursor"
    )


def test_views_are_kept_changed_at_a_revision_and_deleted(running: Running, http: httpx.Client) -> None:
    body = {
        "name": "Mine",
        "filters": {"status": ["failed"], "labels": {"team": "web"}},
        "sort": "cost",
        "default": True,
    }
    made = http.post("/api/v1/views", json=body, headers={"idempotency-key": "1"})
    again = http.post("/api/v1/views", json=body, headers={"idempotency-key": "1"})
    assert (made.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    view = made.json()
    place = made.headers["location"]
    assert again.json() == view == http.get(place).json()
    changed = http.put(place, json={**body, "name": "Ours", "revision": 1})
    assert (changed.status_code, changed.json()["revision"]) == (200, 2)
    stale = http.put(place, json={**body, "revision": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "revision_conflict")
    assert (
        http.post("/api/v1/views", json={"name": "x", "filters": {"colour": "red"}}).json()["code"]
        == "invalid_input"
    )
    assert [one["name"] for one in http.get("/api/v1/views").json()["items"]] == ["Ours"]
    assert http.delete(place, params={"revision": 1}).status_code == 409
    assert http.delete(place, params={"revision": 2}).status_code == 204
    assert http.get(place).status_code == 404
    assert running.client("read").post("/api/v1/views", json=body).status_code == 403


def test_a_viewer_notes_how_far_it_has_seen(told: None, running: Running, http: httpx.Client) -> None:
    assert http.get("/api/v1/viewers/ana/seen").json() == {"viewer": "ana", "seen": None}
    assert http.put("/api/v1/viewers/ana/seen", json={}).status_code == 400
    shown = http.get("/api/v1/runs").json()["as_of"]
    seen = http.put("/api/v1/viewers/ana/seen", json={"cursor": shown}).json()["seen"]
    assert seen["cursor"] == shown == running.ledger.cursor()
    assert http.get("/api/v1/viewers/ana/seen").json()["seen"] == seen
    bad = http.put("/api/v1/viewers/ana/seen", json={"cursor": "x-1"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_cursor")


def test_usage_is_summed_and_texts_are_found(told: None, http: httpx.Client) -> None:
    lines = http.get("/api/v1/usage?by=model&by=hour&label.team=web").json()["items"]
    assert [(line["by"]["model"], line["totals"]["cost_usd"]) for line in lines] == [("m", "0.0123")]
    assert http.get("/api/v1/usage?label.team=other").json()["items"] == []
    assert http.get("/api/v1/usage?by=day&since=2020-01-01&until=2020-01-02T00:00:00Z").json()["items"] == []
    for bad in ("by=colour", "since=soon", "label.team=a&label.team=b"):
        assert http.get(f"/api/v1/usage?{bad}").json()["code"] == "invalid_input"
    assert [hit["run_id"] for hit in http.get("/api/v1/search?q=look+all").json()["items"]] == ["top"]
    assert http.get("/api/v1/search").status_code == 400
