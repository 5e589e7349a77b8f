"""Group commit: one writer per database and process turns many small writes into few durable transactions.

    caller -> Writer.submit -> the open group -> (writer thread, or a waiting caller) -> Batch -> commit -> settle

A group is handed over as a whole, under the lock that also assigns receipts to it, so a receipt can never be settled
by a group that does not hold its write. One wake-up per event loop settles a whole group.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

from runstone.domain.clock import Clock
from runstone.errors import (
    ForkedLedger,
    LedgerClosed,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreIO,
    WriteUncertain,
)
from runstone.store import crashpoints
from runstone.store.base import Database, Write
from runstone.store.batch import Batch, Cache, Outcome

QUEUE_BYTES = 64 * 1024 * 1024
"""What may wait to be written; `submit` blocks beyond it, so that memory is bounded."""

GUARD_S = 0.005
"""What the writer thread has not taken by then is committed by the waiting caller: a busy event loop or a busy Python
thread can keep the writer from the interpreter lock for a long time."""

GROUP_WRITES = 4_000
"""Writes in one transaction at most, so that none lasts over 200 ms and other processes get their turn."""

_NEVER_REPLAYED = (StoreFull, StoreIO, StoreBusy)
_PENDING = Outcome()


class Group:
    """Writes that are committed together, and whoever waits for them."""

    __slots__ = ("done", "loops", "receipts", "size", "taken", "waiters")

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.size = 0
        self.taken = False
        self.done = False
        self.loops: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}
        self.waiters: threading.Event | None = None


class _Settled(asyncio.Future[None]):
    """Shared by all awaits of a group, so one cancelled await must not cancel it: that task ends after the commit."""

    def cancel(self, msg: Any | None = None) -> bool:
        return False


class Receipt:
    """What a write returns: await it, call `.result()`, or leave it.

    Awaiting binds to the loop that runs at that time; cancelling the await does not undo the write. A receipt that
    fails while nobody looks raises at the handle's next call, at `flush()` or at exit.
    """

    __slots__ = ("_group", "_outcome", "_unseen", "_writer", "write")

    def __init__(self, writer: "Writer", write: Write, unseen: "list[Receipt] | None") -> None:
        self._writer = writer
        self._unseen = unseen
        self.write = write
        self._outcome = _PENDING
        self._group: Group | None = None

    @property
    def done(self) -> bool:
        """Whether the ledger has answered."""
        return self._outcome is not _PENDING

    def result(self, timeout: float | None = 60.0) -> Any:
        """The write's value, once it is durable. Raises what refused it, or `WriteUncertain` after `timeout` seconds."""
        if self._outcome is _PENDING:
            self._writer.wait(self, timeout)
        return self._value()

    def __await__(self) -> Generator[Any, None, Any]:
        if self._outcome is _PENDING:
            future = self._writer.future(self)
            if not future.done():
                # As `yield from future` does it, without an iterator per await: this is the hottest path.
                future._asyncio_future_blocking = True
                yield future
        return self._value()

    def _value(self) -> Any:
        outcome = self._outcome
        if outcome.error is not None:
            if self._unseen and self in self._unseen:
                self._unseen.remove(self)
            raise outcome.error
        return outcome.value

    @property
    def error(self) -> BaseException | None:
        """What refused the write, or None (also while it is under way)."""
        return self._outcome.error


