"""A run that a command starts becomes its child, unless the caller says otherwise."""

import json
import sys
from pathlib import Path

import pytest

import runstone
from runstone.ledger import Ledger
from tests.engine.background.commands import ended, eventually, printed

PYTHON = sys.executable


def test_what_a_command_starts_is_below_it(ledger: Ledger) -> None:
    program = (
        "import runstone\n"
        "with runstone.open() as ledger:\n"
        "    with ledger.start_run(agent_id='inner') as run: run.complete()\n"
        "    with ledger.start_run(agent_id='root', parent=None) as run: run.complete()\n"
        "    print(ledger.wait(ledger.exec(['sh', '-c', 'echo $RUNSTONE_RUN_ID']).id, 20).status)\n"
    )
    run = ledger.exec([PYTHON, "-c", program])
    assert ended(ledger, run.id).status == "completed", printed(ledger, run.id, "stderr")
    below = [node.run for node in ledger.tree(run.id).walk()][1:]
    assert [one.agent_id for one in below] == ["inner", None]
    assert printed(ledger, below[1].id) == [below[1].id]
    (root,) = [one for one in ledger.list_runs().items if one.agent_id == "root"]
    assert root.parent_run_id is None


def test_a_workflow_run_in_a_command_is_below_it(ledger: Ledger, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio, runstone\n"
        "@runstone.agent('leaf', version='1')\n"
        "async def leaf(ctx, input): return 1\n"
        "with runstone.open() as ledger: asyncio.run(runstone.run('leaf', ledger=ledger))\n"
    )
    run = ledger.exec([PYTHON, str(program)])
    assert ended(ledger, run.id).status == "completed", printed(ledger, run.id, "stderr")
    assert [node.run.agent_id for node in ledger.tree(run.id).walk()] == [None, "leaf"]


@pytest.mark.parametrize("run_id", ["nobody", "", "a b/c", "\udcff"])
def test_a_foreign_id_in_the_environment_makes_roots(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_id: str
) -> None:
    monkeypatch.setenv("RUNSTONE_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("RUNSTONE_RUN_ID", run_id)
    with ledger.start_run() as run:
        assert ledger.get_run(run.id).parent_run_id is None


def test_another_workspace_has_other_parents(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = ledger.start_run(run_id="above")
    monkeypatch.setenv("RUNSTONE_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("RUNSTONE_RUN_ID", parent.id)
    with ledger.start_run() as run:
        assert ledger.get_run(run.id).parent_run_id == "above"
    with runstone.open(tmp_path / "other") as other, other.start_run() as run:
        assert other.get_run(run.id).parent_run_id is None
    monkeypatch.delenv("RUNSTONE_WORKSPACE")
    with ledger.start_run() as run:
        assert ledger.get_run(run.id).parent_run_id is None


def test_a_command_knows_its_run_its_workspace_and_its_descriptor(ledger: Ledger, tmp_path: Path) -> None:
    names = ("RUNSTONE_RUN_ID", "RUNSTONE_WORKSPACE", "RUNSTONE_FD")
    program = f"import json, os; print(json.dumps([os.environ[name] for name in {names!r}]))"
    run = ledger.exec([PYTHON, "-c", program])
    ended(ledger, run.id)
    assert json.loads(printed(ledger, run.id)[0]) == [run.id, str(tmp_path), "3"]


def test_its_environment_is_the_one_that_was_given(ledger: Ledger) -> None:
    run = ledger.exec(["/usr/bin/env"], env={"ONLY": "this"})
    ended(ledger, run.id)
    names = {line.partition("=")[0] for line in printed(ledger, run.id)}
    told = {"RUNSTONE_RUN_ID", "RUNSTONE_WORKSPACE", "RUNSTONE_FD", "RUNSTONE_REPLIES"}
    assert names == {"ONLY", *told}


def test_lines_of_the_protocol_become_what_they_say(ledger: Ledger) -> None:
    told = [
        {"runstone": "emit", "type": "tool.started", "payload": {"call_id": "c", "tool": "search"}},
        {"runstone": "emit", "type": "tool.completed", "payload": {"call_id": "c", "ok": False}},
        {"runstone": "usage", "provider": "p", "model": "m", "input_tokens": 7, "request_id": "r"},
        {"runstone": "usage", "provider": "p", "model": "m", "input_tokens": 7, "request_id": "r"},
        {"runstone": "message", "role": "assistant", "text": "I looked"},
        {"runstone": "checkpoint", "state": {"messages": [1]}},
        {"runstone": "checkpoint", "append": {"messages": [2]}},
        {"runstone": "update", "title": "renamed"},
        {"runstone": "ask", "message": "Go on?", "choices": ["yes", "no"]},
        {"runstone": "emit", "type": "run.completed"},
        {"runstone": "complete", "summary": "all done", "result": {"n": 1}},
    ]
    lines = "\n".join(["plain", *map(json.dumps, told), '{"own": "json"}', "end"])
    for target in ("", " >&3"):
        run = ledger.exec(["sh", "-c", f"cat{target}"], stdin=(lines + "\n").encode())
        done = ended(ledger, run.id)
        assert (done.status, done.summary, done.title) == ("completed", "all done", "renamed")
        assert ledger.result(run.id) == {"n": 1}
        stream = "protocol" if target else "stdout"
        assert printed(ledger, run.id, stream) == ["plain", json.dumps(told[9]), '{"own": "json"}', "end"]
        own = ledger.telemetry(run.id).own
        assert (own.requests, own.input_tokens) == (1, 7)
        assert ledger.telemetry(run.id).tool_counts == {"search": 1}
        assert ledger.checkpoints.state(run.id) == {"messages": [1, 2]}
        assert [asked.message for asked in ledger.inputs.list(run_id=run.id, status=None).items] == ["Go on?"]
        (output,) = [output for output in ledger.reader.attempts.outputs(run.id) if output.broken]
        assert (output.stream, output.broken) == (stream, 1)
        broken = [event for event in ledger.events(run.id, limit=1000).items if event.type == "output.broken"]
        assert len(broken) == 1
    assert ledger.care.verify() == []


def test_a_complete_line_does_not_hide_a_failure(ledger: Ledger) -> None:
    run = ledger.exec(["sh", "-c", """echo '{"runstone":"complete","summary":"said so"}'; exit 1"""])
    done = ended(ledger, run.id)
    assert (done.status, done.summary) == ("failed", "said so")


def test_what_was_completed_is_known_to_the_next_watcher(ledger: Ledger) -> None:
    from tests.engine.background.commands import kill, watcher_of

    script = """echo '{"runstone":"complete","summary":"said so","result":5}'; echo last; sleep 1.5"""
    run = ledger.exec(["sh", "-c", script])
    eventually(lambda: printed(ledger, run.id))
    kill(watcher_of(ledger, run.id))
    done = ended(ledger, run.id)
    assert (done.status, done.summary, done.attempt) == ("completed", "said so", 2)
    assert ledger.result(run.id) == 5
