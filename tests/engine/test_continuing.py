"""Going on with a run that somebody left: from its last state, with a message that comes once, by one of two."""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import runstone
from runstone import Ledger, Registry
from runstone.errors import (
    AgentNotFound,
    IllegalTransition,
    InvalidInput,
    NotAChild,
    NotFound,
    RunIsLive,
    RunMismatch,
    StoreCorrupt,
)
from tests.engine.counted import Calls, until

CONVERSATION = {
    "messages": [{"role": "user", "content": "begin"}, {"role": "assistant", "content": "x" * 5_000}],
    "model": "small",
    "tools": ["grep", "read"],
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def calls() -> Calls:
    return Calls()


def texts(ledger: Ledger, run_id: str) -> list[str]:
    thread = ledger.get_run(run_id).worker_thread_id
    return [] if thread is None else [one.text for one in ledger.threads.messages(thread).items]


def everything(ledger: Ledger, run_id: str) -> Any:
    run = ledger.get_run(run_id)
    return run, ledger.events(run_id, limit=10_000).items, ledger.attempts(run_id), ledger.lease(run_id)


# --- a loop of one's own ---------------------------------------------------------------------------------------------


def test_a_continuation_has_all_that_was_saved_and_keeps_where_the_run_belongs(
    ledger: Ledger, tmp_path: Path
) -> None:
    board = ledger.boards.create("board", title="Work")
    card = ledger.boards.add_card(board.id, "Card")
    ledger.start_run(run_id="above").interrupt("left")
    with ledger.start_run(
        run_id="r", agent_id="a", parent="above", thread_id="chat", task_board_id="board", task_card_id=card.id,
        options={"model": "small"}, cwd=tmp_path,
    ) as run:  # fmt: skip
        run.message("assistant", "hello").result()
        asked = run.ask("Which branch?", choices=["main", "dev"], state=CONVERSATION)
    before = ledger.get_run("r")
    run = ledger.continue_run("r", "take main", agent_id="a")
    assert run.state == CONVERSATION
    assert (run.message_in, run.answer, run.cwd) == ("take main", None, str(tmp_path))
    assert [(one.id, one.message, one.status) for one in run.unanswered] == [
        (asked.id, "Which branch?", "withdrawn")
    ]
    assert texts(ledger, "r") == ["hello", "take main"]
    now = ledger.get_run("r")
    for name in ("parent_run_id", "root_run_id", "parent_thread_id", "worker_thread_id", "task_board_id",
                 "task_card_id", "options", "labels"):  # fmt: skip
        assert getattr(now, name) == getattr(before, name), name
    again = run.ask("And the tag?", state={**CONVERSATION, "branch": "main"})
    ledger.answer(again.id, "v1")
    with ledger.continue_run("r") as run:
        assert (run.answer, run.message_in, run.cwd) == ("v1", None, str(tmp_path))
        assert run.state["branch"] == "main"
    assert ledger.get_run("r").status == "completed"
    assert ledger.care.verify() == []


def test_a_message_is_given_until_a_state_was_saved_and_stands_in_the_thread_once(ledger: Ledger) -> None:
    ledger.start_run(run_id="r").pause(state={"n": 1})
    for _ in range(3):  # each time the process died before it saved anything, and its user asked again
        run = ledger.continue_run("r", "look left")
        assert (run.message_in, run.state) == ("look left", {"n": 1})
        run.interrupt("lost")
    assert texts(ledger, "r") == ["look left"]
    run = ledger.continue_run("r", "then right")
    assert run.message_in == "look left\n\nthen right"
    run.checkpoint({"n": 2}).result()
    run.interrupt("lost")
    run = ledger.continue_run("r")
    assert (run.message_in, run.state) == (None, {"n": 2})
    run.interrupt("lost")
    assert ledger.continue_run("r", "look left").message_in == "look left"
    assert texts(ledger, "r") == ["look left", "then right", "look left"]
    assert Counter(event.type for event in ledger.events("r", limit=1_000))["run.continued"] == 3


def test_a_continuation_that_fails_can_be_continued(ledger: Ledger) -> None:
    ledger.start_run(run_id="r").pause(state={"n": 1})
    with pytest.raises(ValueError, match="bad"), ledger.continue_run("r", "go on"):
        raise ValueError("bad")
    assert ledger.get_run("r").status == "failed"
    with ledger.continue_run("r") as run:
        assert (run.state, run.message_in, run.attempt) == ({"n": 1}, "go on", 3)
    assert [one.outcome for one in ledger.attempts("r")] == ["paused", "failed", "completed"]
    assert ledger.care.verify() == []


def test_of_two_continuations_at_once_one_wins_and_the_other_is_told_who(ledger: Ledger) -> None:
    for number in range(20):
        run_id = f"r{number}"
        ledger.start_run(run_id=run_id).pause(state={"n": 1})
        ready = threading.Barrier(2)
        won: list[Any] = []
        lost: list[RunIsLive] = []

        def go_on(
            text: str, run_id: str = run_id, ready: Any = ready, won: Any = won, lost: Any = lost
        ) -> None:
            ready.wait()
            try:
                won.append(ledger.continue_run(run_id, text))
            except RunIsLive as error:
                lost.append(error)

        threads = [threading.Thread(target=go_on, args=(text,)) for text in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 1)
        assert lost[0].details["pid"] == os.getpid()
        assert str(os.getpid()) in str(lost[0])
        assert texts(ledger, run_id) == [won[0].message_in]
        won[0].complete().result()
    assert ledger.care.verify() == []


def test_what_cannot_be_continued_says_why_and_changes_nothing(ledger: Ledger) -> None:
    run = ledger.start_run(run_id="r", agent_id="a")
    run.pause(state={"n": 1})
    live = ledger.start_run(run_id="live")
    for name in ("completed", "cancelled"):
        other = ledger.start_run(run_id=name)
        other.complete().result() if name == "completed" else other.cancel().result()
    cases: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("r", {"agent_id": "b"}, RunMismatch),
        ("r", {"message": "  "}, InvalidInput),
        ("live", {"message": "go on"}, RunIsLive),
        ("completed", {"message": "go on"}, IllegalTransition),
        ("cancelled", {}, IllegalTransition),
        ("nobody", {}, NotFound),
    ]
    for run_id, how, kind in cases:
        before = None if run_id == "nobody" else everything(ledger, run_id)
        with pytest.raises(kind) as refused:
            ledger.continue_run(run_id, **how)
        assert refused.value.hint  # type: ignore[attr-defined]
        assert before is None or everything(ledger, run_id) == before
    assert ledger.inputs.list(status=None).items == []
    live.complete().result()


