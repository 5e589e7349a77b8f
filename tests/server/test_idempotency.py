"""A request that is sent again under its key has its effect once, whatever happens between."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import runstone
import runstone.commands
from runstone.store.writes import once
from runstone.store.writes.events import SaveThread
from runstone.store.writes.verbs import GiveOrders
from runstone.testing.clock import FakeClock
from tests.server.conftest import Running


def post(http: httpx.Client, path: str, body: Any, key: str = "k1") -> httpx.Response:
    return http.post(path, json=body, headers={"idempotency-key": key})


def test_a_repeat_is_answered_as_the_first_was_and_says_so(running: Running, http: httpx.Client) -> None:
    asked = {"name": "echo", "input": {"text": "a"}}
    first = post(http, "/api/v1/runs", asked)
    running.until(first.json()["id"], "completed")
    again = post(http, "/api/v1/runs", asked)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert len(http.get("/api/v1/runs").json()["items"]) == 1
    assert post(http, "/api/v1/runs", asked, "k2").json()["id"] != first.json()["id"]


def test_another_request_under_the_key_is_refused(http: httpx.Client) -> None:
    post(http, "/api/v1/threads", {"title": "a"})
    other = post(http, "/api/v1/threads", {"title": "b"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_a_key_is_its_tokens_own(running: Running) -> None:
    first = post(running.client(), "/api/v1/threads", {"title": "a"})
    _, text = running.server.parts.tokens.create("control", "other")
    other = httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {text}"}, trust_env=False)
    with other:
        second = post(other, "/api/v1/threads", {"title": "a"})
    assert second.json()["id"] != first.json()["id"]


def test_of_many_at_once_one_has_the_effect(running: Running, http: httpx.Client) -> None:
    http.post("/api/v1/threads", json={"id": "t1"})
    with ThreadPoolExecutor(8) as threads:
        sent = [
            threads.submit(post, http, "/api/v1/threads/t1/messages", {"role": "user", "text": "a"})
            for _ in range(24)
        ]
        answers = [one.result() for one in sent]
    assert {one.status_code for one in answers} == {201}
    assert len({one.content for one in answers}) == 1
    assert len(http.get("/api/v1/threads/t1/messages").json()["items"]) == 1
    assert running.ledger.care.verify() == []


def test_a_refused_request_keeps_nothing_so_that_it_may_succeed_later(
    running: Running, http: httpx.Client
) -> None:
    path = "/api/v1/runs/r1/commands"
    assert post(http, path, {"verb": "stop"}).status_code == 404
    run = running.ledger.start_run(run_id="r1")
    with run:
        run.complete()
    assert post(http, path, {"verb": "retry"}, "k3").status_code == 409
    assert running.ledger.reader.rows("kept_answer", scope="", key="k3", after=0) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/threads", {"title": "t"}),
        ("/api/v1/threads/t9/messages", {"role": "user", "text": "hello " * 3000}),
        ("/api/v1/boards", {"title": "b"}),
        ("/api/v1/boards/b1/cards", {"title": "c", "body": "long " * 3000}),
        ("/api/v1/runs", {"name": "echo", "input": {"text": "a"}}),
        ("/api/v1/runs/r1/commands", {"verb": "steer", "message": "left"}),
        ("/api/v1/runs/r1/fork", {"start": False}),
        ("/api/v1/inputs/{input}/answer", {"response": "x" * 9000}),
    ],
)
def test_every_post_that_has_an_effect_has_it_once(
    running: Running, http: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    ledger = running.ledger
    ledger.boards.create("b1")
    run = ledger.start_run(run_id="r1", agent_id="echo")
    ledger.inputs.ask("r1", "What?")
    path = path.replace("{input}", ledger.inputs.list().items[0].id)
    before = ledger.reader.events.last_position()
    first = post(http, path, body)
    assert first.status_code < 300, first.text
    after = ledger.reader.events.last_position()
    again = post(http, path, body)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(ledger.commands.list("r1")) == int("commands" in path)
    if "runs" not in path:  # what a run is told or begins with goes on by itself
        assert ledger.reader.events.last_position() == after >= before
    run.fail("enough")
    assert ledger.care.verify() == []


def test_a_key_is_forgotten_after_a_day(tmp_path: Any) -> None:
    clock = FakeClock()
    with runstone.open(tmp_path, clock=clock) as ledger:

        def give(name: str) -> Any:
            # Too long for a row, so that it has a blob, too.
            answer = once.Answer(status=201, body=b'"' + name.encode() * 3000 + b'"')
            key = once.Key(scope="s", key="k", fingerprint="f")
            return ledger.core.submit(
                once.Once(SaveThread(name, None), key, lambda *_: answer, clock=clock), []
            ).result()

        give("a")
        with pytest.raises(once.Answered):
            give("b")
        clock.advance(24 * 3600 + 1)
        assert give("c") is not None
        assert ledger.care.verify() == []


def test_a_repeat_stops_those_below_that_the_first_request_did_not_come_to(
    running: Running, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = running.ledger
    parent = ledger.start_run(run_id="p")
    children = [ledger.start_run(run_id=name, parent="p") for name in ("b", "c")]
    for run in (*children, parent):
        run.pause(state={}, reason="for a while")
    with monkeypatch.context() as dying:  # its server ends between two transactions of a wide tree

        def end(first: Any, below: Any) -> Any:
            if first is None:
                raise KeyboardInterrupt
            return GiveOrders(first, below)

        dying.setattr(runstone.commands, "_AT_ONCE", 1)
        dying.setattr(runstone.commands, "GiveOrders", end)
        with pytest.raises(httpx.HTTPError):
            post(http, "/api/v1/runs/p/commands", {"verb": "stop"}).raise_for_status()
    assert [ledger.get_run(name).status for name in ("p", "b", "c")] == ["cancelled", "cancelled", "paused"]
    again = post(http, "/api/v1/runs/p/commands", {"verb": "stop"})
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert [ledger.get_run(name).status for name in ("p", "b", "c")] == ["cancelled"] * 3


def test_a_repeat_of_an_order_of_the_past_stops_nothing_that_was_begun_since(
    running: Running, http: httpx.Client
) -> None:
    ledger = running.ledger
    ledger.start_run(run_id="p").pause(state={})
    assert post(http, "/api/v1/runs/p/commands", {"verb": "stop"}).status_code == 202
    ledger.command("p", "retry")
    with ledger.start_run(run_id="c", parent="p"):
        again = post(http, "/api/v1/runs/p/commands", {"verb": "stop"})
        assert again.headers["idempotent-replayed"] == "true"
        assert [order.verb for order in ledger.commands.list("c")] == []
    assert ledger.get_run("c").status == "completed"
