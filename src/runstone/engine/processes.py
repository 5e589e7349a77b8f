"""Which process is meant, and whether it is proven dead. A pid alone says neither: numbers are used again."""

import os
from functools import lru_cache
from typing import Literal

import msgspec

from runstone.engine import process_table
from runstone.errors import ProcessesUnreadable

Standing = Literal["visible", "rebooted", "other_host", "other_namespace", "unreadable"]


class ProcessIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One process, told apart from every other one before and after it, on this and other machines."""

    host: str
    boot_id: str
    pid_namespace: str | None
    """None: the process could not see its own PID namespace, so nobody can prove anything about it."""
    pid: int
    pid_start: int
    """The exact start, in the unit of the platform (`process_table.Process.start`); only ever compared."""


def identify_self() -> ProcessIdentity:
    """This process. Never raises: where processes can't be read, `pid_namespace` is None."""
    return _identify_self(os.getpid())


@lru_cache(maxsize=1)
def _identify_self(pid: int) -> ProcessIdentity:  # by pid, because a forked child keeps the cache
    try:
        row = process_table.read(pid)
    except ProcessesUnreadable:
        row = None
    return _identity(pid, row.start if row is not None else 0)


def identify(pid: int) -> ProcessIdentity | None:
    """The process that has this number now, or None. Raises ProcessesUnreadable."""
    row = process_table.read(pid)
    return _identity(pid, row.start) if row is not None else None


def is_alive(identity: ProcessIdentity, observer: ProcessIdentity | None = None) -> bool | None:
    """True: it runs. False: it is proven dead. None: this observer (by default this process) can't tell.

    Proof of death needs the same host, boot and PID namespace, and no process with that pid and start, or its
    zombie; or the same machine, started anew since.
    """
    where = standing(identity, observer)
    if where != "visible":
        return False if where == "rebooted" else None
    try:
        row = process_table.read(identity.pid)
    except ProcessesUnreadable:
        return None
    return row is not None and row.start == identity.pid_start and not row.dead


def standing(identity: ProcessIdentity, observer: ProcessIdentity | None = None) -> Standing:
    """How `observer` stands to that process: only `visible` and `rebooted` allow a judgement."""
    observer = observer or identify_self()
    if identity.host != observer.host:
        return "other_host"
    if identity.boot_id != observer.boot_id:
        machines = (identity.pid_namespace, observer.pid_namespace)
        return "rebooted" if all(map(process_table.ends_with_the_boot, machines)) else "other_host"
    if identity.pid_namespace is None or observer.pid_namespace is None:
        return "unreadable"
    return "visible" if identity.pid_namespace == observer.pid_namespace else "other_namespace"


def _identity(pid: int, start: int) -> ProcessIdentity:
    return ProcessIdentity(
        host=process_table.host(),
        boot_id=process_table.boot_id(),
        pid_namespace=process_table.pid_namespace(),
        pid=pid,
        pid_start=start,
    )
