"""A loop of one's own writes to a server as it does to a ledger in its process."""

import asyncio
import threading
from typing import Any

import httpx
import pytest

from runstone.errors import Fenced, InvalidEvent, RunMismatch
from runstone.store.writes.lifecycle import EndRun, Owner
from runstone.store.writes.spooled import KeepAlive
from tests.client.conftest import Connect
from tests.server.conftest import Running


def test_a_run_is_written_as_in_a_ledger_of_ones_own(running: Running, connect: Connect) -> None:
    remote = connect("ingest")
    with remote.start_run(
        agent_id="researcher",
        title="find it",
        prompt="look",
        input={"n": 1},
        labels={"a": "b"},
        run_id="own-1",
    ) as run:
        first = run.emit("tool.started", {"tool": "search", "call_id": "c1"})
        assert first.result()[0] > 1
        assert first.state == "acknowledged"
        run.emit_many([("tool.completed", {"call_id": "c1", "ok": True, "output_chars": 3, "elapsed_ms": 5})])
        assert (
            run.usage(provider="p", model="m", input_tokens=120, output_tokens=40, cost_usd="0.01").result()
            is True
        )
        assert run.message("assistant", "two matches " * 1000).result() == "own-1.thread#1"
        assert run.checkpoint({"messages": ["x" * 5000]}, label="one").result() == 1
        assert run.checkpoint(append={"messages": [{"a": None}]}).result() == 2
        run.update(title="found it")
        run.complete(summary="done", result={"answer": 42})
    ledger = running.ledger
    record = ledger.get_run("own-1")
    assert (record.status, record.title, record.summary, record.attempt) == (
        "completed",
        "found it",
        "done",
        1,
    )
    assert record.worker_thread_id == "own-1.thread"
    assert ledger.result("own-1") == {"answer": 42}
    assert ledger.input("own-1") == {"n": 1}
    assert ledger.prompt("own-1") == "look"
    assert ledger.checkpoints.state("own-1") == {"messages": ["x" * 5000, {"a": None}]}
    telemetry = ledger.telemetry("own-1")
    assert (telemetry.own.input_tokens, telemetry.tool_counts) == (120, {"search": 1})
    assert str(telemetry.own.cost_picousd) == "10000000000"
    assert ledger.threads.messages("own-1.thread").items[0].text == "two matches " * 1000
    assert ledger.care.verify() == []


def test_what_a_loop_raises_fails_its_run(running: Running, connect: Connect) -> None:
    with pytest.raises(ValueError, match="no"), connect().start_run(run_id="own-2"):
        raise ValueError("no")
    error = running.ledger.get_run("own-2").error
    assert error is not None
    assert (error["code"], error["message"]) == ("exception", "no")


def test_a_write_is_refused_at_once_or_in_its_receipt(running: Running, connect: Connect) -> None:
    remote = connect()
    run = remote.start_run(run_id="own-3")
    with pytest.raises(InvalidEvent):
        run.emit("run.completed", {})
    running.ledger.command("own-3", "stop")
    run.complete(result=1).result()
    late = run.emit("tool.started", {"tool": "t", "call_id": "c"})
    with pytest.raises(Fenced):
        late.result()
    assert late.state == "refused"


def test_a_failure_that_nobody_saw_is_raised_at_the_next_call(running: Running, connect: Connect) -> None:
    remote = connect()
    run = remote.start_run(run_id="own-4")
    run.complete()
    run.emit("late.came", {})
    with pytest.raises(Fenced):
        run.emit("late.came", {})
    remote.flush()


def test_a_run_of_the_same_id_must_be_the_same(connect: Connect) -> None:
    remote = connect()
    with remote.start_run(run_id="own-5", agent_id="a"):
        pass
    with pytest.raises(RunMismatch):
        remote.start_run(run_id="own-5", agent_id="b")


