"""Following one command to its end: its output goes into the ledger, orders and its time limit are carried out."""

import threading
import time
from contextlib import suppress
from typing import Final

from runstone.domain.records import ProcessRecord
from runstone.engine.background.channel import Channel
from runstone.engine.background.folder import ExecFolder, Exit
from runstone.engine.background.intake import Intake
from runstone.engine.background.replies import Replies
from runstone.engine.commands import DRAIN_S
from runstone.engine.groups import GroupEnd, end_group, group_alive
from runstone.engine.handle import RunHandle
from runstone.engine.processes import ProcessIdentity, is_alive
from runstone.errors import StoreError

BUSY_S: Final = 0.015
SILENT_S: Final = 0.2
"""How often the spool files are looked at: soon after something was printed, rarely in silence."""

_RECORD_S: Final = 2.0
"""So long a record is waited for that may come from a keeper of which nobody knows whether it lives."""

_TROUBLE_S: Final = 1.0
"""Before the ledger is tried again; the command and its spool files are not in a hurry."""


class Followed:
    """What came of a command: how it ended (None: nobody saw it), and whether its time was over."""

    def __init__(self, end: Exit | None, timed_out: bool) -> None:
        self.end = end
        self.timed_out = timed_out


class Follow:
    """One command under way. `ours`: it is a child of the keeper that this watcher talks with."""

    def __init__(
        self,
        handle: RunHandle,
        intake: Intake,
        process: ProcessRecord,
        leader: ProcessIdentity,
        *,
        channel: Channel,
        folder: ExecFolder,
        ours: bool,
        timeout_s: float | None,
        replies: Replies,
    ) -> None:
        self._handle = handle
        self._intake = intake
        self._launch = process.attempt
        self._replies = replies
        self._leader = leader
        self._channel = channel
        self._folder = folder
        self._ours = ours
        self._started_at = process.started_at.timestamp()
        self._timeout_s = timeout_s
        self._lost = False
        self._timed_out = False
        self._ending: threading.Thread | None = None
        self._group: GroupEnd | None = None

    def run(self) -> Followed | None:
        """To the command's end; None if another owner has the run. All that it printed is in the ledger then."""
        self._handle.listen(lost=self._on_lost, stop=lambda _: self._channel.ring())
        pause_s = BUSY_S
        while not self._lost:
            taken = self._take()
            self._carry_out()
            ended, end = self._look()
            if ended:
                self._end_the_rest()
                self._take_the_rest()
                return None if self._lost else Followed(end, self._was_late(end))
            pause_s = BUSY_S if taken else min(SILENT_S, pause_s * 1.5)
            self._channel.wait(pause_s)
        return None

    def _on_lost(self, _reason: str) -> None:
        self._lost = True
        self._channel.ring()

    def _take(self) -> int:
        """Takes over what was printed; in trouble with the ledger it stays in the spool files."""
        try:
            taken = self._intake.take()
            self._intake.warn()
            self._replies.tell()
            return taken
        except StoreError:
            self._channel.wait(_TROUBLE_S)
            return 0

    def _carry_out(self) -> None:
        """Ends the command when it was ordered, or its time is over."""
        if self._ending is not None:
            return
        if self._timeout_s is not None and time.time() >= self._started_at + self._timeout_s:
            self._timed_out = not self._handle.stop_ordered
        if self._timed_out or self._handle.stop_ordered:
            self._end_group()

    def _end_group(self) -> None:
        """TERM, grace, KILL of the whole session, in a thread: its last lines are taken over meanwhile."""

        def work() -> None:
            self._group = end_group(self._leader)
            self._channel.ring()

        self._ending = threading.Thread(target=work, name="runstone-end")
        self._ending.start()

    def _look(self) -> tuple[bool, Exit | None]:
        """Whether the command has ended, and how; None where nobody will say."""
        end = self._folder.exit_of(self._launch)
        if end is not None:
            return True, end
        if (self._ours and self._channel.open) or is_alive(self._leader) is not False:
            return False, None
        deadline = time.monotonic() + _RECORD_S
        while end is None and time.monotonic() < deadline:
            self._channel.wait(BUSY_S)
            end = self._folder.exit_of(self._launch)
        return True, end

    def _end_the_rest(self) -> None:
        """Ends what of the session the command left running, after it had a moment to finish its last lines."""
        deadline = time.monotonic() + DRAIN_S
        while group_alive(self._leader) and time.monotonic() < deadline and self._ending is None:
            self._take()
            self._channel.wait(BUSY_S)
        if self._ending is None and group_alive(self._leader):
            self._end_group()
        while self._ending is not None and self._ending.is_alive() and not self._lost:
            self._take()
            self._channel.wait(BUSY_S)

    def _take_the_rest(self) -> None:
        while not self._lost:
            with suppress(StoreError):
                self._intake.take_all()
                return
            self._channel.wait(_TROUBLE_S)

    def _was_late(self, end: Exit | None) -> bool:
        """Whether it was ended because its time was over, by this watcher or by one before it."""
        if self._timed_out or self._timeout_s is None or end is None or end.ended_at is None:
            return self._timed_out
        late = end.ended_at >= self._started_at + self._timeout_s
        return late and end.signal is not None and not self._handle.stop_ordered
