"""Every field is real: runs of each kind, started by their own paths, are read back whole in a new process."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import runstone
from runstone.domain import inputs, records
from runstone.domain.runs import RUN_KINDS
from runstone.engine.handle import RunHandle
from runstone.errors import RunFailed
from runstone.ledger import Ledger
from tests.fields_reader import everything

HUGE = 'huge ä\n"text" ' * 8_000  # 100 KB, and more as JSON
MARK = "the child's own result"


RECORDS = ("AgentRun", "WorkflowRun", "RunEvent", "RunTelemetry", "Attempt", "Lease", "Checkpoint", "Thread", "Message",
           "Board", "Card", "Command", "InputRequest")  # fmt: skip


def registry_of(version: str) -> runstone.Registry:
    """A workflow with children of every sort; in its second version it asks for one child less."""
    registry = runstone.Registry()

    @runstone.agent("worker", version="1", registry=registry)
    async def worker(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=3, cost_usd=0.25, request_id=f"{ctx.run_id}/1")
        await ctx.emit("tool.completed", {"call_id": "1", "tool": "grep", "ok": False})
        return {"said": MARK, "about": input, "more": HUGE}

    @runstone.agent("leaf", version="1", registry=registry)
    async def leaf(ctx: Any, input: Any) -> Any:
        return MARK

    @runstone.workflow("job", version=version, registry=registry)
    async def job(ctx: Any, input: Any) -> Any:
        await ctx.checkpoint({"huge": HUGE}, label="begun")
        await ctx.step("prepare", lambda: HUGE)
        async with ctx.phase("work", concurrency=2, planned=3):
            found = await ctx.map("worker", [1, 2], options={"effort": "low"}, title=lambda n: f"worker {n}")
            await ctx.child("leaf", "aside", detach=True, labels={"of": "leaf"}, prompt=HUGE)
        if version == "1":
            await ctx.child("leaf", "asked once")
            raise ValueError(HUGE)
        ctx.set_summary(HUGE)
        return {"found": len(found), "more": HUGE}

    @runstone.workflow("sleeper", version="1", registry=registry)
    async def sleeper(ctx: Any, input: Any) -> Any:
        await ctx.sleep(3_600)

    return registry


def run_workflows(ledger: Ledger) -> None:
    """A workflow that fails, is resumed in a later version, is forked; and one that sleeps."""
    old, new = registry_of("1"), registry_of("2")
    start = {
        "ledger": ledger,
        "run_id": "job",
        "thread_id": "talk",
        "labels": {"team": "blue"},
        "title": "the job",
    }
    with pytest.raises(RunFailed):
        asyncio.run(runstone.run("job", {"huge": HUGE}, registry=old, budget={"max_children": 50}, **start))
    asyncio.run(runstone.resume("job", ledger=ledger, registry=new))
    assert runstone.fork("job", ledger=ledger, checkpoint=1, new_id="fork") == "fork"
    asyncio.run(sleep_a_little(ledger, new))


async def sleep_a_little(ledger: Ledger, registry: runstone.Registry) -> None:
    """Starts the sleeper and leaves it once it is parked."""
    task = asyncio.create_task(
        runstone.run("sleeper", ledger=ledger, run_id="sleeper", registry=registry, park_after_s=0.01)
    )
    parked = await asyncio.to_thread(_until_waiting, ledger)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert parked


def _until_waiting(ledger: Ledger) -> bool:
    tail = ledger.tail(after=f"{ledger.reader.events.epoch()}-0", run_id="sleeper", timeout=20)
    return any(event.type == "run.waiting" for event in tail)


def run_own_loops(ledger: Ledger) -> Iterator[RunHandle]:
    """Runs of one's own loop, of every kind; what stays open is given out, so that it is held."""
    ledger.threads.create("talk", title="the talk")
    ledger.threads.append("talk", "user", "please", extra={"from": "ana"})
    ledger.boards.create("board", title="sprint", thread_id="talk")
    ledger.boards.add_card(
        "board", "c" * 4_096, card_id="card", body=HUGE, assignee="ana", labels={"size": "s"}, position=3
    )
    with ledger.start_run(
        kind="subagent", run_id="subagent", agent_id="researcher", agent_version="3", title="t" * 4_096, prompt=HUGE,
        input={"huge": HUGE}, thread_id="talk", labels={"a": "b" * 4_000}, options={"c": "d" * 4_000},
        task_board_id="board", task_card_id="card",
    ) as run:  # fmt: skip
        run.emit("work.done", {"huge": HUGE}, importance=2, event_key="k" * 500)
        run.emit("tool.started", {"tool": "g" * 5_000, "call_id": "1"})
        run.emit("tool.completed", {"call_id": "1", "ok": True})
        run.usage(provider="p" * 500, model="m" * 500, input_tokens=1, cache_read_tokens=2, cache_write_tokens=3,
                  output_tokens=9, reasoning_tokens=4, cost_usd="0.125", request_id="q" * 500)  # fmt: skip
        run.usage(provider="p", model="m", output_tokens=1)
        run.message("user", HUGE, extra={"huge": HUGE})
        run.checkpoint({"messages": [HUGE], "goal": HUGE}, label="l" * 4_096)
        run.checkpoint(append={"messages": ["more"]})
        with ledger.start_run(
            kind="team_member", run_id="team_member", parent=run, agent_id="tester"
        ) as member:
            ledger.boards.update_card("card", revision=1, run_id=member.id)
            member.fail(ValueError(HUGE)).result()
        run.complete(summary=HUGE, result={"huge": HUGE})
    thread = ledger.start_run(kind="worker_thread", run_id="worker_thread", worker_thread_id="own")
    thread.message("assistant", "into a thread of its own")
    ledger.boards.update_card("card", revision=ledger.boards.card("card").revision, run_id=thread.id)
    asked = ledger.inputs.ask(
        "worker_thread", HUGE, choices=["c" * 1_000], key="k" * 200, reason="r" * 4_096, expires_s=3_600,
        schema={"type": "string", "description": "d" * 20_000}, default="c" * 1_000,
    )  # fmt: skip
    ledger.answer(asked.id, "c" * 1_000, by="ana")
    yield thread
    background = ledger.start_run(kind="background_agent", run_id="background_agent", parent="not-known-yet")
    background.pause(reason="r" * 4_096, state={"at": 1})
    ledger.command("background_agent", "stop", by="ana", reason="enough", idempotency_key="once")
    stopped = ledger.start_run(kind="background_agent", run_id="stopped")
    order = ledger.command("stopped", "stop", by="ana")
    ledger.commands.move(order.id, "rejected", HUGE)
    ledger.update_run("subagent", pinned=True, archived=True)
    yield stopped


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, dict[str, Any]]]:
    """A ledger with all of that, and what a new process reads in it."""
    folder = tmp_path_factory.mktemp("fields")
    with runstone.open(folder, lease_s=3_600) as ledger:
        held = list(run_own_loops(ledger))
        run_workflows(ledger)
        ledger.flush()
        command = [sys.executable, "-m", "tests.fields_reader", str(folder)]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        yield ledger, json.loads(told.stdout)
        assert len(held) == 2


