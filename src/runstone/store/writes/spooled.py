"""What clients of a server send for their runs: each operation once, by the attempt that its owner holds now.

A client numbers what it sends and keeps it until it is acknowledged. What came twice (an answer was lost, or the next
process sends what a killed one had left) is known by its number, in the transaction of its effect.
"""

from typing import Any, Final

import msgspec

from runstone.domain.runs import JUDGED, SILENT, Head
from runstone.errors import RunMismatch
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.writes import lifecycle, orders
from runstone.store.writes.asking import AskAndPark
from runstone.store.writes.checkpoints import SaveCheckpoint
from runstone.store.writes.events import Append, AppendMessages
from runstone.store.writes.lifecycle import EndRun, NewRun, OpenRun, Owner, ParkRun

KEPT_US: Final = 90 * 86_400 * 1_000_000
"""Where a spool ended is known for so long after its last operation: longer than anyone keeps one undelivered."""

BACK: Final = "its owner is back: the server had not heard of it for longer than a lease"


_ENDS: Final = (EndRun, ParkRun, AskAndPark)
_LATE: Final = (Append, AppendMessages, SaveCheckpoint)


class Taken(msgspec.Struct, frozen=True):
    """What became of an operation: its value, or that it had been taken over before."""

    value: Any = None
    repeated: bool = False


class TakeOver(Write):
    """Lets a client's operation decide, once. The value is `Taken`; a refusal is the inner write's."""

    __slots__ = ("alive", "attempt", "number", "owner", "size", "spool", "write")

    def __init__(self, write: Write, owner: Owner, *, spool: str, number: int, alive: bool = True) -> None:
        self.write: Any = write
        self.owner = owner
        self.spool = spool
        self.number = number
        self.alive = alive
        """The owner itself sends; else its process has ended, and another one delivers what it left."""
        self.attempt: int | None = getattr(write, "attempt", None)
        self.size = write.size + 100

    def decide(self, batch: Batch) -> Taken:
        before = batch.mark(self.spool)
        if self.number <= before:
            return Taken(repeated=True)
        if self.attempt is not None:
            self._hold(batch, self.attempt)
        value = self.write.decide(batch)
        if before == 0:
            batch.stage("forget_spools", batch.now - KEPT_US)
        batch.set_mark(self.spool, self.number)
        return Taken(value)

    def _hold(self, batch: Batch, attempt: int) -> None:
        """Gives the write the attempt that the client's owner holds by now, or has it come late."""
        inner = getattr(self.write, "ask", self.write)
        head = batch.head(inner.run_id)
        if isinstance(self.write, _LATE):
            self.write.late = False
        # How a run ended outweighs that its owner was taken for dead: what is finished is not done again.
        ends = isinstance(self.write, _ENDS)
        judged = JUDGED if ends else (SILENT,) if self.alive else ()
        now = held_attempt(batch, inner.run_id, attempt, self.owner, judged=judged)
        if not head.live and isinstance(self.write, _LATE) and _was_owner(batch, head, attempt, self.owner):
            self.write.late = head.attempt == now or not isinstance(self.write, SaveCheckpoint)
        for part in (
            self.write,
            inner,
            *(getattr(self.write, name, None) for name in ("extra", "checkpoint")),
        ):
            if hasattr(part, "attempt"):
                part.attempt = now


class OpenHandle(Write):
    """Starts a run for a client, which may have begun without asking: its attempt is the one that it took it for.

    The value is the attempt's number. Raises `RunMismatch` where the run is at another one.
    """

    __slots__ = ("expected", "open", "size")

    def __init__(self, new: NewRun, owner: Owner, expected: int | None, *, cwd: str | None = None) -> None:
        self.open = OpenRun(new, owner, cwd)
        self.expected = expected
        self.size = self.open.size

    def decide(self, batch: Batch) -> int:
        head = batch.find(self.open.new.run_id)
        coming = 1 if head is None else head.attempt + 1
        if self.expected is not None and coming != self.expected:
            raise RunMismatch(
                f"run {self.open.new.run_id} exists, and would begin attempt {coming}, not {self.expected}",
                run_id=self.open.new.run_id,
            )
        return int(self.open.decide(batch).head.attempt)


class KeepAlive(Write):
    """The heartbeat of a client: renews its leases, and takes up again what it lost only because it was not heard.

    The value has the attempt that it holds now for each of `held` (run id, attempt as the client knows it), or None for
    one that is lost.
    """

    __slots__ = ("held", "owner")

    def __init__(self, owner: Owner, held: list[tuple[str, int]]) -> None:
        self.owner = owner
        self.held = held

    def decide(self, batch: Batch) -> list[int | None]:
        now: list[int | None] = []
        for run_id, attempt in self.held:
            head = batch.find(run_id)
            if head is None:  # its start is still in the client's spool
                now.append(attempt)
                continue
            held = held_attempt(batch, run_id, attempt, self.owner)
            now.append(held if head.live and head.attempt == held else None)
            # Only what it names: a run whose handle it has lost must not stay alive with it.
            batch.stage("renew_lease", batch.now + self.owner.lease_us, head.pk, self.owner.owner)
        return now


def held_attempt(
    batch: Batch, run_id: str, attempt: int, owner: Owner, *, judged: tuple[str, ...] = (SILENT,)
) -> int:
    """The attempt that the owner of `attempt` holds by now: the same one, unless it was taken from it while it lived.

    Then it takes the run up again, if nobody else has had it since, and it was interrupted for one of these reasons:
    never one that it left itself. Of a run that is not its any more it gives `attempt`, which the fence refuses.
    """
    head = batch.head(run_id)
    if head.attempt == attempt and head.live:
        return attempt
    owners = [name for (name,) in batch.read("attempt_owners_from", run=head.pk, attempt=attempt)]
    if not owners or set(owners) != {owner.owner}:
        return attempt
    if head.status == "interrupted" and (head.status_reason or "").startswith(judged):
        _take_up(batch, head, owner)
    return head.attempt if head.live else attempt


def _was_owner(batch: Batch, head: Head, attempt: int, owner: Owner) -> bool:
    """Whether the attempt was the owner's, so that what it tells of it is true, if late."""
    owners = batch.read("attempt_owners_from", run=head.pk, attempt=attempt)
    return bool(owners) and owners[0][0] == owner.owner


def _take_up(batch: Batch, head: Head, owner: Owner) -> None:
    ordered = orders.open_of(batch, head)
    lifecycle.resume(batch, head, BACK)
    lifecycle.start(batch, head, owner, {"continues": True})
    orders.taken(batch, head, ordered)
