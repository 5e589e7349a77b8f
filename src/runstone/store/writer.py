"""Group commit: one writer per database and process turns many small writes into few durable transactions.

    caller -> Writer.submit -> the open group -> (writer thread, or a waiting caller) -> Batch -> commit -> settle

A group is handed over as a whole, under the lock that also assigns receipts to it, so a receipt can never be settled
by a group that does not hold its write. One wake-up per event loop settles a whole group.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from runstone.domain.clock import Clock
from runstone.errors import (
    ForkedLedger,
    LedgerClosed,
    SchemaTooNew,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreIO,
    StoreUnreachable,
    WriteUncertain,
)
from runstone.store import crashpoints
from runstone.store.base import Database, Write
from runstone.store.batch import AHEAD, Batch, Cache, Outcome

QUEUE_BYTES = 64 * 1024 * 1024
"""What may wait to be written; `submit` blocks beyond it, so that memory is bounded."""

GUARD_S = 0.005
"""What the writer thread has not taken by then is committed by the waiting caller: a busy event loop or a busy Python
thread can keep the writer from the interpreter lock for a long time."""

REST_S = 0.005
LOOP_COMMITS_S = 0.25
"""So long an event loop that is always busy rests for a late group, and goes on committing by itself after that."""

GROUP_WRITES = 4_000
GROUP_BYTES = 8 * 1024 * 1024
"""What one transaction takes at most, so that none lasts over 200 ms and other processes get their turn."""

_LOOK_S = 1.0
_CLOSE_S = 5.0
_FORK_S = 1.0
"""How long a waiting caller sleeps at a time, and `close` and `fork` wait for a commit that is under way."""

AWAY_S = 60.0
"""So long a batch is sent again whose connection was lost before it was stored."""

_NEVER_REPLAYED = (StoreFull, StoreIO, StoreBusy, SchemaTooNew, StoreUnreachable, WriteUncertain)
_PENDING = Outcome()


class Unseen(list["Receipt"]):
    """Failed writes of one handle that nobody has looked at; `flush()` and exit look at them, too."""

    __slots__ = ()


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


class Settler(Protocol):
    """Who settles receipts: a writer, or a client's queue."""

    unseen: "list[Receipt]"

    def wait(self, receipt: "Receipt", timeout: float | None) -> None:
        """Blocks until the receipt is settled."""

    def future(self, receipt: "Receipt") -> "asyncio.Future[None]":
        """What is done in the running loop once the receipt is settled."""


