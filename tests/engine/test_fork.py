"""A fork knows what its source knew, does only what is new, and neither harms the other."""

import asyncio
import io
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstone
from runstone import Ledger, NotFound, Registry
from runstone.errors import (
    InputRefused,
    InvalidDefinition,
    InvalidInput,
    Misuse,
    RunFailed,
    RunMismatch,
    StoreCorrupt,
    WorkflowNotFound,
)
from tests.engine.counted import Calls, attempt


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def resume(ledger: Ledger, run_id: str, names: Registry) -> Any:
    return asyncio.run(runstone.resume(run_id, ledger=ledger, registry=names))


def cursor(ledger: Ledger) -> str:
    ledger.flush()
    return ledger.cursor()


def writing(calls: Calls) -> Registry:
    """Three chapters, each a step and a child, with a checkpoint after each."""
    names = Registry()

    @names.agent("writer")
    async def writer(ctx: Any, input: Any) -> Any:
        calls(input)
        await ctx.usage(provider="p", model="m", input_tokens=10, cost_usd="0.5", request_id=input)
        return f"{input} written"

    @names.workflow("book")
    async def book(ctx: Any, input: Any) -> Any:
        state = ctx.state or {"done": []}
        calls(f"began with {len(state['done'])}")
        for number in range(len(state["done"]), 3):
            await ctx.step("outline", lambda number: calls(f"outline {number}"), number)
            state["done"].append(await ctx.child("writer", f"{input} {number}"))
            await ctx.checkpoint(state, label=f"chapter {number}")
        return state["done"]

    return names


# --- from a checkpoint ----------------------------------------------------------------------------------------------


def test_a_fork_begins_with_the_state_of_its_checkpoint_and_knows_what_was_known_by_then(
    ledger: Ledger, calls: Calls
) -> None:
    names = writing(calls)
    attempt(ledger, "book", "a", registry=names)
    calls.take()
    fork = runstone.fork("r", ledger=ledger, checkpoint=2, new_id="fork")
    row = ledger.get_run(fork)
    assert (row.status, row.forked_from, row.forked_from_checkpoint) == ("pending", "r", 2)
    assert ledger.checkpoints.state(fork) == {"done": ["a 0 written", "a 1 written"]}
    assert [(one.number, one.attempt, one.label) for one in ledger.checkpoints.list(fork)] == [
        (1, 0, "chapter 1")
    ]
    assert len(ledger.journal(fork)) == 4
    assert resume(ledger, fork, names) == [f"a {n} written" for n in range(3)]
    assert calls.take() == Counter(["began with 2", "outline 2", "a 2"])
    assert [one.number for one in ledger.checkpoints.list(fork)] == [1, 2]
    assert ledger.care.verify() == []


def test_a_fork_from_the_start_knows_all_and_has_no_state(ledger: Ledger, calls: Calls) -> None:
    names = writing(calls)
    attempt(ledger, "book", "a", registry=names)
    calls.take()
    fork = runstone.fork("r", ledger=ledger)
    assert (ledger.get_run(fork).forked_from_checkpoint, ledger.checkpoints.state(fork)) == (None, None)
    resume(ledger, fork, names)
    assert calls.take() == Counter(["began with 0"])


def test_a_child_that_was_asked_for_before_the_checkpoint_and_ended_after_it_is_known(
    ledger: Ledger, calls: Calls
) -> None:
    names, begun, saved = Registry(), asyncio.Event(), asyncio.Event()

    @names.agent("slow")
    async def slow(ctx: Any, input: Any) -> Any:
        calls("slow")
        begun.set()
        await saved.wait()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        asked = ctx.child("slow")
        await begun.wait()
        await ctx.checkpoint({"at": 1})
        saved.set()
        await asked

    attempt(ledger, "flow", registry=names)
    assert calls.take() == Counter(["slow"])
    resume(ledger, runstone.fork("r", ledger=ledger, checkpoint=1, new_id="f"), names)
    assert calls.take() == Counter()


