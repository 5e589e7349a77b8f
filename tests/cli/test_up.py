"""`up`, `open`, `down` and `token`: a workspace has one server, which says how to get in, and ends cleanly."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import runstone
from runstone.server import standing
from runstone.server.settings import PORT


class Terminal:
    """Runs commands in a workspace, and ends the server that one of them may have left."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".runstone"
        self.environment = {**os.environ, "RUNSTONE_STATE_DIR": str(root / "state"), "NO_COLOR": "1"}
        for name in ("RUNSTONE_WORKSPACE", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "RUNSTONE_URL"):
            self.environment.pop(name, None)

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "runstone", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *words: str, code: int = 0) -> tuple[str, str]:
        out, errors = (process := self.start(*words)).communicate(timeout=60)
        assert process.returncode == code, f"{out}\n{errors}"
        return out, errors

    def document(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json")[0])

    def get(self, url: str, **more: Any) -> httpx.Response:
        return httpx.get(url, trust_env=False, **more)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "work").mkdir()
    terminal = Terminal(tmp_path / "work")
    yield terminal
    terminal.run("down") if terminal.folder.exists() else None


def test_a_server_in_the_background_lets_a_browser_in_once(terminal: Terminal) -> None:
    told = terminal.document("up", "--detach", "--port", "0")
    url = told["url"]
    first = terminal.get(told["open_url"])
    assert first.status_code == 303
    cookie = first.headers["set-cookie"].partition(";")[0]
    page = terminal.get(f"{url}/", headers={"cookie": cookie})
    assert page.status_code == 200
    assert page.text.startswith("<!doctype html>")
    assert "<script>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert terminal.get(told["open_url"]).status_code == 401
    again = terminal.document("open", "--print")
    assert again["url"] == url
    assert terminal.get(again["open_url"]).status_code == 303
    log = (terminal.folder / "server" / "server.log").read_text()
    assert "code=" not in log
    assert "rst_" not in log


def test_a_workspace_has_one_server(terminal: Terminal) -> None:
    url = terminal.document("up", "--detach", "--port", "0")["url"]
    for more in ([], ["--detach"]):
        _, errors = terminal.run("up", "--port", "0", *more, code=1)
        assert f"a server of this workspace runs at {url}" in errors
        assert "runstone down" in errors
    terminal.run("down")
    assert standing.running(terminal.folder) is None
    _, errors = terminal.run("down")
    assert "no server of this workspace runs" in errors


def test_opening_takes_another_port_where_the_usual_one_is_taken(terminal: Terminal) -> None:
    with socket.socket() as other:
        with contextlib.suppress(OSError):  # it is taken by somebody else already
            other.bind(("127.0.0.1", PORT))
            other.listen()
        told = terminal.document("open", "--print")
        assert not told["url"].endswith(f":{PORT}")
        assert terminal.get(told["open_url"]).status_code == 303


def test_a_server_that_was_killed_leaves_its_place_to_the_next(terminal: Terminal) -> None:
    first = terminal.document("up", "--detach", "--port", "0")
    there = standing.running(terminal.folder)
    assert there is not None
    os.kill(there.pid, signal.SIGKILL)
    assert standing.until_ended(terminal.folder, 10)
    assert terminal.get(terminal.document("open", "--print")["open_url"]).status_code == 303
    assert first["url"]
    assert standing.running(terminal.folder) is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_in_the_foreground_ends_cleanly(terminal: Terminal, number: int) -> None:
    process = terminal.start("up", "--port", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Runstone serves")
    assert "/auth?code=" in process.stdout.readline()
    process.send_signal(number)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.strip().splitlines()[-1]) == (0, "the server has ended")
    assert "Traceback" not in out + errors
    assert not (terminal.folder / "server" / "server.json").exists()


def test_a_port_that_is_taken_is_named(terminal: Terminal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for more in ([], ["--detach"]):
            _, errors = terminal.run("up", "--port", str(port), *more, code=1)
            assert f"127.0.0.1:{port} cannot be listened on" in errors
    assert standing.running(terminal.folder) is None


def test_what_cannot_be_served_is_said_before_anything_is_made(terminal: Terminal) -> None:
    _, errors = terminal.run("up", "--dsn", "postgresql://localhost:1/x", code=1)
    assert "the database server cannot be reached" in errors
    _, errors = terminal.run("up", "--host", "0.0.0.0", code=2)
    assert "can be reached from other machines" in errors
    terminal.environment["PYTHONPATH"] = str(_without(terminal.root.parent, "uvicorn"))
    _, errors = terminal.run("up", code=1)
    assert "pip install 'runstone[server]'" in errors
    assert not terminal.folder.exists()


def _without(folder: Path, module: str) -> Path:
    """A folder that hides a module, as if it were not installed."""
    hidden = folder / "hidden"
    hidden.mkdir(exist_ok=True)
    text = f"raise ModuleNotFoundError('No module named {module}', name='{module}')\n"
    (hidden / f"{module}.py").write_text(text)
    return hidden


def test_tokens_are_made_listed_and_revoked(terminal: Terminal) -> None:
    url = terminal.document("up", "--detach", "--port", "0")["url"]
    made = terminal.document(
        "token", "create", "--role", "read", "--name", "for the board", "--expires", "1h"
    )
    headers = {"authorization": f"Bearer {made['token']}"}
    assert terminal.get(f"{url}/api/v1/meta", headers=headers).status_code == 200
    assert httpx.post(f"{url}/api/v1/auth/codes", headers=headers, trust_env=False).status_code == 403
    listed = terminal.document("token", "list")
    assert [(one["role"], one["name"]) for one in listed["items"]] == [
        ("control", "first"),
        ("read", "for the board"),
    ]
    assert made["token"] not in json.dumps(listed)
    terminal.run("token", "revoke", made["id"])
    assert [one["id"] for one in terminal.document("token", "list")["items"]] == [listed["items"][0]["id"]]
    _, errors = terminal.run("token", "revoke", made["id"], code=1)
    assert "runstone token list" in errors


def test_commands_need_neither_client_nor_server(terminal: Terminal) -> None:
    terminal.run("token", "list", code=1)
    _without(terminal.root.parent, "httpx")
    _without(terminal.root.parent, "litestar")
    terminal.environment["PYTHONPATH"] = str(_without(terminal.root.parent, "uvicorn"))
    terminal.environment["RUNSTONE_WORKSPACE"] = str(terminal.root)
    made = "import runstone; runstone.open().close()"
    subprocess.run([sys.executable, "-c", made], env=terminal.environment, check=True, timeout=30)
    _, told = terminal.run("runs", "list")
    assert "no runs yet" in told
    _, told = terminal.run("--url", "http://127.0.0.1:9", "inputs", "list", code=1)
    assert "pip install 'runstone[client]'" in told


def test_the_demo_is_not_put_among_runs_of_ones_own(terminal: Terminal) -> None:
    with runstone.open(terminal.root) as ledger, ledger.start_run(run_id="mine"):
        pass
    process = terminal.start("--workspace", str(terminal.root), "up", "--demo", "--port", "0")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "has runs of its own" in told
    assert "leave --workspace out" in told
    with runstone.open(terminal.root, readonly=True) as ledger:
        assert [run.id for run in ledger.list_runs().items] == ["mine"]