World = tuple[Ledger, dict[str, Any]]


def test_a_new_process_reads_back_what_the_first_one_wrote(world: World) -> None:
    ledger, read = world
    mine = everything(ledger)
    assert sorted(read) == sorted(mine)
    for name, found in mine.items():
        assert read[name] == found, name


def test_every_kind_is_started_by_its_own_path(world: World) -> None:
    _, read = world
    kinds = {run["id"]: run["kind"] for run in [*read["AgentRun"], *read["WorkflowRun"]]}
    assert set(kinds.values()) == RUN_KINDS
    for kind in ("subagent", "team_member", "worker_thread", "background_agent"):
        assert kinds[kind] == kind
    assert kinds["job"] == "workflow"
    assert list(kinds.values()).count("workflow_child") >= 3


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_is_set_by_some_path(world: World, name: str) -> None:
    _, read = world
    fields = set(getattr(inputs if name == "InputRequest" else records, name).__struct_fields__)
    if name == "WorkflowRun":  # the rest is AgentRun's, whose fields any run may set
        fields -= set(records.AgentRun.__struct_fields__)
    kinds = {"AgentRun": ("AgentRun", "WorkflowRun"), "RunEvent": ("RunEvent", "ShortEvent")}.get(
        name, (name,)
    )
    found = [record for kind in kinds for record in read[kind]]
    empty = [
        field
        for field in sorted(fields)
        if not any(record.get(field) not in (None, "", 0, False, {}, []) for record in found)
    ]
    assert not empty, f"nothing sets {name}.{', '.join(empty)}"