def test_a_state_with_lists_that_shrank_and_keys_that_went_is_copied_as_it_was(ledger: Ledger) -> None:
    long = "x" * 20_000
    states = [
        {"list": [1, 2, 3, long], "gone": {"a": 1}, "turned": [1, 2]},
        {"list": [1], "turned": {"now": "an object"}, "long": long},
        {"list": [], "turned": [3]},
        [1, 2],
    ]
    with ledger.start_run(run_id="own", agent_id="loop") as run:
        for state in states:
            run.checkpoint(state).result()
    for number, state in enumerate(states, 1):
        fork = runstone.fork("own", ledger=ledger, checkpoint=number, new_id=f"f{number}")
        assert ledger.checkpoints.state(fork) == state
        with ledger.continue_run(fork) as again:
            assert again.state == state
            again.checkpoint({"next": number}).result()
        assert ledger.checkpoints.state(fork) == {"next": number}
    with sqlite3.connect(ledger.workspace.database) as db:
        copied = "SELECT count(*) FROM places p JOIN runs r ON r.id = p.run WHERE r.run_id = ? AND since = 1"
        assert db.execute(copied, ("f3",)).fetchone() == (3,), "two lengths and one item"
    assert ledger.care.verify() == []


@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_run_saved_each_checkpoint_is_forked_whole_and_gone_on_with(data: st.DataObject) -> None:
    """Lists that grow past their groups of 64 items, shrink, change in the middle, and go."""
    counts = data.draw(
        st.lists(st.sampled_from([0, 1, 5, 63, 64, 65, 130, 200, None]), min_size=1, max_size=5)
    )
    marks = data.draw(st.lists(st.integers(0, 40), min_size=len(counts), max_size=len(counts)))
    with tempfile.TemporaryDirectory() as folder, runstone.open(folder) as ledger:
        saved: list[Any] = []
        with ledger.start_run(run_id="own") as run:
            for number, (count, mark) in enumerate(zip(counts, marks, strict=True)):
                state: dict[str, Any] = {"number": number}
                if count is not None:
                    state["list"] = [[index, number if index == mark else 0] for index in range(count)]
                run.checkpoint(state)
                saved.append(state)
        for number, state in enumerate(saved, 1):
            fork = runstone.fork("own", ledger=ledger, checkpoint=number)
            assert ledger.checkpoints.state(fork) == state
            with ledger.continue_run(fork) as again:
                for later in (*saved, {"list": ["again"] * data.draw(st.integers(0, 200))}):
                    again.checkpoint(later).result()
                    assert ledger.checkpoints.state(fork) == later
        assert ledger.care.verify() == []


def test_a_loop_of_ones_own_is_forked_and_continued(ledger: Ledger) -> None:
    with ledger.start_run(run_id="own", agent_id="loop", prompt="find it", input={"n": 1}) as run:
        run.checkpoint({"messages": ["hello"]}, label="hello").result()
        run.checkpoint(append={"messages": ["more"]}).result()
        run.usage(provider="p", model="m", input_tokens=5, cost_usd="1").result()
    fork = runstone.fork("own", ledger=ledger, checkpoint="own@1", input={"n": 2})
    assert (ledger.prompt(fork), ledger.input(fork)) == ("find it", {"n": 2})
    with ledger.continue_run(fork, message="another way") as run:
        assert (run.state, run.message_in) == ({"messages": ["hello"]}, "another way")
        run.checkpoint(append={"messages": ["another way"]}).result()
        run.complete(result="found")
    assert ledger.checkpoints.state(fork) == {"messages": ["hello", "another way"]}
    assert ledger.checkpoints.state("own") == {"messages": ["hello", "more"]}
    assert ledger.telemetry(fork).subtree.tokens == 0
    assert ledger.care.verify() == []


def test_an_answer_that_came_after_the_checkpoint_is_asked_for_again(ledger: Ledger) -> None:
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.checkpoint({"at": "before"})
        answer = await ctx.ask("Which?", key="which")
        await ctx.checkpoint({"at": "after"})
        return answer

    attempt(ledger, "flow", registry=names)
    ledger.answer(ledger.inputs.list().items[0].id, "main")
    assert resume(ledger, "r", names) == "main"
    assert [entry.kind for entry in ledger.journal(runstone.fork("r", ledger=ledger, checkpoint=1))] == []
    after = ledger.checkpoints.list("r")[-1]
    assert resume(ledger, runstone.fork("r", ledger=ledger, checkpoint=after), names) == "main"


# --- what runs again ------------------------------------------------------------------------------------------------


def mapping(calls: Calls) -> Registry:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(str(input) if isinstance(input, list) else input)
        await ctx.usage(provider="p", model="m", input_tokens=3, cost_usd="0.25", request_id=f"{ctx.run_id}")
        if input == "bad":
            raise ValueError(input)
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.map("work", input)

    return names


