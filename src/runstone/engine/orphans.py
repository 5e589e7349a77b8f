"""Before a new attempt: end what is left of the processes of the old one, and record that they are gone."""

from runstone.engine.ambient import COMMAND
from runstone.engine.core import Core
from runstone.engine.supervisor import Supervisor
from runstone.errors import OrphanAlive
from runstone.store.writes.journal import EndProcess


def end_orphans(core: Core, supervisor: Supervisor, run_id: str) -> None:
    """Ends process groups of attempts that nobody owns any more. Raises `OrphanAlive` where that cannot be known.

    Blocks up to the grace and kill times; event loops call it in a thread.
    """
    if core.reader.attempts.lease(run_id) is not None:
        return  # the attempt is open, though its lease may have run out: nobody has judged its owner yet
    for record, end in supervisor.end_orphans(run_id):
        if not end.gone:
            host = record.identity.get("host", "another host")
            raise OrphanAlive(
                f"process group {record.pgid} of attempt {record.attempt} of run {run_id} may still live on {host}: "
                f"{end.reason}",
                run_id=run_id,
                pgid=record.pgid,
            )
        core.submit(EndProcess(run_id, record.attempt, record.pgid, None, None), []).result()
    if COMMAND in core.reader.runs.get(run_id).options:
        from runstone.engine.background.leftovers import take_leftovers

        take_leftovers(core, run_id)
