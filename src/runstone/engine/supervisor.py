"""Leases and who is alive: the heartbeat of this process, and the reconciling of runs whose owner is gone.

`Held` runs are kept by one thread, which a busy agent cannot starve: one write renews all of them. An owner that could
not renew until its leases expired stops itself first: it cancels its work before another process can take it.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from runstone.domain import codec, observed
from runstone.domain.records import Command, Lease, ProcessRecord
from runstone.domain.runs import GONE, REBOOTED, SILENT
from runstone.engine.core import Core
from runstone.engine.groups import GroupEnd, end_group, group_alive
from runstone.engine.liveness import identity_of, is_client
from runstone.engine.ports import Held
from runstone.engine.processes import ProcessIdentity, identify_self, is_alive
from runstone.errors import RunstoneError, StoreError
from runstone.store.writes.boards import CarryOutStop, MoveCommand
from runstone.store.writes.inputs import ExpireInputs
from runstone.store.writes.lifecycle import InterruptRun, Owner, RenewLeases, YieldRun

LEASE_S = 30.0
HEARTBEAT_S = 5.0

_SETTLE_S = 5.0
"""What a busy machine may add to the heartbeat that `settle` waits for; an owner that lives renews long before."""

LostReason = str


class Supervisor:
    """Keeps this process's leases. One per open ledger."""

    def __init__(self, core: Core, *, lease_s: float = LEASE_S, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.core = core
        self.identity = identify_self()
        worker = core.new_id()
        self.owner = Owner(
            worker,
            codec.encode({**msgspec.to_builtins(self.identity), "worker_id": worker}).decode(),
            int(lease_s * 1e6),
        )
        self.heartbeat_s = heartbeat_s
        self.lease_s = lease_s
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._renewed_at = core.clock.monotonic()
        self._abandoned: queue.SimpleQueue[Held] = queue.SimpleQueue()
        self._judging = threading.Lock()
        self._seen: dict[str, tuple[int, float]] = {}
        self._answers_since = float("-inf")
        self._quiet_until = float("-inf")
        self.judges: Callable[[], bool] = lambda: True
        """Whether this process reconciles with its heartbeats; of workers that share a ledger one does at a time."""

    # --- holding -------------------------------------------------------------------------------------------------

    def hold(
        self,
        run_id: str,
        attempt: int,
        lost: Callable[[LostReason], None] | None = None,
        stop: Callable[[Command], None] | None = None,
        pause: Callable[[Command], None] | None = None,
    ) -> Held:
        """Renews the run's lease from now on, until `release`, and tells of orders to stop or pause."""
        held = Held(run_id, attempt, lost, stop, pause)
        with self._lock:
            if not self._held:
                self._renewed_at = self.core.clock.monotonic()
            self._held[run_id] = held
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._beat, name="runstone-heartbeat", daemon=True)
                self._thread.start()
        return held

    def release(self, held: Held) -> bool:
        """Stops renewing; the lease itself ends with the attempt. Whether it was held."""
        with self._lock:
            mine = self._held.get(held.run_id) is held
            if mine:
                del self._held[held.run_id]
        return mine

    def abandon(self, held: Held) -> None:
        """Called when a handle is collected that nobody ended. It may come at any place, so it takes no lock."""
        self._abandoned.put(held)

    def holds(self, run_id: str) -> bool:
        """Whether this process owns the run."""
        with self._lock:
            return run_id in self._held

    def _beat(self) -> None:
        number = self.core.signals.subscribe(None, self._wake.set)
        beat_at = 0.0
        try:
            while not self._closing.is_set():
                now = self.core.clock.monotonic()
                if now >= beat_at:
                    beat_at = now + self.heartbeat_s
                    self.beat()
                    self._try(self.check_fences)
                    if self.judges():
                        self._try(self._reconcile)
                self._try(self.interrupt_abandoned)
                self._try(self.check_commands)
                self._wake.wait(min(self.heartbeat_s, max(0.0, beat_at - self.core.clock.monotonic())))
                self._wake.clear()
        finally:
            self.core.signals.unsubscribe(number)

    def _try(self, look: Callable[[], Any]) -> None:
        """A look that failed is taken again at the next heartbeat; it must not end the thread that keeps the leases."""
        try:
            look()
        except RunstoneError:
            self._wake.wait(self.heartbeat_s / 10)

    def interrupt_abandoned(self) -> None:
        """Leaves runs interrupted whose handles were lost: nobody can end them any more."""
        while not self._abandoned.empty():
            held = self._abandoned.get()
            if self.release(held):
                self._leave([held], "its handle was lost")

    def _leave(self, held: list[Held], reason: str, timeout: float | None = 60.0) -> None:
        """Writes that these runs are interrupted, in one go."""
        receipts = [self.core.submit(YieldRun(one.run_id, one.attempt, reason), []) for one in held]
        for receipt in receipts:
            try:
                receipt.result(timeout)
            except RunstoneError:
                continue  # it ended, or was taken over, in this moment; or its lease runs out, and says the same

    def check_commands(self) -> None:
        """Tells owners in this process of orders that they have not seen; messages they look for themselves."""
        with self._lock:
            held = dict(self._held)
        if not held:
            return
        for command in self.core.reader.commands.open():
            one = held.get(command.run_id)
            if one is None or command.status != "requested":
                continue
            self.core.submit(MoveCommand(command.id, "acknowledged"), []).result()
            if command.verb == "stop":
                tell, one.stop = one.stop, None
            elif command.verb == "pause":
                tell, one.pause = one.pause, None
            else:
                continue
            if tell is not None:
                tell(command)

    def beat(self) -> None:
        """One heartbeat: renews, or gives up what could not be renewed in time."""
        with self._lock:
            if not self._held:
                self._renewed_at = self.core.clock.monotonic()
                return
        started = self.core.clock.monotonic()
        if self._renew():
            self._renewed_at = started
        elif self._left_s() <= 0:
            self._lose("the lease could not be renewed")

    def _left_s(self) -> float:
        """How long renewing may still be tried: the last heartbeat interval of the lease is for ending the work."""
        return self._renewed_at + self.lease_s - self.heartbeat_s - self.core.clock.monotonic()

    def _renew(self) -> bool:
        """Whether the leases were renewed; as long as there is time it is tried again."""
        try:
            renewal = self.core.submit(RenewLeases(self.owner), [])
            renewal.result(timeout=max(self.heartbeat_s / 10, self._left_s()))
        except StoreError:
            self.note_outage()
            return False
        return True

    def _lose(self, reason: LostReason) -> None:
        with self._lock:
            lost, self._held = list(self._held.values()), {}
        for held in lost:
            if held.lost is not None:
                held.lost(reason)
        # Not waited for: the ledger does not answer now. Once it does, it says why they stopped.
        try:
            for held in lost:
                self.core.submit(YieldRun(held.run_id, held.attempt, reason), [])
        except StoreError:
            return

    def check_fences(self) -> None:
        """Tells owners of runs that were taken from this process (it was stopped for a while, or asleep)."""
        with self._lock:
            held = list(self._held.values())
        leases = {lease.run_id: lease for lease in self.core.reader.attempts.leases()} if held else {}
        for one in held:
            lease = leases.get(one.run_id)
            if lease is None or lease.owner != self.owner.owner or lease.attempt != one.attempt:
                self.release(one)
                if one.lost is not None:
                    one.lost("another owner has the run")

    @property
    def closing(self) -> bool:
        """Whether what is held here is being left, or was."""
        return self._closing.is_set()

    def close(self, reason: str = "the ledger was closed", timeout: float | None = 60.0) -> None:
        """Leaves what is still held interrupted, with the reason, and ends the thread."""
        self._closing.set()
        self._wake.set()
        self.interrupt_abandoned()
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for one in held:
            if one.lost is not None:
                one.lost(reason)
        self._leave(held, reason, timeout)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)

    def forked(self) -> None:
        """Called in a forked child: it owns nothing, has no heartbeat, and locks may be as that thread held them."""
        self._lock, self._judging = threading.Lock(), threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._closing.set()
        self._held, self._thread = {}, None

    # --- judging others ------------------------------------------------------------------------------------------

    def answer_clients(self) -> None:
        """Called when this process begins to answer as a server.

        Clients could not renew while it did not, however long they have waited. So for one lease from now on none of
        them counts as silent; one whose process is gone from this machine is dead all the same.
        """
        self._answers_since = self.core.clock.monotonic()

    def note_outage(self) -> None:
        """Called when the ledger did not answer, or was waited for.

        Owners elsewhere could not renew either, and have to find its database again. So for one lease from now on
        nobody counts as silent; one whose process is gone from this machine is dead all the same.
        """
        self._quiet_until = self.core.clock.monotonic() + self.lease_s

    def reconcile(self) -> list[str]:
        """Marks the runs of dead owners interrupted. Gives the ids that changed. Safe in many processes at once.

        Dead is: proven by host, boot, PID namespace, pid and start; or expired, and this observer saw no renewal during
        one heartbeat of its own running time, so that a laptop that slept interrupts nothing that still lives.
        """
        return self._reconcile(self._unkept)

    def _reconcile(self, more: Callable[[], list[InterruptRun]] = list) -> list[str]:
        """Without `more` what a heartbeat can do: its time does not grow with the runs that are still to begin."""
        with self._judging:
            judged = self._judge(self._leases())
        if self.core.reader.rows("any_due_input", now=self.core.now())[0][0]:
            self.core.submit(ExpireInputs(), []).result()
        for run_id, attempt in self.core.reader.rows("running_without_lease"):
            judged.append(InterruptRun(run_id, attempt, "no lease"))
        judged += more()
        receipts = [self.core.submit(verdict, []) for verdict in judged]
        changed = [run_id for receipt in receipts for run_id in receipt.result()]
        return changed + self._carry_out_stops()

    def _leases(self) -> list[Lease]:
        """All leases. Raises `StoreError`."""
        asked = self.core.clock.monotonic()
        try:
            leases = self.core.reader.attempts.leases()
        except StoreError:
            self.note_outage()
            raise
        if self.core.clock.monotonic() - asked > self.heartbeat_s:
            self.note_outage()
        return leases

    def _unkept(self) -> list[InterruptRun]:
        from runstone.engine.background.keeping import unkept  # it follows commands; most processes have none

        return list(unkept(self.core))

    def _carry_out_stops(self) -> list[str]:
        """Stops runs that nobody holds and that were ordered to: a later attempt must not be the one that obeys.

        A run of which a process may still live is left to whoever takes that over, or is told again to stop it.
        """
        ordered = [run for (run,) in self.core.reader.rows("ordered_and_unheld") if not self._may_live(run)]
        receipts = [(run, self.core.submit(CarryOutStop(run), [])) for run in ordered]
        return [run for run, receipt in receipts if receipt.result()]

    def _judge(self, leases: list[Lease]) -> list[InterruptRun]:
        alive: dict[str, bool | None] = {}
        judged = []
        for lease in leases:
            if lease.owner == self.owner.owner:
                continue
            identity = identity_of(lease.identity)
            if lease.owner not in alive:
                alive[lease.owner] = None if identity is None else is_alive(identity, self.identity)
            if alive[lease.owner] is False and identity is not None:
                judged.append(self._interrupt(lease, self._how(identity)))
            elif reason := self._watch(lease):
                judged.append(self._interrupt(lease, reason, lease_expired=True))
        open_ = {lease.run_id for lease in leases}
        self._seen = {run_id: seen for run_id, seen in self._seen.items() if run_id in open_}
        return judged

    def _interrupt(self, lease: Lease, reason: str, *, lease_expired: bool = False) -> InterruptRun:
        """The verdict; the last heartbeat is when the lease was last renewed, as all owners renew for the same time."""
        if lease.owner == observed.OWNER:
            # How long it may be silent is its own; it was last heard of with its last event.
            return InterruptRun(
                lease.run_id, lease.attempt, observed.SILENT, lease_expired=lease_expired, last_seen_at=0
            )
        renewed = int(lease.expires_at.timestamp() * 1e6) - self.owner.lease_us
        living = self._living(lease.run_id)
        if living:
            named = ", ".join(f"pid {pid}" for pid in living)
            reason += (
                f"; its command still runs: {named}"
                if len(living) == 1
                else f"; its commands still run: {named}"
            )
        return InterruptRun(
            lease.run_id,
            lease.attempt,
            reason,
            lease_expired=lease_expired,
            last_seen_at=renewed,
            living=living,
        )

    def _living(self, run_id: str) -> list[int]:
        """Process groups of the run that outlived their owner: a resume or a stop ends or adopts them."""
        found = []
        for record in self.core.reader.attempts.processes(run_id):
            identity = identity_of(record.identity)
            if record.ended_at is None and identity is not None and group_alive(identity, self.identity):
                found.append(record.pgid)
        return found

    def _may_live(self, run_id: str) -> bool:
        """Whether a process of the run is not known to have ended; on another host it cannot be."""
        left = [record for record in self.core.reader.attempts.processes(run_id) if record.ended_at is None]
        known = filter(None, (identity_of(record.identity) for record in left))
        return any(group_alive(identity, self.identity) is not False for identity in known)

    def _how(self, identity: ProcessIdentity) -> str:
        rebooted = identity.boot_id != self.identity.boot_id
        return REBOOTED if rebooted else f"{GONE}{identity.pid} is gone"

    def _watch(self, lease: Lease) -> str | None:
        """Why the owner counts as dead, or None for one that may live."""
        expires = int(lease.expires_at.timestamp() * 1e6)
        if expires >= self.core.now():
            self._seen.pop(lease.run_id, None)
            return None
        running = self.core.clock.monotonic()
        if is_client(lease.identity) and running - self._answers_since < self.lease_s:
            return None
        seen = self._seen.get(lease.run_id)
        if seen is None or seen[0] != expires:
            self._seen[lease.run_id] = (expires, running)
            return None
        if running - seen[1] < self.heartbeat_s or running < self._quiet_until:
            return None
        return f"{SILENT} {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC"

    def settle(self, run_id: str) -> None:
        """Reconciles, until no expired lease in the run's tree is left unjudged. Blocks, for a heartbeat or a bit more.

        A single look never judges an expired lease: its owner may have slept and be about to renew it. Whoever wants to
        take such a run over waits for the second look here.
        """
        until = time.monotonic() + 2 * self.heartbeat_s + _SETTLE_S
        self.reconcile()
        while self._unjudged(run_id) and time.monotonic() < until:
            self._closing.wait(self.heartbeat_s / 10)
            self.reconcile()

    def _unjudged(self, run_id: str) -> bool:
        with self._judging:
            seen = list(self._seen)
        if not seen or self._closing.is_set():
            return False
        root = self.core.reader.runs.get(run_id).root_run_id
        return any(self.core.reader.runs.get(other).root_run_id == root for other in seen)

    # --- what dead owners left running ---------------------------------------------------------------------------

    def end_orphans(self, run_id: str) -> list[tuple[ProcessRecord, GroupEnd]]:
        """Ends what is left of the process groups of a run's earlier attempts. Blocks; bounded by grace and kill."""
        ended = []
        for record in self.core.reader.attempts.processes(run_id):
            identity = identity_of(record.identity)
            if record.ended_at is None and identity is not None:
                ended.append((record, end_group(identity)))
        return ended
