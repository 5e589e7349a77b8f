"""The web's checks (lint, types, tests, sizes) and its build, with Node.js; what runs without it is said, not hidden.

`npm ci` runs once for a lock file: its digest is written beside what it installed.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
INSTALLED = WEB / "node_modules" / ".runstone-lock"
STATIC = ROOT / "src" / "runstone" / "server" / "static"
BUILT_FROM = STATIC / ".built-from"
REPORT = WEB / "dist" / "tests.json"
LOWEST = ((20, 19), (22, 12))
"""The lowest versions of Node.js that the tools run on: 20 from .19 on, and 22 from .12 on."""


def node_version() -> tuple[int, int] | None:
    """The version of the Node.js on PATH, where npm is, too; None without them."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", printed)
    return (int(found[1]), int(found[2])) if found else None


def recent_enough(version: tuple[int, int]) -> bool:
    """Whether the tools run on that version."""
    return version >= LOWEST[1] or LOWEST[0] <= version < (21, 0)


def missing() -> str | None:
    """Why the web can't be checked or built here; None where it can."""
    version = node_version()
    if version is None:
        return "no Node.js with npm on PATH"
    if not recent_enough(version):
        return f"Node.js {version[0]}.{version[1]} is too old"
    return None


def run(command: Sequence[str]) -> None:
    """Runs a command in web/; its failure ends the program with its status."""
    print(f"$ {' '.join(command)}", flush=True)
    environment = os.environ if sys.stdout.isatty() else {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=WEB, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def install() -> None:
    """Installs what the lock file says, once for each lock file."""
    digest = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    if INSTALLED.exists() and INSTALLED.read_text() == digest:
        return
    run(["npm", "ci", "--no-progress", "--loglevel=error"])
    INSTALLED.write_text(digest)


def check() -> None:
    """Lint, types, tests and sizes; the last line counts the tests as pytest would, for the table of stages."""
    started = time.monotonic()
    install()
    run(["npm", "run", "--silent", "lint"])
    run(["npm", "run", "--silent", "typecheck"])
    run(["npm", "run", "--silent", "types:check"])
    REPORT.unlink(missing_ok=True)
    reporters = ["--reporter=default", "--reporter=json", f"--outputFile.json={REPORT}"]
    run(["npm", "run", "--silent", "test", "--", *reporters])
    build()
    run(
        [sys.executable, str(ROOT / "scripts" / "chromium.py")]
    )  # for what comes after: the tests in a browser
    told = json.loads(REPORT.read_text())
    skipped = told["numPendingTests"] + told["numTodoTests"]
    counts = f"{told['numPassedTests']} passed" + (f", {skipped} skipped" if skipped else "")
    print(f"{counts} in {time.monotonic() - started:.2f}s")


def build() -> None:
    """Builds the app and puts it where the server has it, unless what is there was built from these sources.

    One at a time: wheels that are made at the same time would build in the same folder.
    """
    (WEB / "dist").mkdir(exist_ok=True)
    with (WEB / "dist" / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _build()


def _build() -> None:
    digest = sources_digest()
    if BUILT_FROM.exists() and BUILT_FROM.read_text() == digest:
        print("web: the command center is built")
        return
    install()
    run(["npm", "run", "--silent", "build"])
    shutil.rmtree(STATIC, ignore_errors=True)
    shutil.copytree(WEB / "dist" / "app", STATIC, ignore=shutil.ignore_patterns(".vite"))
    BUILT_FROM.write_text(digest)


def sources_digest() -> str:
    """A digest of all that the built app depends on."""
    names = ("package.json", "package-lock.json", "vite.config.ts", "tsconfig.json")
    files = [WEB / name for name in names]
    files += [path for folder in ("src", "scripts") for path in (WEB / folder).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted(files):
        name = path.relative_to(WEB).as_posix()
        if ".test." not in name and "runtime/dist/" not in name:
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", choices=["check", "build"])
    task = parser.parse_args().task
    why = missing()
    if why is None:
        {"check": check, "build": build}[task]()
        return 0
    print(f"web: {why}; Node.js 20.19, 22.12 or newer is needed. Debian and Ubuntu: apt install nodejs npm")
    if task == "build" or os.environ.get("CI") == "true":
        return 1
    print("1 skipped in 0.00s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
