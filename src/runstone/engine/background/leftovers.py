"""What commands of attempts that are over have printed, and nobody has taken into the ledger yet."""

from runstone.engine.background.folder import ExecFolder
from runstone.engine.background.intake import Intake
from runstone.engine.core import Core
from runstone.errors import RevisionConflict, RunIsLive


def take_leftovers(core: Core, run_id: str, *, attempt: int | None = None) -> None:
    """Takes over what lies in the run's spool files, and removes them. None of its commands may run any more.

    Without an `attempt` nobody may own the run; if somebody does, or takes it over meanwhile, it is left to him.
    """
    if core.folder is None:
        return
    exec_folder = ExecFolder(core.folder, run_id)
    for launch in exec_folder.launches():
        intake = Intake(core, exec_folder, run_id, attempt=attempt, launch=launch)
        try:
            intake.take_all()
        except (RunIsLive, RevisionConflict):
            if attempt is not None:
                raise
            return
        finally:
            intake.close()
        exec_folder.clear(launch)
