"""Steps: run once and recorded, told apart by name and arguments; what cannot be recorded is refused."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.errors import Misuse, NotJournalable
from tests.engine.counted import Calls, attempt, start


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def flow(code: Any) -> Registry:
    names = Registry()
    names.workflow("flow")(code)

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        return input

    return names


def test_sync_and_async_steps_run_once_and_are_recorded(ledger: Ledger, calls: Calls) -> None:
    threads, failing = set[int](), True

    def sync(value: int) -> int:
        calls("sync")
        threads.add(threading.get_ident())
        return value + 1

    async def awaited(value: int) -> int:
        calls("async")
        await asyncio.sleep(0)
        return value * 2

    async def code(ctx: Any, input: Any) -> Any:
        found = await asyncio.gather(ctx.step("sync", sync, 1), ctx.step("async", awaited, 3))
        if failing:
            raise RuntimeError("again")
        return found

    attempt(ledger, "flow", registry=flow(code))
    failing = False
    assert start(ledger, "flow", registry=flow(code)) == [2, 6]
    assert calls.take() == Counter(["sync", "async"])
    assert threading.get_ident() not in threads
    told = [event for event in ledger.events("r") if event.type == "step.completed"]
    assert {event.payload["name"] for event in told} == {"sync", "async"}


def test_other_arguments_are_another_step_and_a_key_replaces_them(ledger: Ledger, calls: Calls) -> None:
    value = 1

    async def code(ctx: Any, input: Any) -> Any:
        plain = await ctx.step("plain", calls, f"plain {value}")
        await ctx.step("keyed", calls, f"keyed {value}", key="the same")
        if value == 1:
            raise RuntimeError("again")
        return plain

    attempt(ledger, "flow", registry=flow(code))
    value = 2
    start(ledger, "flow", registry=flow(code))
    assert calls.take() == Counter(["plain 1", "plain 2", "keyed 1"])


def test_equal_steps_in_one_attempt_each_run_and_each_keep_their_result(ledger: Ledger) -> None:
    numbers, failing, found = iter(range(10)), True, list[Any]()

    async def code(ctx: Any, input: Any) -> Any:
        found.append([await ctx.step("next", lambda: next(numbers)) for _ in range(3)])
        if failing:
            raise RuntimeError("again")

    attempt(ledger, "flow", registry=flow(code))
    failing = False
    start(ledger, "flow", registry=flow(code))
    assert found == [[0, 1, 2], [0, 1, 2]]


def test_a_step_that_failed_runs_again_in_the_next_attempt(ledger: Ledger, calls: Calls) -> None:
    failing = True

    def body() -> str:
        calls("body")
        if failing:
            raise ValueError("not yet")
        return "now"

    async def code(ctx: Any, input: Any) -> Any:
        return await ctx.step("body", body)

    assert attempt(ledger, "flow", registry=flow(code)) == "failed"
    failing = False
    assert start(ledger, "flow", registry=flow(code)) == "now"
    assert calls.take() == Counter(body=2)


def test_a_tool_gets_the_same_idempotency_key_in_every_try(ledger: Ledger) -> None:
    keys = list[str]()

    async def code(ctx: Any, input: Any) -> Any:
        assert ctx.idempotency_key is None

        def tool() -> None:
            keys.append(ctx.idempotency_key)
            if len(keys) == 1:
                raise ValueError("the answer was lost")

        await ctx.step("pay", tool)

    attempt(ledger, "flow", registry=flow(code))
    start(ledger, "flow", registry=flow(code))
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert keys[0].startswith("r:")


REFUSED = [b"x", float("nan"), float("inf"), (1,), {1}, datetime.now(UTC), {1: "x"}, "\ud800"]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_not_json_is_refused_as_argument_and_as_result(ledger: Ledger, value: Any) -> None:
    async def code(ctx: Any, input: Any) -> Any:
        with pytest.raises(NotJournalable) as argument:
            ctx.step("step", print, value)
        assert "key=" in argument.value.hint
        with pytest.raises(NotJournalable):
            await ctx.step("step", lambda: value)
        await ctx.step("step", lambda given: None, value, key="named")

    start(ledger, "flow", registry=flow(code))
    assert [entry.name for entry in ledger.journal("r")] == ["step"]


def test_durable_calls_inside_a_step_are_misuse(ledger: Ledger) -> None:
    refused = list[str]()

    async def code(ctx: Any, input: Any) -> Any:
        def body() -> None:
            for call in (
                lambda: ctx.child("work"),
                lambda: ctx.map("work", [1]),
                lambda: ctx.step("inner", print),
                lambda: ctx.sleep(1),
            ):
                with pytest.raises(Misuse) as error:
                    call()
                refused.append(error.value.hint)

        async def awaited() -> None:
            body()
            await ctx.emit("my.event")

        await ctx.step("sync", body)
        await ctx.step("async", awaited)

    start(ledger, "flow", registry=flow(code))
    assert len(refused) == 8
    assert "inside" not in refused[0]
    assert [event.type for event in ledger.events("r")].count("my.event") == 1


def test_a_large_result_is_kept_beside_the_row(ledger: Ledger) -> None:
    failing = True

    async def code(ctx: Any, input: Any) -> Any:
        text = await ctx.step("large", lambda: "x" * 100_000)
        if failing:
            raise RuntimeError("again")
        return len(text)

    attempt(ledger, "flow", registry=flow(code))
    failing = False
    assert start(ledger, "flow", registry=flow(code)) == 100_000
    (entry,) = ledger.journal("r")
    assert entry.value is None
    assert entry.ref is not None


def test_a_step_that_nobody_awaits_is_recorded_before_the_run_ends(ledger: Ledger, calls: Calls) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.05)
        return "recorded"

    async def code(ctx: Any, input: Any) -> Any:
        ctx.step("slow", slow)

    start(ledger, "flow", registry=flow(code))
    assert [entry.name for entry in ledger.journal("r")] == ["slow"]


def test_the_state_of_a_checkpoint_is_there_in_the_next_attempt(ledger: Ledger) -> None:
    seen = list[Any]()

    async def code(ctx: Any, input: Any) -> Any:
        seen.append(ctx.state)
        done = (ctx.state or {"messages": []})["messages"]
        await ctx.checkpoint({"messages": [*done, f"message {len(done)}"], "attempt": ctx.attempt})
        await ctx.checkpoint(append={"messages": [f"appended {ctx.attempt}"]}, label="appended")
        if ctx.attempt < 3:
            raise RuntimeError("again")

    for _ in range(3):
        attempt(ledger, "flow", registry=flow(code))
    assert seen == [
        None,
        {"messages": ["message 0", "appended 1"], "attempt": 1},
        {"messages": ["message 0", "appended 1", "message 2", "appended 2"], "attempt": 2},
    ]
    assert [point.number for point in ledger.checkpoints.list("r")] == list(range(1, 7))


def test_the_state_survives_parking(ledger: Ledger) -> None:
    seen = list[Any]()

    async def code(ctx: Any, input: Any) -> Any:
        seen.append(ctx.state)
        await ctx.checkpoint({"turn": ctx.attempt})
        await ctx.sleep(0.05)

    start(ledger, "flow", registry=flow(code), park_after_s=0.0)
    assert seen == [None, {"turn": 1}]
