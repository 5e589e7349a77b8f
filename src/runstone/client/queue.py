"""A client's writes on their way: kept in the spool, sent in their order, each settled by the server's answer.

    handle -> Queue.submit -> the spool (a thread writes it, group by group) -> (a thread sends it) -> the server

A write waits for nobody. Whoever waits for its receipt waits for the server; where that is away, for the spool only.
"""

import asyncio
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from runstone.client.receipts import RemoteReceipt
from runstone.client.sending import Sender
from runstone.client.spool import Record, Spool
from runstone.engine.wire import operation_of
from runstone.errors import (
    Fenced,
    ForkedLedger,
    LedgerClosed,
    RunstoneError,
    ServerUnreachable,
    WriteUncertain,
)
from runstone.store.base import Write
from runstone.store.batch import Outcome
from runstone.store.writer import Receipt, Unseen, Writer
from runstone.store.writes.lifecycle import EndRun, ParkRun, YieldRun

QUEUE_BYTES: Final = 64 * 1024 * 1024
"""What may wait in memory for a disk that stands still; `submit` blocks beyond it."""

PATIENCE_S: Final = 5.0
"""So long a receipt that is waited for waits for a server that does not answer, once it is durable here."""

QUICK_S: Final = 0.02
"""A server that answers within that saves the disk a flush."""

_ENDS: Final = (EndRun, ParkRun, YieldRun)
_LOOK_S: Final = 1.0


