"""Records what the API answers about runs of every kind of past, for the web's tests: runs.json and demo.json in
web/tests/fixtures.

The runs are real: agents, workflows and loops of one's own in a workspace that is thrown away, one of them with its
process killed. Run it again when the API's answers change, and read the difference.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

import runstone
from runstone import forking
from runstone.server.demo import crew, filling
from runstone.server.serve import Server
from runstone.server.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "web" / "tests" / "fixtures" / "runs.json"

KILLED = """
import os, sys, runstone
ledger = runstone.open(sys.argv[1])
run = ledger.start_run(run_id="interrupted", agent_id="builder", title="Build the image", parent=None)
run.emit("iteration.started", {"n": 1})
run.emit("tool.started", {"tool": "build", "call_id": "c1"}).result()
run.message("assistant", "building").result()
os._exit(9)
"""


def worked(run: runstone.RunHandle, *tools: str, rounds: int = 1) -> None:
    """Rounds with these tools, a message and its usage."""
    for n in range(1, rounds + 1):
        run.emit("iteration.started", {"n": n})
        for tool in tools:
            call = f"{tool}-{n}"
            run.emit("tool.started", {"tool": tool, "call_id": call})
            run.emit(
                "tool.completed", {"call_id": call, "ok": True, "output_chars": 120 * n, "elapsed_ms": 35}
            )
        run.message("assistant", f"Round {n} is done: <b>nothing</b> stood out.")
        run.usage(
            provider="acme", model="small", input_tokens=900, output_tokens=120, cost_usd=0.0021,
            request_id=f"{run.run_id}-{n}",
        )  # fmt: skip


def completed(ledger: runstone.Ledger) -> str:
    with ledger.start_run(
        run_id="completed", agent_id="researcher", title="Find the branch", parent=None
    ) as run:
        worked(run, "grep", "read", rounds=2)
        run.complete(summary="the branch is main", result={"branch": "main"})
    return str(run.run_id)


def failed(ledger: runstone.Ledger) -> str:
    try:
        with ledger.start_run(
            run_id="failed", agent_id="researcher", title="Read the wiki", parent=None
        ) as run:
            worked(run, "fetch")
            run.emit("tool.started", {"tool": "fetch", "call_id": "last"})
            run.emit("tool.completed", {"call_id": "last", "ok": False, "error": "404 Not Found"})
            raise LookupError("no such page: <script>alert(1)</script>")
    except LookupError:
        return str(run.run_id)


def interrupted(ledger: runstone.Ledger) -> str:
    root = str(ledger.workspace.root)
    subprocess.run([sys.executable, "-c", KILLED, root], check=False, timeout=60)
    return "interrupted"


def awaiting(ledger: runstone.Ledger) -> str:
    with ledger.start_run(run_id="awaiting", agent_id="publisher", title="Publish", parent=None) as run:
        worked(run, "render")
        run.ask("Which branch?", choices=["main", "dev"], reason="two are green", state={"rendered": True})
    return str(run.run_id)


def retried(ledger: runstone.Ledger) -> str:
    try:
        with ledger.start_run(run_id="retried", agent_id="builder", title="Build", parent=None) as run:
            run.emit("tool.started", {"tool": "build", "call_id": "c1"})
            run.emit("tool.started", {"tool": "lint", "call_id": "c9"})
            run.checkpoint({"built": False})
            raise TimeoutError("the builder did not answer")
    except TimeoutError:
        pass
    with ledger.continue_run("retried", agent_id="builder") as run:
        run.emit("tool.started", {"tool": "build", "call_id": "c1"})
        run.emit("tool.completed", {"call_id": "c1", "ok": True, "elapsed_ms": 900})
        run.complete(summary="built at the second try")
    return str(run.run_id)


def nested(ledger: runstone.Ledger) -> str:
    with (
        ledger.start_run(
            run_id="nested", kind="team_member", agent_id="lead", title="Review", parent=None
        ) as lead,
        ledger.start_run(
            run_id="nested-reader", agent_id="reader", title="Read it", parent=lead.run_id
        ) as reader,
        ledger.start_run(run_id="nested-checker", agent_id="checker", parent=reader.run_id) as checker,
        ledger.start_run(run_id="nested-runner", kind="worker_thread", parent=checker.run_id) as runner,
    ):
        worked(runner, "pytest")
        for run in (runner, checker, reader, lead):
            run.complete(summary=f"{run.run_id} is done")
    return str(lead.run_id)


def late_parent(ledger: runstone.Ledger) -> str:
    ledger.ingest(
        [
            {"item": "run", "run_id": "late-child", "parent_run_id": "late", "agent_id": "reader",
             "status": "completed", "summary": "read", "at": "2026-03-01T02:00:00Z"},
            {"item": "run", "run_id": "late", "agent_id": "lead", "title": "Reported after its child",
             "status": "completed", "summary": "led", "at": "2026-03-01T02:10:00Z"},
        ]
    )  # fmt: skip
    return "late"


def unknown_types(ledger: runstone.Ledger) -> str:
    with ledger.start_run(
        run_id="unknown", agent_id="forecaster", title="Types of their own", parent=None
    ) as run:
        run.emit("weather.observed", {"sky": "clear", "nested": [{"deep": [1, 2, {"deeper": None}]}]})
        run.emit("weather.predicted", ["no", "object"])
        run.emit("tool.completed", {"call_id": "only-the-end", "tool": "radar", "ok": True})
        run.complete(summary="\u202eright to left\u202c, \x1b[31mred\x1b[0m, <img src=x onerror=alert(1)>")
    return str(run.run_id)


def workflow(ledger: runstone.Ledger) -> str:
    registry = runstone.Registry()

    @runstone.agent("inspector", version="1", registry=registry)
    async def inspect(ctx: Any, input: Any) -> Any:
        ctx.emit("tool.started", {"tool": "read", "call_id": "c1"})
        ctx.emit("tool.completed", {"call_id": "c1", "ok": True})
        return {"findings": len(str(input))}

    @runstone.workflow("inspection", version="1", registry=registry)
    async def inspection(ctx: Any, input: Any) -> Any:
        async with ctx.phase("inspect", concurrency=2):
            found = await ctx.map("inspector", input["files"])
        ctx.set_summary(f"{len(found)} files")
        return found

    files = {"files": ["a.py", "b.py", "c.py"]}
    asyncio.run(runstone.run("inspection", files, ledger=ledger, run_id="workflow", registry=registry))
    return "workflow"


def forked(ledger: runstone.Ledger) -> str:
    return runstone.fork("workflow", ledger=ledger, new_id="forked")


PASTS = (
    completed, failed, interrupted, awaiting, retried, nested, late_parent, unknown_types, workflow, forked,
)  # fmt: skip


@contextmanager
def served(ledger: runstone.Ledger) -> Iterator[httpx.Client]:
    """A client of a server over the ledger."""
    server = Server(ledger, Settings(port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    token = server.parts.tokens.create("control", "recorder")[1]
    headers = {"authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, trust_env=False) as client:
            yield client
    finally:
        server.stop()
        thread.join()


def recorded(client: httpx.Client, run_id: str) -> dict[str, Any]:
    """What the API answers about a run, by path."""

    def ask(path: str) -> Any:
        answer = client.get(path)
        answer.raise_for_status()
        answers[path] = answer.json()
        return answers[path]

    answers: dict[str, Any] = {}
    run = ask(f"/runs/{run_id}")
    for part in ("branches?limit=200", "inputs", "commands", "attempts", "telemetry"):
        ask(f"/runs/{run_id}/{part}")
    ask(f"/runs/{run_id}/events?limit=1000")
    if run["worker_thread_id"] is not None:
        ask(f"/threads/{quote(run['worker_thread_id'])}/messages?limit=1000")
    return answers


def anywhere(text: str) -> str:
    """The text without the paths of this machine."""
    for path in (ROOT, Path.cwd(), Path(sys.prefix), Path(sys.base_prefix), Path(tempfile.gettempdir())):
        text = text.replace(str(path), "/srv")
    return text


DEMO = FIXTURES.with_name("demo.json")
DEMO_FORK = "demo-check-2"


def record_demo() -> None:
    """Records what is answered about the runs of `runstone up --demo`, and a fork of one of them."""
    check, upgrade, notes = (filling.RUNS[name] for name in (crew.CHECK, crew.UPGRADE, crew.NOTES))
    paths = [
        f"/runs/{run_id}{part}"
        for part in ("", "/phases", "/timeline?limit=500")
        for run_id in (check, upgrade, notes)
    ]
    paths += [
        f"/runs?limit=200&order=asc&parent_id={upgrade}&phase=upgrade&sort=created",
        "/usage?by=day",
        "/usage?by=model",
        f"/compare?a={check}&b={DEMO_FORK}",
    ]
    with tempfile.TemporaryDirectory() as folder, runstone.open(folder) as ledger:
        filling.fill(ledger)
        forking.fork(
            check, ledger=ledger, new_id=DEMO_FORK, input={"release": "4.3"}, registry=crew.registry()
        )
        with served(ledger) as client:
            answers = {path: client.get(path).raise_for_status().json() for path in paths}
    DEMO.write_text(anywhere(json.dumps(answers, indent=1, ensure_ascii=True)) + "\n")
    print(f"{DEMO.name}: {len(answers)} answers, {DEMO.stat().st_size // 1024} KB")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, runstone.open(folder) as ledger:
        ids = {past.__name__: past(ledger) for past in PASTS}
        ledger.flush()
        with served(ledger) as client:
            told = {name: {"id": run_id, "answers": recorded(client, run_id)} for name, run_id in ids.items()}
    FIXTURES.parent.mkdir(parents=True, exist_ok=True)
    FIXTURES.write_text(anywhere(json.dumps(told, indent=1, ensure_ascii=True)) + "\n")
    print(f"{FIXTURES.name}: {len(told)} pasts, {FIXTURES.stat().st_size // 1024} KB")
    record_demo()


if __name__ == "__main__":
    main()
