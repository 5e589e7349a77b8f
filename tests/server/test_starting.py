"""Runs that are started over HTTP: by whom they are run, what may be started, and what becomes of them."""

from pathlib import Path

import httpx
import pytest

from runstone.errors import RunstoneError
from tests.server.conftest import Running, crew, serving


def test_a_run_that_is_started_over_http_works_though_its_client_goes_away(running: Running) -> None:
    with httpx.Client(
        base_url=running.url, headers=dict(running.client().headers), trust_env=False
    ) as client:
        made = client.post(
            "/api/v1/runs", json={"name": "team", "input": {"texts": ["a", "b"]}, "labels": {"x": "y"}}
        )
    assert made.status_code == 201
    run = made.json()
    assert (run["status"], run["kind"], run["labels"]) == ("pending", "workflow", {"x": "y"})
    assert made.headers["location"] == f"/api/v1/runs/{run['id']}"
    assert running.until(run["id"], "completed")["id"] == run["id"]
    reader = running.client("read")
    assert reader.get(f"/api/v1/runs/{run['id']}/result").json() == {"value": [{"said": "a"}, {"said": "b"}]}
    tree = reader.get(f"/api/v1/runs/{run['id']}/tree").json()["items"]
    assert [(node["run"]["agent_id"], node["run"]["depth"]) for node in tree] == [
        (None, 0),
        ("echo", 1),
        ("echo", 1),
    ]
    assert tree[0]["subtree"]["cost_usd"] == "0.002"
    assert reader.get(f"/api/v1/runs/{run['id']}/telemetry").json()["subtree"]["tokens"] == 30
    (order,) = reader.get(f"/api/v1/runs/{run['id']}/commands").json()["items"]
    assert (order["verb"], order["status"], order["requested_by"]) == ("start", "applied", "control")


@pytest.mark.parametrize("given", [{}, {"text": 1}, ["text"], None, "text"])
def test_an_input_that_does_not_fit_its_schema_is_refused_and_nothing_is_made(
    http: httpx.Client, given: object
) -> None:
    answer = http.post("/api/v1/runs", json={"name": "echo", "input": given})
    assert (answer.status_code, answer.json()["code"]) == (422, "input_refused")
    assert http.get("/api/v1/runs").json()["items"] == []


def test_only_what_is_registered_is_started(http: httpx.Client) -> None:
    for name in ("sh", "/bin/sh", "repo-audit", "echo; id", "$(id)", "../echo"):
        answer = http.post("/api/v1/runs", json={"name": name, "input": {"text": "a"}})
        assert (answer.status_code, answer.json()["code"]) == (404, "agent_not_found"), name


@pytest.mark.parametrize(
    "more", [{"command": ["id"]}, {"options": {"command": ["id"]}}, {"parent_run_id": "x"}, {"env": {}}]
)
def test_a_command_line_does_not_come_over_http(http: httpx.Client, more: dict[str, object]) -> None:
    answer = http.post("/api/v1/runs", json={"name": "echo", "input": {"text": "a"}, **more})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert next(iter(more)) in answer.text


def test_an_input_may_not_name_variables_to_be_read(http: httpx.Client) -> None:
    answer = http.post("/api/v1/runs", json={"name": "asker", "input": {"deep": [{"$secret": "HOME"}]}})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_a_secret_in_a_declared_field_reaches_the_agent_and_not_the_ledger(
    running: Running, http: httpx.Client
) -> None:
    made = http.post("/api/v1/runs", json={"name": "keeper", "input": {"token": "hunter2-hunter2"}}).json()
    running.until(made["id"], "completed")
    assert http.get(f"/api/v1/runs/{made['id']}/result").json() == {"value": {"length": 15}}
    assert http.get(f"/api/v1/runs/{made['id']}/input").json() == {
        "value": {"token": {"$secret": "KEEPER_TOKEN"}}
    }


def test_a_run_under_an_id_that_exists_is_that_run_or_a_conflict(http: httpx.Client) -> None:
    asked = {"name": "echo", "input": {"text": "a"}, "run_id": "mine"}
    assert [http.post("/api/v1/runs", json=asked).status_code for _ in range(2)] == [201, 200]
    other = http.post("/api/v1/runs", json={**asked, "input": {"text": "b"}})
    assert (other.status_code, other.json()["code"]) == (409, "run_mismatch")
    assert len(http.get("/api/v1/runs").json()["items"]) == 1