def test_of_a_hundred_children_one_changed_input_runs_one(ledger: Ledger, calls: Calls) -> None:
    names, inputs = mapping(calls), list(range(100))
    attempt(ledger, "flow", inputs, registry=names)
    before, spent = ledger.tree("r").to_dict(), ledger.telemetry("r").subtree
    calls.take()
    inputs[42] = 1_000
    fork = runstone.fork("r", ledger=ledger, input=inputs)
    assert resume(ledger, fork, names) == inputs
    assert calls.take() == Counter([1_000])
    told = ledger.telemetry(fork)
    assert (told.own.tokens, told.subtree.tokens) == (0, 3)
    assert told.reused == {"children": 99, "tokens": 297, "cost_usd": 24.75}
    assert (ledger.tree("r").to_dict(), ledger.telemetry("r").subtree) == (before, spent)
    assert ledger.care.verify() == []


PHASES: list[dict[str, Any]] = [
    {"name": "list", "agent": "work", "input": ["a", "b", "c"]},
    {"name": "read", "agent": "work", "for_each": "{phases.list.result}", "depends_on": ["list"]},
]


def declared(calls: Calls, phases: list[dict[str, Any]]) -> Registry:
    from runstone.domain import workflows

    names = mapping(calls)
    names.add_declarative(workflows.parse("declared", {"phases": phases}))
    return names


def test_an_edited_definition_stays_the_forks_own_whatever_is_registered(
    ledger: Ledger, calls: Calls
) -> None:
    names = declared(calls, PHASES)
    attempt(ledger, "declared", registry=names)
    calls.take()
    edited = [
        *PHASES,
        {"name": "sum", "agent": "work", "input": "{phases.read.results}", "depends_on": ["read"]},
    ]
    told = runstone.fork("r", ledger=ledger, definition={"phases": edited}, registry=names, dry_run=True)
    assert ([len(told.reuse), len(told.rerun), [one.phase for one in told.start]], told.exact) == (
        [4, 0, ["sum"]],
        True,
    )
    fork = runstone.fork("r", ledger=ledger, definition={"phases": edited}, registry=names)
    assert [state.name for state in ledger.phases(fork)] == ["list", "read", "sum"]
    empty = mapping(calls)  # nothing is registered under its name any more
    planned = runstone.plan(fork, ledger=ledger, registry=empty)
    assert (len(planned.reuse), len(planned.start), planned.warnings, planned.exact) == (4, 1, (), True)
    assert resume(ledger, fork, empty)["phases"]["sum"] == [["a", "b", "c"]]
    assert calls.take() == Counter([str(["a", "b", "c"])])
    again = runstone.fork(fork, ledger=ledger, registry=empty, new_id="again")
    assert resume(ledger, again, empty)["phases"]["sum"] == [["a", "b", "c"]]
    assert calls.take() == Counter()
    assert ledger.get_run("r").definition_hash != ledger.get_run(fork).definition_hash  # type: ignore[attr-defined]
    assert ledger.care.verify() == []


async def refusing(ctx: Any, input: Any) -> Any:
    raise ValueError("refused")


@pytest.mark.parametrize("note", ["short", "long " * 2_000])
def test_an_edited_definition_outlives_the_removal_of_the_forks_events(
    ledger: Ledger, calls: Calls, note: str
) -> None:
    """The tombstone keeps it, also that of a second removal; a short one in its row, a long one as a blob."""
    names = declared(calls, PHASES)
    attempt(ledger, "declared", registry=names)
    names.agent("refusing")(refusing)
    edited = [*PHASES, {"name": "sum", "agent": "refusing", "input": note, "depends_on": ["read"]}]
    fork = runstone.fork("r", ledger=ledger, definition={"phases": edited}, registry=names)
    for _ in range(2):
        with pytest.raises(RunFailed):
            resume(ledger, fork, names)
        assert ledger.care.prune(fork) > 0
        assert [event.type for event in ledger.events(fork)] == ["run.pruned"]
        planned = runstone.plan(fork, ledger=ledger, registry=names)
        assert ([one.phase for one in planned.rerun], planned.warnings) == (["sum"], ())
        again = runstone.fork(fork, ledger=ledger, registry=names, dry_run=True)
        assert [one.phase for one in again.rerun] == ["sum"]
    assert ledger.care.verify() == []


