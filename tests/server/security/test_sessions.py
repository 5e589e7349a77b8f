"""Sessions of browsers: how one ends, and how often one may guess."""

from pathlib import Path

import pytest

from runstone.errors import NotAuthenticated, TooManyRequests
from runstone.server.security.limits import MOST_WRONG
from runstone.server.security.sessions import Codes
from runstone.server.security.tokens import Tokens
from tests.server.conftest import Running


def test_a_session_that_is_ended_opens_nothing_any_more(running: Running) -> None:
    browser, same_site = running.client(None), {"origin": running.url, "sec-fetch-site": "same-origin"}
    browser.get(running.client().post("/api/v1/auth/codes").json()["path"])
    assert browser.get("/api/v1/runs").status_code == 200
    kept = dict(browser.cookies)
    assert browser.post("/api/v1/auth/logout").status_code == 403  # another site could have sent it
    left = browser.post("/api/v1/auth/logout", headers=same_site)
    assert (left.status_code, "Max-Age=0" in left.headers["set-cookie"]) == (204, True)
    assert dict(browser.cookies) == {}
    browser.cookies.update(kept)
    assert browser.get("/api/v1/runs").status_code == 401


def test_a_token_is_not_ended_as_a_session(running: Running) -> None:
    client = running.client("read")
    assert client.post("/api/v1/auth/logout").status_code == 400
    assert client.get("/api/v1/runs").status_code == 200


def test_wrong_codes_are_bounded_and_a_right_one_is_taken_all_the_same(tmp_path: Path) -> None:
    now = [0.0]
    codes = Codes(Tokens(tmp_path), clock=lambda: now[0])
    for guess in range(MOST_WRONG):
        with pytest.raises(NotAuthenticated):
            codes.swap(f"guess {guess}")
    with pytest.raises(TooManyRequests):
        codes.swap("one more")
    assert codes.swap(codes.give())
    now[0] += 61
    with pytest.raises(NotAuthenticated):
        codes.swap("one more")


def test_wrong_tokens_are_bounded_and_a_right_one_is_taken_all_the_same(running: Running) -> None:
    client = running.client(None)
    answers = [
        client.get("/api/v1/runs", headers={"authorization": f"Bearer guess-{n}"}).status_code
        for n in range(MOST_WRONG + 2)
    ]
    assert (answers[0], answers[-1]) == (401, 503)
    assert running.client("read").get("/api/v1/runs").status_code == 200
