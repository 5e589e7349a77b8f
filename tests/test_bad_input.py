"""Wrong arguments at the door: each is refused with a typed error and a hint, and nothing of it is written."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry, RunHandle
from runstone.domain.records import AgentRun, Totals, TreeNode
from runstone.domain.workflows import RetryPolicy
from runstone.errors import InvalidInput, NotFound, RunstoneError

SURROGATE = "\ud800"
HUGE = 10**5_000
"""Python refuses to show it, so that a message cannot either."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


def refuses(call: Callable[[], Any], kind: type[RunstoneError] = InvalidInput) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code
    assert caught.value.hint
    str(caught.value).encode()


# --- the ledger ------------------------------------------------------------------------------------------------

LEDGER: dict[str, Callable[[Any], Any]] = {
    "get_run surrogate": lambda ledger: ledger.get_run(SURROGATE),
    "get_run number": lambda ledger: ledger.get_run(5),
    "get_run object": lambda ledger: ledger.get_run(object()),
    "resolve surrogate": lambda ledger: ledger.resolve(SURROGATE),
    "resolve number": lambda ledger: ledger.resolve(5),
    "events": lambda ledger: ledger.events(SURROGATE),
    "tree": lambda ledger: ledger.tree(SURROGATE),
    "telemetry": lambda ledger: ledger.telemetry(5),
    "state": lambda ledger: ledger.checkpoints.state(SURROGATE),
    "blob": lambda ledger: ledger.blob(SURROGATE),
    "update_run": lambda ledger: ledger.update_run(SURROGATE, title="x"),
    "command": lambda ledger: ledger.command(SURROGATE, "stop"),
    "remove": lambda ledger: ledger.care.remove(SURROGATE),
    "wait": lambda ledger: ledger.wait(SURROGATE, timeout=0),
    "continue_run": lambda ledger: ledger.continue_run(SURROGATE),
    "list_runs": lambda ledger: ledger.list_runs(agent_id=SURROGATE),
    "counts": lambda ledger: ledger.counts(agent_id=SURROGATE),
    "thread": lambda ledger: ledger.threads.get(SURROGATE),
    "thread's messages": lambda ledger: ledger.threads.messages(5),
    "last messages": lambda ledger: ledger.threads.last_messages(SURROGATE),
    "append_many": lambda ledger: ledger.threads.append_many("t", [("user",)]),
    "board": lambda ledger: ledger.boards.get(SURROGATE),
    "boards": lambda ledger: ledger.boards.list(thread_id=5),
    "board's update": lambda ledger: ledger.boards.update(SURROGATE, title="x", revision=1),
    "card": lambda ledger: ledger.boards.card(SURROGATE),
    "cards": lambda ledger: ledger.boards.cards(SURROGATE),
    "card's update": lambda ledger: ledger.boards.update_card(SURROGATE, revision=1, title="x"),
    "new card's board": lambda ledger: ledger.boards.add_card(SURROGATE, "x"),
    "card's run": lambda ledger: ledger.boards.update_card("c", revision=1, run_id=SURROGATE),
    "order": lambda ledger: ledger.commands.move(SURROGATE, "applied"),
    "options list": lambda ledger: ledger.start_run(options=["b"]),
    "options empty list": lambda ledger: ledger.start_run(options=[]),
    "options text": lambda ledger: ledger.start_run(options="b"),
    "options keys": lambda ledger: ledger.start_run(options={1: 2}),
    "kind list": lambda ledger: ledger.start_run(kind=["x"]),
    "kind none": lambda ledger: ledger.start_run(kind=None),
    "parent number": lambda ledger: ledger.start_run(parent=5),
    "parent object": lambda ledger: ledger.start_run(parent=object()),
    "parent zero": lambda ledger: ledger.start_run(parent=0),
    "parent empty": lambda ledger: ledger.start_run(parent=""),
    "labels list": lambda ledger: ledger.start_run(labels=["a"]),
    "labels empty list": lambda ledger: ledger.start_run(labels=[]),
    "labels number": lambda ledger: ledger.start_run(labels=5),
    "labels value": lambda ledger: ledger.start_run(labels={"a": 1}),
    "labels name": lambda ledger: ledger.start_run(labels={1: "a"}),
    "labels surrogate": lambda ledger: ledger.start_run(labels={"a": SURROGATE}),
    "title": lambda ledger: ledger.start_run(title=5),
    "prompt": lambda ledger: ledger.start_run(prompt=5),
    "input": lambda ledger: ledger.start_run(input=object()),
    "run_id": lambda ledger: ledger.start_run(run_id=HUGE),
    "agent_id": lambda ledger: ledger.start_run(agent_id=5),
    "search number": lambda ledger: ledger.search(5),
    "search none": lambda ledger: ledger.search(None),
    "search limit": lambda ledger: ledger.search("a", limit="x"),
}