def test_an_awaited_receipt_is_settled_in_its_loop(connect: Connect) -> None:
    remote = connect()

    async def work() -> list[int]:
        async with remote.start_run(run_id="own-6") as run:
            receipts = [run.emit("crawl.made", {"n": n}) for n in range(200)]
            return [(await receipt)[0] for receipt in receipts]

    seqs = asyncio.run(work())
    assert seqs == list(range(seqs[0], seqs[0] + 200))


def test_orders_reach_the_loop(running: Running, connect: Connect) -> None:
    remote = connect()
    told = threading.Event()
    with remote.start_run(run_id="own-7") as run:
        run.listen(lost=lambda _: None, stop=lambda _: told.set(), pause=lambda _: told.set())
        running.ledger.command("own-7", "steer", "look left")
        running.ledger.command("own-7", "pause")
        assert told.wait(10)
        assert run.pausing
        assert run.steering() == ["look left"]
        assert run.steering() == []
        run.pause(state={"at": 3})
    assert running.ledger.get_run("own-7").status == "paused"
    told.clear()
    with remote.continue_run("own-7", "go on") as again:
        assert (again.attempt, again.state, again.message_in) == (2, {"at": 3}, "go on")
        again.listen(lost=lambda _: None, stop=lambda _: told.set())
        running.ledger.command("own-7", "stop")
        assert told.wait(10)
        assert again.stopping
    assert running.ledger.get_run("own-7").status == "cancelled"
    assert running.ledger.care.verify() == []


def test_a_continuation_whose_answer_was_lost_is_one_attempt(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = connect()
    with remote.start_run(run_id="own-11", cwd="/") as run:
        run.checkpoint({"at": 3})
        run.ask("Which?")
    send, lost = httpx.Client.send, list[str]()

    def losing(client: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        answer = send(client, request, **more)
        if request.url.path.endswith("/own-11/continue") and len(lost) < 2:
            lost.append(answer.text)
            raise httpx.ReadError("the connection broke")
        return answer

    monkeypatch.setattr(httpx.Client, "send", losing)
    with remote.continue_run("own-11", "go on") as again:
        assert (again.attempt, again.state, again.message_in, again.cwd) == (2, {"at": 3}, "go on", "/")
        assert [one.message for one in again.unanswered] == ["Which?"]
        again.checkpoint({"at": 4}).result()
        again.complete()
    assert len(lost) == 2
    assert lost[0] == lost[1]
    own = running.ledger
    assert (own.get_run("own-11").status, len(own.attempts("own-11"))) == ("completed", 2)
    said = [one for one in own.threads.messages("own-11.thread") if one.role == "user"]
    assert [one.text for one in said] == ["go on"]
    assert own.care.verify() == []


def test_a_lost_run_tells_its_loop(running: Running, connect: Connect) -> None:
    remote = connect()
    lost = threading.Event()
    run = remote.start_run(run_id="own-8")
    run.listen(lost=lambda _: lost.set(), stop=lambda _: None)
    running.ledger.core.submit(EndRun("own-8", None, "run.cancelled", {"reason": "by a person"}), []).result()
    assert lost.wait(10)
    assert run.stopping


def test_a_run_that_its_loop_has_left_stays_left(running: Running, connect: Connect) -> None:
    remote = connect()
    run = remote.start_run(run_id="own-10")
    run.interrupt("enough")
    with pytest.raises(Fenced):
        run.update(title="late").result()
    owner = running.ledger.attempts("own-10")[0]
    beat = KeepAlive(Owner(owner.owner, "{}", 30_000_000), [("own-10", 1)])
    assert running.ledger.core.submit(beat, []).result() == [None]
    record = running.ledger.get_run("own-10")
    assert (record.status, record.status_reason, record.attempt) == ("interrupted", "enough", 1)


def test_closing_leaves_open_runs_interrupted(running: Running, connect: Connect) -> None:
    remote = connect()
    run = remote.start_run(run_id="own-9")
    remote.close()
    assert run.stopping
    record = running.ledger.get_run("own-9")
    assert (record.status, record.status_reason) == ("interrupted", "the ledger was closed")