def test_a_workspace_that_nobody_trusts_runs_nothing_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(tmp_path / "state"))
    root = tmp_path / "w"
    root.mkdir()
    (root / "runstone.toml").write_text('[agents.touch]\ncommand = ["touch", "touched"]\n')
    with serving(root) as running:
        http = running.client()
        assert http.get("/api/v1/agents").json() == {"items": [], "trusted": False}
        assert http.post("/api/v1/runs", json={"name": "touch"}).status_code == 404
    assert not (root / "touched").exists()


def test_a_trusted_workspaces_command_gets_its_input_as_one_argument_and_no_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runstone import config

    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(tmp_path / "state"))
    root = tmp_path / "w"
    root.mkdir()
    toml = '[agents.say]\ncommand = ["printf", "%s", "{input.text}"]\nresult = "text"\n'
    toml += 'input_schema = {type = "object"}\n'
    (root / "runstone.toml").write_text(toml)
    config.trust(root)
    with serving(root) as running:
        http = running.client()
        shown = http.get("/api/v1/agents/say").json()
        assert (shown["form"], shown["input_schema"]) == ("command", {"type": "object"})
        assert "printf" not in str(shown)
        hostile = "a; touch owned; $(touch owned) `touch owned` && x"
        run = http.post("/api/v1/runs", json={"name": "say", "input": {"text": hostile}}).json()
        running.until(run["id"], "completed")
        assert http.get(f"/api/v1/runs/{run['id']}/result").json() == {"value": hostile}
    assert not list(root.glob("**/owned"))


def test_a_parked_run_goes_on_with_its_answer_and_takes_the_first_only(
    running: Running, http: httpx.Client
) -> None:
    run = http.post("/api/v1/runs", json={"name": "asker"}).json()
    running.until(run["id"], "awaiting_user")
    (question,) = http.get("/api/v1/inputs").json()["items"]
    assert (question["run_id"], question["choices"]) == (run["id"], ["a", "b"])
    path = f"/api/v1/inputs/{question['id']}"
    assert http.post(f"{path}/answer", json={"response": "c"}).json()["code"] == "invalid_answer"
    answered = http.post(f"{path}/answer", json={"response": "a"})
    assert (answered.status_code, answered.json()["answered_by"]) == (200, "control")
    running.until(run["id"], "completed")
    stale = http.post(f"{path}/answer", json={"response": "b"})
    assert (stale.status_code, stale.json()["code"]) == (409, "already_answered")
    assert stale.json()["input"]["response"] == "a"
    assert http.get(f"/api/v1/runs/{run['id']}/result").json() == {"value": {"answer": "a"}}


def test_a_stop_is_taken_and_says_where_to_look(running: Running, http: httpx.Client) -> None:
    run = http.post("/api/v1/runs", json={"name": "sleeper"}).json()
    running.until(run["id"], "running")
    given = http.post(f"/api/v1/runs/{run['id']}/commands", json={"verb": "stop", "reason": "enough"})
    assert given.status_code == 202
    running.until(run["id"], "cancelled")
    assert http.get(given.headers["location"]).json()["status"] == "applied"
    again = http.post(f"/api/v1/runs/{run['id']}/commands", json={"verb": "stop"})
    assert (again.status_code, again.json()["code"], again.json()["run_status"]) == (
        409,
        "illegal_transition",
        "cancelled",
    )


def test_a_failed_run_is_gone_on_with_by_one_call(running: Running, http: httpx.Client) -> None:
    run = http.post("/api/v1/runs", json={"name": "failing"}).json()
    failed = running.until(run["id"], "failed")
    refused = http.post(f"/api/v1/runs/{run['id']}/resume", json={"policy": {"definition": "maybe"}})
    assert refused.status_code == 400
    again = http.post(f"/api/v1/runs/{run['id']}/resume")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    assert running.until(run["id"], "failed")["attempt"] == failed["attempt"] + 1
    assert len(http.get(f"/api/v1/runs/{run['id']}/attempts").json()["items"]) == 2


def test_a_server_that_ends_leaves_its_runs_interrupted_and_the_next_goes_on_when_told(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "w", crew()) as running:
        run = running.client().post("/api/v1/runs", json={"name": "sleeper"}).json()
        running.until(run["id"], "running")
    with serving(tmp_path / "w", crew()) as running:
        http = running.client()
        shown = http.get(f"/api/v1/runs/{run['id']}").json()
        assert shown["status"] == "interrupted"
        assert shown["status_reason"]
        assert http.post(f"/api/v1/runs/{run['id']}/resume").status_code == 202
        assert running.until(run["id"], "running")["attempt"] == 2


