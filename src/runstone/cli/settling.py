"""When nothing more can come of a run without anybody's doing."""

import time
from typing import Final

from runstone.background import is_background
from runstone.cli.living import living
from runstone.cli.progress import SETTLED
from runstone.domain.records import AgentRun
from runstone.ledger import Ledger

_HANDOVER_S: Final = 5.0
"""So long a command in the background that lost its watcher, and runs no more, is given to be taken over."""


class Settling:
    """Judges one look at a run after the other.

    A command in the background reads `interrupted` between two watchers. That passes: the command still runs, or its
    end is about to be told by the next watcher.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._since: float | None = None

    def over(self, run: AgentRun) -> bool:
        """Whether nothing more can come of it."""
        if run.status == "waiting" and self._ledger.inputs.awaited(run.id):
            return True
        if run.status != "interrupted" or not is_background(run):
            self._since = None
            return run.status in SETTLED
        unended = [one for one in self._ledger.processes(run.id) if one.ended_at is None]
        if living(unended):
            self._since = None
            return False
        now = time.monotonic()
        self._since = self._since or now
        return not unended or now - self._since > _HANDOVER_S