def test_a_run_that_was_answered_is_not_begun_anew(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r") as run:
        asked = run.ask("Which?", state={"n": 1})
    ledger.answer(asked.id, "main")
    with pytest.raises(IllegalTransition, match="begun") as refused:
        ledger.start_run(run_id="r")
    assert "continue_run" in refused.value.hint
    with ledger.continue_run("r") as run:
        assert (run.state, run.answer) == ({"n": 1}, "main")


@pytest.mark.parametrize("damage", ["corrupt", "missing part", "missing"])
def test_a_checkpoint_that_is_damaged_is_said_to_be_and_nothing_changes(tmp_path: Path, damage: str) -> None:
    noise = os.urandom(6_000).hex()
    with runstone.open(tmp_path) as ledger:
        ledger.start_run(run_id="r").pause(state={"noise": noise})
    file = apsw.Connection(str(tmp_path / ".runstone" / "ledger.db"))
    if damage == "corrupt":
        file.execute("UPDATE blobs SET data = zeroblob(length(data)), codec = 0")
    elif damage == "missing part":
        file.execute("DELETE FROM blobs")
    else:
        file.execute("DELETE FROM places; DELETE FROM checkpoints")
    file.close()
    with runstone.open(tmp_path) as ledger:
        before = everything(ledger, "r")
        with pytest.raises(StoreCorrupt) as refused:
            ledger.continue_run("r", "go on")
        assert refused.value.hint
        assert everything(ledger, "r") == before
        assert texts(ledger, "r") == []


# --- a parent and its child ------------------------------------------------------------------------------------------


class Crew:
    """A parent whose child works, and then works on; `outcome` is what the child's first attempt does."""

    def __init__(self, calls: Calls, outcome: str = "completes") -> None:
        self.names, self.calls, self.outcome = Registry(), calls, outcome
        self.after: Any = None

        @self.names.agent("sub")
        async def sub(ctx: Any, input: Any) -> Any:
            calls(f"{ctx.attempt}: {ctx.message_in}")
            read = await ctx.step("read", lambda: calls("read") or "read")
            if ctx.message_in is None:
                await ctx.checkpoint({"seen": [input]})
                if self.outcome == "fails":
                    raise ValueError("the first file is not there")
                if self.outcome == "asks":
                    await ctx.ask("Which file?")
                if self.outcome == "parks":
                    await ctx.sleep(0.05)
                return {"id": ctx.run_id, "seen": ctx.state or [input], "read": read}
            if self.after is not None:
                await self.after(ctx)
            return {"seen": ctx.state["seen"], "told": ctx.message_in, "read": read}

        @self.names.workflow("lead")
        async def lead(ctx: Any, input: Any) -> Any:
            first = ctx.child("sub", "one")
            try:
                found: Any = await first
            except runstone.ChildFailed as error:
                found = error.details["status"]
            more = [await ctx.continue_child(first.run_id, text) for text in input]
            return [found if isinstance(found, str) else found["read"], *(one["told"] for one in more)]


@pytest.mark.parametrize("outcome", ["completes", "fails", "parks"])
def test_a_parent_continues_its_child_with_its_state_and_a_message(
    ledger: Ledger, calls: Calls, outcome: str
) -> None:
    crew = Crew(calls, outcome)
    run = runstone.run(
        "lead", ["go on with two", "and three"], ledger=ledger, run_id="r", registry=crew.names
    )
    first = "failed" if outcome == "fails" else "read"
    assert asyncio.run(run) == [first, "go on with two", "and three"]
    (child,) = ledger.list_runs(parent_id="r").items
    assert (child.status, child.parent_run_id, child.kind) == ("completed", "r", "workflow_child")
    assert texts(ledger, child.id) == ["go on with two", "and three"]
    assert calls.take()["read"] == 1, "its finished step was done again"
    assert [entry.kind for entry in ledger.journal("r")] == ["child", "continue", "continue"]
    told = Counter(event.type for event in ledger.events(child.id, limit=1_000))
    assert told["run.continued"] == 2
    assert told["run.reopened"] == (1 if outcome == "fails" else 2)
    assert ledger.care.verify() == []


def test_a_finished_continuation_is_not_done_again_and_each_call_gets_its_own_result(
    ledger: Ledger, calls: Calls
) -> None:
    crew, fail = Crew(calls), True

    @crew.names.workflow("lead-and-fail")
    async def lead_and_fail(ctx: Any, input: Any) -> Any:
        first = ctx.child("sub", "one")
        found = await first
        second = await ctx.continue_child(found["id"], "two")
        third = await ctx.continue_child(found["id"], "three")
        if fail:
            raise ValueError("after the continuations")
        return [found, second["told"], third["told"], first.run_id]

    with pytest.raises(runstone.RunFailed):
        asyncio.run(runstone.run("lead-and-fail", ledger=ledger, run_id="r", registry=crew.names))
    before = calls.take()
    assert before == Counter({"1: None": 1, "read": 1, "2: two": 1, "3: three": 1})
    fail = False
    found = asyncio.run(runstone.resume("r", ledger=ledger, registry=crew.names))
    assert found[0]["seen"] == ["one"]
    assert found[1:] == ["two", "three", found[0]["id"]]
    assert calls.take() == Counter()
    forked = runstone.fork("r", ledger=ledger)
    assert asyncio.run(runstone.resume(forked, ledger=ledger, registry=crew.names)) == found
    assert calls.take() == Counter()
    ledger.care.remove("r")
    again = runstone.fork(forked, ledger=ledger)
    assert asyncio.run(runstone.resume(again, ledger=ledger, registry=crew.names))[:3] == found[:3]
    assert ledger.care.verify() == []


def test_a_continuation_that_was_cut_off_goes_on_and_its_message_comes_once(
    ledger: Ledger, calls: Calls
) -> None:
    crew = Crew(calls)
    reached, blocked = asyncio.Event(), True

    async def wait(ctx: Any) -> None:
        if blocked:
            reached.set()
            await asyncio.Event().wait()

    crew.after = wait

    async def cut_off() -> None:
        run = asyncio.create_task(
            runstone.run("lead", ["two"], ledger=ledger, run_id="r", registry=crew.names)
        )
        await asyncio.wait_for(reached.wait(), 30)
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(cut_off())
    (child,) = ledger.list_runs(parent_id="r").items
    assert child.status == "interrupted"
    blocked = False
    assert asyncio.run(runstone.resume("r", ledger=ledger, registry=crew.names)) == ["read", "two"]
    assert calls.take() == Counter({"1: None": 1, "read": 1, "2: two": 1, "3: two": 1})
    assert texts(ledger, child.id) == ["two"]
    assert ledger.care.verify() == []


def test_a_child_that_asks_is_continued_without_the_answer(ledger: Ledger, calls: Calls) -> None:
    crew = Crew(calls, "asks")

    @crew.names.workflow("impatient")
    async def impatient(ctx: Any, input: Any) -> Any:
        first = ctx.child("sub", "one")
        await asyncio.to_thread(until, ledger, lambda: ledger.list_runs(status="awaiting_user").items)
        asked = ledger.inputs.list(run_id=first.run_id).items
        more = await ctx.continue_child(first.run_id, "take any")
        return [more["told"], (await first)["told"], ledger.inputs.get(asked[0].id).status]

    found = asyncio.run(runstone.run("impatient", ledger=ledger, run_id="r", registry=crew.names))
    assert found == ["take any", "take any", "withdrawn"]
    assert ledger.care.verify() == []


def test_what_a_parent_may_not_continue_changes_nothing(ledger: Ledger, calls: Calls) -> None:
    crew = Crew(calls)
    ledger.start_run(run_id="stranger", agent_id="sub").complete().result()
    told: dict[str, BaseException] = {}

    @crew.names.workflow("wrong")
    async def wrong(ctx: Any, input: Any) -> Any:
        found = await ctx.child("sub", "one")
        with ledger.start_run(run_id="own", agent_id="loop", parent=ctx.run_id):
            pass
        before = [everything(ledger, one) for one in ("stranger", found["id"], "own")]
        for name, child_id, how in (
            ("stranger", "stranger", {}),
            ("itself", ctx.run_id, {}),
            ("agent", found["id"], {"agent_id": "other"}),
            ("nobody", "nobody", {}),
            ("loop", "own", {}),
            ("empty", found["id"], {"message": " "}),
        ):
            try:
                await ctx.continue_child(child_id, **{"message": "go on", **how})
            except runstone.RunstoneError as error:
                told[name] = error
        assert [everything(ledger, one) for one in ("stranger", found["id"], "own")] == before
        return "done"

    assert asyncio.run(runstone.run("wrong", ledger=ledger, run_id="r", registry=crew.names)) == "done"
    assert {name: type(error) for name, error in told.items()} == {
        "stranger": NotAChild, "itself": NotAChild, "agent": RunMismatch, "nobody": NotFound, "loop": AgentNotFound,
        "empty": InvalidInput,
    }  # fmt: skip
    assert all(error.hint for error in told.values())  # type: ignore[attr-defined]
