"""Starting a background command: its folder, its keeper, and waiting until it runs."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Final

from runstone.domain.runs import ENDED
from runstone.engine.ambient import DSN, RUN_ID, started_for
from runstone.engine.background import keeper
from runstone.engine.background.folder import ExecFolder
from runstone.engine.core import Core
from runstone.errors import CommandError

DESCRIPTOR: Final = "RUNSTONE_FD"
WATCHER: Final = "runstone.watching"
_KEEPER_S: Final = 30.0
_LOOK_S: Final = 0.01


def environment_of(environ: Mapping[str, str], run_id: str, core: Core) -> dict[str, str]:
    """What a command gets besides its own environment: who it is, and where it reports to.

    It is kept in a file, so a shared ledger's DSN is not in it: the keeper has that in its own environment.
    """
    return {**started_for(run_id, str(core.root), None, environ), DESCRIPTOR: "3"}


def watcher_command(workspace: str, run_id: str) -> list[str]:
    """The command that starts a watcher. Not from the current folder: nothing there shall choose the modules."""
    return [sys.executable, "-P", "-m", WATCHER, workspace, run_id]


def start_keeper(folder: ExecFolder, dsn: str | None = None) -> None:
    """Starts a keeper, which outlives this process. Raises `CommandError` if there can be none.

    A shared ledger's DSN goes to its watchers and to the command by the environment, which other users cannot see.
    """
    hidden = (RUN_ID, DESCRIPTOR, DSN)
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    if dsn is not None:
        environ[DSN] = dsn
    if paths := environ.get("PYTHONPATH"):  # it runs in another folder
        environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in paths.split(os.pathsep))
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", keeper.__file__, str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=environ,
            timeout=_KEEPER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"the keeper of the command cannot be started: {error}") from error
    if done.returncode != 0:
        raise CommandError(f"the keeper of the command ended at once, with exit code {done.returncode}")


def wait_started(core: Core, folder: ExecFolder, run_id: str, *, after: int, wait_s: float) -> None:
    """Until a command of the run was executed or adopted in an attempt after `after`, or has ended; at most so long."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        run = core.reader.runs.get(run_id)
        if run.status in ENDED or (run.attempt > after and run.status != "running"):
            return
        unended = [process for process in core.reader.attempts.processes(run_id) if process.ended_at is None]
        if run.attempt > after and any(folder.started(process.attempt) for process in unended):
            return
        time.sleep(_LOOK_S)
