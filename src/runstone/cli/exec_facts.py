"""What is recorded of the place in which a command was started: environment, git, machine and user."""

import getpass
import os
import subprocess
from collections.abc import Mapping
from typing import Any, Final

from runstone.domain.redaction import Redactor
from runstone.engine import process_table

_GIT_S: Final = 2.0
"""A repository that takes longer to look at is recorded without its state: starting a command must not wait."""


def facts_of(cwd: str, environment: Mapping[str, str], redactor: Redactor) -> dict[str, Any]:
    """What is worth knowing of where a command runs. No secret is in it, and what cannot be found is None."""
    told = {_text(name): _text(value) for name, value in sorted(environment.items())}
    return {
        "environment": redactor.environment(told),
        "git": git_state(cwd),
        "host": process_table.host(),
        "user": _user(),
    }


def git_state(cwd: str) -> dict[str, Any] | None:
    """Commit, branch and whether something is uncommitted; None outside a repository, or without git."""
    # Neither may a look take a lock that the user's own git waits for, nor may a folder have code run by it.
    command = ["git", "-C", cwd, "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else parse_status(done.stdout.decode("utf-8", "replace"))


def parse_status(text: str) -> dict[str, Any]:
    """Reads `git status --porcelain=v2 --branch` (its documentation: git-status(1), Porcelain Format Version 2)."""
    lines = text.splitlines()
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch.") and " " in line[2:])
    commit, branch = heads.get("branch.oid"), heads.get("branch.head")
    return {
        "commit": None if commit == "(initial)" else commit,
        "branch": None if branch == "(detached)" else branch,
        "dirty": any(line and not line.startswith("#") for line in lines),
    }


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as in some containers
        return str(os.getuid())


def _text(value: str) -> str:
    """As the ledger can keep it: bytes that are no UTF-8 are replaced."""
    return os.fsencode(value).decode("utf-8", "replace").replace("\0", "\ufffd")
