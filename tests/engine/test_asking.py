"""A run that asks waits without holding anything, and goes on with the answer: once, in whatever process it comes."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.errors import (
    AmbiguousQuestion,
    AwaitingInput,
    ChildFailed,
    InputExpired,
    InputWithdrawn,
    InvalidInput,
    Misuse,
    RevisionConflict,
    RunFailed,
    RunIsLive,
    RunstoneError,
)
from runstone.store.writes.inputs import AnswerInput, AskInput
from runstone.store.writes.lifecycle import ParkRun
from runstone.testing.clock import FakeClock
from tests.engine.counted import ROOT, WAIT_S, Calls

MONTH_S = 30 * 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def types(ledger: Ledger, run_id: str = "r") -> "Counter[str]":
    return Counter(event.type for event in ledger.events(run_id, limit=10_000))


def only(ledger: Ledger, **more: Any) -> Any:
    """The one question that there is."""
    (asked,) = ledger.inputs.list(**more).items
    return asked


# --- loops of one's own ---------------------------------------------------------------------------------------------


def test_asking_saves_the_state_and_leaves_the_run_in_one_commit(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r") as run:
        asked = run.ask("Which branch?", choices=["main", "dev"], state={"turns": [1, 2]})
        assert asked.status == "open"
    row = ledger.get_run("r")
    assert (row.status, row.status_reason, ledger.lease("r")) == ("awaiting_user", "Which branch?", None)
    assert ledger.checkpoints.state("r") == {"turns": [1, 2]}
    assert ledger.attempts("r")[0].outcome == "awaiting_user"
    with pytest.raises(RunstoneError):
        run.emit("late.event").result()
    assert ledger.care.verify() == []


def test_a_question_whose_state_cannot_be_saved_is_not_asked(ledger: Ledger, monkeypatch: Any) -> None:
    with ledger.start_run(run_id="r") as run:
        run.checkpoint({"turns": [1]}).result()
        stale = run._last_saved()
        run.checkpoint({"turns": [1, 2]}).result()
        monkeypatch.setattr(run, "_last_saved", lambda: stale)
        with pytest.raises(RevisionConflict):
            run.ask("Which?", state={"turns": [1, 2, 3]})
        monkeypatch.undo()
        assert ledger.inputs.list(status=None).items == []
        assert ledger.get_run("r").status == "running"
        run.ask("Which?", state={"turns": [1, 2, 3]})
    assert ledger.checkpoints.state("r") == {"turns": [1, 2, 3]}


def test_a_continuation_gets_the_answer_and_the_state_and_its_parts_stay(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r", agent_id="a", parent="above", labels={"team": "red"}) as run:
        asked = run.ask("Which?", state={"n": 1})
    with pytest.raises(AwaitingInput, match="Which") as refused:
        ledger.continue_run("r")
    assert asked.id in refused.value.hint
    assert ledger.get_run("r").attempt == 1
    ledger.answer(asked.id, "main", by="ana")
    assert (ledger.get_run("r").status, ledger.get_run("r").status_reason) == ("pending", "answered")
    with ledger.continue_run("r", agent_id="a") as run:
        assert (run.answer, run.state, run.attempt) == ("main", {"n": 1}, 2)
        assert [one.answered_by for one in run.answers] == ["ana"]
        with pytest.raises(RunIsLive):
            ledger.continue_run("r")
    done = ledger.get_run("r")
    assert (done.status, done.parent_run_id, done.labels) == ("completed", "above", {"team": "red"})
    assert ledger.care.verify() == []


def test_an_answer_is_given_until_a_state_was_saved_after_it(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r") as run:
        run.ask("First?", state={"n": 1})
    ledger.answer(only(ledger).id, 1)
    for _ in range(2):  # the process died before it saved what it did with the answer
        run = ledger.continue_run("r")
        assert run.answer == 1
        run.interrupt("gone")
    with ledger.continue_run("r") as run:
        run.checkpoint({"n": 2, "first": run.answer}).result()
        again = run.ask("First?", state={"n": 3})  # asked alike, and yet another question
        assert again.status == "open"
    ledger.answer(again.id, 2)
    with ledger.continue_run("r") as run:
        assert [one.response for one in run.answers] == [2]


def test_under_a_key_a_run_asks_once(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r") as run:
        asked = run.ask("Which?", key="branch")
    ledger.answer(asked.id, "main")
    with ledger.continue_run("r") as run:
        again = run.ask("Which?", key="branch")
        assert (again.id, again.response) == (asked.id, "main")
        assert ledger.get_run("r").status == "running"  # there was nothing to wait for
        with pytest.raises(AmbiguousQuestion):
            run.ask("Which one?", key="branch")
    assert types(ledger)["input.requested"] == 1


def test_a_run_may_go_on_without_the_answer(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r") as run:
        asked = run.ask("Which?")
    with ledger.continue_run("r", "take any") as run:
        assert (run.answer, run.message_in) == (None, "take any")
        assert ledger.inputs.get(asked.id).status == "withdrawn"
        with pytest.raises(InputWithdrawn):
            ledger.answer(asked.id, "main")


def test_a_loop_that_was_not_answered_in_time_is_told_or_gets_the_default(
    tmp_path: Path, clock: FakeClock
) -> None:
    with runstone.open(tmp_path, clock=clock) as ledger:
        for name, more in (("told", {}), ("taken", {"default": "no"})):
            with ledger.start_run(run_id=name) as run:
                run.ask("Publish?", expires_s=MONTH_S, **more)  # type: ignore[arg-type]
        clock.advance(MONTH_S + 1)
    with runstone.open(tmp_path, clock=clock) as ledger:  # whoever opens the ledger sees to it
        with ledger.continue_run("taken") as run:
            assert run.answer == "no"
        with ledger.continue_run("told") as run, pytest.raises(InputExpired):
            print(run.answer)
        assert ledger.care.verify() == []


# --- the engine -----------------------------------------------------------------------------------------------------


class Flow:
    """A workflow of the test's code, run as "r"."""

    def __init__(self, calls: Calls, code: Callable[..., Any]) -> None:
        self.names = Registry()
        self.calls = calls
        self.names.workflow("flow")(code)

    def run(self, ledger: Ledger, **more: Any) -> Any:
        return runstone.run(
            "flow", ledger=ledger, run_id="r", registry=self.names, **{"park_after_s": 0.0, **more}
        )

    def to_question(self, ledger: Ledger, **more: Any) -> AwaitingInput:
        """Runs until only a person can go on."""
        with pytest.raises(AwaitingInput) as asked:
            asyncio.run(self.run(ledger, **more))
        return asked.value

    def resume(self, ledger: Ledger, **more: Any) -> Any:
        return asyncio.run(runstone.resume("r", ledger=ledger, registry=self.names, park_after_s=0.0, **more))


