"""The known attacks on servers of this kind, replayed on a real one. Each is refused; the first tests show that what is
refused would have worked otherwise."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.conftest import Running, serving
from tests.server.raw import Raw, exchange, read, request

RUNS = "/api/v1/runs"
CODES = "/api/v1/auth/codes"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a run."""
    with serving(tmp_path_factory.mktemp("target") / "workspace", max_body_bytes=20_000) as running:
        with running.ledger.start_run(run_id="secret-run", title="what nobody else may read"):
            pass
        yield running


def attack(target: Running, method: str = "GET", path: str = RUNS, body: bytes = b"", **headers: str) -> Raw:
    """A request with a token that may do everything, unless the attack says otherwise."""
    port = target.server.port
    sent = {"host": f"127.0.0.1:{port}", "authorization": f"Bearer {target.tokens['control']}", **headers}
    return exchange(
        port, request(method, path, body, **{name: value for name, value in sent.items() if value})
    )


def cookie_of(target: Running) -> str:
    """What a browser has after its person opened the server."""
    client = target.client()
    entered = client.get(client.post(CODES).json()["path"])
    return entered.headers["set-cookie"].partition(";")[0]


def assert_refused(answer: Raw, *statuses: int, code: str | None = None) -> None:
    assert answer.status in statuses, answer
    assert b"what nobody" not in answer.body
    assert "access-control-allow-origin" not in answer.headers
    if code is not None:
        assert json.loads(answer.body)["code"] == code


def test_the_same_request_without_an_attack_in_it_is_answered(target: Running) -> None:
    assert b"what nobody" in attack(target).body
    own = f"http://127.0.0.1:{target.server.port}"
    cookie = cookie_of(target)
    answer = attack(target, authorization="", cookie=cookie, origin=own, sec_fetch_site="same-origin")
    assert (answer.status, b"what nobody" in answer.body) == (200, True)
    made = attack(
        target, "POST", CODES, authorization="", cookie=cookie, origin=own, sec_fetch_site="same-origin"
    )
    assert made.status == 201


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_it_answers_to_its_own_names(target: Running, name: str) -> None:
    assert attack(target, host=f"{name}:{target.server.port}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}", "evil.example", "127.0.0.1", "127.0.0.1:1", "localhost:{port}.evil.example",
        "a/?x", "127.0.0.1:{port}/?x", "127.0.0.1:{port}@evil.example", "evil.example@127.0.0.1:{port}",
        "127.0.0.1.:{port}", "127.1:{port}", "0.0.0.0:{port}", "127.0.0.1:{port}#", "127.0.0.1:0{port}", "[::1]",
        "%6cocalhost:{port}", "localhost:{port}, evil.example", "localhost:", "[::ffff:127.0.0.1]:{port}", "\xffa",
    ],
)  # fmt: skip
def test_another_host_is_refused_however_it_is_written(target: Running, host: str) -> None:
    answer = attack(target, host=host.format(port=target.server.port))
    assert_refused(answer, 421, 400)


def test_no_host_and_two_hosts_are_refused(target: Running) -> None:
    port = target.server.port
    two = f"GET {RUNS} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    assert_refused(exchange(port, two.encode()), 400, 421)
    assert_refused(exchange(port, f"GET {RUNS} HTTP/1.1\r\nconnection: close\r\n\r\n".encode()), 400)
    assert_refused(exchange(port, f"GET {RUNS} HTTP/1.0\r\n\r\n".encode()), 421)


def test_an_absolute_target_does_not_replace_the_host(target: Running) -> None:
    assert_refused(attack(target, path=f"http://127.0.0.1:{target.server.port}{RUNS}"), 404)
    assert_refused(attack(target, path=f"http://evil.example{RUNS}", host="evil.example"), 421)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://localhost.evil",
    ],
)
def test_a_page_of_another_origin_is_refused(target: Running, method: str, origin: str) -> None:
    answer = attack(target, method, origin=origin.format(port=target.server.port))
    assert_refused(answer, 403, code="cross_site_refused")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
