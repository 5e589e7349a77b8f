"""Runs side by side, as the ledger has them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, NotFound, Registry
from runstone.errors import InvalidInput
from tests.engine.counted import attempt


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


def names() -> Registry:
    made = Registry()

    @made.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=10, cost_usd="0.5", request_id=ctx.run_id)
        return {"worked": input}

    @made.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        await ctx.step("prepare", lambda value: value, len(input))
        async with ctx.phase("work"):
            return await ctx.map("work", input)

    return made


def test_a_fork_and_its_source_find_each_other(ledger: Ledger) -> None:
    made = names()
    attempt(ledger, "flow", ["a", "b", "c"], registry=made)
    fork = runstone.fork("r", ledger=ledger, input=["a", "x", "c"])
    asyncio.run(runstone.resume(fork, ledger=ledger, registry=made))
    found = ledger.compare(fork)
    assert ledger.compare("r") == found == ledger.compare("r", fork)
    assert (found.a.run_id, found.b.run_id, found.b.forked_from) == ("r", fork, "r")
    assert (found.a.tokens, found.b.tokens) == (30, 10)
    assert found.counts == {"same": 3, "changed": 1}
    (pair,) = found.pairs
    assert pair.input is not None
    assert pair.result is not None
    assert (pair.input.changes[0].before, pair.input.changes[0].after) == ("b", "x")
    assert [change.path for change in pair.result.changes] == ["/worked"]
    assert [change.path for change in found.input.changes] == ["/1"]
    work = next(phase for phase in found.phases if phase.name == "work")
    assert work.a is not None
    assert work.b is not None
    assert (work.a.tokens, work.b.tokens, work.b.reused, work.counts) == (
        30,
        10,
        2,
        {"same": 2, "changed": 1},
    )
    assert ledger.compare("r", "r").same


def test_children_of_a_loop_of_ones_own_are_compared_too(ledger: Ledger) -> None:
    for run_id, results in (("one", ["x", "y"]), ("two", ["x", "z", "more"])):
        with ledger.start_run(run_id=run_id, agent_id="lead") as run:
            for result in results:
                with ledger.start_run(agent_id="reader", parent=run, title=result) as child:
                    child.complete(result=result)
    found = ledger.compare("one", "two")
    assert found.counts == {"same": 1, "changed": 1, "only_b": 1}
    assert found.to_dict()["pairs"][0]["result"]["changes"][0]["after"] == "z"


def test_a_run_that_has_nobody_to_be_compared_with_says_what_to_type(ledger: Ledger) -> None:
    with ledger.start_run(run_id="alone"):
        pass
    with pytest.raises(InvalidInput, match="no fork") as refused:
        ledger.compare("alone")
    assert "runs diff alone OTHER" in refused.value.hint
    with pytest.raises(NotFound):
        ledger.compare("alone", "nowhere")
    runstone.fork("alone", ledger=ledger, new_id="fork")
    ledger.care.remove("alone")
    with pytest.raises(NotFound, match="was removed"):
        ledger.compare("fork")