async def until(met: Callable[[], Any]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not met():  # noqa: ASYNC110 - what is looked at is a row of the ledger
            await asyncio.sleep(0.002)


def asking(calls: Calls) -> Flow:
    async def code(ctx: Any, input: Any) -> Any:
        calls("began")
        await ctx.step("before", calls, "step")
        answer = await ctx.ask("Publish?", choices=["yes", "no"])
        calls("answered")
        return answer

    return Flow(calls, code)


def test_a_parked_question_raises_and_its_answer_goes_on_without_doing_a_step_again(
    ledger: Ledger, calls: Calls
) -> None:
    flow = asking(calls)
    told = flow.to_question(ledger)
    asked = only(ledger)
    assert "Publish?" in str(told)
    assert f"runstone inputs answer {asked.id}" in told.hint
    row = ledger.get_run("r")
    assert (row.status, row.status_reason, ledger.lease("r")) == ("awaiting_user", "Publish?", None)
    for _ in range(2):
        with pytest.raises(AwaitingInput):
            flow.resume(ledger)
        flow.to_question(ledger)
    assert (ledger.get_run("r").attempt, calls.take()) == (1, Counter(began=1, step=1))
    ledger.answer(asked.id, "yes", by="ana")
    assert flow.resume(ledger) == "yes"
    assert calls.take() == Counter(began=1, answered=1)
    assert types(ledger)["input.requested"] == types(ledger)["input.answered"] == 1
    assert ledger.care.verify() == []


def test_a_live_run_goes_on_with_an_answer_of_another_process(
    tmp_path: Path, ledger: Ledger, calls: Calls
) -> None:
    flow = asking(calls)
    script = (
        "import sys, runstone\n"
        "with runstone.open(sys.argv[1]) as ledger:\n"
        "    ledger.answer(ledger.inputs.list().items[0].id, 'no')\n"
    )

    async def scene() -> Any:
        run = asyncio.create_task(flow.run(ledger, park_after_s=60.0))
        await until(lambda: ledger.inputs.list().items)
        assert ledger.get_run("r").status == "running"
        assert ledger.counts() == {"needs_input": 1, "working": 0, "completed": 0, "failed": 0, "stopped": 0}
        answerer = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path), cwd=ROOT)
        assert await answerer.wait() == 0
        async with asyncio.timeout(WAIT_S):
            return await run

    assert asyncio.run(scene()) == "no"
    assert ledger.get_run("r").attempt == 1
    assert calls.take() == Counter(began=1, step=1, answered=1)