@pytest.mark.parametrize(("method", "path"), [("GET", RUNS), ("GET", "/api/v1/stream"), ("POST", CODES)])
def test_a_fetch_of_another_site_is_refused_for_reads_and_for_the_stream_too(
    target: Running, site: str, method: str, path: str
) -> None:
    for mode in ("no-cors", "navigate"):
        answer = attack(target, method, path, sec_fetch_site=site, sec_fetch_mode=mode)
        assert_refused(answer, 403, code="cross_site_refused")


def test_a_preflight_of_another_site_is_given_no_leave(target: Running) -> None:
    answer = attack(
        target, "OPTIONS", authorization="", origin="http://evil.example",
        access_control_request_method="POST", access_control_request_headers="authorization",
    )  # fmt: skip
    assert_refused(answer, 403)


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "", "text/json"],
)
def test_a_form_cannot_post(target: Running, kind: str) -> None:
    """What a page of any site can have a browser send without asking, even where nothing says where it comes from."""
    answer = attack(target, "POST", CODES, b'{"a": "="}', content_type=kind)
    assert_refused(answer, 415, code="media_type_refused")


def test_a_cookie_alone_changes_nothing(target: Running) -> None:
    """An old browser may say neither Origin nor Sec-Fetch-Site; a form of another site then looks like this."""
    cookie = cookie_of(target)
    for more in ({}, {"sec_fetch_site": "none", "sec_fetch_mode": "navigate"}):
        assert_refused(attack(target, "POST", CODES, authorization="", cookie=cookie, **more), 403)


def test_a_cookie_of_another_port_is_none_of_this_server(target: Running) -> None:
    name, _, text = cookie_of(target).partition("=")
    assert name == f"runstone_{target.server.port}"
    assert_refused(attack(target, authorization="", cookie=f"runstone_1={text}"), 401)


def test_a_cookie_is_no_token_and_a_token_no_cookie(target: Running) -> None:
    name, _, text = cookie_of(target).partition("=")
    assert_refused(attack(target, authorization=f"Bearer {text}"), 401)
    assert_refused(attack(target, authorization="", cookie=f"{name}={target.tokens['control']}"), 401)


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", "code", "key"])
def test_a_token_in_the_query_is_no_token(target: Running, name: str) -> None:
    path = f"{RUNS}?{name}={target.tokens['control']}"
    assert_refused(attack(target, path=path, authorization=""), 401, code="not_authenticated")
    assert_refused(attack(target, path=path), 400)


@pytest.mark.parametrize(
    "given", ["", "Basic dTpw", "Bearer", "Bearer ", "Bearer x", "Bearer rst_" + "a" * 43, "Bearer \xff"]
)
def test_without_a_valid_token_nothing_is_shown(target: Running, given: str) -> None:
    for path in (
        RUNS,
        f"{RUNS}/secret-run",
        "/api/v1/meta",
        "/openapi.json",
        "/api/v1/stream",
        *(("/", "/nothing") if given else ()),  # the app's own page is the same for everybody: test_web.py
    ):
        assert_refused(attack(target, path=path, authorization=given), 401, code="not_authenticated")


def test_websockets_are_not_spoken(target: Running) -> None:
    answer = attack(
        target, path="/api/v1/stream", authorization="", connection="upgrade", upgrade="websocket",
        sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==", sec_websocket_version="13", origin="http://evil.example",
    )  # fmt: skip
    assert_refused(answer, 403)


ODD_IDS = [
    "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fledger.db", "..%5c..%5cledger.db", "%00", "a%00b", "..", "%2e%2e",
    "....//....//etc/passwd", "%252e%252e%252fledger.db", "/etc/passwd", "%ff%fe", "a" * 4000,
    "%0d%0aset-cookie:%20x=y",
    "file:%2f%2f%2fetc%2fpasswd", "~root", "%c0%ae%c0%ae%2f", "' OR 1=1 --".replace(" ", "%20"),
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_IDS)
def test_no_id_is_a_path_a_statement_or_a_header(target: Running, odd: str) -> None:
    answer = attack(target, path=f"{RUNS}/{odd}")
    assert answer.status in (400, 404), answer
    assert b"root:" not in answer.body
    assert b"SQLite" not in answer.body
    assert "set-cookie" not in answer.headers


