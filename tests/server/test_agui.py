"""A run's AG-UI stream, as the protocol's own client takes it: real server, real client, every kind of end."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.server.agui.encoder import Encoder
from runstone.testing.clock import FakeClock
from tests.server.conftest import Running, serving

HERE = Path(__file__).parent / "agui"


@pytest.fixture(scope="session")
def client() -> Path:
    """The script with the official client, installed as its lock file says; once, whatever workers there are."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        assert os.environ.get("CI") != "true", "CI runs the AG-UI client, and there is no Node.js with npm"
        pytest.skip("no Node.js with npm on PATH: AG-UI's own client was not asked")
    mark = HERE / "node_modules" / ".runstone-lock"
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    (HERE / "node_modules").mkdir(exist_ok=True)
    with (HERE / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != digest:
            command = ["npm", "ci", "--no-progress", "--loglevel=error"]
            subprocess.run(command, cwd=HERE, check=True, timeout=110)
            mark.write_text(digest)
    return HERE / "verify.mjs"


def verified(running: Running, client: Path, run_id: str) -> list[dict[str, Any]]:
    """The run's events; the client found nothing wrong with them."""
    url = f"{running.url}/api/v1/runs/{run_id}/ag-ui"
    command = ["node", str(client), url, running.tokens["read"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told["wrong"]) == (200, [])
    assert told["events"]
    found: list[dict[str, Any]] = told["events"]
    return found


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def work(run: Any) -> None:
    """Some of everything that a loop does."""
    run.message("user", "find it")
    run.emit("tool.started", {"call_id": "c1", "tool": "grep", "arguments": {"word": "it"}})
    run.emit("tool.completed", {"call_id": "c1", "ok": True, "output_chars": 12})
    run.emit("tool.completed", {"call_id": "unheard", "ok": False, "error": "no such file"})
    run.emit("note.taken", {"n": 1})
    run.usage(
        provider="acme", model="m", input_tokens=5, cache_read_tokens=2, output_tokens=3, request_id=run.id
    )
    run.checkpoint({"found": ["a"]}, label="one")
    run.message("tool", "raw")
    run.message("assistant", "found it").result()


def test_a_completed_run_with_sub_agents(running: Running, client: Path) -> None:
    with running.ledger.start_run(run_id="r", title="Find") as run:
        work(run)
        with running.ledger.start_run(run_id="kid", parent=run, agent_id="reader") as kid:
            kid.complete()
        with pytest.raises(ValueError, match="no"), running.ledger.start_run(run_id="bad", parent=run):
            raise ValueError("no")
        run.complete(summary="done", result={"answer": 42})
    events = verified(running, client, "r")
    assert (events[0]["type"], events[0]["runId"]) == ("RUN_STARTED", "r")
    last = events[-1]
    assert (last["type"], last["outcome"], last["result"]) == (
        "RUN_FINISHED",
        {"type": "success"},
        {"answer": 42},
    )
    assert last["usage"] == [{
        "provider": "acme", "model": "m", "inputTokens": 7, "outputTokens": 3, "totalTokens": 10, "reasoningTokens": 0,
        "cachedInputTokens": 2, "cacheWriteInputTokens": 0,
    }]  # fmt: skip
    told = {event["type"]: event for event in events}
    assert told["STATE_SNAPSHOT"]["snapshot"] == {"found": ["a"]}
    assert [one["content"] for one in told["MESSAGES_SNAPSHOT"]["messages"]] == ["find it", "found it"]
    assert told["SUBAGENT_STARTED"]["name"] in {"reader", "agent"}
    assert told["SUBAGENT_ERROR"]["subagentRunId"] == "bad"
    said = [event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT"]
    assert said == ["find it", "found it"]
    results = [event["content"] for event in events if event["type"] == "TOOL_CALL_RESULT"]
    assert results == ["12 characters", "no such file"]
    assert "note.taken" in [event.get("name") for event in events]


def test_a_failed_run(running: Running, client: Path) -> None:
    run = running.ledger.start_run(run_id="r")
    work(run)
    run.fail("out of memory").result()
    events = verified(running, client, "r")
    assert (events[-1]["type"], events[-1]["message"]) == ("RUN_ERROR", "out of memory")


def test_an_interrupted_run_that_went_on_is_one_run_for_each_attempt(running: Running, client: Path) -> None:
    run = running.ledger.start_run(run_id="r")
    work(run)
    kid = running.ledger.start_run(run_id="kid", parent=run)
    run.interrupt("the machine went away")
    kid.interrupt("it too")
    assert verified(running, client, "r")[-1]["code"] == "interrupted"
    with running.ledger.continue_run("r") as again:
        again.emit("tool.completed", {"call_id": "c1"})
        with running.ledger.continue_run("kid"):
            pass
    events = verified(running, client, "r")
    assert types(events).count("RUN_STARTED") == 2
    assert (events[-1]["type"], events[-1]["outcome"]) == ("RUN_FINISHED", {"type": "success"})


def test_a_run_that_waits_for_a_person_finishes_with_its_questions(running: Running, client: Path) -> None:
    run = running.ledger.start_run(run_id="r")
    running.ledger.start_run(run_id="kid", parent=run).complete().result()
    asked = run.ask("Which branch?", choices=["main", "dev"])
    last = verified(running, client, "r")[-1]
    assert last["outcome"]["type"] == "interrupt"
    (told,) = last["outcome"]["interrupts"]
    assert (told["id"], told["reason"], told["message"]) == (asked.id, "input_required", "Which branch?")
    running.ledger.answer(asked.id, "main")
    with running.ledger.continue_run("r"):
        pass
    assert verified(running, client, "r")[-1]["outcome"] == {"type": "success"}


def test_paused_and_stopped_runs(running: Running, client: Path) -> None:
    run = running.ledger.start_run(run_id="p")
    run.pause(reason="lunch")
    assert verified(running, client, "p")[-1]["outcome"]["interrupts"][0]["message"] == "lunch"
    running.ledger.start_run(run_id="s").cancel("enough").result()
    assert verified(running, client, "s")[-1]["outcome"] == {"type": "cancelled"}


def test_a_workflow_with_phases_steps_children_and_a_question_of_a_child(
    running: Running, client: Path
) -> None:
    registry = runstone.Registry()

    @runstone.agent("asker", version="1", registry=registry)
    async def ask(ctx: Any, given: Any) -> Any:
        return await ctx.ask(f"Go on with {given}?", choices=["yes", "no"])

    @runstone.workflow("story", version="1", registry=registry)
    async def story(ctx: Any, given: Any) -> Any:
        await ctx.step("list", lambda: [1, 2])
        async with ctx.phase("ask"):
            return await ctx.map("asker", ["a", "b"])

    def go() -> None:
        asyncio.run(runstone.run("story", {}, ledger=running.ledger, run_id="w", registry=registry))

    with pytest.raises(runstone.AwaitingInput):
        go()
    events = verified(running, client, "w")
    assert events[-1]["outcome"]["type"] == "interrupt"
    assert len(events[-1]["outcome"]["interrupts"]) == 2
    assert {"STEP_STARTED", "STEP_FINISHED", "SUBAGENT_STARTED"} <= set(types(events))
    for question in running.ledger.inputs.list().items:
        running.ledger.answer(question.id, "yes")
    go()
    events = verified(running, client, "w")
    assert events[-1]["result"] == ["yes", "yes"]


def test_a_run_whose_owner_died_is_told_to_be_interrupted(tmp_path: Path, client: Path) -> None:
    with serving(tmp_path) as running:
        running.ledger.ingest(
            [
                {
                    "item": "run",
                    "run_id": "r",
                    "status": "running",
                    "at": "2026-01-01T00:00:00Z",
                    "silent_after_s": 1,
                }
            ]
        )
        assert verified(running, client, "r")[-1]["code"] == "interrupted"


def test_a_live_run_is_followed_to_its_end(running: Running, client: Path) -> None:
    run = running.ledger.start_run(run_id="r")
    work(run)
    found: list[list[dict[str, Any]]] = []
    thread = threading.Thread(target=lambda: found.append(verified(running, client, "r")))
    thread.start()
    while running.server.parts.hub.followers == 0 and thread.is_alive():
        threading.Event().wait(0.01)
    run.message("assistant", "the last word")
    run.complete(result="end").result()
    thread.join(60)
    assert found[0][-1]["result"] == "end"
    assert "the last word" in [event.get("delta") for event in found[0]]


def test_an_unknown_run_is_a_problem(running: Running) -> None:
    assert running.client().get("/api/v1/runs/none/ag-ui").status_code == 404


def test_a_run_that_never_began_begins_before_it_ends(tmp_path: Path) -> None:
    with runstone.open(tmp_path, clock=FakeClock()) as ledger:
        ledger.create_run(kind="subagent", run_id="r")
        ledger.command("r", "stop", by="ana")
        encoder = Encoder(ledger.get_run("r"))
        told = [one for event in ledger.events("r").items for one in encoder.event(event)]
    assert types(told) == ["RUN_STARTED", "RUN_FINISHED"]
