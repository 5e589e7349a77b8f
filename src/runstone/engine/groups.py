"""Ending what a command left running: its session, so its process group and every group made inside it.

A command is started as the leader of a session of its own, so its pid is the number of its group and session,
too. The kernel gives that number to nobody else while a process of the session lives. It follows that a
*different* process with this number proves that the session is gone.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Final, Literal, final

import msgspec

from runstone.domain.clock import Clock
from runstone.engine import process_table
from runstone.engine.process_table import Process
from runstone.engine.processes import ProcessIdentity, standing
from runstone.errors import ProcessesUnreadable
from runstone.store.clock import SystemClock

GRACE_S: Final = 5.0
KILL_WAIT_S: Final = 5.0
"""How long to wait for a killed process: one that hangs in the kernel (a dead disk, NFS) never goes."""
_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.1

Reason = Literal["other_host", "other_namespace", "unreadable", "own_group", "not_permitted", "unkillable"]


@final
class GroupEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How ending a group went. `ended`: by TERM; `killed`: by KILL; `refused`: something may live on."""

    outcome: Literal["already_gone", "ended", "killed", "refused"]
    reason: Reason | None = None
    survivors: tuple[int, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether nothing of the group runs any more."""
        return self.outcome != "refused"


def group_alive(leader: ProcessIdentity, observer: ProcessIdentity | None = None) -> bool | None:
    """Whether anything of the session that `leader` started still runs; None if this observer can't tell."""
    where = standing(leader, observer)
    if where != "visible":
        return False if where == "rebooted" else None
    try:
        return bool(_members(leader))
    except ProcessesUnreadable:
        return None


def end_group(
    leader: ProcessIdentity,
    *,
    grace_s: float = GRACE_S,
    clock: Clock | None = None,
    pause: Callable[[float], None] = time.sleep,
    observer: ProcessIdentity | None = None,
) -> GroupEnd:
    """TERM, wait up to `grace_s`, then KILL and wait; blocks, so an event loop calls it in a thread.

    Idempotent, bounded by `grace_s + KILL_WAIT_S`, and never raises for what it finds. `pause` lets the given
    seconds of `clock` pass between two looks.
    """
    where = standing(leader, observer)
    if where == "rebooted":
        return GroupEnd(outcome="already_gone")
    if where != "visible":
        return GroupEnd(outcome="refused", reason=where)
    try:
        return _Ending(leader, clock or SystemClock(), pause).run(grace_s)
    except ProcessesUnreadable:
        return GroupEnd(outcome="refused", reason="unreadable")


def _members(leader: ProcessIdentity) -> tuple[Process, ...]:
    """The living processes of the leader's session."""
    found: list[Process] = []
    for row in process_table.scan():
        if row.pid == leader.pid and row.start != leader.pid_start:
            return ()  # the number was given away, so the session ended before
        belongs = leader.pid in (row.session, row.pgid)
        # Nothing of the session is older than its leader; whatever is older is not ours to kill.
        if belongs and not row.dead and row.start >= leader.pid_start:
            found.append(row)
    return tuple(found)


@final
class _Ending:
    """One ending under way."""

    def __init__(self, leader: ProcessIdentity, clock: Clock, pause: Callable[[float], None]) -> None:
        self._leader = leader
        self._clock = clock
        self._pause = pause

    def run(self, grace_s: float) -> GroupEnd:
        members = _members(self._leader)
        if not members:
            return GroupEnd(outcome="already_gone")
        if any(row.pid == os.getpid() for row in members):
            return GroupEnd(outcome="refused", reason="own_group", survivors=(os.getpid(),))
        self._signal(members, signal.SIGTERM)
        # A stopped process holds its TERM back until it is continued.
        self._signal(members, signal.SIGCONT)
        if not self._watch(grace_s):
            return GroupEnd(outcome="ended")
        left = self._watch(KILL_WAIT_S, kill=True)
        if not left:
            return GroupEnd(outcome="killed")
        permitted = self._signal(left, signal.SIGKILL)
        survivors = tuple(row.pid for row in left)
        return GroupEnd(
            outcome="refused", reason="unkillable" if permitted else "not_permitted", survivors=survivors
        )

    def _watch(self, limit_s: float, *, kill: bool = False) -> tuple[Process, ...]:
        """What is left after at most `limit_s`. `kill` strikes at every look, as the rest may still fork."""
        deadline = self._clock.monotonic() + limit_s
        pause_s = _FIRST_PAUSE_S
        while members := _members(self._leader):
            if kill:
                self._signal(members, signal.SIGKILL)
            left_s = deadline - self._clock.monotonic()
            if left_s <= 0:
                return members
            self._pause(min(pause_s, left_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return ()

    @staticmethod
    def _signal(members: tuple[Process, ...], number: signal.Signals) -> bool:
        """Signal the groups of `members`; False if one may not be signalled."""
        permitted = True
        for pgid in {row.pgid for row in members} - {0, 1, os.getpgrp()}:
            try:
                os.killpg(pgid, number)
            except ProcessLookupError:
                continue  # gone since the look
            except PermissionError:
                # macOS also says this of a group of zombies; the next look tells.
                permitted = False
        return permitted
