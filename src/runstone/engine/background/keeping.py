"""Who brings a command in the background on while nobody owns its run: its keeper, as long as that lives."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runstone.domain.records import AgentRun
from runstone.domain.runs import ENDED
from runstone.engine.ambient import COMMAND
from runstone.engine.background.folder import FOLDER, ExecFolder
from runstone.engine.core import Core
from runstone.store.writes.lifecycle import InterruptRun

_STARTING_S: Final = 5.0
"""So long a run is given, from its creation or its resume on, until its keeper is there."""

_REASONS: Final = {
    "pending": "its keeper is gone, and the command has not run",
    "waiting": "its keeper is gone, and nobody is left to start it again",
}


def stands_still(folder: Path | None, run: AgentRun, now: float) -> bool | None:
    """Whether nothing more comes of a command until somebody resumes it; None for a run that is no such command.

    Between two watchers a run reads `interrupted`: that passes, as its keeper starts the next one. `now` is in seconds
    UTC.
    """
    if folder is None or COMMAND not in run.options:
        return None
    if run.status == "running" or run.status in ENDED:
        return run.status in ENDED
    if run.status not in ("pending", "waiting", "interrupted"):
        return True
    kept = ExecFolder(folder, run.id).kept()
    if run.status == "interrupted":
        return not kept
    begun = run.status == "waiting" or now - run.updated_at.timestamp() > _STARTING_S
    return kept is False and begun


def unkept(core: Core) -> Iterator[InterruptRun]:
    """Verdicts on commands that wait to be started while nobody is left who would start them."""
    if core.folder is None or not (core.folder / FOLDER).is_dir():
        return
    for run_id, attempt in core.reader.rows("commands_to_start"):
        run = core.reader.runs.get(run_id)
        if (
            run.status in _REASONS
            and run.attempt == attempt
            and stands_still(core.folder, run, core.now() / 1e6)
        ):
            yield InterruptRun(run_id, attempt, _REASONS[run.status], status=run.status)
