"""What lists say beside a run: bucket, liveness and sums; and what phases say of themselves before they start."""

from pathlib import Path

import httpx

from runstone.domain.workflows import parse
from tests.server.conftest import Running, crew, serving

COST = {"provider": "p", "model": "m", "input_tokens": 10, "output_tokens": 5}


def test_sums_and_buckets_stand_beside_each_run_of_a_list(running: Running, http: httpx.Client) -> None:
    ledger = running.ledger
    with ledger.start_run(agent_id="lead", run_id="top", parent=None) as top:
        with ledger.start_run(agent_id="reader", run_id="below", parent="top") as below:
            below.usage(**COST, cost_usd=0.25, request_id="r1").result()
        top.usage(**COST, request_id="r2").result()
    found = {run["id"]: run for run in http.get("/api/v1/runs").json()["items"]}
    assert found["top"]["bucket"] == "completed"
    assert found["top"]["totals"]["own"]["cost_usd"] is None
    assert found["top"]["totals"]["subtree"]["cost_usd"] == "0.25"
    assert found["top"]["totals"]["subtree"]["complete"] is False
    assert found["below"]["totals"]["own"]["tokens"] == 15


def test_a_live_run_is_live_an_ended_one_needs_nobody(running: Running, http: httpx.Client) -> None:
    with running.ledger.start_run(run_id="r1"):
        shown = http.get("/api/v1/runs/r1").json()["shown"]
        assert shown["state"] == "live"
        assert shown["expires_at"] > shown["last_seen_at"]
    assert http.get("/api/v1/runs/r1").json()["shown"] == {
        "state": "none",
        "last_seen_at": None,
        "expires_at": None,
    }


def test_an_open_question_puts_its_run_where_people_look(running: Running, http: httpx.Client) -> None:
    with running.ledger.start_run(run_id="r1") as run:
        run.ask("Which one?", state={"n": 1})
    shown = http.get("/api/v1/runs/r1").json()
    assert (shown["bucket"], shown["open_inputs"], shown["shown"]["state"]) == ("needs_input", 1, "none")


def test_what_a_child_spends_makes_another_answer(running: Running, http: httpx.Client) -> None:
    with running.ledger.start_run(run_id="r1"), running.ledger.start_run(parent="r1", run_id="c1") as child:
        first = http.get("/api/v1/runs/r1").headers["etag"]
        assert http.get("/api/v1/runs/r1", headers={"if-none-match": first}).status_code == 304
        child.usage(**COST, cost_usd=0.5, request_id="q1").result()
        again = http.get("/api/v1/runs/r1", headers={"if-none-match": first})
        assert again.json()["totals"]["subtree"]["cost_usd"] == "0.5"


def test_phases_tell_their_limits_and_what_they_wait_for_before_they_start(tmp_path: Path) -> None:
    registry = crew()
    phases = [
        {"name": "ask", "agent": "asker"},
        {"name": "say", "agent": "echo", "depends_on": ["ask"], "concurrency": 2, "input": {"text": "a"}},
    ]
    registry.add_declarative(parse("asked", {"phases": phases}))
    with serving(tmp_path / "workspace", registry) as running:
        http = running.client()
        http.post("/api/v1/runs", json={"name": "asked", "run_id": "w"})
        running.until("w", "awaiting_user", "waiting")
        ask, say = http.get("/api/v1/runs/w/phases").json()["items"]
        assert (say["status"], say["concurrency"], say["after"]) == ("pending", 2, ["ask"])
        assert ask["totals"]["requests"] == 0
        (question,) = http.get("/api/v1/inputs?status=open").json()["items"]
        http.post(f"/api/v1/inputs/{question['id']}/answer", json={"response": "a"})
        running.until("w", "completed")
        said = http.get("/api/v1/runs/w/phases").json()["items"][1]
        assert (said["status"], said["totals"]["tokens"], said["totals"]["cost_usd"]) == (
            "completed",
            15,
            "0.001",
        )