class Receipt:
    """What a write returns: await it, call `.result()`, or leave it.

    Awaiting binds to the loop that runs at that time; cancelling the await does not undo the write. A receipt that
    fails while nobody looks raises at the handle's next call, at `flush()` or at exit.
    """

    __slots__ = ("_group", "_outcome", "_unseen", "_writer", "write")

    def __init__(self, writer: Settler, write: Write, unseen: "list[Receipt] | None") -> None:
        self._writer = writer
        self._unseen = unseen
        self.write = write
        self._outcome = _PENDING
        self._group: Group | None = None

    @property
    def done(self) -> bool:
        """Whether the ledger has answered."""
        return self._outcome is not _PENDING

    @property
    def state(self) -> str:
        """`queued`, then `acknowledged` or `refused`; with a server that is away `spooled` between the two."""
        if self._outcome is _PENDING:
            return "queued"
        return "acknowledged" if self._outcome.error is None else "refused"

    def result(self, timeout: float | None = 60.0) -> Any:
        """The write's value, once it is durable. Raises what refused it, or `WriteUncertain` after `timeout` s."""
        if self._outcome is _PENDING:
            self._writer.wait(self, timeout)
        return self._value()

    def __await__(self) -> Generator[Any, None, Any]:
        # Again, because a group that was too large is split: then its rest is waited for, too.
        while self._outcome is _PENDING:
            future = self._writer.future(self)
            if not future.done():
                # As `yield from future` does it, without an iterator per await: this is the hottest path.
                future._asyncio_future_blocking = True
                yield future
        return self._value()

    def _value(self) -> Any:
        outcome = self._outcome
        if outcome.error is not None:
            self.seen()
            raise outcome.error
        return outcome.value

    def seen(self) -> None:
        """Its failure was raised; nobody needs to hear of it again."""
        for failed in (self._unseen, self._writer.unseen):
            if failed is not None:
                with suppress(ValueError):
                    failed.remove(self)

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
        self._taken: Group | None = None
        self._idle = True
        self._closed = False
        self._forked = False
        self._loop_commits_until = 0.0
        self._interrupt: BaseException | None = None
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
        deadline = None if timeout is None else time.monotonic() + timeout
        while not receipt.done:
            group = receipt._group
            if self._take_over(group):
                continue
            left = _LOOK_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise WriteUncertain(f"the ledger did not answer within {timeout} s")
            late = GUARD_S if group is not None and not group.taken else _LOOK_S
            self._waiter(receipt).wait(min(left, late))

    def _waiter(self, receipt: Receipt) -> threading.Event:
        """What is set when the group that holds the receipt now is settled. A split may move the receipt on."""
        assert receipt._group is not None
        return self._event_of(receipt._group)

    def _event_of(self, group: Group) -> threading.Event:
        with self._lock:
            if self._forked:
                raise self._gone()
            if group.waiters is None:
                group.waiters = threading.Event()
                if group.done:
                    group.waiters.set()
            return group.waiters

    def future(self, receipt: Receipt) -> "asyncio.Future[None]":
        """The future that settles the receipt's group in the running loop; one for all its receipts."""
        loop = asyncio.get_running_loop()
        assert receipt._group is not None
        shared = receipt._group.loops.get(loop)
        if shared is not None:
            return shared  # settled in this very loop, so it cannot be missed
        with self._lock:
            if self._forked:
                raise self._gone()
            group = receipt._group  # read under the lock: a split moves receipts on
            shared = _Settled(loop=loop)
            if group.done:
                shared.set_result(None)
                return shared
            group.loops[loop] = shared
        loop.call_later(GUARD_S, self._guard, group, loop)
        return shared

    def _guard(self, group: Group, loop: asyncio.AbstractEventLoop, pause_s: float = GUARD_S) -> None:
        """Sees to a late group.

        A loop that never rests keeps the writer from the interpreter lock for seconds: each of its looks for new
        events wakes the writer, and takes the lock again before that can. So the loop rests a moment for the group
        that the writer has, and commits those that follow by itself.
        """
        if group.done or self._forked:
            return
        busy = bool(getattr(loop, "_ready", True))
        if busy:
            self._loop_commits_until = time.monotonic() + LOOP_COMMITS_S
        if not self._take_over(group, patience_s=REST_S if busy else 0.0):
            loop.call_later(pause_s, self._guard, group, loop, min(2 * pause_s, _LOOK_S))

    def _take_over(self, group: Group | None, *, patience_s: float = 0.0) -> bool:
        """Commits the group in the caller's thread, unless somebody else is at it; whether it is done then.

        `patience_s` is for how long that somebody is waited for.
        """
        if group is None or (group.taken and not patience_s):
            return False
        if not self._commit_lock.acquire(timeout=patience_s):
            return False
        try:
            if group is self._open and (taken := self._take()) is not None:
                self._commit(taken)
            return group.done
        finally:
            self._commit_lock.release()
            # Ctrl-C may have come between taking and committing: then the thread goes on with the group.
            if self._taken is not None:
                self._wake.put(None)

    def flush(self, timeout: float | None = 60.0) -> None:
        """Waits until all that was submitted is durable. Raises the first write that failed unseen."""
        with self._lock:
            if self._forked:
                raise self._gone()
            group = self._open if self._open.receipts else self._taken
            last = group.receipts[-1] if group is not None else None
        if last is not None:
            self.wait(last, timeout)
        self.raise_unseen(self.unseen)

    @staticmethod
    def raise_unseen(unseen: list[Receipt]) -> None:
        """Raises the oldest failure of the list that nobody has looked at."""
        for receipt in unseen[:1]:
            receipt.seen()
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
            # Whoever still commits here uses the connection; one that is stuck is left to the process's end.
            if self._commit_lock.acquire(timeout=_CLOSE_S):
                try:
                    self._db.close()
                finally:
                    self._commit_lock.release()

    def before_fork(self) -> bool:
        """Waits, briefly, until no commit is under way, so that the child inherits nothing half done."""
        return self._commit_lock.acquire(timeout=_FORK_S)

    def after_fork(self) -> None:
        """Called in the parent: goes on, where `before_fork` could hold it."""
        self._commit_lock.release()

    def forked(self) -> None:
        """Called in a forked child: nothing of the parent's connection may be touched, not even closed."""
        self._forked = True
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._commit_lock = threading.Lock()
        self._open, self._taken = Group(), None
        self.unseen.clear()
        self._db.abandon()

    def _gone(self) -> StoreError:
        return ForkedLedger() if self._forked else LedgerClosed()

    # --- writing -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.get()
            while True:
                if time.monotonic() < self._loop_commits_until:
                    time.sleep(2 * GUARD_S)
                with self._commit_lock:
                    group = self._take()
                    if group is None:
                        break
                    self._commit(group)
            with self._lock:
                if self._closed and not self._open.receipts:
                    return

    def _take(self) -> Group | None:
        """Hands the open group over, or one that was taken and not finished. The commit lock is held on entry."""
        with self._lock:
            group = self._open if self._taken is None else self._taken
            if not group.receipts:
                self._idle = True
                return None
            self._taken = group
            group.taken = True
            if group is self._open:
                self._open = self._split(group)
            self._room.notify_all()
            return group

    @staticmethod
    def _split(group: Group) -> Group:
        """The next open group. Of a group that is too large for one transaction it gets the rest; whoever waits for a
        receipt that moved is woken by the first part, looks, and waits again."""
        rest = Group()
        if len(group.receipts) <= GROUP_WRITES and group.size <= GROUP_BYTES:
            return rest
        size = count = 0
        for receipt in group.receipts[:GROUP_WRITES]:
            size += receipt.write.size
            if count and size > GROUP_BYTES:
                break
            count += 1
        rest.receipts = group.receipts[count:]
        del group.receipts[count:]
        for receipt in rest.receipts:
            receipt._group = rest
            rest.size += receipt.write.size
        return rest

    def _commit(self, group: Group) -> None:
        """Commits and settles. Ctrl-C in a waiting caller before the commit leaves the group to the writer thread."""
        writes = [receipt.write for receipt in group.receipts]
        changed: set[str] = set()
        try:
            outcomes = self.transact(writes, changed)
        except Exception as error:
            outcomes = [Outcome(error=error)] * len(writes)
        try:
            self._settle(group, outcomes)
        except BaseException as error:
            self._interrupt = error
            self._settle(group, outcomes)
        if self._on_commit is not None and changed:
            self._on_commit(changed, self._clock.now())
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            raise interrupt

    def transact(self, writes: Sequence[Write], changed: set[str]) -> list[Outcome]:
        """One durable transaction; one after the other where an error of one write spoils it for all."""
        try:
            return self._attempt(writes, changed)
        except _NEVER_REPLAYED:
            raise
        except Exception:
            if len(writes) == 1:
                raise
        outcomes: list[Outcome] = []
        while len(outcomes) < len(writes):
            try:
                outcomes += self._attempt([writes[len(outcomes)]], changed)
            except _NEVER_REPLAYED as error:
                outcomes += [Outcome(error=error)] * (len(writes) - len(outcomes))
            except Exception as error:
                outcomes.append(Outcome(error=error))
            except BaseException as error:
                self._interrupt = error  # raised once all have their turn: some are committed by now
        return outcomes

    def _attempt(self, writes: Sequence[Write], changed: set[str]) -> list[Outcome]:
        """One transaction; again while connections are lost in it, as nothing of it is stored then."""
        deadline = time.monotonic() + AWAY_S
        while True:
            try:
                return self._transaction(writes, changed)
            except StoreUnreachable:
                if time.monotonic() >= deadline:
                    raise

    def _transaction(self, writes: Sequence[Write], changed: set[str]) -> list[Outcome]:
        db, outcomes, decided = self._db, [], False
        try:
            db.begin(AHEAD)
            if db.changed_elsewhere():
                self._cache.clear()
            crashpoints.point("writer.after_begin")
            batch = Batch(db, self._cache, self._clock.now())
            outcomes = _decide(writes, batch)
            batch.flush()
            crashpoints.writes("before", writes)
            decided = True
            db.commit()
            crashpoints.writes("after", writes)
        except BaseException as error:
            if decided and not isinstance(error, Exception) and not db.in_transaction:
                # Ctrl-C just after the commit: it is raised when the writes are settled.
                self._interrupt = error
            else:
                self._cache.clear()
                with suppress(StoreError):  # the error to tell is the first one
                    db.rollback()
                raise
        changed |= batch.changed
        return outcomes

    def _settle(self, group: Group, outcomes: Sequence[Outcome]) -> None:
        for receipt, outcome in zip(group.receipts, outcomes, strict=True):
            if outcome.error is not None and not receipt.done:
                self._note(receipt)
            receipt._outcome = outcome
        with self._lock:
            group.done = True
            loops, waiters = group.loops, group.waiters
            self._taken = None
        if waiters is not None:
            waiters.set()
        for loop, future in loops.items():
            try:
                loop.call_soon_threadsafe(_wake, future)
            except RuntimeError:
                continue  # that loop is closed; its receipts hold the outcome for whoever asks

    def _note(self, receipt: Receipt) -> None:
        """A failure that must be raised somewhere, before its waiters are woken: they may see it, and take it back."""
        unseen = receipt._unseen
        if unseen is None:
            return
        unseen.append(receipt)
        if isinstance(unseen, Unseen):
            self.unseen.append(receipt)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _decide(writes: Sequence[Write], batch: Batch) -> list[Outcome]:
    """The outcomes in the order of the writes; urgent ones (heartbeats) decide first."""
    if not any(write.urgent for write in writes):
        return [batch.decide(write) for write in writes]
    outcomes: list[Outcome] = [_PENDING] * len(writes)
    for index in sorted(range(len(writes)), key=lambda index: not writes[index].urgent):
        outcomes[index] = batch.decide(writes[index])
    return outcomes
