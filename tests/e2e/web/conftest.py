"""The installed wheel's server in a process of its own, and a real Chromium that looks at it."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, Request, expect, sync_playwright

from scripts import chromium
from tests.e2e.web.installed import Installed, installed_once

WAIT_MS = 30_000
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
COUNT_REQUESTS = """window.inFlight = 0;
const ask = window.fetch;
window.fetch = (...asked) => {
  window.inFlight += 1;
  return ask(...asked).finally(() => { window.inFlight -= 1; });
};"""
"""How many questions of the page the server has not answered yet: until then it is not what it will be."""
CREW = Path(__file__).with_name("crew.py")


class Served:
    """`runstone up` over a workspace, which can be killed and started again on its port."""

    def __init__(self, root: Path, installed: Installed) -> None:
        root.mkdir(exist_ok=True)
        shutil.copy(CREW, root / "crew.py")
        (root / "runstone.toml").write_text('modules = ["crew"]\n')
        self.root = root
        self.command = installed.command
        self.port = 0
        self.start()

    def start(self) -> None:
        """Starts it; returns once it listens."""
        command = [self.command, "--workspace", str(self.root), "--json", "up", "--trust"]
        with (self.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, cwd=self.root, text=True,
            )  # fmt: skip
        told = self._told()
        self.url = told["url"]
        self.port = int(self.url.rpartition(":")[2])
        self.token = Path(told["token_file"]).read_text().strip()

    def _told(self) -> Any:
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            try:
                return json.loads(text)
            except ValueError:
                continue
        raise AssertionError((self.root / "server.log").read_text())

    def kill(self) -> None:
        """As a crash does: kill -9."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def open_gate(self) -> None:
        """Lets the agents that halt go on."""
        (self.root / "open").touch()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Asks it what a script would."""
        headers = {"authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30) as client:
            answer = client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def begin(self, name: str, input: Any, **more: Any) -> str:
        """The id of a run of that name, started."""
        return str(self.api("POST", "/api/v1/runs", {"name": name, "input": input, **more})["id"])

    def link(self) -> str:
        """Lets one browser in."""
        return f"{self.url}/auth?code={self.api('POST', '/api/v1/auth/codes')['code']}"


class Browsers:
    """Browsers, each with a profile of its own that outlives its windows; what they said and asked for is kept."""

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        self._playwright = playwright
        self._folder = folder
        self._open: list[BrowserContext] = []
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.paths: set[str] = set()
        """What was asked of the server."""
        self.pictures: set[str] = set()
        """Images, media and fonts that were loaded: the page has none, its icons are drawn."""
        self.may_be_away = False
        """Whether the server goes away in the test: the browser's own words on that are no fault."""

    def open(
        self, served: Served, path: str, *, profile: str = "first", script: str = "", **more: Any
    ) -> Page:
        """A page at the path, in a window of that profile."""
        folder = self._folder / profile
        known = folder.exists()
        more.setdefault("viewport", {"width": 1200, "height": 520})
        context = self._playwright.chromium.launch_persistent_context(
            str(folder), executable_path=chromium.find(), headless=True, args=FLAGS,
            chromium_sandbox=os.geteuid() != 0, **more,
        )  # fmt: skip
        self._open.append(context)
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(COUNT_REQUESTS)
        if script:
            context.add_init_script(script)
        page = context.pages[0]
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        if not known:
            page.goto(served.link())
        page.goto(f"{served.url}{path}")
        return page

    def _asked(self, request: Request) -> None:
        host, path = re.fullmatch(r"(?s)(\w+://[^/]*|\w+:)(.*)", request.url).groups()  # type: ignore[union-attr]
        self.hosts.add(host)
        self.paths.add(path)
        if request.resource_type in ("image", "media", "font"):
            self.pictures.add(request.url[:100])

    def _said(self, kind: str, text: str) -> None:
        if kind == "error" and not (self.may_be_away and "net::ERR_" in text):
            self.errors.append(text)

    def close(self) -> None:
        """Closes all windows."""
        while self._open:
            self._open.pop().close()


def not_here(missing: str) -> None:
    """Skips what can't be shown on this machine; where it must be, that fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this clone, installed once for all that run at the same time."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    installed = installed_once(shared / "installed")
    if not (installed.static / "index.html").exists():
        not_here("the command center is not in the wheel: it is built with Node.js")
    return installed


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    if chromium.find() is None:
        not_here("no Chromium: python scripts/chromium.py")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def served(tmp_path: Path, installed: Installed) -> Iterator[Served]:
    served = Served(tmp_path / "workspace", installed)
    yield served
    served.kill()


@pytest.fixture
def browsers(playwright: Playwright, served: Served, tmp_path: Path) -> Iterator[Browsers]:
    """Browsers; at the end none has complained, asked anybody but the server, or loaded an image."""
    browsers = Browsers(playwright, tmp_path / "profiles")
    yield browsers
    browsers.close()
    assert browsers.errors == []
    assert browsers.hosts <= {served.url}
    assert browsers.pictures == set()
