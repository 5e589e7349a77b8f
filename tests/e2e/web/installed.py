"""Runstone as a person has it: a wheel built from this clone, installed into an environment of its own.

What it depends on is the tests' own; of this clone's sources nothing can be imported there.
"""

import fcntl
import os
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 100


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    folder: Path

    @property
    def command(self) -> str:
        """The `runstone` that it was given."""
        return str(self.folder / "bin" / "runstone")

    @property
    def package(self) -> Path:
        (site_packages,) = self.folder.glob("lib/python*/site-packages")
        return site_packages / "runstone"

    @property
    def static(self) -> Path:
        """The command center's files."""
        return self.package / "server" / "static"


def installed_once(folder: Path) -> Installed:
    """The environment in the folder, made by whoever comes first; the others wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder / "ready"
        if not ready.exists():
            _install(folder)
            ready.touch()
    return Installed(folder / "venv")


def _install(folder: Path) -> None:
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder / "venv")])
    _pip(["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("runstone-*.whl")
    _pip(["--python", str(folder / "venv"), "install", "--no-deps", "--no-index", "--no-compile", str(wheel)])
    # A path file of a directory that a path file names is not read: the tests' own sources stay out.
    (Installed(folder / "venv").package.parent / "dependencies.pth").write_text(
        "\n".join(site.getsitepackages()) + "\n"
    )


def _pip(arguments: list[str]) -> None:
    _run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments])


def _run(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, timeout=LIMIT_S, cwd=ROOT, env=environment)