class Writer:
    """Owns the write connection. Thread-safe; `submit` never blocks on the disk, only on a full queue."""

    def __init__(
        self,
        connect: Callable[[], Database],
        clock: Clock,
        *,
        on_commit: Callable[[set[str], int], None] | None = None,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._db = connect()
        self._clock = clock
        self._on_commit = on_commit
        self._queue_bytes = queue_bytes
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._commit_lock = threading.Lock()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._open = Group()
        self._idle = True
        self._closed = False
        self._forked = False
        self._cache = Cache()
        self.unseen: list[Receipt] = []
        self._thread = threading.Thread(target=self._run, name="runstone-writer", daemon=True)
        self._thread.start()

    # --- callers -------------------------------------------------------------------------------------------------

    def submit(self, write: Write, unseen: list[Receipt] | None = None) -> Receipt:
        """Queues the write. Blocks while the queue is full. Raises `LedgerClosed` or `ForkedLedger`."""
        receipt = Receipt(self, write, self.unseen if unseen is None else unseen)
        size = write.size
        with self._lock:
            if self._closed or self._forked:
                raise self._gone()
            group = self._open
            while group.size + size > self._queue_bytes and group.receipts:
                self._room.wait()
                if self._closed or self._forked:
                    raise self._gone()
                group = self._open
            receipt._group = group
            group.receipts.append(receipt)
            group.size += size
            wake, self._idle = self._idle, False
        if wake:
            self._wake.put(None)
        return receipt

    def wait(self, receipt: Receipt, timeout: float | None) -> None:
        """Blocks until the receipt is settled; commits it here if the writer thread is late."""
        group = receipt._group
        assert group is not None
        if not group.taken and self._commit_lock.acquire(blocking=False):
            self._commit_here(group)
        with self._lock:
            if group.done:
                return
            if group.waiters is None:
                group.waiters = threading.Event()
            event = group.waiters
        if event.wait(GUARD_S):
            return
        if not group.taken and self._commit_lock.acquire(blocking=False):
            self._commit_here(group)
        if not event.wait(timeout):
            raise WriteUncertain(f"the ledger did not answer within {timeout} s")

    def future(self, receipt: Receipt) -> "asyncio.Future[None]":
        """The future that settles the receipt's group in the running loop; one for all its receipts."""
        loop = asyncio.get_running_loop()
        group = receipt._group
        assert group is not None
        shared = group.loops.get(loop)
        if shared is not None:
            return shared  # settled in this very loop, so it cannot be missed
        with self._lock:
            shared = _Settled(loop=loop)
            if group.done:
                shared.set_result(None)
                return shared
            group.loops[loop] = shared
        loop.call_later(GUARD_S, self._guard, group)
        return shared

    def _guard(self, group: Group) -> None:
        if not group.taken and self._commit_lock.acquire(blocking=False):
            self._commit_here(group)

    def _commit_here(self, group: Group) -> None:
        """Commits the open group in the caller's thread. The commit lock is held on entry."""
        try:
            taken = self._take() if self._open is group else None
            if taken is not None:
                self._commit(taken)
        finally:
            self._commit_lock.release()

    def flush(self, timeout: float | None = 60.0) -> None:
        """Waits until all that was submitted is durable. Raises the first write that failed unseen."""
        with self._lock:
            if self._forked:
                raise self._gone()
            last = self._open.receipts[-1] if self._open.receipts else None
        if last is not None:
            self.wait(last, timeout)
        if not self._commit_lock.acquire(timeout=-1 if timeout is None else timeout):
            raise WriteUncertain(f"the ledger did not answer within {timeout} s")
        self._commit_lock.release()
        self.raise_unseen(self.unseen)

    @staticmethod
    def raise_unseen(unseen: list[Receipt]) -> None:
        """Raises the oldest failure of the list that nobody has looked at."""
        if unseen:
            receipt = unseen.pop(0)
            assert receipt.error is not None
            raise receipt.error

    def close(self, timeout: float | None = 60.0) -> None:
        """Flushes, then ends the thread and closes the connection."""
        if self._forked:
            return
        with self._lock:
            if self._closed:
                return
        try:
            self.flush(timeout)
        finally:
            with self._lock:
                self._closed = True
                self._room.notify_all()
            self._wake.put(None)
            self._thread.join(timeout)
            self._db.close()

    def forked(self) -> None:
        """Called in a forked child: nothing of the parent's connection may be touched, not even closed."""
        self._forked = True
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._commit_lock = threading.Lock()

    def _gone(self) -> StoreError:
        return ForkedLedger() if self._forked else LedgerClosed()

    # --- writing -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.get()
            while True:
                with self._commit_lock:
                    group = self._take()
                    if group is None:
                        break
                    self._commit(group)
            with self._lock:
                if self._closed and not self._open.receipts:
                    return

    def _take(self) -> Group | None:
        """Hands the open group over. Only the holder of the commit lock calls this."""
        with self._lock:
            group = self._open
            if not group.receipts:
                self._idle = True
                return None
            rest = Group()
            if len(group.receipts) > GROUP_WRITES:
                self._split(group, rest)
            group.taken = True
            self._open = rest
            self._room.notify_all()
            return group

    @staticmethod
    def _split(group: Group, rest: Group) -> None:
        """Leaves the first writes to `group`, whose waiters go on waiting for all; the others move on."""
        rest.receipts = group.receipts[GROUP_WRITES:]
        del group.receipts[GROUP_WRITES:]
        rest.size = sum(receipt.write.size for receipt in rest.receipts)
        for receipt in rest.receipts:
            receipt._group = rest
        # Whoever waits may wait for a receipt that moved: both groups wake them, and they look again.
        rest.loops, group.loops = group.loops, {}
        rest.waiters, group.waiters = group.waiters, None

    def _commit(self, group: Group) -> None:
        writes = [receipt.write for receipt in group.receipts]
        changed: set[str] = set()
        try:
            outcomes = self.transact(writes, changed)
        except BaseException as error:
            outcomes = [Outcome(error=error)] * len(writes)
        self._settle(group, outcomes)
        if self._on_commit is not None and changed:
            self._on_commit(changed, self._clock.now())

    def transact(self, writes: Sequence[Write], changed: set[str]) -> list[Outcome]:
        """One durable transaction; one after the other where an SQL error spoils it for all."""
        try:
            return self._attempt(writes, changed)
        except _NEVER_REPLAYED:
            raise
        except StoreError:
            if len(writes) == 1:
                raise
        outcomes = []
        for write in writes:
            try:
                outcomes += self._attempt([write], changed)
            except _NEVER_REPLAYED as error:
                outcomes += [Outcome(error=error)] * (len(writes) - len(outcomes))
                break
            except StoreError as error:
                outcomes.append(Outcome(error=error))
        return outcomes

    def _attempt(self, writes: Sequence[Write], changed: set[str]) -> list[Outcome]:
        db = self._db
        db.begin()
        try:
            if db.changed_elsewhere():
                self._cache.clear()
            crashpoints.point("writer.after_begin")
            batch = Batch(db, self._cache, self._clock.now())
            order = (
                sorted(range(len(writes)), key=lambda index: not writes[index].urgent)
                if _any_urgent(writes)
                else None
            )
            outcomes = (
                [batch.decide(write) for write in writes]
                if order is None
                else _decide_in(order, writes, batch)
            )
            batch.flush()
            crashpoints.point("writer.before_commit")
            db.commit()
        except BaseException:
            self._cache.clear()
            db.rollback()
            raise
        crashpoints.point("writer.after_commit")
        changed |= batch.changed
        return outcomes

    def _settle(self, group: Group, outcomes: Sequence[Outcome]) -> None:
        for receipt, outcome in zip(group.receipts, outcomes, strict=True):
            receipt._outcome = outcome
            if outcome.error is not None and receipt._unseen is not None:
                receipt._unseen.append(receipt)
        with self._lock:
            group.done = True
            loops, waiters = group.loops, group.waiters
        if waiters is not None:
            waiters.set()
        for loop, future in loops.items():
            try:
                loop.call_soon_threadsafe(_wake, future)
            except RuntimeError:
                continue  # that loop is closed; its receipts hold the outcome for whoever asks


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _any_urgent(writes: Sequence[Write]) -> bool:
    return any(write.urgent for write in writes)


def _decide_in(order: list[int], writes: Sequence[Write], batch: Batch) -> list[Outcome]:
    outcomes: list[Outcome] = [_PENDING] * len(writes)
    for index in order:
        outcomes[index] = batch.decide(writes[index])
    return outcomes