def test_a_dry_run_says_what_would_run_again_and_what_that_had_cost(ledger: Ledger, calls: Calls) -> None:
    phases = [{"name": "read", "agent": "work", "for_each": ["a", "bad", "c"], "on_failure": "continue"}]
    names = declared(calls, phases)
    attempt(ledger, "declared", registry=names)
    before = cursor(ledger)
    told = runstone.fork("r", ledger=ledger, registry=names, dry_run=True)
    assert [(one.tokens, one.cost_picousd) for one in told.rerun] == [(3, 25 * 10**10)]
    assert (len(told.reuse), told.reused_tokens, told.start, told.exact) == (2, 6, (), True)
    assert told.to_dict()["reused_cost_usd"] == 0.5
    code = runstone.fork("r", ledger=ledger, registry=mapping(calls), dry_run=True)
    assert (len(code.reuse), len(code.rerun), code.exact) == (2, 1, False)
    assert cursor(ledger) == before
    with runstone.open(ledger.workspace.root, readonly=True) as reading:
        assert runstone.fork("r", ledger=reading, registry=names, dry_run=True) == told


def test_what_was_done_after_the_checkpoint_is_told_with_its_cost(ledger: Ledger, calls: Calls) -> None:
    names = writing(calls)
    attempt(ledger, "book", "a", registry=names)
    told = runstone.fork("r", ledger=ledger, checkpoint=1, registry=names, dry_run=True)
    assert Counter(one.kind for one in told.reuse) == Counter(step=1, child=1)
    assert Counter(one.kind for one in told.rerun) == Counter(step=2, child=2)
    assert sum(one.tokens for one in told.rerun) == 20


# --- whatever becomes of the source ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["removed", "pruned", "removed while it is forked again", "thinned"])
def test_an_unfinished_fork_outlives_its_source_with_results_state_and_past_cost(
    ledger: Ledger, calls: Calls, how: str
) -> None:
    names = writing(calls)
    attempt(ledger, "book", "a", registry=names)
    fork = runstone.fork("r", ledger=ledger, checkpoint=2, new_id="fork")
    if how.startswith("removed"):
        ledger.care.remove("r")
    elif how == "pruned":
        ledger.care.prune("r")
    else:
        ledger.checkpoints.thin("r", keep=1, keep_labelled=False)
    if how.endswith("again"):
        fork = runstone.fork("fork", ledger=ledger, checkpoint=1, new_id="fork-of-fork")
        ledger.command("fork", "stop")
        ledger.care.remove("fork")
    calls.take()
    planned = runstone.plan(fork, ledger=ledger, registry=names)
    assert (planned.reused_tokens, planned.reused_cost_picousd) == (20, 10**12)
    assert resume(ledger, fork, names) == [f"a {n} written" for n in range(3)]
    assert calls.take() == Counter(["began with 2", "outline 2", "a 2"])
    assert (ledger.telemetry(fork).subtree.tokens, ledger.telemetry(fork).subtree.requests) == (10, 1)
    assert ledger.care.verify() == []


def test_a_fork_that_lost_its_source_is_told_what_that_had_cost_when_it_asks_again(
    ledger: Ledger, calls: Calls
) -> None:
    names = mapping(calls)
    attempt(ledger, "flow", ["a", "b"], registry=names)
    fork = runstone.fork("r", ledger=ledger, new_id="fork")
    ledger.care.remove("r")
    resume(ledger, fork, names)
    assert ledger.telemetry(fork).reused == {"children": 2, "tokens": 6, "cost_usd": 0.5}


@pytest.mark.parametrize("status", ["running", "failed", "awaiting_user", "pending"])
def test_a_run_is_forked_whatever_its_status_and_stays_as_it_is(
    ledger: Ledger, calls: Calls, status: str
) -> None:
    names = Registry()

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.step("once", calls, "once")
        await ctx.checkpoint({"at": 1})
        if ctx.run_id == "r" and status == "failed":
            raise ValueError("once")
        if ctx.run_id == "r" and status == "awaiting_user":
            await ctx.ask("Which?")
        if ctx.run_id == "r" and status == "running":
            runstone.fork("r", ledger=ledger, new_id="fork", checkpoint=1)
        return "done"

    if status == "pending":
        attempt(ledger, "flow", run_id="first", registry=names)
        runstone.fork("first", ledger=ledger, new_id="r", checkpoint=1)
    else:
        attempt(ledger, "flow", registry=names)
    before = ledger.get_run("r")
    if status != "running":
        assert before.status == status
        runstone.fork("r", ledger=ledger, new_id="fork", checkpoint=1)
    calls.take()
    assert resume(ledger, "fork", names) == "done"
    assert calls.take() == Counter()
    assert ledger.get_run("r") == before
    assert ledger.care.verify() == []