def test_a_fork_says_what_it_would_reuse_and_then_reuses_it(running: Running, http: httpx.Client) -> None:
    run = http.post("/api/v1/runs", json={"name": "team", "input": {"texts": ["a", "b"]}}).json()
    running.until(run["id"], "completed")
    plan = http.post(f"/api/v1/runs/{run['id']}/fork", json={"dry_run": True})
    assert plan.status_code == 200
    assert (len(plan.json()["reuse"]), plan.json()["reused_cost_usd"]) == (2, "0.002")
    made = http.post(f"/api/v1/runs/{run['id']}/fork", json={"run_id": "again"})
    assert (made.status_code, made.json()["forked_from"]) == (201, run["id"])
    running.until("again", "completed")
    assert len(http.get("/api/v1/runs/again/tree").json()["items"]) == 1


def test_a_run_goes_on_with_a_message_once_and_its_question_is_withdrawn(
    running: Running, http: httpx.Client
) -> None:
    run = http.post("/api/v1/runs", json={"name": "listener", "run_id": "l1"}).json()
    running.until(run["id"], "awaiting_user")
    asked: dict[str, object] = {"json": {"message": "go on"}, "headers": {"idempotency-key": "k"}}
    first = http.post("/api/v1/runs/l1/continue", **asked)  # type: ignore[arg-type]
    assert (first.status_code, first.json()["status"]) == (202, "pending")
    running.until("l1", "completed")
    again = http.post("/api/v1/runs/l1/continue", **asked)  # type: ignore[arg-type]
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert http.get("/api/v1/runs/l1/result").json() == {"value": "go on"}
    assert [one["status"] for one in http.get("/api/v1/runs/l1/inputs").json()["items"]] == ["withdrawn"]
    assert running.ledger.care.verify() == []


def test_two_runs_are_compared_and_a_fork_with_its_source(running: Running, http: httpx.Client) -> None:
    for run_id, texts in (("a1", ["a", "b"]), ("a2", ["a", "c"])):
        http.post("/api/v1/runs", json={"name": "team", "input": {"texts": texts}, "run_id": run_id})
        running.until(run_id, "completed")
    found = http.get("/api/v1/compare?a=a1&b=a2").json()
    assert (found["same"], found["a"]["cost_usd"], found["counts"]) == (
        False,
        "0.002",
        {"same": 1, "changed": 1},
    )
    assert http.get("/api/v1/compare?a=a1").json()["code"] == "invalid_input"
    http.post("/api/v1/runs/a1/fork", json={"run_id": "a3"})
    running.until("a3", "completed")
    assert http.get("/api/v1/compare?a=a1").json()["b"]["run_id"] == "a3"


def test_a_part_of_a_tree_is_gone_on_with_by_the_whole(running: Running, http: httpx.Client) -> None:
    """Nobody would take it by itself, so that it would wait for ever."""
    made = http.post("/api/v1/runs", json={"name": "broken-team"}).json()
    running.until(made["id"], "failed")
    child = http.get(f"/api/v1/runs/{made['id']}/tree").json()["items"][1]["run"]
    answer = http.post(f"/api/v1/runs/{child['id']}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert made["id"] in answer.json()["hint"]
    assert http.get(f"/api/v1/runs/{child['id']}").json()["status"] == "failed"
    plan = http.post(f"/api/v1/runs/{made['id']}/plan", json={"simulate": True}).json()
    assert [entry["child_run_id"] for entry in plan["rerun"]] == [child["id"]]


def test_what_cannot_be_gone_on_with_here_is_left_alone(running: Running, http: httpx.Client) -> None:
    with pytest.raises(RunstoneError), running.ledger.start_run(agent_id="stranger", run_id="r1"):
        raise RunstoneError("it fell")
    answer = http.post("/api/v1/runs/r1/resume")
    assert (answer.status_code, answer.json()["code"]) == (404, "agent_not_found")
    assert running.ledger.get_run("r1").status == "failed"


def test_the_policy_and_the_budget_of_a_resume_are_in_its_order(running: Running, http: httpx.Client) -> None:
    http.post("/api/v1/runs", json={"name": "broken-team", "run_id": "r"})
    running.until("r", "failed")
    asked = {"policy": {"failed": "keep"}, "budget": {"max_tokens": 9}}
    assert http.post("/api/v1/runs/r/resume", json=asked).status_code == 202
    order = http.get("/api/v1/runs/r/commands").json()["items"][-1]
    assert (order["verb"], order["payload"]["policy"]["failed"]) == ("retry", "keep")
    assert order["payload"]["budget"] == {"max_tokens": 9}
    assert running.until("r", "failed")["options"]["budget"] == {"max_tokens": 9}