class Queue:
    """The writes of one client. Thread-safe; the counterpart of a ledger's writer."""

    def __init__(self, spool: Spool, sender: Sender, *, patience_s: float = PATIENCE_S) -> None:
        self.unseen: list[Receipt] = []
        self._spool = spool
        self._sender = sender
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._pending: list[tuple[Record, bool]] = []
        self._pending_bytes = 0
        self._number = 0
        self._written = 0
        self._durable = 0
        self._acknowledged = 0
        self._receipts: dict[int, RemoteReceipt] = {}
        self._futures: dict[int, list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]] = {}
        self._left: set[tuple[str, int]] = set()
        self._closed = False
        self._forked = False
        self.refused = 0
        """Writes that the server or the spool refused."""
        self._writing = threading.Thread(target=self._write, name="runstone-spool", daemon=True)
        self._sending = threading.Thread(target=self._send, name="runstone-send", daemon=True)
        self._writing.start()
        self._sending.start()

    # --- callers -------------------------------------------------------------------------------------------------

    def submit(self, write: Write, unseen: list[Receipt] | None = None) -> RemoteReceipt:
        """Queues the write. Blocks only while the disk does not take what is queued. Raises `LedgerClosed`."""
        data = msgspec.json.encode(operation_of(write))
        whose = (getattr(write, "run_id", ""), getattr(write, "attempt", 0))
        with self._changed:
            while self._pending_bytes > QUEUE_BYTES and not self._closed:
                self._changed.wait(_LOOK_S)
            self._require_open()
            self._number += 1
            receipt = RemoteReceipt(self, self.unseen if unseen is None else unseen, self._number)
            if whose in self._left:
                self._number -= 1
                self._refuse(
                    receipt, Fenced(f"attempt {whose[1]} of run {whose[0]} has ended", run_id=whose[0])
                )
                return receipt
            if isinstance(write, _ENDS):
                self._left.add(whose)
            self._add(receipt, data, ends=isinstance(write, _ENDS))
        return receipt

    def submit_operation(self, operation: Any, unseen: list[Receipt] | None = None) -> RemoteReceipt:
        """Queues an operation that is no write of a handle: the start of a run."""
        data = msgspec.json.encode(operation)
        with self._changed:
            self._require_open()
            self._number += 1
            receipt = RemoteReceipt(self, self.unseen if unseen is None else unseen, self._number)
            self._add(receipt, data, ends=False)
        return receipt

    def _add(self, receipt: RemoteReceipt, data: bytes, *, ends: bool) -> None:
        self._receipts[receipt.number] = receipt
        self._pending.append((Record(receipt.number, data), ends))
        self._pending_bytes += len(data)
        self._changed.notify_all()

    def ask(self, write: Write) -> Any:
        """Sends a write whose answer is needed, after all that was queued; it is not kept. Gives its value.

        Raises `ServerUnreachable` where the server is away: then nothing was written.
        """
        data = msgspec.json.encode(operation_of(write))
        until = time.monotonic() + self._patience_s
        while True:
            with self._changed:
                self._require_open()
                while self._acknowledged < self._number and time.monotonic() < until:
                    self._changed.wait(max(0.001, min(_LOOK_S, until - time.monotonic())))
                if self._acknowledged < self._number:
                    raise ServerUnreachable(
                        f"{self._number - self._acknowledged} earlier writes wait for the server at {self._sender.url}"
                    )
            outcome = self._ask_next(data)
            if outcome is not None:
                if outcome.error is not None:
                    raise outcome.error
                return outcome.value

    def _ask_next(self, data: bytes) -> Outcome | None:
        """Sends it under the next number; None where another write came first."""
        with self._sender.sending:
            with self._changed:
                if self._acknowledged < self._number:
                    return None
                self._number += 1
                number = self._number
            try:
                return self._sender.deliver([Record(number, data)])[0]
            finally:
                with self._changed:
                    if not self._pending and self._written < number:
                        self._written = self._durable = number
                    self._acknowledged = max(self._acknowledged, number)

    def is_durable(self, number: int) -> bool:
        """Whether the write would survive a power cut here."""
        return number <= self._durable

    def _ready(self, receipt: Receipt) -> bool:
        number = getattr(receipt, "number", 0)
        return receipt.done or (self._sender.away and number <= self._durable)

    def wait(self, receipt: Receipt, timeout: float | None) -> None:
        """Blocks until the server has answered; if it is away or slow, until the write is durable here."""
        began = time.monotonic()
        number = getattr(receipt, "number", 0)
        with self._changed:
            while not self._ready(receipt):
                if self._forked:
                    raise ForkedLedger
                waited = time.monotonic() - began
                if waited >= self._patience_s and number <= self._durable:
                    return
                if timeout is not None and waited >= timeout:
                    raise WriteUncertain(f"neither server nor spool answered within {timeout} s")
                limit = self._patience_s if timeout is None else min(timeout, self._patience_s)
                self._changed.wait(min(_LOOK_S, max(0.001, limit - waited)))

    def future(self, receipt: Receipt) -> "asyncio.Future[None]":
        """What is done in the running loop when `wait` would return."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        number = getattr(receipt, "number", 0)
        with self._changed:
            if self._forked:
                raise ForkedLedger
            if self._ready(receipt):
                future.set_result(None)
                return future
            self._futures.setdefault(number, []).append((loop, future))
        loop.call_later(self._patience_s, self._lose_patience, number, future)
        return future

    def _lose_patience(self, number: int, future: "asyncio.Future[None]") -> None:
        if future.done():
            return
        if number <= self._durable:
            future.set_result(None)
        else:
            future.get_loop().call_later(_LOOK_S, self._lose_patience, number, future)

    def flush(self, timeout: float | None = 60.0) -> None:
        """Waits until all that was queued is durable, there or here. Raises the first write that failed unseen."""
        with self._changed:
            last = self._receipts.get(self._number)
        if last is not None:
            self.wait(last, timeout)
        Writer.raise_unseen(self.unseen)

    def drain(self, timeout: float) -> bool:
        """Waits until the server has answered everything; whether it has."""
        until = time.monotonic() + timeout
        with self._changed:
            while self._acknowledged < self._number and (left := until - time.monotonic()) > 0:
                self._changed.wait(min(_LOOK_S, left))
            return self._acknowledged >= self._number

    @property
    def waiting(self) -> int:
        """Writes that no server has answered yet."""
        with self._changed:
            return self._number - self._acknowledged

    def close(self, timeout: float | None = 60.0) -> None:
        """Waits until everything is durable, there or here, and ends the threads. What is left stays in the spool."""
        if self._forked or self._closed:
            return
        try:
            self.flush(timeout)
            if not self._sender.away:
                self.drain(min(self._patience_s, 60.0 if timeout is None else timeout))
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._sender.stop()
            for thread in (self._writing, self._sending):
                if thread is not threading.current_thread():
                    thread.join(10.0)
            self._spool.close(delivered=self._acknowledged >= self._number)

    def forked(self) -> None:
        """Called in a forked child: the spool and its lock are the parent's."""
        self._forked = True
        self._changed = threading.Condition()
        self.unseen.clear()

    def _require_open(self) -> None:
        if self._forked:
            raise ForkedLedger
        if self._closed:
            raise LedgerClosed

    # --- the spool's thread --------------------------------------------------------------------------------------

    def _write(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._closed:
                    self._changed.wait()
                taken, self._pending, self._pending_bytes = self._pending, [], 0
                self._changed.notify_all()
                if not taken:
                    return
            self._append(taken)
            self._make_durable()

    def _append(self, taken: list[tuple[Record, bool]]) -> None:
        """Writes a group; where it does not fit, one after the other, so that the ends of runs still do."""
        try:
            self._spool.append([record for record, _ in taken], ends=all(ends for _, ends in taken))
        except RunstoneError as error:
            if len(taken) > 1:
                for one in taken:
                    self._append([one])
                return
            self._settle([(taken[0][0].number, Outcome(error=error))])
        with self._changed:
            self._written = taken[-1][0].number
            self._changed.notify_all()

    def _make_durable(self) -> None:
        """Flushes the disk, unless the server has answered for all of it by then."""
        with self._changed:
            written = self._written
            if not self._sender.away:
                self._changed.wait_for(lambda: self._acknowledged >= written or self._pending, QUICK_S)
            if self._acknowledged >= written:
                return
        try:
            self._spool.sync()
        except RunstoneError as error:
            self._sender.trouble = error
            return
        with self._changed:
            self._durable = max(self._durable, written)
            self._changed.notify_all()
            self._wake_futures()

    # --- the sender's thread -------------------------------------------------------------------------------------

    def _send(self) -> None:
        while True:
            with self._changed:
                while self._acknowledged >= self._written and not self._closed:
                    self._changed.wait(_LOOK_S)
                    if self._acknowledged >= self._written and self._sender.look_for_abandoned():
                        break
                if self._closed:
                    return
            self._sender.deliver_abandoned()
            self._send_some()

    def _send_some(self) -> None:
        """Sends what is in the spool; waits a while where the server is away."""
        with self._sender.sending:
            with self._changed:
                after, written = self._acknowledged, self._written
            records = self._sender.some_of(self._spool, after)
            if not records:
                with self._changed:  # what was refused by the spool itself is in no segment
                    self._acknowledged = max(self._acknowledged, written)
                    self._changed.notify_all()
                return
            outcomes = self._sender.try_deliver(records)
        if outcomes is not None:
            self._settle([(r.number, o) for r, o in zip(records, outcomes, strict=True)])
            with self._changed:
                self._acknowledged = max(self._acknowledged, records[-1].number)
                self._changed.notify_all()
            self._spool.forget(self._acknowledged)
            return
        with self._changed:
            self._changed.notify_all()
            self._wake_futures()
        self._sender.pause()

    # --- settling ------------------------------------------------------------------------------------------------

    def _settle(self, outcomes: Iterable[tuple[int, Outcome]]) -> None:
        with self._changed:
            for number, outcome in outcomes:
                receipt = self._receipts.pop(number, None)
                if receipt is None:
                    continue
                if outcome.error is not None:
                    self._refuse(receipt, outcome.error)
                else:
                    receipt.settle(outcome)
            self._changed.notify_all()
            self._wake_futures()

    def _refuse(self, receipt: RemoteReceipt, error: BaseException) -> None:
        """Notes a failure where it is raised, before its waiters are woken: they may see it, and take it back."""
        self.refused += 1
        unseen = receipt._unseen
        if unseen is not None:
            unseen.append(receipt)
            if isinstance(unseen, Unseen):
                self.unseen.append(receipt)
        receipt.settle(Outcome(error=error))

    def _wake_futures(self) -> None:
        ready = [
            number for number in self._futures
            if number not in self._receipts or (self._sender.away and number <= self._durable)
        ]  # fmt: skip
        for number in ready:
            for loop, future in self._futures.pop(number):
                _call(loop, future)


def _call(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
    try:
        loop.call_soon_threadsafe(_done, future)
    except RuntimeError:
        return  # that loop is closed; the receipt holds the outcome for whoever asks


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
