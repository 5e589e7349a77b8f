"""Batches over HTTP: JSON and lines, answered item by item, with the role for it."""

import json
from typing import Any

import httpx
import pytest

from runstone.domain.ingest import MAX_ITEMS
from tests.server.conftest import Running

AT = "2026-03-01T02:00:00Z"
RUN = {"item": "run", "run_id": "r", "status": "running", "at": AT}
NDJSON = {"content-type": "application/x-ndjson"}


def outcomes(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one.get("code") or one["outcome"] for one in answer.json()["items"]]


def test_a_batch_is_taken_item_by_item_and_is_durable_when_answered(
    running: Running, http: httpx.Client
) -> None:
    batch = [RUN, {"item": "event", "run_id": "r", "type": "note.taken", "key": "k"}, {"item": "event"}, 7]
    answer = http.post("/api/v1/ingest", json=batch)
    assert outcomes(answer) == ["accepted", "accepted", "invalid_item", "invalid_item"]
    told = answer.json()
    assert (told["accepted"], told["refused"], told["repeated"], told["late"]) == (2, 2, 0, 0)
    assert told["as_of"] == running.ledger.cursor()
    assert [one["index"] for one in told["items"]] == [0, 1, 2, 3]
    assert told["items"][2]["hint"]
    again = http.post("/api/v1/ingest", json=batch)
    assert outcomes(again)[:2] == ["repeated", "repeated"]


def test_lines_are_items_and_a_broken_line_is_refused_by_itself(running: Running, http: httpx.Client) -> None:
    lines = [
        json.dumps(RUN).encode(),
        b"{broken",
        b"",
        b'{"item":"event","run_id":"r","type":"a.b"}',
    ]
    answer = http.post("/api/v1/ingest", content=b"\n".join(lines), headers=NDJSON)
    assert outcomes(answer) == ["accepted", "invalid_item", "accepted"]
    assert running.ledger.get_run("r").owner == "observed"


def test_events_of_one_run_need_no_more_than_their_type(running: Running, http: httpx.Client) -> None:
    http.post("/api/v1/ingest", json=[RUN])
    answer = http.post(
        "/api/v1/runs/r/events",
        json=[{"type": "note.taken", "payload": 1}, {"type": "a.b", "run_id": "other"}],
    )
    assert outcomes(answer) == ["accepted", "invalid_item"]
    assert running.ledger.events("r").items[-1].type == "note.taken"
    missing = http.post("/api/v1/runs/none/events", json=[{"type": "a.b"}])
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_the_idempotency_key_makes_a_batch_without_keys_repeatable(
    running: Running, http: httpx.Client
) -> None:
    batch = [
        RUN,
        {"item": "event", "run_id": "r", "type": "a.b"},
        {"item": "message", "run_id": "r", "role": "user", "text": "hi"},
    ]
    keyed = {"idempotency-key": "batch-1"}
    assert outcomes(http.post("/api/v1/ingest", json=batch, headers=keyed)) == ["accepted"] * 3
    assert outcomes(http.post("/api/v1/ingest", json=batch, headers=keyed)) == ["repeated"] * 3
    assert outcomes(http.post("/api/v1/ingest", json=batch[1:2])) == ["accepted"]


@pytest.mark.parametrize(
    "body", [b"", b"[", b'{"item"', b"\xff", b"[" * 2_000 + b"]" * 2_000, b'"text"', b"null"]
)
def test_a_body_that_is_no_batch_is_a_problem_or_refused_as_an_item(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/api/v1/ingest", content=body, headers={"content-type": "application/json"})
    if answer.status_code == 200:
        assert outcomes(answer) == ["invalid_item"]
    else:
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"


def test_more_items_than_a_batch_may_have_are_refused_as_a_whole(
    running: Running, http: httpx.Client
) -> None:
    lines = b"\n".join(
        [json.dumps(RUN).encode(), *[b'{"item":"event","run_id":"r","type":"a.b"}'] * MAX_ITEMS]
    )
    assert http.post("/api/v1/ingest", content=lines, headers=NDJSON).status_code == 400
    assert running.ledger.list_runs().items == []


@pytest.mark.parametrize(("role", "status"), [("read", 403), ("ingest", 200), ("control", 200)])
def test_reporting_takes_the_role_for_it(running: Running, role: str, status: int) -> None:
    client = running.client(role)
    assert client.post("/api/v1/ingest", json=[RUN]).status_code == status
    given: Any = client.post("/api/v1/runs/r/events", json=[]).status_code
    assert given == status