def test_a_body_of_two_lengths_is_refused(target: Running) -> None:
    answer = attack(
        target, "POST", CODES, b"2\r\n{}\r\n0\r\n\r\n", content_type="application/json", content_length="2",
        transfer_encoding="chunked",
    )  # fmt: skip
    assert_refused(answer, 400)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(target: Running) -> None:
    answer = attack(target, "POST", CODES, content_type="application/json", content_length="20001")
    assert_refused(answer, 413, code="request_too_large")


def test_headers_that_are_too_large_are_refused(target: Running) -> None:
    answer = attack(target, x_long="a" * 40_000)
    assert_refused(answer, 431, code="headers_too_large")


def test_every_answer_carries_the_headers_that_keep_a_browser_safe(target: Running) -> None:
    answers = [
        attack(target),
        attack(target, host="evil.example"),
        attack(target, path="/healthz"),
        attack(target, path="/assets/x"),
    ]
    for answer in answers:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def test_a_connection_that_sends_no_request_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path / "w", request_s=0.2) as running:
        for beginning in (b"", b"GET /healthz HTTP/1.1\r\nhost: "):
            with socket.create_connection(("127.0.0.1", running.server.port), 20) as idle:
                idle.sendall(beginning)
                assert idle.recv(100) == b""


def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path) -> None:
    with serving(tmp_path / "w", request_s=0.2) as running:
        head = {
            "host": f"127.0.0.1:{running.server.port}",
            "authorization": f"Bearer {running.tokens['control']}",
        }
        with socket.create_connection(("127.0.0.1", running.server.port), 20) as slow:
            sent = request(
                "PATCH", f"{RUNS}/r1", content_type="application/json", content_length="100", **head
            )
            slow.sendall(sent + b'{"title":')
            answer = read(slow)
    assert (answer.status, json.loads(answer.body)["code"]) == (408, "request_too_slow")


def test_more_connections_than_are_allowed_are_turned_away_and_the_others_live(tmp_path: Path) -> None:
    with serving(tmp_path / "w", max_connections=5) as running:
        address = ("127.0.0.1", running.server.port)
        ask = request("GET", "/healthz", host=f"127.0.0.1:{running.server.port}").replace(
            b"connection: close\r\n", b""
        )
        held = [socket.create_connection(address, 20) for _ in range(5)]
        try:
            for one in held:
                one.sendall(ask)
                assert read(one).status == 200
            with socket.create_connection(address, 20) as more:
                assert read(more).status == 503
            held[0].sendall(ask)
            assert read(held[0]).status == 200
        finally:
            for one in held:
                one.close()


def test_a_code_is_good_once_and_gives_a_cookie_that_scripts_and_other_sites_do_not_get(
    target: Running,
) -> None:
    client = target.client()
    given = client.post(CODES)
    assert (given.status_code, given.headers["cache-control"]) == (201, "no-store")
    path = given.json()["path"]
    entered = target.client(None).get(path)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    flags = {part.strip().lower() for part in entered.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    again = target.client(None).get(path)
    assert (again.status_code, again.json()["code"]) == (401, "not_authenticated")


def test_a_token_that_may_only_read_gets_no_code(target: Running) -> None:
    for role in ("read", "ingest"):
        answer = target.client(role).post(CODES)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


def test_a_proxy_cannot_be_pretended(target: Running) -> None:
    more: dict[str, Any] = {
        "x_forwarded_host": "evil.example",
        "x_forwarded_for": "10.0.0.1",
        "forwarded": "host=evil",
    }
    assert attack(target, **more).status == 200
    assert_refused(
        attack(target, host="evil.example", x_forwarded_host=f"127.0.0.1:{target.server.port}"), 421
    )


def test_what_is_refused_leaves_the_server_well(target: Running) -> None:
    assert httpx.get(f"{target.url}/healthz", trust_env=False).json() == {"status": "ok"}
    assert target.client("read").get("/readyz").status_code == 200
