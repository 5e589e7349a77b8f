"""ResumePolicy: what a resume does with each kind of record, and that `plan` had said so."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry, ResumePolicy
from runstone.errors import DefinitionChanged, InvalidInput
from tests.engine.counted import Calls, attempt, statuses


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


class Scene:
    """Three children; `bad` names those that fail, and `catch` whether the code lives on from a failure."""

    def __init__(self, ledger: Ledger, calls: Calls, *, catch: bool = False) -> None:
        self.ledger, self.calls = ledger, calls
        self.bad: set[str] = set()
        self.end: Exception | None = None
        self.seen: list[Any] = []
        self.names = Registry()

        @self.names.agent("work")
        async def work(ctx: Any, input: Any) -> Any:
            calls(input)
            if input in self.bad:
                raise ValueError(f"{input} is bad")
            return input

        @self.names.workflow("flow")
        async def flow(ctx: Any, input: Any) -> Any:
            found = []
            async with ctx.phase("one"):
                for name in "ab":
                    try:
                        found.append(await ctx.child("work", name))
                    except runstone.ChildFailed as error:
                        if not catch:
                            raise
                        found.append(error.details["error"]["message"])
            async with ctx.phase("two"):
                found.append(await ctx.child("work", "c"))
                found.append(await ctx.step("d", lambda: calls("d")))
            self.seen.append(found)
            if self.end is not None:
                raise self.end
            return found

    def first(self, **more: Any) -> str:
        status = attempt(self.ledger, "flow", registry=self.names, **more)
        self.calls.take()
        return status

    def resume(self, **policy: Any) -> "Counter[Any]":
        """What a resume executes; `plan` must have told the children of it."""
        given = ResumePolicy(**policy)
        plan = runstone.plan("r", ledger=self.ledger, policy=given, registry=self.names)
        with contextlib.suppress(runstone.RunstoneError):
            asyncio.run(runstone.resume("r", ledger=self.ledger, policy=given, registry=self.names))
        made = self.calls.take()
        ran = sum(count for name, count in made.items() if name != "d")
        assert len([entry for entry in (*plan.rerun, *plan.start) if entry.kind == "child"]) <= ran
        return made


# --- failed ---------------------------------------------------------------------------------------------------------


def test_retry_runs_what_failed_again(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls)
    scene.bad = {"b"}
    assert scene.first() == "failed"
    scene.bad = set()
    assert scene.resume(failed="retry") == Counter("bcd")
    assert ledger.get_run("r").status == "completed"


def test_keep_raises_the_failure_as_recorded(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls)
    scene.bad = {"b"}
    scene.first()
    scene.bad = set()
    plan = runstone.plan("r", ledger=ledger, policy=ResumePolicy(failed="keep"), registry=scene.names)
    assert [ledger.input(str(entry.child_run_id)) for entry in plan.raised] == ["b"]
    assert scene.resume(failed="keep") == Counter()
    assert "b is bad" in str((ledger.get_run("r").error or {})["message"])


@pytest.mark.parametrize("policy", [{"failed": "fail"}, {"failed": "keep", "max_attempts": 1}])
def test_fail_refuses_before_anything_is_changed(
    ledger: Ledger, calls: Calls, policy: dict[str, Any]
) -> None:
    scene = Scene(ledger, calls)
    scene.bad = {"b"}
    scene.first()
    seq = len(ledger.events("r"))
    assert scene.resume(**policy) == Counter()
    assert ledger.get_run("r").status == "failed"
    assert (len(ledger.events("r")) == seq) == (policy["failed"] == "fail")


def test_max_attempts_counts_failed_tries_only(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls)
    scene.bad = {"b"}
    scene.first()
    assert scene.resume(max_attempts=3) == Counter("b")
    assert scene.resume(max_attempts=3) == Counter("b")
    assert scene.resume(max_attempts=3) == Counter()  # b failed three times
    assert scene.resume(max_attempts=4) == Counter("b")


# --- caught failures ------------------------------------------------------------------------------------------------


def test_a_caught_failure_is_raised_again_as_recorded(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls, catch=True)
    scene.bad, scene.end = {"b"}, RuntimeError("afterwards")
    scene.first()
    scene.bad = set()
    assert scene.resume() == Counter()
    assert scene.seen == [["a", "b is bad", "c", None]] * 2


def test_with_failures_all_a_caught_failure_is_tried_again(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls, catch=True)
    scene.bad, scene.end = {"b"}, RuntimeError("afterwards")
    scene.first()
    scene.bad, scene.end = set(), None
    assert scene.resume(failures="all") == Counter("b")
    assert ledger.result("r") == ["a", "b", "c", None]


def test_a_failure_that_was_caught_and_raised_again_later_ended_the_parent(
    ledger: Ledger, calls: Calls
) -> None:
    """Its cleanup called the ledger in between, and the next attempt is interrupted before it gets there again."""
    names, bad, hold = Registry(), True, asyncio.Event()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        if input == "b" and bad:
            raise ValueError("b is bad")

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        if ctx.attempt == 2:
            hold.set()
            await asyncio.Event().wait()
        try:
            await ctx.child("work", "b")
        except runstone.ChildFailed:
            await ctx.child("work", "cleanup")
            raise

    attempt(ledger, "flow", registry=names)
    assert calls.take() == Counter(["b", "cleanup"])

    async def interrupted() -> None:
        run = asyncio.create_task(runstone.resume("r", ledger=ledger, registry=names))
        await hold.wait()
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(interrupted())
    assert ledger.get_run("r").status == "interrupted"
    bad = False
    asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    assert calls.take() == Counter(["b"])


# --- records made unusable ------------------------------------------------------------------------------------------


def test_rerun_replaces_a_poisoned_record(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls)
    scene.end = RuntimeError("the result of a was poison")
    scene.first()
    scene.end = None
    (poisoned,) = [entry for entry in ledger.journal("r") if entry.kind == "child" and entry.number == 1]
    assert scene.resume(rerun=[str(poisoned.child_run_id), "d"]) == Counter("ad")
    assert ledger.get_run("r").status == "completed"
    assert ledger.get_run(str(poisoned.child_run_id)).superseded
    entries = [entry for entry in ledger.journal("r") if entry.key == poisoned.key]
    assert [bool(entry.dropped) for entry in entries] == [True, False]  # unusable, not deleted


def test_rerun_by_key_and_a_name_that_is_unknown(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls)
    scene.end = RuntimeError("again")
    scene.first()
    seq = len(ledger.events("r"))
    with pytest.raises(InvalidInput, match="nobody"):
        asyncio.run(
            runstone.resume("r", ledger=ledger, policy=ResumePolicy(rerun=["nobody"]), registry=scene.names)
        )
    assert len(ledger.events("r")) == seq
    key = ledger.journal("r")[1].key
    assert scene.resume(rerun=[key]) == Counter("b")


def test_from_phase_runs_that_phase_and_the_later_ones_again(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls)
    scene.end = RuntimeError("again")
    scene.first()
    assert scene.resume(from_phase="two") == Counter("cd")
    assert scene.resume(from_phase="one") == Counter("abcd")
    assert scene.resume() == Counter()
    with pytest.raises(InvalidInput, match="three"):
        asyncio.run(
            runstone.resume("r", ledger=ledger, policy=ResumePolicy(from_phase="three"), registry=scene.names)
        )


# --- interrupted and cancelled --------------------------------------------------------------------------------------


class Stoppable:
    """A child that works until it is let go, twice."""

    def __init__(self, calls: Calls) -> None:
        self.names, self.hold = Registry(), True

        @self.names.agent("work")
        async def work(ctx: Any, input: Any) -> Any:
            calls(input)
            self.at_work.set()
            if self.hold:
                await asyncio.Event().wait()
            return input

        @self.names.workflow("flow")
        async def flow(ctx: Any, input: Any) -> Any:
            return await ctx.child("work", "a")

    async def broken(self, ledger: Ledger, how: str) -> None:
        self.at_work = asyncio.Event()
        run = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=self.names))
        await self.at_work.wait()
        (child,) = ledger.list_runs(parent_id="r").items
        if how == "interrupted":
            run.cancel()
        else:
            await asyncio.to_thread(
                ledger.command, child.id if how == "stopped by a person" else "r", "stop", by="ana"
            )
        await asyncio.wait([run])
        if not run.cancelled():
            run.exception()

    async def resumed(self, ledger: Ledger, **policy: Any) -> Any:
        self.at_work, self.hold = asyncio.Event(), False
        return await runstone.resume("r", ledger=ledger, policy=ResumePolicy(**policy), registry=self.names)


@pytest.mark.parametrize(
    ("how", "policy", "again"),
    [
        ("interrupted", {}, True),
        ("interrupted", {"interrupted": "fail"}, False),
        ("stopped by a person", {}, False),
        ("stopped by a person", {"cancelled": "retry"}, True),
        ("stopped with its parent", {}, True),
        ("stopped with its parent", {"cancelled": "raise"}, False),
    ],
)
def test_what_ended_a_child_decides_whether_it_is_tried_again(
    ledger: Ledger, calls: Calls, how: str, policy: dict[str, Any], again: bool
) -> None:
    scene = Stoppable(calls)
    asyncio.run(scene.broken(ledger, how))
    assert calls.take() == Counter("a")
    if again:
        assert asyncio.run(scene.resumed(ledger, **policy)) == "a"
    else:
        with pytest.raises(runstone.RunFailed):
            asyncio.run(scene.resumed(ledger, **policy))
    assert calls.take() == Counter("a" if again else "")
    assert sum(statuses(ledger).values()) == 1


# --- a changed definition -------------------------------------------------------------------------------------------


def changing(calls: Calls, version: str, *, fail: bool) -> Registry:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)

    @names.workflow("flow", version=version)
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.child("work", "a")
        if fail:
            raise RuntimeError("again")

    return names


def test_a_changed_definition_is_accepted_with_a_warning(ledger: Ledger, calls: Calls) -> None:
    attempt(ledger, "flow", registry=changing(calls, "1", fail=True))
    after = changing(calls, "2", fail=False)
    (warning,) = runstone.plan("r", ledger=ledger, registry=after).warnings
    assert "changed" in warning
    asyncio.run(runstone.resume("r", ledger=ledger, registry=after))
    (event,) = [event for event in ledger.events("r") if event.type == "definition.changed"]
    assert event.importance == 2
    assert event.payload["before"] != event.payload["now"] == ledger.get_run("r").definition_hash  # type: ignore[attr-defined]
    assert calls.take() == Counter("a")


def test_a_changed_definition_is_refused_where_the_policy_says_so(ledger: Ledger, calls: Calls) -> None:
    attempt(ledger, "flow", registry=changing(calls, "1", fail=True))
    policy = ResumePolicy(definition="refuse")
    with pytest.raises(DefinitionChanged):
        asyncio.run(
            runstone.resume("r", ledger=ledger, policy=policy, registry=changing(calls, "2", fail=False))
        )
    assert ledger.get_run("r").status == "failed"
    asyncio.run(runstone.resume("r", ledger=ledger, policy=policy, registry=changing(calls, "1", fail=False)))


# --- plan and fork --------------------------------------------------------------------------------------------------


def test_a_plan_writes_nothing_and_tells_what_the_reused_had_cost(ledger: Ledger, calls: Calls) -> None:
    names, failing = Registry(), True

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=7, cost_usd="0.25", request_id=input)
        if input == "b" and failing:
            raise ValueError("b")

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.map("work", ["a", "b", "c"])

    attempt(ledger, "flow", registry=names)
    position = ledger.cursor()
    plan = runstone.plan("r", ledger=ledger, registry=names)
    assert ledger.cursor() == position
    assert (len(plan.reuse), len(plan.rerun), plan.reused_tokens, plan.reused_cost_picousd) == (
        2,
        1,
        14,
        5 * 10**11,
    )
    assert not plan.exact
    failing = False
    asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
    assert ledger.telemetry("r").reused == {"children": 2, "tokens": 14, "cost_usd": 0.5}
    done = runstone.plan("r", ledger=ledger, registry=names)
    assert (len(done.reuse), done.rerun, done.start, done.exact) == (3, (), (), True)


def test_a_fork_reuses_what_its_source_knew_and_adds_nothing(ledger: Ledger, calls: Calls) -> None:
    scene = Scene(ledger, calls)
    scene.bad = {"b"}
    scene.first()
    tree = ledger.tree("r").to_dict()
    fork = runstone.fork("r", ledger=ledger, new_id="forked")
    row = ledger.get_run(fork)
    assert (row.forked_from, row.status, row.parent_run_id, row.root_run_id) == (
        "r",
        "pending",
        None,
        "forked",
    )
    scene.bad = set()
    assert asyncio.run(runstone.resume(fork, ledger=ledger, registry=scene.names)) == ["a", "b", "c", None]
    assert calls.take() == Counter("bcd")
    assert ledger.tree("r").to_dict() == tree
    assert ledger.telemetry(fork).reused["children"] == 1
    assert len(ledger.list_runs(parent_id=fork).items) == 2
    ledger.care.prune("r")
    assert ledger.care.verify() == []


def test_a_fork_with_another_input_runs_only_what_that_changes(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        calls(input)
        return input

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.map("work", input)

    attempt(ledger, "flow", ["a", "b"], registry=names)
    assert calls.take() == Counter("ab")
    fork = runstone.fork("r", ledger=ledger, input=["b", "c"])
    assert asyncio.run(runstone.resume(fork, ledger=ledger, registry=names)) == ["b", "c"]
    assert calls.take() == Counter("c")
    with pytest.raises(runstone.RunMismatch):
        runstone.fork("r", ledger=ledger, new_id=fork)
