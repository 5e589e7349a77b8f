"""What was started over HTTP outlives its client and its server: real processes, killed with kill -9."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A server's process, and a client of it."""
    command = [sys.executable, "-m", "tests.server.program", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            headers = {"authorization": f"Bearer {told['token']}"}
            with httpx.Client(base_url=told["url"], headers=headers, trust_env=False, timeout=30) as client:
                yield server, client
        finally:
            server.kill()


def until(client: httpx.Client, path: str, fits: Any) -> Any:
    """What is at the path, once it fits."""
    deadline = time.monotonic() + 30
    while not fits(found := client.get(path).json()):
        assert time.monotonic() < deadline, found
    return found


def history(client: httpx.Client, run_id: str) -> dict[str, Any]:
    """What people see of a run that a restart must not change."""
    tree = client.get(f"/api/v1/runs/{run_id}/tree").json()["items"]
    return {
        "tree": [(node["run"]["id"], node["run"]["parent_run_id"], node["run"]["agent_id"]) for node in tree],
        "input": client.get(f"/api/v1/runs/{run_id}/input").json(),
        "attempts": [
            (one["number"], one["owner"])
            for one in client.get(f"/api/v1/runs/{run_id}/attempts").json()["items"]
        ],
        "orders": [one["id"] for one in client.get(f"/api/v1/runs/{run_id}/commands").json()["items"]],
        "created": [node["run"]["created_at"] for node in tree],
    }


def test_after_kill_9_the_same_run_with_its_history_and_tree_is_there_and_goes_on_by_one_call(
    tmp_path: Path,
) -> None:
    with process(tmp_path / "w") as (server, client):
        made = client.post(
            "/api/v1/runs", json={"name": "halting", "input": {"texts": ["a", "b"]}, "run_id": "mine"}
        )
        assert made.status_code == 201
        tree = until(client, "/api/v1/runs/mine/tree", _halts)["items"]
        done = {node["run"]["id"] for node in tree if node["run"]["status"] == "completed"}
        before = history(client, "mine")
        server.kill()
        server.wait(30)
    with process(tmp_path / "w") as (_, client):
        listed = client.get("/api/v1/runs").json()["items"]
        assert "mine" in {run["id"] for run in listed}
        shown = client.get("/api/v1/runs/mine").json()
        assert (shown["status"], shown["attempt"]) == ("interrupted", 1)
        assert shown["status_reason"]
        assert history(client, "mine") == before
        (tmp_path / "w" / "open").touch()
        assert client.post("/api/v1/runs/mine/resume").status_code == 202
        ended = until(client, "/api/v1/runs/mine", lambda run: run["status"] == "completed")
        assert ended["attempt"] == 2
        assert client.get("/api/v1/runs/mine/result").json() == {"value": [{"said": "a"}, {"said": "b"}]}
        again = client.get("/api/v1/runs/mine/tree").json()["items"]
        # What had ended before the kill was not done again.
        assert {
            n["run"]["id"]: n["run"]["attempt"] for n in again if n["run"]["id"] in done
        } == dict.fromkeys(done, 1)


def _halts(tree: dict[str, Any]) -> bool:
    return [node["run"]["status"] for node in tree["items"]] == ["running", "completed", "completed"]


def test_a_run_that_was_queued_as_the_server_died_is_taken_by_the_next(tmp_path: Path) -> None:
    """The order to start it is in the transaction that made it."""
    import runstone
    from runstone.queueing import queue
    from tests.server.conftest import crew

    with runstone.open(tmp_path / "w") as ledger:
        queue("echo", {"text": "late"}, ledger=ledger, registry=crew(), run_id="queued")
    with process(tmp_path / "w") as (_, client):
        until(client, "/api/v1/runs/queued", lambda run: run["status"] == "completed")
        assert client.get("/api/v1/runs/queued/result").json() == {"value": {"said": "late"}}


def test_how_a_run_goes_on_is_in_its_order_and_outlives_the_server_that_took_it(tmp_path: Path) -> None:
    import runstone

    with process(tmp_path / "w") as (server, client):
        client.post("/api/v1/runs", json={"name": "broken-team", "run_id": "mine"})
        until(client, "/api/v1/runs/mine", lambda run: run["status"] == "failed")
        server.kill()
        server.wait(30)
    with runstone.open(tmp_path / "w") as ledger:  # as the route does it, and no engine takes it
        ledger.commands.give(
            "mine", "retry", policy=runstone.ResumePolicy(failed="keep"), budget={"max_tokens": 77}, by="ana",
            scope="subtree", reason=None, idempotency_key=None,
        )  # fmt: skip
        assert ledger.get_run("mine").status == "pending"
    with process(tmp_path / "w") as (_, client):
        ended = until(client, "/api/v1/runs/mine", lambda run: run["status"] == "failed")
        assert (ended["attempt"], ended["options"]["budget"]) == (2, {"max_tokens": 77})
        (_, child) = client.get("/api/v1/runs/mine/tree").json()["items"]
        assert child["run"]["attempt"] == 1  # kept, where the default is to try it again


def test_a_key_from_before_the_kill_is_still_known(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "json": {"name": "echo", "input": {"text": "a"}},
        "headers": {"idempotency-key": "k"},
    }
    with process(tmp_path / "w") as (server, client):
        first = client.post("/api/v1/runs", **asked)
        server.kill()
        server.wait(30)
    with process(tmp_path / "w") as (_, client):
        again = client.post("/api/v1/runs", **asked)
        assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
        assert len(client.get("/api/v1/runs").json()["items"]) == 1
