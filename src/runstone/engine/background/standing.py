"""How a background run stands when a watcher comes to it: what is to be done next."""

from typing import NamedTuple

from runstone.domain.records import AgentRun, ProcessRecord
from runstone.domain.runs import ENDED
from runstone.engine.background.folder import ExecFolder
from runstone.engine.core import Core
from runstone.engine.groups import group_alive
from runstone.engine.liveness import identity_of


class Over(NamedTuple):
    """Nothing is to be done any more, or not now."""

    run: AgentRun


class Busy(NamedTuple):
    """Somebody else has the run."""

    run: AgentRun


class Later(NamedTuple):
    """A restart is due at a time."""

    run: AgentRun


class Adopt(NamedTuple):
    """A command runs, or has ended in a way that was noted: it is gone on with."""

    process: ProcessRecord


class Begin(NamedTuple):
    """The command is started; processes of earlier attempts are gone or were never let through."""

    gone: list[ProcessRecord]


Standing = Over | Busy | Later | Adopt | Begin


def look(core: Core, run_id: str, folder: ExecFolder, kept: int | None) -> Standing:
    """How the run stands. `kept` is the attempt whose command the keeper of this watcher has started."""
    run = core.reader.runs.get(run_id)
    if run.status in ENDED or run.status in ("paused", "awaiting_user"):
        return Over(run)
    if run.status == "running" or core.reader.attempts.lease(run_id) is not None:
        return Busy(run)
    unended = [process for process in core.reader.attempts.processes(run_id) if process.ended_at is None]
    for process in reversed(unended):
        if process.attempt == kept or folder.exit_of(process.attempt) is not None:
            return Adopt(process)
        # One that lives and was not executed waits at the gate of another keeper, whom nobody can ask any more.
        if lives(process) is not False and folder.started(process.attempt):
            return Adopt(process)
    return Later(run) if run.status == "waiting" else Begin(unended)


def lives(process: ProcessRecord) -> bool | None:
    """Whether anything of the process's session runs; None where nobody here can tell."""
    identity = identity_of(process.identity)
    return None if identity is None else group_alive(identity)
