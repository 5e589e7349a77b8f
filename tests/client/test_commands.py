"""Each command that reads or controls says the same with a server (`--url`) as with the workspace's file."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

import runstone
from runstone.cli import main
from runstone.engine.registry import Registry, filling
from runstone.ledger import Ledger
from runstone.store.clock import SystemClock
from tests.server.conftest import Running, serving

READING = {
    "a list": ["runs", "list"],
    "all runs": ["runs", "list", "--all"],
    "a filtered list": ["runs", "list", "--status", "failed", "--kind", "subagent", "--limit", "5"],
    "children": ["runs", "list", "--parent", "parent", "--sort", "created"],
    "a run": ["runs", "show", "parent"],
    "a failed run": ["runs", "show", "failed"],
    "a tree": ["runs", "tree", "parent"],
    "events": ["runs", "events", "parent", "--limit", "3"],
    "later events": ["runs", "events", "parent", "--after", "3"],
    "logs": ["runs", "logs", "parent"],
    "an ended run": ["runs", "watch", "parent"],
    "a failed run is watched": ["runs", "watch", "failed"],
    "several are watched": ["runs", "watch", "parent", "failed"],
    "orders": ["runs", "commands", "paused"],
    "a search": ["runs", "search", "needle"],
    "checkpoints": ["runs", "checkpoints", "parent"],
    "a state": ["runs", "state", "parent"],
    "a plan": ["plan", "failed"],
    "a plan by a policy": ["plan", "failed", "--failed", "keep"],
    "a simulated plan": ["plan", "halfway", "--simulate"],
    "what would be resumed": ["resume", "--all", "--dry-run"],
    "what a fork would do": ["runs", "fork", "halfway", "paths:=[1]", "--dry-run"],
    "what a fork of code would do": ["runs", "fork", "halfway", "paths:=[1,2,3]", "--dry-run", "--simulate"],
    "what a fork of a checkpoint would do": ["runs", "fork", "parent", "--checkpoint", "1", "--dry-run"],
    "two differ": ["runs", "diff", "parent", "failed"],
    "a fork and its source": ["runs", "diff", "forked"],
    "no fork": ["runs", "diff", "failed"],
    "states differ": ["runs", "diff-state", "parent@1", "parent@2"],
    "questions": ["inputs", "list"],
    "a question": ["inputs", "show", "{question}"],
    "threads": ["threads", "list"],
    "a thread": ["threads", "show", "parent.thread"],
    "boards": ["boards", "list"],
    "a board": ["boards", "show", "board-1"],
    "usage": ["usage"],
    "usage by more": ["usage", "--by", "day", "--by", "agent", "--label", "team=red"],
    "nothing there": ["runs", "show", "nothing-like-that"],
    "an unclear id": ["runs", "show", "e"],
    "a wrong cursor": ["runs", "list", "--cursor", "x"],
}
LOCAL = {
    "verify": ["verify"], "doctor": ["doctor"], "backup": ["backup"], "restore": ["restore", "x.db"],
    "prune": ["prune", "--keep", "1"], "exec": ["exec", "--", "true"], "export": ["export", "--all", "-o", "x"],
    "import": ["import", "x"], "reprice": ["usage", "reprice"], "up": ["up"], "open": ["open"], "down": ["down"],
    "token": ["token", "list"], "rm": ["runs", "rm", "parent"],
}  # fmt: skip


_TELLING_AGES = ("arguments", "boards", "inputs", "progress", "runs", "threads")
"""Modules of commands that tell how long ago something was."""


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time stands still, here and in the server, so that ages and times of unfinished runs can be compared."""
    moment = datetime.now(UTC)

    class Still(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment

    for name in _TELLING_AGES:
        monkeypatch.setattr(f"runstone.cli.{name}.datetime", Still)
    monkeypatch.setattr(SystemClock, "now", lambda _: int(moment.timestamp() * 1e6))
    return moment


class Both(NamedTuple):
    """A workspace, and its server."""

    running: Running
    root: Path
    question: str

    @property
    def ledger(self) -> Ledger:
        return self.running.ledger

    def run(self, words: list[str], *, server: bool) -> Result:
        words = [word.format(question=self.question) for word in words]
        where = ["--url", self.running.url] if server else ["--workspace", str(self.root)]
        environment = {"RUNSTONE_TOKEN": self.running.tokens["control"], "COLUMNS": "200"}
        return CliRunner().invoke(main, [*where, *words], env=environment)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    root = tmp_path_factory.mktemp("both") / "workspace"
    registry = crew()
    with filling(registry), serving(root, registry) as running:  # what a command finds in this process, too
        yield Both(running, root, fill(running.ledger, registry))


def crew() -> Registry:
    """A workflow that stops half way."""
    registry = Registry()

    @runstone.workflow("count", version="1", registry=registry)
    async def count(ctx: Any, input: Any) -> int:
        """Counts paths."""
        total = 0
        for path in input["paths"]:
            total += await ctx.step("one", lambda: 1, key=str(path))
        if len(input["paths"]) == 2:
            raise ValueError("two are too few")
        return total

    return registry


def fill(ledger: Ledger, registry: Registry) -> str:
    """Runs in several states, with all that belongs to runs; gives the id of an open question."""
    with ledger.start_run(run_id="parent", agent_id="lead", title="the needle", labels={"team": "red"},
                          input={"path": "."}) as run:  # fmt: skip
        run.emit("tool.started", {"tool": "search", "call_id": "c1"})
        run.emit("tool.completed", {"call_id": "c1", "ok": True})
        run.usage(provider="p", model="m", input_tokens=10, output_tokens=5, cost_usd="0.0123")
        run.usage(provider="q", model="unheard-of", input_tokens=1)
        run.message("assistant", "found the needle")
        run.checkpoint({"messages": ["one"], "n": 1}, label="first")
        run.checkpoint({"messages": ["one", "two"], "n": 2})
        for name in ("child-1", "child-2"):
            with ledger.start_run(run_id=name, parent=run, agent_id="reader", input={"file": name}) as child:
                child.usage(provider="p", model="m", input_tokens=3, cost_usd="0.1")
        run.complete(summary="done", result={"answer": 42})
    with pytest.raises(ValueError, match="broken"), ledger.start_run(run_id="failed", agent_id="lead"):
        raise ValueError("it is broken")
    for name in ("paused", "paused-2"):
        with ledger.start_run(run_id=name) as paused:
            paused.pause(state={"at": 1})
    ledger.command("paused", "steer", "look left", by="ana")
    board = ledger.boards.create("board-1", title="Tasks")
    ledger.boards.add_card(board.id, "read", card_id="card-1", body="all of it")
    with ledger.start_run(run_id="asking") as asking:
        asked = asking.ask("Which branch?", choices=["main", "dev"])
    with pytest.raises(runstone.errors.RunFailed):
        asyncio.run(
            runstone.run("count", {"paths": [1, 2]}, ledger=ledger, run_id="halfway", registry=registry)
        )
    runstone.fork("halfway", ledger=ledger, new_id="forked", input={"paths": [1]}, registry=registry)
    asyncio.run(leave(ledger, registry))
    return asked.id


async def leave(ledger: Ledger, registry: Registry) -> None:
    """Leaves a run of a workflow interrupted, with a step done."""
    reached = asyncio.Event()

    @runstone.workflow("hanging", version="1", registry=registry)
    async def hanging(ctx: Any, input: Any) -> int:
        found, again = await ctx.step("one", lambda: 1), reached.is_set()
        reached.set()
        if not again:
            await asyncio.Event().wait()
        return int(found + 1)

    work = asyncio.ensure_future(runstone.run("hanging", ledger=ledger, run_id="left", registry=registry))
    await reached.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


def told(result: Result) -> tuple[int, str, str]:
    """Exit code, output and messages; where the ledger is, and its moment in messages, may differ."""
    errors = re.sub(r'"(url|as_of)": "[^"]*"', "", result.stderr)
    return result.exit_code, result.stdout, errors


@pytest.mark.parametrize("words", READING.values(), ids=READING)
@pytest.mark.parametrize("mode", [[], ["--json"], ["--jsonl"]], ids=["text", "json", "jsonl"])
def test_a_command_reads_the_same_from_a_server(
    both: Both, still: datetime, words: list[str], mode: list[str]
) -> None:
    here = told(both.run([*words, *mode], server=False))
    there = told(both.run([*words, *mode], server=True))
    assert there == here


@pytest.mark.parametrize("words", LOCAL.values(), ids=LOCAL)
def test_what_works_on_files_says_so(both: Both, words: list[str]) -> None:
    result = both.run(words, server=True)
    assert result.exit_code == 2
    assert "not with a server (--url)" in result.stderr
    assert "hint: run it on the server's machine" in result.stderr


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("server", [False, True], ids=["file", "server"])
def test_orders_and_answers_are_given(tmp_path: Path, server: bool) -> None:
    with serving(tmp_path / "workspace") as running:
        both = Both(running, tmp_path / "workspace", fill(running.ledger, crew()))

        def run(*words: str) -> Any:
            return document(both.run([*words, "--json"], server=server))

        (steered,) = run("runs", "steer", "paused-2", "look right", "--timeout", "0")["items"]
        assert steered["command"]["payload"]["message"] == "look right"
        (resumed,) = run("runs", "resume", "paused-2", "--timeout", "0")["items"]
        assert (resumed["run"]["status"], resumed["command"]["verb"]) == ("pending", "resume")
        (retried,) = run("runs", "retry", "failed", "--timeout", "0", "--reason", "again")["items"]
        assert retried["command"]["payload"]["reason"] == "again"
        stopped = both.run(["runs", "stop", "paused", "--json"], server=server)
        assert running.ledger.get_run("paused").status == "cancelled", stopped.stderr
        answered = run("inputs", "answer", both.question, "main")
        assert running.ledger.inputs.get(both.question).response == "main", answered
        again = both.run(["inputs", "answer", both.question, "dev"], server=server)
        assert again.exit_code == 1
        assert "the first answer counts" in again.stderr or "answer" in again.stderr


def test_a_server_that_is_away_is_named_with_what_to_type(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["--url", "http://127.0.0.1:9", "runs", "list"], env={"RUNSTONE_TOKEN": "x"}
    )
    assert result.exit_code == 1
    assert "no server answers at http://127.0.0.1:9" in result.stderr
    assert "runstone up" in result.stderr


def test_a_url_and_a_workspace_exclude_each_other(both: Both) -> None:
    result = CliRunner().invoke(
        main, ["--url", both.running.url, "--workspace", str(both.root), "runs", "list"]
    )
    assert (result.exit_code, "exclude each other" in result.stderr) == (2, True)


def test_the_variable_names_the_server(both: Both) -> None:
    environment = {"RUNSTONE_URL": both.running.url, "RUNSTONE_TOKEN": both.running.tokens["read"]}
    result = CliRunner().invoke(main, ["runs", "list", "--json"], env=environment)
    assert {run["id"] for run in document(result)["items"]} >= {"parent", "failed"}


def test_work_is_started_and_gone_on_with_on_a_server(tmp_path: Path) -> None:
    registry = Registry()

    @runstone.agent("adder", version="1", registry=registry)
    def add(ctx: Any, input: Any) -> int:
        if input["a"] < 0 and not (tmp_path / "mended").exists():
            raise ValueError("below zero")
        return int(input["a"] + 1)

    with serving(tmp_path / "workspace", registry=registry) as running:
        both = Both(running, tmp_path / "workspace", "")
        listed = document(both.run(["agents", "list", "--json"], server=True))
        assert [one["name"] for one in listed["items"]] == ["adder"]
        done = both.run(["run", "adder", "a=1", "--id", "one"], server=True)
        assert (done.exit_code, done.stdout.strip().splitlines()[-1]) == (0, "2")
        failed = both.run(["run", "adder", "a=-1", "--id", "two"], server=True)
        assert failed.exit_code == 5
        (tmp_path / "mended").touch()
        resumed = document(both.run(["resume", "two", "--json"], server=True))
        assert (resumed["run"]["status"], resumed["result"]) == ("completed", 0)
        unknown = both.run(["run", "nothing"], server=True)
        assert (unknown.exit_code, "nothing" in unknown.stderr) == (1, True)


@pytest.mark.parametrize("words", [["agents", "list"], ["workflows", "show", "count"]])
def test_definitions_are_shown_without_files_and_command_lines(both: Both, words: list[str]) -> None:
    shown = document(both.run([*words, "--json"], server=True))
    assert "source" not in str(shown)
    if words[1] == "show":
        assert (shown["name"], shown["about"], shown["runs"]["failed"]) == ("count", "Counts paths.", 1)
        assert "Counts paths." in both.run(words, server=True).stdout
    missing = both.run([words[0], "show", "nothing"], server=True)
    assert (missing.exit_code, "nothing" in missing.stderr) == (1, True)


@pytest.mark.parametrize("server", [False, True], ids=["file", "server"])
def test_forks_are_made_and_gone_on_with(tmp_path: Path, server: bool) -> None:
    registry = crew()
    with filling(registry), serving(tmp_path / "workspace", registry) as running:
        both = Both(running, tmp_path / "workspace", fill(running.ledger, registry))
        made = both.run(["runs", "fork", "halfway", "paths:=[1]", "--id", "by-hand"], server=server)
        assert (made.exit_code, made.stdout) == (0, "by-hand\n")
        assert running.ledger.get_run("by-hand").status == "pending"
        at = document(both.run(["runs", "fork", "parent", "--checkpoint", "1", "--json"], server=server))
        assert (at["forked_from"], at["forked_from_checkpoint"]) == ("parent", 1)
        done = both.run(["runs", "fork", "halfway", "paths:=[1,2,3]", "--resume"], server=server)
        assert (done.exit_code, done.stdout.strip().splitlines()[-1]) == (0, "3")
        twice = both.run(["runs", "fork", "halfway", "--id", "by-hand"], server=server)
        assert (twice.exit_code, "exists already" in twice.stderr) == (1, True)


@pytest.mark.parametrize("server", [False, True], ids=["file", "server"])
def test_all_that_was_left_is_gone_on_with(tmp_path: Path, server: bool) -> None:
    registry = crew()
    with filling(registry), serving(tmp_path / "workspace", registry) as running:
        both = Both(running, tmp_path / "workspace", fill(running.ledger, registry))
        resumed = both.run(["resume", "--all", "--json"], server=server)
        items = json.loads(resumed.stdout)["items"]
        assert [(one["run"]["id"], one["run"]["status"], one["result"]) for one in items] == [
            ("left", "completed", 2)
        ]
        assert resumed.exit_code == 0


@pytest.mark.parametrize("server", [False, True], ids=["file", "server"])
def test_a_command_of_a_run_asks_and_gets_the_answer(tmp_path: Path, server: bool) -> None:
    with serving(tmp_path / "workspace") as running:
        both = Both(running, tmp_path / "workspace", "")
        run = running.ledger.start_run(run_id="scripted")
        words = ["ask", "Which?", "--choice", "a", "--choice", "b", "--run", "scripted"]
        open_ = both.run([*words, "--timeout", "0s"], server=server)
        assert (open_.exit_code, "asked; " in open_.stderr) == (6, True)
        (question,) = running.ledger.inputs.list().items
        running.ledger.answer(question.id, "b")
        answered = both.run(words, server=server)
        assert (answered.exit_code, answered.stdout) == (0, "b\n")
        asked_anew = both.run([*words, "--timeout", "0s"], server=server)
        assert (asked_anew.exit_code, len(running.ledger.inputs.list().items)) == (6, 1)
        run.complete()
        ended = both.run(words, server=server)
        assert (ended.exit_code, "scripted" in ended.stderr) == (1, True)
