"""What belongs to runs and may be large: sizes come first, and only what is asked for is sent."""

from tests.server.conftest import Running


def test_a_value_that_is_larger_than_asked_for_is_told_by_its_size_and_its_bytes_are_behind_its_ref(
    running: Running,
) -> None:
    with running.ledger.start_run(
        run_id="large", kind="subagent", agent_id="a", parent=None, prompt="p" * 500, input={"a": 1}
    ) as run:
        run.complete(result={"text": "é" * 5_000})
    http = running.client("read")
    cut = http.get("/api/v1/runs/large/result", params={"max_bytes": 1_000}).json()
    assert (cut["value"], cut["bytes"], cut["cut"]) == (None, 10_011, True)
    assert http.get(f"/api/v1/blobs/{cut['ref']}").json() == {"text": "é" * 5_000}
    whole = http.get("/api/v1/runs/large/result", params={"max_bytes": 10_011}).json()
    assert (whole["value"], whole.get("cut", False)) == ({"text": "é" * 5_000}, False)
    assert http.get("/api/v1/runs/large/result").json() == {"value": {"text": "é" * 5_000}}
    assert http.get("/api/v1/runs/large/prompt", params={"max_bytes": 10}).json()["bytes"] == 500
    assert http.get("/api/v1/runs/large/input", params={"max_bytes": 0}).json()["cut"] is True


def test_a_run_without_a_value_has_none_whatever_size_is_asked_for(running: Running) -> None:
    with running.ledger.start_run(run_id="bare", kind="subagent", agent_id="a", parent=None):
        pass
    assert running.client("read").get("/api/v1/runs/bare/input?max_bytes=5").json() == {"value": None}


def test_large_states_and_changes_are_told_by_their_size(running: Running) -> None:
    with running.ledger.start_run(run_id="saved", kind="subagent", agent_id="a", parent=None) as run:
        run.checkpoint({"note": "one", "kept": 1})
        run.checkpoint({"note": "two", "kept": 1, "big": "x" * 1_000})
        run.complete()
    http = running.client("read")
    state = http.get("/api/v1/runs/saved/checkpoints/2", params={"max_bytes": 100}).json()
    assert (state["state"], state["cut"], state["checkpoint"]["number"]) == (None, True, 2)
    assert state["bytes"] > 1_000
    whole = http.get("/api/v1/runs/saved/checkpoints/2", params={"max_bytes": state["bytes"]}).json()
    assert whole["state"]["big"] == "x" * 1_000
    changes = http.get("/api/v1/runs/saved/checkpoints/2/diff", params={"max_bytes": 100}).json()["changes"]
    assert {change["path"]: change for change in changes} == {
        "/note": {"action": "changed", "path": "/note", "before": "one", "after": "two"},
        "/big": {"action": "added", "path": "/big", "after_bytes": 1_002},
    }


def test_the_definition_of_a_run_of_code_has_no_content(running: Running) -> None:
    http = running.client()
    run = http.post("/api/v1/runs", json={"name": "team", "input": {"texts": []}}).json()
    running.until(run["id"], "completed")
    found = http.get(f"/api/v1/runs/{run['id']}/definition").json()
    assert found["definition"] is None
    assert (found["pinned"], found["hash"]) == (
        False,
        http.get(f"/api/v1/runs/{run['id']}").json()["definition_hash"],
    )