@pytest.mark.parametrize("name", LEDGER)
def test_the_ledger_refuses_it_and_writes_nothing(ledger: Ledger, name: str) -> None:
    before = ledger.cursor()
    refuses(lambda: LEDGER[name](ledger))
    ledger.flush()
    assert ledger.cursor() == before
    assert ledger.list_runs().items == []
    assert ledger.threads.list().items == []
    assert ledger.care.verify() == []


def test_an_empty_id_names_no_run(ledger: Ledger) -> None:
    """It is in every id, and with one run in the ledger it would name that one."""
    ledger.start_run(run_id="only")
    refuses(lambda: ledger.resolve(""), NotFound)


def test_nothing_can_be_searched_in_half_a_character(ledger: Ledger) -> None:
    assert ledger.search(SURROGATE) == []


def test_a_wrong_message_does_not_take_the_run(ledger: Ledger) -> None:
    ledger.start_run(run_id="r").pause()
    refuses(lambda: ledger.continue_run("r", 5))  # type: ignore[arg-type]
    assert ledger.get_run("r").status == "paused"


@pytest.mark.parametrize("path", ["\0", "a\0b", "", 5, b"x", b"", SURROGATE, ["a"]], ids=ascii)
def test_only_a_path_opens_a_workspace(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refuses(lambda: runstone.open(path))
    assert list(tmp_path.iterdir()) == []


# --- a handle --------------------------------------------------------------------------------------------------

USAGE: dict[str, Any] = {"provider": "p", "model": "m"}

HANDLE: dict[str, Callable[[Any], Any]] = {
    "type": lambda run: run.emit(5),
    "type list": lambda run: run.emit(["a.b"]),
    "type surrogate": lambda run: run.emit("a." + SURROGATE),
    "event_key": lambda run: run.emit("a.b", event_key=5),
    "importance text": lambda run: run.emit("a.b", importance="x"),
    "importance list": lambda run: run.emit("a.b", importance=[]),
    "importance float": lambda run: run.emit("a.b", importance=1.0),
    "importance huge": lambda run: run.emit("a.b", importance=HUGE),
    "one of a pair": lambda run: run.emit_many([("a.b",)]),
    "three of a pair": lambda run: run.emit_many([("a.b", {}, 1)]),
    "second no pair": lambda run: run.emit_many([("a.b", {}), "ab"]),
    "batch text": lambda run: run.emit_many("ab"),
    "batch texts": lambda run: run.emit_many(["ab"]),
    "batch none": lambda run: run.emit_many(None),
    "batch object": lambda run: run.emit_many({"a.b": {}}),
    "message pair": lambda run: run.messages([("a",)]),
    "messages text": lambda run: run.messages("ab"),
    "messages none": lambda run: run.messages(None),
    "message's text": lambda run: run.messages([("user", "a"), ("user", 5)]),
    "message's role": lambda run: run.message(HUGE, "a"),
    "provider": lambda run: run.usage(provider=5, model="m"),
    "model": lambda run: run.usage(provider="p", model=SURROGATE),
    "tokens text": lambda run: run.usage(**USAGE, input_tokens="5"),
    "tokens bool": lambda run: run.usage(**USAGE, output_tokens=True),
    "tokens huge": lambda run: run.usage(**USAGE, output_tokens=HUGE),
    "cost list": lambda run: run.usage(**USAGE, cost_usd=[1]),
    "cost text": lambda run: run.usage(**USAGE, cost_usd=SURROGATE),
    "cost huge": lambda run: run.usage(**USAGE, cost_usd=HUGE),
    "request_id": lambda run: run.usage(**USAGE, request_id=5),
    "append list": lambda run: run.checkpoint(append=[1]),
    "append text": lambda run: run.checkpoint(append="ab"),
    "append key": lambda run: run.checkpoint(append={1: []}),
    "append value": lambda run: run.checkpoint(append={"a": 1}),
    "label": lambda run: run.checkpoint({}, label=5),
}


@pytest.mark.parametrize("name", HANDLE)
def test_a_handle_refuses_it_and_writes_nothing(ledger: Ledger, name: str) -> None:
    run: RunHandle = ledger.start_run(run_id="r")
    before = ledger.cursor()
    refuses(lambda: HANDLE[name](run))
    ledger.flush()
    assert ledger.cursor() == before
    run.complete().result()
    assert ledger.care.verify() == []


# --- a context -------------------------------------------------------------------------------------------------

CONTEXT: dict[str, Callable[[Any], Any]] = {
    "child key": lambda ctx: ctx.child("work", 1, key=""),
    "child key number": lambda ctx: ctx.child("work", 1, key=0),
    "step key": lambda ctx: ctx.step("one", int, key=""),
    "step key number": lambda ctx: ctx.step("one", int, key=0),
    "map key": lambda ctx: ctx.map("work", [1], key=lambda _: ""),
    "map key none": lambda ctx: ctx.map("work", [1], key=lambda _: None),
    "map key text": lambda ctx: ctx.map("work", [1], key=""),
    "options": lambda ctx: ctx.child("work", 1, options=["b"]),
    "options empty": lambda ctx: ctx.child("work", 1, options=[]),
    "labels": lambda ctx: ctx.child("work", 1, labels=[]),
    "retry in options": lambda ctx: ctx.child("work", 1, options={"retry": 3}),
    "its field": lambda ctx: ctx.child("work", 1, options={"retry": {"max_attempts": "3"}}),
    "its name": lambda ctx: ctx.child("work", 1, options={"retry": {"bogus": 1}}),
    "its size": lambda ctx: ctx.child("work", 1, options={"retry": {"max_attempts": 0}}),
    "in a map": lambda ctx: ctx.map("work", [1], options={"retry": []}),
    "retry": lambda ctx: ctx.child("work", 1, retry=3),
    "retry object": lambda ctx: ctx.child("work", 1, retry=object()),
    "unchecked policy": lambda ctx: ctx.child("work", 1, retry=RetryPolicy(max_attempts="3")),  # type: ignore[arg-type]
    "retry backoff": lambda ctx: ctx.child("work", 1, retry={"backoff_s": -1}),
}


@pytest.mark.parametrize("name", CONTEXT)
def test_a_context_refuses_it_and_starts_nothing(ledger: Ledger, name: str) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        refuses(lambda: CONTEXT[name](ctx))

    asyncio.run(runstone.run("flow", None, ledger=ledger, registry=names, run_id="r"))
    assert [run.id for run in ledger.list_runs()] == ["r"]
    assert ledger.journal("r") == []
    assert ledger.care.verify() == []


def test_a_retry_in_the_options_is_one_given_as_retry(ledger: Ledger) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.child("work", 1, options={"retry": {"max_attempts": 2}})
        await ctx.child("work", 2, retry=RetryPolicy(max_attempts=2))

    asyncio.run(runstone.run("flow", None, ledger=ledger, registry=names))
    one, two = (run.options for run in ledger.list_runs(kind="workflow_child"))
    assert one == two
    assert one["retry"]["max_attempts"] == 2


# --- deep trees ------------------------------------------------------------------------------------------------


def node(name: str, depth: int, children: tuple[TreeNode, ...]) -> TreeNode:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    fields = dict.fromkeys(AgentRun.__struct_fields__)
    told = {"id": name, "root_run_id": "0", "depth": depth, "kind": "subagent", "status": "completed"}
    run = AgentRun(**{**fields, **told, "created_at": then, "options": {}, "labels": {}})  # type: ignore[arg-type]
    return TreeNode(run=run, own=Totals(), subtree=Totals(), reused=False, children=children)


def test_a_tree_may_be_deeper_than_the_stack_of_python() -> None:
    depth = 3_000
    tree = node(str(depth), depth, ())
    for level in range(depth - 1, -1, -1):
        tree = node(str(level), level, (tree, node(f"{level}b", level + 1, ())))
    order = [*map(str, range(depth + 1)), *(f"{level}b" for level in range(depth - 1, -1, -1))]
    assert [one.run.id for one in tree.walk()] == order
    told, levels = tree.to_dict(), 0
    while told["children"]:
        assert [child["run"]["id"] for child in told["children"]] == [str(levels + 1), f"{levels}b"]
        told, levels = told["children"][0], levels + 1
    assert levels == depth