def test_an_answer_that_comes_while_the_run_is_being_parked_is_not_lost(ledger: Ledger, calls: Calls) -> None:
    """The park and the answer are committed in one batch, in both orders."""
    run = ledger.start_run(run_id="r")
    core = ledger.core
    question = runstone.domain.inputs.question("Which?", now=0)  # type: ignore[attr-defined]
    core.submit(AskInput("r", 1, question, "i1"), []).result()
    park = ParkRun("r", 1, "run.awaited", {"reason": "Which?"}, questions=["i1"])
    answer, parked = core.submit(AnswerInput("i1", b'"a"', None), []), core.submit(park, [])
    assert (answer.result(), parked.result()) == (True, False)
    assert ledger.get_run("r").status == "running"
    core.submit(AskInput("r", 1, question, "i2"), []).result()
    park = ParkRun("r", 1, "run.awaited", {"reason": "Which?"}, questions=["i2"])
    parked, answer = core.submit(park, []), core.submit(AnswerInput("i2", b'"b"', None), [])
    assert (answer.result(), parked.result()) == (True, True)
    assert ledger.get_run("r").status == "pending"
    run.left()


def test_answers_that_race_with_parking_are_each_taken_once(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        return [await ctx.ask(f"{n}?") for n in range(30)]

    flow = Flow(calls, code)
    stop = threading.Event()

    def answer() -> None:
        while not stop.is_set():
            for asked in ledger.inputs.list():
                ledger.answer(asked.id, asked.message)

    answering = threading.Thread(target=answer)
    answering.start()
    result = None
    try:
        for _ in range(200):
            try:
                result = asyncio.run(flow.run(ledger))
                break
            except AwaitingInput:
                continue
    finally:
        stop.set()
        answering.join(WAIT_S)
    assert result == [f"{n}?" for n in range(30)]
    assert types(ledger)["input.requested"] == types(ledger)["input.answered"] == 30
    assert ledger.care.verify() == []


def test_two_hundred_questions_at_once_are_answered_in_any_order(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        return await asyncio.gather(*(ctx.ask(f"{n}?") for n in range(200)))

    flow = Flow(calls, code)
    flow.to_question(ledger)
    assert ledger.get_run("r").status_reason == "200 questions"
    found = ledger.inputs.list(limit=500).items
    assert len(found) == 200
    for asked in sorted(found, key=lambda one: hash(one.id))[:150]:
        ledger.answer(asked.id, int(asked.message[:-1]))
    with pytest.raises(AwaitingInput, match="49 more"):
        flow.resume(ledger)
    for asked in ledger.inputs.list(limit=500):
        ledger.answer(asked.id, int(asked.message[:-1]))
    assert flow.resume(ledger) == list(range(200))
    assert types(ledger)["input.requested"] == 200


def test_children_that_ask_are_answered_in_any_order_and_their_parent_waits(
    ledger: Ledger, calls: Calls
) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        calls("parent")
        return await ctx.map("child", ["a", "b", "c"])

    flow = Flow(calls, code)

    @flow.names.agent("child")
    async def child(ctx: Any, input: Any) -> Any:
        calls(input)
        return [input, await ctx.ask(f"{input}?")]

    told = flow.to_question(ledger, park_after_s=None)
    assert "2 more" in str(told)
    assert Counter(node.run.status for node in ledger.tree("r").walk()) == Counter(waiting=1, awaiting_user=3)
    assert ledger.counts(root_id="r")["needs_input"] == 3
    asked = {one.message[0]: one.id for one in ledger.inputs.list()}
    ledger.answer(asked["b"], 2)
    assert "1 more" in str(flow.to_question(ledger))
    assert Counter(node.run.status for node in ledger.tree("r").walk()) == Counter(
        waiting=1, awaiting_user=2, completed=1
    )
    ledger.answer(asked["c"], 3)
    ledger.answer(asked["a"], 1)
    assert flow.resume(ledger) == [["a", 1], ["b", 2], ["c", 3]]
    made = calls.take()
    assert [made[name] for name in "abc"] == [2, 2, 2]
    assert ledger.care.verify() == []


def test_an_answer_far_below_brings_the_whole_tree_on_in_another_process(
    tmp_path: Path, calls: Calls
) -> None:
    """Each run above was parked by a process that is gone: whoever resumes the root brings on all of them."""

    async def code(ctx: Any, input: Any) -> Any:
        return await ctx.child("level", 3)

    flow = Flow(calls, code)

    @flow.names.agent("level")
    async def level(ctx: Any, input: Any) -> Any:
        return await ctx.child("level", input - 1) if input else await ctx.ask("Deep?")

    with runstone.open(tmp_path) as ledger:
        flow.to_question(ledger, park_after_s=None)
    with runstone.open(tmp_path) as ledger:
        flow.to_question(ledger, park_after_s=None)
        assert [node.run.attempt for node in ledger.tree("r").walk()] == [1] * 5
        ledger.answer(only(ledger).id, "yes")

        async def bounded() -> Any:
            async with asyncio.timeout(WAIT_S):
                return await runstone.resume("r", ledger=ledger, registry=flow.names)

        assert asyncio.run(bounded()) == "yes"
        assert ledger.care.verify() == []


def test_a_branch_that_asks_waits_while_another_works(ledger: Ledger, calls: Calls) -> None:
    go = threading.Event()

    async def code(ctx: Any, input: Any) -> Any:
        return await asyncio.gather(ctx.ask("Which?"), ctx.step("work", go.wait, WAIT_S, key="w"))

    flow = Flow(calls, code)

    async def scene() -> Any:
        run = asyncio.create_task(flow.run(ledger))
        await until(lambda: ledger.inputs.list().items)
        await asyncio.sleep(0.1)  # time in which it could be parked
        assert ledger.get_run("r").status == "running"
        assert [one.id for one in ledger.list_runs(bucket="needs_input")] == ["r"]
        go.set()
        with pytest.raises(AwaitingInput):
            await run

    asyncio.run(scene())
    ledger.answer(only(ledger).id, "main")
    assert flow.resume(ledger) == ["main", True]


def test_a_run_that_waits_for_a_child_and_an_answer_is_woken_by_either(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        return await asyncio.gather(ctx.ask("Own?"), ctx.child("child"))

    flow = Flow(calls, code)

    @flow.names.agent("child")
    async def child(ctx: Any, input: Any) -> Any:
        return await ctx.ask("Child's?")

    flow.to_question(ledger)
    assert (ledger.get_run("r").status, ledger.get_run("r").status_reason) == ("waiting", "children")
    asked = {one.message: one.id for one in ledger.inputs.list()}
    assert ledger.counts()["needs_input"] == 2
    ledger.answer(asked["Own?"], 1)
    assert ledger.get_run("r").status_reason == "answered"
    flow.to_question(ledger)
    ledger.answer(asked["Child's?"], 2)
    assert flow.resume(ledger) == [1, 2]


def test_a_loop_that_asks_alike_is_given_its_answers_in_order_again(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        rounds = 0
        while await ctx.ask("More?", choices=["yes", "no"]) == "yes":
            rounds += 1
        return rounds

    flow = Flow(calls, code)
    for response in ("yes", "yes", "no"):
        with pytest.raises(AwaitingInput):
            asyncio.run(flow.run(ledger))
        ledger.answer(only(ledger).id, response)
    assert flow.resume(ledger) == 2
    assert types(ledger)["input.requested"] == 3


def test_equal_questions_at_once_need_keys(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        if input:
            return await asyncio.gather(*(ctx.ask("Which?", key=name) for name in ("a", "b", "a")))
        return await asyncio.gather(ctx.ask("Which?"), ctx.ask("Which?"))

    flow = Flow(calls, code)
    with pytest.raises(RunFailed, match="open already"):
        asyncio.run(flow.run(ledger))
    assert ledger.inputs.list().items == []  # the failed run withdrew it
    with pytest.raises(AwaitingInput):
        asyncio.run(runstone.run("flow", True, ledger=ledger, run_id="keys", registry=flow.names))
    for number, asked in enumerate(ledger.inputs.list()):
        ledger.answer(asked.id, number)
    again = runstone.run("flow", True, ledger=ledger, run_id="keys", registry=flow.names)
    assert asyncio.run(again) == [0, 1, 0]


async def in_a_step(ctx: Any) -> Any:
    return await ctx.step("inner", lambda: ctx.ask("Which?"))


async def in_an_async_step(ctx: Any) -> Any:
    async def body() -> Any:
        return await ctx.ask("Which?")

    return await ctx.step("inner", body)


async def in_a_thread(ctx: Any) -> Any:
    return await asyncio.to_thread(lambda: ctx.ask("Which?"))


async def nothing(ctx: Any) -> Any:
    return await ctx.ask("")


async def an_unknown_schema(ctx: Any) -> Any:
    return await ctx.ask("Which?", schema={"anyOf": []})


@pytest.mark.parametrize("way", [in_a_step, in_an_async_step, in_a_thread, nothing, an_unknown_schema])
def test_a_question_at_the_wrong_place_or_that_is_none_is_refused(
    ledger: Ledger, calls: Calls, way: Callable[..., Any]
) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        with pytest.raises((Misuse, InvalidInput)):
            await way(ctx)
        return "refused"

    assert asyncio.run(Flow(calls, code).run(ledger)) == "refused"
    assert ledger.inputs.list(status=None).items == []


def test_a_sync_function_does_not_ask(ledger: Ledger, calls: Calls) -> None:
    names = Registry()

    @names.agent("leaf")
    def leaf(ctx: Any, input: Any) -> Any:
        return ctx.ask("Which?")

    with pytest.raises(RunFailed, match="outside the run's own code"):
        asyncio.run(runstone.run("leaf", ledger=ledger, registry=names))


def test_a_question_that_the_code_does_not_wait_for_any_more_is_withdrawn(
    ledger: Ledger, calls: Calls
) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        try:
            async with asyncio.timeout(0.05):
                await ctx.ask("Which?")
        except TimeoutError:
            await ctx.step("after", int)
        left = ctx.ask("Left?")
        await ctx.step("other", int)
        return left.done()

    assert asyncio.run(Flow(calls, code).run(ledger, park_after_s=None)) is False
    assert {one.message: one.status for one in ledger.inputs.list(status=None)} == {
        "Which?": "withdrawn", "Left?": "withdrawn",
    }  # fmt: skip
    assert ledger.care.verify() == []


def test_stopping_a_parked_run_withdraws_its_question(ledger: Ledger, calls: Calls) -> None:
    flow = asking(calls)
    flow.to_question(ledger)
    asked = only(ledger)
    ledger.command("r", "stop")
    assert ledger.get_run("r").status == "cancelled"
    assert ledger.inputs.get(asked.id).status == "withdrawn"
    with pytest.raises(AwaitingInput):  # a stopped run is resumed, and asks again
        flow.resume(ledger)
    assert only(ledger).id != asked.id


def test_a_stop_of_the_tree_withdraws_what_children_asked(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        return await ctx.map("child", [1, 2])

    flow = Flow(calls, code)

    @flow.names.agent("child")
    async def child(ctx: Any, input: Any) -> Any:
        return await ctx.ask(f"{input}?")

    flow.to_question(ledger)
    ledger.command("r", "stop")
    assert {node.run.status for node in ledger.tree("r").walk()} == {"cancelled"}
    assert ledger.inputs.list().items == []
    assert ledger.care.verify() == []


# --- time -----------------------------------------------------------------------------------------------------------


def expiring(calls: Calls, **more: Any) -> Flow:
    async def code(ctx: Any, input: Any) -> Any:
        calls("began")
        try:
            return await ctx.ask("Publish?", expires_s=MONTH_S, **more)
        except InputExpired:
            if input == "fails":
                raise
            return "nobody"

    return Flow(calls, code)


@pytest.mark.parametrize(
    ("more", "result"), [({}, "nobody"), ({"default": None}, None), ({"default": "no"}, "no")]
)
def test_a_question_that_expired_with_nobody_there_is_taken_as_its_default_or_raised(
    tmp_path: Path, clock: FakeClock, calls: Calls, more: dict[str, Any], result: Any
) -> None:
    flow = expiring(calls, **more)
    with runstone.open(tmp_path, clock=clock) as ledger:
        flow.to_question(ledger)
        assert ledger.get_run("r").wake_at == only(ledger).expires_at
    clock.advance(MONTH_S + 1)
    with runstone.open(tmp_path, clock=clock) as ledger:
        ledger.flush()
        assert ledger.get_run("r").status_reason == "a question expired"
        assert flow.resume(ledger) == result
        assert types(ledger)["input.expired"] == 1
        assert ledger.care.verify() == []


def test_a_question_expires_while_its_run_lives(tmp_path: Path, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        return await ctx.ask("Publish?", expires_s=0.05, default="late")

    with runstone.open(tmp_path) as ledger:
        assert asyncio.run(Flow(calls, code).run(ledger, park_after_s=None)) == "late"
        assert ledger.get_run("r").attempt == 1


def test_a_run_that_failed_as_nobody_answered_asks_again_when_it_is_resumed(
    tmp_path: Path, clock: FakeClock, calls: Calls
) -> None:
    flow = expiring(calls)
    with runstone.open(tmp_path, clock=clock) as ledger:
        run = runstone.run("flow", "fails", ledger=ledger, run_id="r", registry=flow.names, park_after_s=0.0)
        with pytest.raises(AwaitingInput):
            asyncio.run(run)
        clock.advance(MONTH_S + 1)
        ledger.reconcile()
        with pytest.raises(RunFailed, match="in time"):
            flow.resume(ledger)
        with pytest.raises(AwaitingInput):
            flow.resume(ledger)
        ledger.answer(only(ledger).id, "yes")
        assert flow.resume(ledger) == "yes"


def test_a_month_later_another_process_answers_and_the_run_completes(
    tmp_path: Path, clock: FakeClock, calls: Calls
) -> None:
    with runstone.open(tmp_path, clock=clock) as ledger:
        asking(calls).to_question(ledger)
    clock.advance(MONTH_S)
    with runstone.open(tmp_path, clock=clock) as ledger:
        assert ledger.get_run("r").status == "awaiting_user"
        ledger.answer(only(ledger).id, "yes")
    clock.advance(MONTH_S)
    with runstone.open(tmp_path, clock=clock) as ledger:
        assert asking(calls).resume(ledger) == "yes"
    assert calls.take() == Counter(began=2, step=1, answered=1)


# --- resumes and forks ----------------------------------------------------------------------------------------------


def test_an_answer_that_came_while_the_process_was_dead_is_found_by_the_next(
    ledger: Ledger, calls: Calls
) -> None:
    flow = asking(calls)

    async def cut_off() -> None:
        run = asyncio.create_task(flow.run(ledger, park_after_s=60.0))
        await until(lambda: ledger.inputs.list().items)
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(cut_off())
    assert ledger.get_run("r").status == "interrupted"
    assert ledger.counts()["needs_input"] == 1
    ledger.answer(only(ledger).id, "yes")
    assert flow.resume(ledger) == "yes"
    assert calls.take() == Counter(began=2, step=1, answered=1)


def test_a_fork_knows_the_answers_and_a_rerun_asks_again(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        answer = await ctx.ask("Which?", key="which")
        if answer == "bad":
            raise ValueError("bad")
        return answer

    flow = Flow(calls, code)
    flow.to_question(ledger)
    ledger.answer(only(ledger).id, "main")
    assert flow.resume(ledger) == "main"
    fork = runstone.fork("r", ledger=ledger, new_id="fork")
    assert asyncio.run(runstone.resume(fork, ledger=ledger, registry=flow.names)) == "main"
    assert types(ledger, "fork")["input.requested"] == 0

    with pytest.raises(AwaitingInput):
        asyncio.run(runstone.run("flow", 1, ledger=ledger, run_id="again", registry=flow.names))
    ledger.answer(only(ledger).id, "bad")
    with pytest.raises(RunFailed):
        asyncio.run(runstone.resume("again", ledger=ledger, registry=flow.names))
    policy = runstone.ResumePolicy(rerun=("which",))
    with pytest.raises(AwaitingInput):
        asyncio.run(runstone.resume("again", ledger=ledger, registry=flow.names, policy=policy))
    ledger.answer(only(ledger).id, "good")
    assert asyncio.run(runstone.resume("again", ledger=ledger, registry=flow.names)) == "good"


def test_a_child_that_nobody_answered_fails_its_parent_with_the_reason(ledger: Ledger, calls: Calls) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        with pytest.raises(ChildFailed, match="in time"):
            await ctx.child("child")
        return "told"

    flow = Flow(calls, code)

    @flow.names.agent("child")
    async def child(ctx: Any, input: Any) -> Any:
        return await ctx.ask("Which?", expires_s=0)

    assert asyncio.run(flow.run(ledger)) == "told"


# --- processes that die, and that race ------------------------------------------------------------------------------

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
import runstone

folder, action = Path(sys.argv[1]), sys.argv[2]
names = runstone.Registry()

def note(line):
    descriptor = os.open(folder / "calls.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (line + "\\n").encode())

@names.workflow("flow")
async def flow(ctx, input):
    await ctx.step("before", note, "step")
    answer = await ctx.ask("Which?")
    await ctx.step("after", note, answer)
    return answer

with runstone.open(folder, heartbeat_s=0.2) as ledger:
    try:
        if action == "answer":
            ledger.answer(ledger.inputs.list(status=None).items[0].id, sys.argv[3], by=sys.argv[3])
        else:
            run = runstone.run("flow", ledger=ledger, run_id="r", registry=names, park_after_s=0.05)
            print(asyncio.run(run), flush=True)
    except runstone.RunstoneError as error:
        print(error.code, flush=True)
"""


def started(folder: Path, *words: str, crash: str | None = None) -> "subprocess.Popen[str]":
    env = {**os.environ} | ({"RUNSTONE_CRASH_AT": f"{crash}:1"} if crash else {})
    command = [sys.executable, "-c", PROGRAM, str(folder), *words]
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE)


def said(process: "subprocess.Popen[str]") -> str:
    try:
        return process.communicate(timeout=WAIT_S)[0].strip()
    finally:
        process.kill()


def program(folder: Path, *words: str) -> str:
    """What a process says that runs the flow or answers its question."""
    return said(started(folder, *words))


def crashed(folder: Path, *words: str, crash: str) -> None:
    process = started(folder, *words, crash=crash)
    said(process)
    assert process.returncode == -signal.SIGKILL, f"{crash} was not passed"


ASKING = [f"{name}.{side}_commit" for name in ("AskInput", "ParkRun") for side in ("before", "after")]
ANSWERING = [f"AnswerInput.{side}_commit" for side in ("before", "after")]


@pytest.mark.parametrize(
    ("crash_asking", "crash_answering"),
    [*((one, None) for one in ASKING), *((None, one) for one in ANSWERING), (ASKING[1], ANSWERING[1])],
)
def test_killed_at_each_boundary_no_question_is_lost_asked_twice_or_answered_twice(
    tmp_path: Path, crash_asking: str | None, crash_answering: str | None
) -> None:
    if crash_asking is not None:
        crashed(tmp_path, "run", crash=crash_asking)
    if crash_asking in (None, "AskInput.before_commit"):
        assert program(tmp_path, "run") == "awaiting_input"
    if crash_answering is not None:
        crashed(tmp_path, "answer", "a", crash=crash_answering)
    with runstone.open(tmp_path) as ledger:
        answered = ledger.inputs.list(status="answered").items
        assert len(answered) == (crash_answering == "AnswerInput.after_commit")
    if not answered:
        assert program(tmp_path, "answer", "a") == ""
    assert program(tmp_path, "run") == "a"
    with runstone.open(tmp_path) as ledger:
        assert types(ledger)["input.requested"] == types(ledger)["input.answered"] == 1
        assert ledger.care.verify() == []
    assert (tmp_path / "calls.txt").read_text().split() == ["step", "a"]


def test_of_two_processes_that_answer_one_wins_and_the_other_is_told(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert program(folder, "run") == "awaiting_input"
        both = [started(folder, "answer", name) for name in ("a", "b")]
        told = [said(process) for process in both]
        assert sorted(told) == ["", "already_answered"]
        winner = "ab"[told.index("")]
        assert program(folder, "run") == winner


def test_two_processes_that_go_on_with_the_answer_do_it_once(tmp_path: Path) -> None:
    assert program(tmp_path, "run") == "awaiting_input"
    program(tmp_path, "answer", "a")
    both = [started(tmp_path, "run") for _ in range(2)]
    assert [said(process) for process in both] == ["a", "a"]
    assert (tmp_path / "calls.txt").read_text().split() == ["step", "a"]
