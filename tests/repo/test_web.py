"""The web's stage cannot be green where it checked nothing on a machine that must check; its lock file is whole."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scripts import web

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("version", "enough"),
    [((20, 18), False), ((20, 19), True), ((21, 7), False), ((22, 11), False), ((22, 12), True), ((24, 0), True)],
)  # fmt: skip
def test_the_tools_run_on_these_versions_of_node(version: tuple[int, int], enough: bool) -> None:
    assert web.recent_enough(version) is enough


@pytest.mark.parametrize(("ci", "status", "last"), [("true", 1, "web: no Node.js"), ("", 0, "1 skipped in ")])
def test_without_node_the_stage_says_so_and_a_machine_that_must_check_fails(
    tmp_path: Path, ci: str, status: int, last: str
) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "CI": ci}
    command = [sys.executable, ROOT / "scripts/web.py", "check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stdout.splitlines()[-1].startswith(last)


def test_the_lock_file_names_a_digest_for_every_package_and_no_address() -> None:
    packages = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    fetched = {name: one for name, one in packages.items() if name and not one.get("inBundle")}
    assert fetched
    assert [name for name, one in fetched.items() if "resolved" in one or "integrity" not in one] == []


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_a_machine_without_a_browser_says_so_and_is_no_success_in_ci(
    ci: str, status: int, tmp_path: Path
) -> None:
    environment = {"PATH": str(tmp_path), "CI": ci}
    command = [sys.executable, ROOT / "scripts/chromium.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status
    assert done.stdout.startswith("chromium: none; the tests in a browser are skipped")


def test_the_web_asks_for_exact_versions() -> None:
    package = json.loads((ROOT / "web/package.json").read_text())
    asked = package["dependencies"] | package["devDependencies"]
    assert [name for name, version in asked.items() if not version.replace(".", "").isdigit()] == []


def test_one_build_runs_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wheels are made at the same time, by tests or by people, and each builds in the clone's folder."""
    began, end = threading.Event(), threading.Event()

    def build() -> None:
        began.set()
        assert end.wait(30)

    monkeypatch.setattr(web, "WEB", tmp_path)
    monkeypatch.setattr(web, "_build", build)
    one = threading.Thread(target=web.build)
    one.start()
    assert began.wait(30)
    with (tmp_path / "dist" / ".build.lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        end.set()
        one.join()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
