"""Which processes of a run still live on this machine."""

from collections.abc import Iterable

from runstone.domain.records import ProcessRecord
from runstone.engine.groups import group_alive
from runstone.engine.liveness import identity_of


def living(processes: Iterable[ProcessRecord]) -> list[int]:
    """Numbers of the process groups of which something still runs. What this machine cannot see is left out."""
    found = []
    for one in processes:
        leader = identity_of(one.identity) if one.ended_at is None else None
        if leader is not None and group_alive(leader):
            found.append(one.pgid)
    return found
