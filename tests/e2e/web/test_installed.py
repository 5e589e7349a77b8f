"""What the tests in a browser look at is the wheel's own: its program, its page and its parts."""

import base64
import csv
import hashlib
import subprocess
from pathlib import Path

import httpx
from playwright.sync_api import expect

from tests.e2e.web.conftest import Browsers, Served
from tests.e2e.web.installed import Installed


def recorded(installed: Installed) -> dict[str, str]:
    """The digests that the wheel's installation wrote down, by file."""
    (record,) = installed.package.parent.glob("runstone-*.dist-info/RECORD")
    with record.open(newline="") as lines:
        return {name: digest for name, digest, _ in csv.reader(lines)}


def digest_of(body: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def test_every_file_of_the_page_is_the_installed_wheels(
    installed: Installed, served: Served, browsers: Browsers
) -> None:
    page = browsers.open(served, "/")
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    page.goto(f"{served.url}/runs")
    expect(page.get_by_text("No runs yet.")).to_be_visible()
    parts = [path for path in browsers.paths if path.startswith("/assets/")]
    assert any(path.endswith(".js") for path in parts)
    assert any(path.endswith(".css") for path in parts)
    known = recorded(installed)
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        for path in ("/", *parts):
            name = f"runstone/server/static{'/index.html' if path == '/' else path}"
            assert digest_of(client.get(path).content) == known[name], name


def test_the_server_runs_nothing_of_the_sources(installed: Installed, tmp_path: Path) -> None:
    code = "import runstone, runstone.server.web as web; print(runstone.__file__, web.STATIC, sep='\\n')"
    told = subprocess.run(
        [installed.folder / "bin" / "python", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    ).stdout.splitlines()  # fmt: skip
    assert told == [str(installed.package / "__init__.py"), str(installed.static)]
