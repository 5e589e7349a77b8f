"""Requests that no client of good manners sends, to every route: refused with a problem, and the server stays well."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.conftest import Running, crew, serving
from tests.server.raw import Raw, exchange, request

DOCUMENT = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json").read_text()
)
OPERATIONS = [
    (path, method.upper(), found)
    for path, methods in DOCUMENT["paths"].items()
    for method, found in methods.items()
]
WITH_BODY = [(path, method) for path, method, found in OPERATIONS if "requestBody" in found]
CHANGING = [(path, method, found["x-role"]) for path, method, found in OPERATIONS if method != "GET"]
WITH_IDS = [(path, method) for path, method, _ in OPERATIONS if "{" in path]
BODIES = {
    "deep list": b"[" * 100_000 + b"]" * 100_000,
    "deep without an end": b"[" * 100_000,
    "deep object": b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    "deep in a field": b'{"name": "echo", "response": ' + b"[" * 65 + b"]" * 65 + b"}",
    "open": b'{"name": ',
    "no JSON": b"name=echo",
    "empty": b"",
    "broken UTF-8": b'{"name": "\xff\xfe", "title": "\xc3\x28"}',
    "half a surrogate": b'{"name": "\\ud800", "title": "\\udfff", "text": "\\udc00", "verb": "\\ud800"}',
    "NUL": b'{"name": "a\\u0000b", "title": "\\u0000", "role": "\\u0000", "text": "\\u0000", "verb": "\\u0000"}',
    "wrong types": b'{"name": 1, "title": [], "labels": "x", "revision": "1", "response": 1e400, "verb": {}}',
    "a number": b"17",
    "a text": b'"text"',
    "null": b"null",
    "a list": b"[]",
    "huge number": b'{"revision": 99999999999999999999999999, "title": "x", "position": 1e308}',
    "twice": b'{"title": "a", "title": 1}',
    "unknown field": b'{"title": "a", "role": "u", "text": "t", "verb": "stop", "response": 1, "more": 1}',
}
ODD_IDS = [
    "..%2f..%2fetc%2fpasswd", "%2e%2e", "%00", "a%00b", "a" * 5_000, "%ff%fe", "%f0%9f%92%a9" * 60, "..%5cledger.db",
    "%0d%0aset-cookie:%20x=y", "'%20OR%201=1%20--", "-1", "9" * 400, "%ed%a0%80", "NaN", "%25252e", "%7b%7d", "~", "*",
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("broken") / "w", crew()) as running:
        run = running.ledger.start_run(run_id="r1", agent_id="echo")
        running.ledger.boards.create("b1")
        running.ledger.boards.add_card("b1", "Card", card_id="c1")
        yield running
        assert running.ledger.care.verify() == []
        assert run.run_id == "r1"  # held until here, so that its run went on


def send(
    server: Running, method: str, path: str, body: bytes = b"", role: str = "control", **headers: str
) -> Raw:
    port = server.server.port
    named = {"host": f"127.0.0.1:{port}", "authorization": f"Bearer {server.tokens[role]}", **headers}
    return exchange(port, request(method, path, body, **named))


def fill(path: str, value: str = "") -> str:
    for name, known in (
        ("run_id", "r1"),
        ("board_id", "b1"),
        ("card_id", "c1"),
        ("number", "1"),
        ("name", "echo"),
    ):
        path = path.replace(f"{{{name}}}", value or known)
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + (value or "x") + rest.partition("}")[2]
    return path


def assert_problem(answer: Raw) -> dict[str, Any]:
    assert 400 <= answer.status < 500, answer
    assert answer.headers["content-type"] == "application/problem+json", answer
    problem: dict[str, Any] = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert problem["code"]
    assert problem["detail"]
    assert "Traceback" not in answer.body.decode()
    return problem


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(("path", "method"), WITH_BODY)
def test_a_broken_body_is_refused_with_a_problem_or_fits_after_all(
    server: Running, path: str, method: str, name: str
) -> None:
    answer = send(server, method, fill(path), BODIES[name], content_type="application/json")
    assert answer.status < 500, answer
    if answer.status >= 300:
        assert_problem(answer)
    if name in (
        "deep list",
        "deep without an end",
        "deep object",
        "open",
        "no JSON",
        "broken UTF-8",
        "a number",
        "unknown field",
        "a list",
    ):
        assert answer.status in (400, 404), answer


@pytest.mark.parametrize("odd", ODD_IDS)
@pytest.mark.parametrize(("path", "method"), WITH_IDS)
def test_an_odd_id_is_refused_with_a_problem_everywhere(
    server: Running, path: str, method: str, odd: str
) -> None:
    body = b"{}" if method != "GET" else b""
    answer = send(server, method, fill(path, odd), body, content_type="application/json")
    assert answer.status < 500, answer
    assert b"root:" not in answer.body
    assert "set-cookie" not in answer.headers
    if answer.status >= 400:
        assert_problem(answer)
    else:  # an id that a list of somebody's things has nothing under
        assert method == "GET"


@pytest.mark.parametrize(("path", "method", "role"), CHANGING)
def test_a_lesser_role_changes_nothing_anywhere(server: Running, path: str, method: str, role: str) -> None:
    roles = ["read", "ingest", "control"]
    before = server.ledger.reader.events.last_position()
    for lesser in roles[: roles.index(role)]:
        answer = send(server, method, fill(path), b"{}", lesser, content_type="application/json")
        assert assert_problem(answer)["code"] == "role_missing"
    assert server.ledger.reader.events.last_position() == before


@pytest.mark.parametrize(("path", "method", "found"), [one for one in OPERATIONS if one[1] == "GET"])
def test_looking_has_no_effects(server: Running, path: str, method: str, found: dict[str, Any]) -> None:
    if path in ("/api/v1/stream", "/auth") or path.endswith("ag-ui"):
        return  # a stream does not end by itself, and a code is worth nothing after its use: tests of their own
    before = server.ledger.reader.events.last_position()
    send(server, method, fill(path))
    assert server.ledger.reader.events.last_position() == before
    assert server.ledger.get_run("r1").status == "running"


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.binary(max_size=300),
    st.sampled_from(WITH_BODY),
    st.sampled_from(["application/json", "application/x-ndjson", "a/b"]),
)
def test_bytes_as_a_body_never_break_the_server(
    server: Running, data: bytes, operation: tuple[str, str], kind: str
) -> None:
    answer = send(server, operation[1], fill(operation[0]), data, content_type=kind)
    assert answer.status < 500, answer


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_no_target_breaks_the_server(server: Running, target: str) -> None:
    answer = send(server, "GET", "/api/v1/" + target)
    assert 200 <= answer.status < 500, answer


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=200))
def test_no_bytes_on_a_connection_break_the_server(server: Running, data: bytes) -> None:
    answer = exchange(server.server.port, data + b"\r\n\r\n")
    assert answer.status in range(300, 500) or answer.status == 0, answer
    assert server.client(None).get("/healthz").status_code == 200