def test_a_fork_is_exported_and_imported_with_all_that_it_knows(
    ledger: Ledger, calls: Calls, tmp_path: Path
) -> None:
    names = writing(calls)
    attempt(ledger, "book", "a", registry=names)
    runstone.fork("r", ledger=ledger, checkpoint=2, new_id="fork")
    stream = io.BytesIO()
    ledger.care.export(stream, ["fork"])
    whole = io.BytesIO()
    ledger.care.export(whole)
    with runstone.open(tmp_path / "other") as other, runstone.open(tmp_path / "third") as third:
        other.care.import_(io.BytesIO(stream.getvalue()))
        calls.take()
        assert runstone.plan("fork", ledger=other, registry=names).reused_tokens == 20
        resume(other, "fork", names)
        assert calls.take() == Counter(["began with 2", "outline 2", "a 2"])
        assert other.care.verify() == []
        third.care.import_(io.BytesIO(whole.getvalue()))
        for number in (1, 2, 3):
            told = runstone.fork("r", ledger=third, checkpoint=number, registry=names, dry_run=True)
            assert len(told.reuse) == 2 * number


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"checkpoint": 9}, NotFound, "no checkpoint 9"),
        ({"checkpoint": 0}, NotFound, "no checkpoint 0"),
        ({"checkpoint": 10**30}, NotFound, "no checkpoint 1000"),
        ({"checkpoint": "other@1"}, InvalidInput, "no checkpoint of run r"),
        ({"checkpoint": "nonsense"}, InvalidInput, "no checkpoint of run r"),
        ({"checkpoint": True}, InvalidInput, "a number or RUN@NUMBER"),
        ({"definition": "nowhere"}, WorkflowNotFound, "nowhere"),
        ({"definition": {"phases": []}}, InvalidDefinition, "phases"),
        ({"definition": {"phases": [{"name": "a", "agent": "nobody"}]}}, InvalidDefinition, "nobody"),
        ({"definition": 7}, InvalidInput, "a name or an object"),
        ({"definition": {"phases": PHASES, "input": {"path": "string"}}}, InputRefused, "must be an object"),
        ({"new_id": "r"}, RunMismatch, "exists"),
        ({"input": {1, 2}}, InvalidInput, "set"),
    ],
)
def test_a_fork_that_is_refused_changes_nothing_and_says_what_to_type(
    ledger: Ledger, calls: Calls, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    names = mapping(calls)
    attempt(ledger, "flow", ["a"], registry=names)
    before = cursor(ledger)
    with pytest.raises(error, match=says) as refused:
        runstone.fork("r", ledger=ledger, registry=names, **given)
    assert refused.value.hint  # type: ignore[attr-defined]
    assert cursor(ledger) == before
    assert len(ledger.list_runs(depth="0").items) == 1


def test_a_damaged_state_is_named_and_nothing_is_forked(ledger: Ledger) -> None:
    with ledger.start_run(run_id="own") as run:
        run.checkpoint({"long": random.Random(1).randbytes(5_000).hex()}).result()
        run.checkpoint({"short": 1}).result()
    with sqlite3.connect(ledger.workspace.database) as db:
        db.execute("UPDATE blobs SET data = x'00' WHERE digest IN (SELECT value_ref FROM places)")
    before = cursor(ledger)
    with pytest.raises(StoreCorrupt, match="checkpoint 1 of run own"):
        runstone.fork("own", ledger=ledger, checkpoint=1)
    assert cursor(ledger) == before
    assert ledger.checkpoints.state(runstone.fork("own", ledger=ledger, checkpoint=2)) == {"short": 1}


def test_an_agent_has_no_definition_and_a_command_no_parts(ledger: Ledger) -> None:
    with ledger.start_run(run_id="own"):
        pass
    with pytest.raises(InvalidInput, match="no definition"):
        runstone.fork("own", ledger=ledger, definition={"phases": PHASES})
    ledger.exec(["true"], run_id="command")
    ledger.wait("command", 30)
    with pytest.raises(Misuse, match="command"):
        runstone.fork("command", ledger=ledger)


def test_a_checkpoint_that_goes_while_it_is_forked_is_refused(ledger: Ledger) -> None:
    from runstone.ledger import new_run
    from runstone.store.writes.fork import ForkRun

    with ledger.start_run(run_id="own") as run:
        for number in range(3):
            run.checkpoint({"n": number}).result()
    ledger.checkpoints.thin("own", keep=1)
    new = new_run(ledger.core, kind="subagent", run_id="fork", forked_from="own", forked_from_checkpoint=1)
    with pytest.raises(NotFound, match="removed"):
        ledger.core.submit(ForkRun(new, [], checkpoint=1), []).result()
    assert [run.id for run in ledger.list_runs().items] == ["own"]
