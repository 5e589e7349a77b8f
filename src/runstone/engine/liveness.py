"""Which owners of leases are proven dead: readers ask, so that no killed run is shown running until its lease ends."""

import threading
from typing import Any, Final

import msgspec

from runstone.domain import codec
from runstone.domain.clock import Clock
from runstone.engine.processes import ProcessIdentity, is_alive
from runstone.store.reads import Reader

LOOK_S: Final = 0.25
"""So long an answer is used again; a list of runs asks for each page."""


def identity_of(value: dict[str, Any]) -> ProcessIdentity | None:
    """The process that a stored owner was, or None where it is no process of ours to judge."""
    try:
        return msgspec.convert(value, ProcessIdentity)
    except msgspec.ValidationError:
        return None


def is_forsaken(reader: Reader, run_id: str) -> bool:
    """Whether the process is proven gone that parked the run and was to begin what it waits for."""
    waits = reader.rows("waits_for_unbegun", run=reader.runs.pk(run_id), now=reader.now())
    if not waits[0][0]:
        return False
    identity = identity_of(reader.attempts.of(run_id)[-1].identity)
    return identity is not None and is_alive(identity) is False


CLIENT: Final = "client"
"""Marks the stored identity of an owner that renews through a server."""


def is_client(value: dict[str, Any]) -> bool:
    """Whether a stored owner renews through a server: while none answers, its silence says nothing of it."""
    return bool(value.get(CLIENT))


class DeadOwners:
    """Looks at the process of each owner that holds leases: a handful, however many runs there are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._dead: list[str] = []

    def __call__(self, reader: Reader) -> list[str]:
        """Ids of owners whose process is gone: proven by host, boot, PID namespace, pid and start."""
        with self._lock:
            now = self._clock.monotonic()
            if not 0 <= now - self._looked_at < LOOK_S:
                self._looked_at = now
                self._dead = [owner for owner, identity in reader.rows("lease_owners") if _is_dead(identity)]
            return self._dead


def _is_dead(identity_json: str) -> bool:
    identity = identity_of(codec.decode(identity_json))
    return identity is not None and is_alive(identity) is False
