"""The command center's files: for everybody, under the strict policy, compressed as built, and nothing beside them."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runstone.server import app
from tests.server.conftest import Running, serving

PAGE = "<!doctype html><title>Runstone</title>"
SCRIPT = "console.info('runstone');" * 100


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server with a built app of two files."""
    assets = tmp_path / "static" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("of nobody's business")
    (tmp_path / "static" / "index.html").write_text(PAGE)
    (assets / "index-abc.js").write_text(SCRIPT)
    (assets / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    monkeypatch.setattr(app, "STATIC", tmp_path / "static")
    with serving(tmp_path / "workspace") as running:
        yield running


@pytest.fixture
def anybody(built: Running) -> httpx.Client:
    """A client without a token."""
    return built.client(None)


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/0192-abc?tab=events&event=4", "/no/such/screen"])
def test_every_screen_is_answered_with_the_page_under_the_strict_policy(
    anybody: httpx.Client, path: str
) -> None:
    answer = anybody.get(path)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("br", None), ("gzip;q=0", None), ("gzip; q=0.5", "gzip"), ("", None)],
)
def test_a_file_is_sent_as_the_reader_takes_it(
    anybody: httpx.Client, accepted: str, encoding: str | None
) -> None:
    answer = anybody.get("/assets/index-abc.js", headers={"accept-encoding": accepted})
    assert answer.text == SCRIPT
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert (int(answer.headers["content-length"]) < 200) is (encoding is not None)


def test_a_reader_that_has_the_page_is_not_sent_it_again(anybody: httpx.Client) -> None:
    first = anybody.get("/")
    again = anybody.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert anybody.head("/").content == b""


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/../../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt", "//secret.txt"]
)  # fmt: skip
def test_no_other_file_is_reached(anybody: httpx.Client, path: str) -> None:
    url = httpx.URL(str(anybody.base_url)).copy_with(raw_path=path.encode())
    answer = anybody.get(url)
    assert answer.status_code == 404 or answer.text == PAGE
    assert "nobody's business" not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/meta", "/api/v1/stream", "/api/v1/none"])
def test_what_tells_of_the_ledger_still_needs_a_token(anybody: httpx.Client, path: str) -> None:
    assert anybody.get(path).status_code == 401
    assert anybody.post("/", json={}).status_code == 401


def test_without_a_built_app_the_page_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "STATIC", tmp_path / "nothing")
    with serving(tmp_path / "workspace") as running:
        answer = running.client(None).get("/runs")
        assert answer.status_code == 200
        assert "<pre>make web</pre>" in answer.text
        assert running.client("read").get("/api/v1/meta").status_code == 200
