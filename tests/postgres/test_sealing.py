"""Runs move between a file and a database, in both directions, and go on there alone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.errors import RunIsLive, RunMoved
from runstone.ledger import Ledger

DONE: list[str] = []


def registry() -> runstone.Registry:
    made = runstone.Registry()

    @made.agent("reader")
    async def reader(ctx: Any, input: Any) -> Any:
        DONE.append(input)
        return input

    @made.workflow("asking", version="1")
    async def asking(ctx: Any, input: Any) -> Any:
        found = await ctx.map("reader", ["a", "b"])
        first = await ctx.ask("First?", choices=["yes", "no"])
        more = await ctx.map("reader", ["c"])
        return [*found, first, *more, await ctx.ask("Second?", choices=["yes", "no"])]

    return made


MADE = registry()


def answer(ledger: Ledger) -> None:
    (question,) = ledger.inputs.list(status="open").items
    ledger.answer(question.id, "yes")


def test_a_run_moves_into_a_database_and_back_with_what_it_asks(dsn: str, tmp_path: Path) -> None:
    DONE.clear()
    with runstone.open(tmp_path / "a") as file, runstone.open(dsn) as database:
        with pytest.raises(runstone.AwaitingInput):
            asyncio.run(runstone.run("asking", {}, ledger=file, registry=MADE, run_id="one"))
        file.care.export(tmp_path / "there.jsonl", ["one"], move=True)
        database.care.import_(tmp_path / "there.jsonl")
        answer(database)
        with pytest.raises(runstone.AwaitingInput):
            asyncio.run(runstone.resume("one", ledger=database, registry=MADE))

        back = tmp_path / "back.jsonl"
        database.care.export(back, ["one"], move=True)
        assert database.get_run("one").status == "moved"
        with pytest.raises(RunMoved, match=r"back\.jsonl"):
            asyncio.run(runstone.resume("one", ledger=database, registry=MADE))
        assert dict(database.counts())["needs_input"] == 0
        with runstone.open(tmp_path / "b") as home:
            home.care.import_(back)
            answer(home)
            done = asyncio.run(runstone.resume("one", ledger=home, registry=MADE))
        assert done == ["a", "b", "yes", "c", "yes"]
        assert DONE == ["a", "b", "c"]
        assert database.care.verify() == file.care.verify() == []
        assert database.care.take_back() == 1
        assert database.get_run("one").status == "awaiting_user"
        assert database.care.verify() == []


def test_a_run_in_line_is_taken_out_of_it_and_comes_back_into_it(dsn: str, tmp_path: Path) -> None:
    with runstone.open(dsn) as database:
        runstone.enqueue("asking", {}, ledger=database, registry=MADE, run_id="one")
        with database.start_run(run_id="live", parent=None), pytest.raises(RunIsLive):
            database.care.export(tmp_path / "all.jsonl", move=True)
        database.care.export(tmp_path / "one.jsonl", ["one"], move=True)
        later = database.core.now() + 1_000_000
        assert database.reader.rows("ready_dispatches", now=later, limit=10) == []
        database.care.take_back()
        assert [row[0] for row in database.reader.rows("ready_dispatches", now=later, limit=10)] == ["one"]
