"""Leases and who is alive: the heartbeat of this process, and the reconciling of runs whose owner is gone.

`Held` runs are kept by one thread, which a busy agent cannot starve: one write renews all of them. An owner that could
not renew until its leases expired stops itself first: it cancels its work before another process can take it.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from runstone.domain import codec
from runstone.domain.records import Command, Lease, ProcessRecord
from runstone.engine.core import Core
from runstone.engine.groups import GroupEnd, end_group
from runstone.engine.processes import ProcessIdentity, identify_self, is_alive
from runstone.errors import RunstoneError, StoreError
from runstone.store.writes.boards import MoveCommand
from runstone.store.writes.lifecycle import InterruptRun, Owner, RenewLeases, YieldRun

LEASE_S = 30.0
HEARTBEAT_S = 5.0

LostReason = str


class Held:
    """A run that this process owns. `lost` and `stop` are called at most once, from the heartbeat thread."""

    __slots__ = ("attempt", "lost", "run_id", "stop")

    def __init__(
        self,
        run_id: str,
        attempt: int,
        lost: Callable[[LostReason], None] | None,
        stop: Callable[[Command], None] | None,
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.lost = lost
        self.stop = stop


class Supervisor:
    """Keeps this process's leases. One per open ledger."""

    def __init__(self, core: Core, *, lease_s: float = LEASE_S, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.core = core
        self.identity = identify_self()
        worker = core.new_id()
        self.owner = Owner(
            worker, codec.encode({**msgspec.to_builtins(self.identity), "worker_id": worker}).decode(), int(lease_s * 1e6)
        )
        self.heartbeat_s = heartbeat_s
        self.lease_s = lease_s
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._renewed_at = core.clock.monotonic()
        self._seen: dict[str, tuple[int, float]] = {}

    # --- holding -------------------------------------------------------------------------------------------------

    def hold(
        self,
        run_id: str,
        attempt: int,
        lost: Callable[[LostReason], None] | None = None,
        stop: Callable[[Command], None] | None = None,
    ) -> Held:
        """Renews the run's lease from now on, until `release`, and tells of stop orders."""
        held = Held(run_id, attempt, lost, stop)
        with self._lock:
            if not self._held:
                self._renewed_at = self.core.clock.monotonic()
            self._held[run_id] = held
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._beat, name="runstone-heartbeat", daemon=True)
                self._thread.start()
        return held

    def release(self, held: Held) -> None:
        """Stops renewing; the lease itself ends with the attempt."""
        with self._lock:
            if self._held.get(held.run_id) is held:
                del self._held[held.run_id]

    def holds(self, run_id: str) -> bool:
        """Whether this process owns the run."""
        with self._lock:
            return run_id in self._held

    def _beat(self) -> None:
        number = self.core.signals.subscribe(None, self._wake.set)
        beat_at = 0.0
        try:
            while not self._stopped:
                now = self.core.clock.monotonic()
                if now >= beat_at:
                    beat_at = now + self.heartbeat_s
                    self.beat()
                    self.check_fences()
                self.check_commands()
                self._wake.wait(min(self.heartbeat_s, max(0.0, beat_at - self.core.clock.monotonic())))
                self._wake.clear()
        finally:
            self.core.signals.unsubscribe(number)

    def check_commands(self) -> None:
        """Tells owners in this process of stop orders that they have not seen."""
        with self._lock:
            held = dict(self._held)
        if not held:
            return
        for command in self.core.reader.open_commands():
            one = held.get(command.run_id)
            if one is None or command.status != "requested":
                continue
            self.core.submit(MoveCommand(command.id, "acknowledged"), []).result()
            stop, one.stop = one.stop, None
            if stop is not None:
                stop(command)

    def beat(self) -> None:
        """One heartbeat: renews, or gives up what could not be renewed in time."""
        with self._lock:
            if not self._held:
                self._renewed_at = self.core.clock.monotonic()
                return
        started = self.core.clock.monotonic()
        if self._renew():
            self._renewed_at = started
        elif self.core.clock.monotonic() - self._renewed_at >= self.lease_s - self.heartbeat_s:
            self._lose("the lease could not be renewed")

    def _renew(self) -> bool:
        """Whether the leases were renewed; until they expire there is time to try again."""
        try:
            self.core.submit(RenewLeases(self.owner), []).result(timeout=self.lease_s)
        except StoreError:
            return False
        return True

    def _lose(self, reason: LostReason) -> None:
        with self._lock:
            lost, self._held = list(self._held.values()), {}
        for held in lost:
            if held.lost is not None:
                held.lost(reason)

    def check_fences(self) -> None:
        """Tells owners of runs that were taken from this process (it was stopped for a while, or asleep)."""
        with self._lock:
            held = list(self._held.values())
        leases = {lease.run_id: lease for lease in self.core.reader.leases()} if held else {}
        for one in held:
            lease = leases.get(one.run_id)
            if lease is None or lease.owner != self.owner.owner or lease.attempt != one.attempt:
                self.release(one)
                if one.lost is not None:
                    one.lost("another owner has the run")

    def close(self, reason: str = "the ledger was closed") -> None:
        """Leaves what is still held interrupted, with the reason, and ends the thread."""
        self._stopped = True
        self._wake.set()
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for one in held:
            if one.lost is not None:
                one.lost(reason)
        for one in held:
            try:
                self.core.submit(YieldRun(one.run_id, one.attempt, reason), []).result()
            except RunstoneError:
                continue  # it ended, or was taken over, in this moment: then its row says so already
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)

    # --- judging others ------------------------------------------------------------------------------------------

    def reconcile(self) -> list[str]:
        """Marks the runs of dead owners interrupted. Gives the ids that changed. Safe in many processes at once.

        Dead is: proven by host, boot, PID namespace, pid and start; or expired, and this observer saw no renewal during
        one heartbeat of its own running time, so that a laptop that slept interrupts nothing that still lives.
        """
        judged: list[tuple[str, int, str, bool]] = []
        for lease in self.core.reader.leases():
            reason = self._death(lease)
            if reason is not None:
                judged.append((lease.run_id, lease.attempt, reason[0], reason[1]))
        for run_id, attempt in self.core.reader.rows("running_without_lease"):
            judged.append((run_id, attempt, "no lease", False))
        changed: list[str] = []
        for run_id, attempt, reason, expired in judged:
            changed += self.core.submit(InterruptRun(run_id, attempt, reason, lease_expired=expired), []).result()
        return changed

    def _death(self, lease: Lease) -> tuple[str, bool] | None:
        """(reason, whether it rests on expiry), or None for an owner that may live."""
        if lease.owner == self.owner.owner:
            return None
        identity = _identity(lease.identity)
        alive = None if identity is None else is_alive(identity, self.identity)
        if alive is False:
            assert identity is not None
            rebooted = identity.boot_id != self.identity.boot_id
            return ("the machine was restarted" if rebooted else f"process {identity.pid} is gone"), False
        expires = int(lease.expires_at.timestamp() * 1e6)
        if expires >= self.core.now():
            self._seen.pop(lease.run_id, None)
            return None
        return self._watch_expired(lease, expires)

    def _watch_expired(self, lease: Lease, expires: int) -> tuple[str, bool] | None:
        running = self.core.clock.monotonic()
        seen = self._seen.get(lease.run_id)
        if seen is None or seen[0] != expires:
            self._seen[lease.run_id] = (expires, running)
            return None
        if running - seen[1] < self.heartbeat_s:
            return None
        return f"no heartbeat since {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC", True

    def settle(self, run_id: str) -> None:
        """Waits, bounded by a heartbeat and a bit, until an expired lease of this run is judged."""
        self.reconcile()

    # --- what dead owners left running ---------------------------------------------------------------------------

    def end_orphans(self, run_id: str) -> list[tuple[ProcessRecord, GroupEnd]]:
        """Ends what is left of the process groups of a run's earlier attempts. Blocks; bounded by grace and kill."""
        ended = []
        for record in self.core.reader.processes(run_id):
            identity = _identity(record.identity)
            if record.ended_at is None and identity is not None:
                ended.append((record, end_group(identity)))
        return ended


def _identity(value: dict[str, Any]) -> ProcessIdentity | None:
    try:
        return msgspec.convert(value, ProcessIdentity)
    except msgspec.ValidationError:
        return None


def own_pid() -> int:
    """This process's number, for messages."""
    return os.getpid()
