"""Commands that ask: told while they run, or started again with the answer, the state and the message."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger
from runstone.errors import AwaitingInput, RunIsLive
from tests.engine.background.commands import end_all

SAY = """
import json, os, sys, time
fd = int(os.environ["RUNSTONE_FD"])
def say(verb, **fields):
    os.write(fd, json.dumps({"runstone": verb, **fields}).encode() + b"\\n")
def note(text):
    with open("calls.txt", "a") as calls:
        calls.write(text + "\\n")
resumed = json.load(open(os.environ["RUNSTONE_RESUME"])) if "RUNSTONE_RESUME" in os.environ else None
"""

LIVES = """
say("ask", message="Which branch?", key="branch", choices=["main", "dev"])
note("asked")
deadline = time.time() + 60
while time.time() < deadline:
    lines = open(os.environ["RUNSTONE_REPLIES"]).read().splitlines()
    if lines:
        say("complete", result=[json.loads(line)["response"] for line in lines])
        break
    time.sleep(0.02)
"""

LEAVES = """
if resumed is None:
    note("worked")
    say("checkpoint", state={"messages": ["hello"], "model": "small"})
    say("ask", message="Which branch?", key="branch")
    sys.exit(0)
note("went on with " + " ".join(sys.argv[1:]))
say("complete", result={name: resumed[name] for name in ("attempt", "state", "message", "answers")})
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        try:
            yield opened
        finally:
            end_all(tmp_path)


def start(ledger: Ledger, code: str, **more: Any) -> None:
    root = ledger.workspace.root
    (root / "agent.py").write_text(SAY + code)
    ledger.exec([sys.executable, "agent.py"], cwd=root, run_id="r", **more)


def asked(ledger: Ledger) -> Any:
    deadline = time.monotonic() + 30
    while not (found := ledger.inputs.list().items):
        assert time.monotonic() < deadline, "it did not ask"
        ledger.wait("r", timeout=0.05)
    return found[0]


def calls(ledger: Ledger) -> list[str]:
    return (ledger.workspace.root / "calls.txt").read_text().splitlines()


def test_an_answer_reaches_the_living_command(ledger: Ledger) -> None:
    start(ledger, LIVES)
    question = asked(ledger)
    assert ledger.get_run("r").status == "running"
    ledger.answer(question.id, "main")
    assert ledger.wait("r", timeout=30).status == "completed"
    assert (ledger.result("r"), calls(ledger)) == (["main"], ["asked"])
    assert ledger.care.verify() == []


@pytest.mark.parametrize("again", [None, ["resume", "command"]], ids=["the same command", "a resume command"])
def test_a_command_that_leaves_a_question_is_started_again_with_the_answer_and_its_state(
    ledger: Ledger, again: list[str] | None
) -> None:
    more = {} if again is None else {"resume_command": [sys.executable, "agent.py", *again]}
    start(ledger, LEAVES, **more)
    question = asked(ledger)
    run = ledger.wait("r", timeout=30)
    assert (run.status, run.status_reason, ledger.lease("r")) == ("awaiting_user", "Which branch?", None)
    with pytest.raises(AwaitingInput):
        ledger.resume_exec("r")
    ledger.answer(question.id, "main", by="ana")
    ledger.resume_exec("r")
    assert ledger.wait("r", timeout=30).status == "completed"
    result = ledger.result("r")
    assert result["state"] == {"messages": ["hello"], "model": "small"}
    assert (result["attempt"], result["message"]) == (2, None)
    assert [(one["key"], one["response"], one["answered_by"]) for one in result["answers"]] == [
        ("branch", "main", "ana")
    ]
    assert calls(ledger) == ["worked", f"went on with {' '.join(again or [])}"]
    assert ledger.care.verify() == []


def test_a_command_that_asks_is_continued_with_a_message_instead(ledger: Ledger) -> None:
    start(ledger, LEAVES)
    question = asked(ledger)
    ledger.wait("r", timeout=30)
    ledger.resume_exec("r", message="take any")
    assert ledger.wait("r", timeout=30).status == "completed"
    result = ledger.result("r")
    assert (result["message"], result["answers"]) == ("take any", [])
    assert ledger.inputs.get(question.id).status == "withdrawn"
    messages = ledger.threads.messages(ledger.get_run("r").worker_thread_id or "").items
    assert [one.text for one in messages if one.role == "user"] == ["take any"]
    assert ledger.care.verify() == []


def test_a_command_at_work_is_not_continued(ledger: Ledger) -> None:
    start(ledger, LIVES)
    asked(ledger)
    with pytest.raises(RunIsLive, match="process"):
        ledger.resume_exec("r", message="go on")
    ledger.command("r", "stop")
    ledger.wait("r", timeout=30)


def test_a_parent_continues_its_command_with_its_resume_command(ledger: Ledger) -> None:
    import asyncio

    from runstone.engine.command_spec import CommandSpec

    root = ledger.workspace.root
    program = (
        "import json, os, sys; told = json.load(open(os.environ['RUNSTONE_RESUME'])); print(json.dumps(told))"
    )
    (root / "again.py").write_text(program)
    names = runstone.Registry()
    spec = CommandSpec(command=["echo", '"first"'], resume=[sys.executable, "again.py"])
    names.add_command_agent("tool", "1", spec)

    @names.workflow("lead")
    async def lead(ctx: Any, input: Any) -> Any:
        call = ctx.child("tool", {"n": 1})
        first = await call
        return [first, await ctx.continue_child(call.run_id, "and again")]

    first, told = asyncio.run(runstone.run("lead", ledger=ledger, run_id="r", registry=names))
    assert first == "first"
    assert told == {"attempt": 2, "state": None, "message": "and again", "answers": []}
    assert ledger.care.verify() == []