def test_a_workflow_run_has_its_input_phases_children_and_summary(world: World) -> None:
    _, read = world
    job = next(run for run in read["WorkflowRun"] if run["id"] == "job")
    assert job["input_"] == {"huge": HUGE}
    assert [(p["name"], p["status"], p["planned"]) for p in job["phase_states"]] == [("work", "completed", 3)]
    assert all(
        state["started_at"] and state["completed_at"] and state["children"] for state in job["phase_states"]
    )
    assert len(job["child_run_ids"]) == 4
    assert job["summary"].startswith(HUGE[:100])
    assert job["result_"]["more"] == HUGE
    assert (job["definition_id"], job["attempt"]) == ("job", 2)
    assert job["definition_hash"]
    children = [run for run in read["AgentRun"] if run["parent_run_id"] == "job"]
    assert {run["title"] for run in children} >= {"worker 1", "worker 2"}
    assert [run["superseded"] for run in children].count(True) == 1
    assert [run["detached"] for run in children].count(True) == 1
    assert {run["phase"] for run in children} == {"work", None}
    assert next(t for t in read["RunTelemetry"] if t["run_id"] == "job")["reused"]["children"] == 3


def test_what_is_long_comes_back_whole(world: World) -> None:
    _, read = world
    run = next(run for run in read["AgentRun"] if run["id"] == "subagent")
    assert (run["input_"], run["prompt_"], run["result_"]) == ({"huge": HUGE}, HUGE, {"huge": HUGE})
    assert [m["text"] for m in read["Message"] if m["run_id"] == "subagent"] == [HUGE]
    assert [m["extra"] for m in read["Message"] if m["run_id"] == "subagent"] == [{"huge": HUGE}]
    assert [e["payload"]["huge"] for e in read["RunEvent"] if e["type"] == "work.done"] == [HUGE]
    states = [c["state_"] for c in read["Checkpoint"] if c["run_id"] == "subagent"]
    assert states == [{"messages": [HUGE], "goal": HUGE}, {"messages": [HUGE, "more"], "goal": HUGE}]
    assert next(card for card in read["Card"] if card["id"] == "card")["body"] == HUGE
    failed = [e for e in read["RunEvent"] if e["type"] == "run.failed" and e["run_id"] == "team_member"]
    assert failed[0]["payload"]["error"]["message"].startswith(HUGE[:1_000])


def test_no_row_holds_a_text_above_4_kb(world: World) -> None:
    db: Any = world[0].reader.db
    tables = [
        row[0]
        for row in db.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'search%'")
    ]
    longest = {}
    for table in tables:
        for column in [row[1] for row in db.query(f"PRAGMA table_xinfo({table})") if row[2] == "TEXT"]:
            longest[f"{table}.{column}"] = (
                db.query(f"SELECT max(octet_length({column})) FROM {table}")[0][0] or 0
            )
    assert len(longest) > 50
    assert {name: size for name, size in longest.items() if size > 4_096} == {}
    assert max(longest.values()) > 3_900
    assert db.query("SELECT max(octet_length(value)) FROM places")[0][0] <= 4_096


def test_no_childs_result_is_copied_to_its_parent(world: World) -> None:
    ledger, read = world
    assert MARK in json.dumps([run["result_"] for run in read["AgentRun"]])
    assert MARK not in json.dumps(read["Message"])
    assert MARK not in json.dumps([event for event in read["RunEvent"] if event["run_id"] == "job"])
    assert MARK not in json.dumps([run for run in read["WorkflowRun"] if run["id"] == "job"])
    assert not [
        entry for entry in ledger.journal("job") if entry.kind != "child" and MARK in (entry.value or "")
    ]


def test_the_ledger_proves_itself(world: World) -> None:
    assert world[0].care.verify() == []
