"""What every part of the engine works with: the writer, the reader, the clock, and who changed."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runstone.domain import codec, keys
from runstone.domain.bounds import bounded, labels_of
from runstone.domain.clock import Clock
from runstone.domain.inputs import InputRequest
from runstone.domain.redaction import Redactor
from runstone.domain.retention import EVERY
from runstone.domain.secrets import Source
from runstone.domain.state import Saved
from runstone.engine.limits import own_cap
from runstone.errors import BudgetReached, StoreError, ValueTooLarge
from runstone.store import questions
from runstone.store.base import Write
from runstone.store.reads import Reader
from runstone.store.writer import Receipt, Writer
from runstone.store.writes.checkpoints import SaveCheckpoint

if TYPE_CHECKING:
    from runstone.engine.deliveries import Delivery

POLL_S = 0.05
"""How often other processes' commits are looked for."""


_wrap: ContextVar[Callable[[Write], Write] | None] = ContextVar("runstone_wrap", default=None)


@contextmanager
def wrapping(wrap: Callable[[Write], Write]) -> Iterator[None]:
    """In the block, what is submitted in this context passes `wrap`, which gives the write to submit in its place.

    So a request's key is kept in the transaction of its effect, and what has the effect need not know of keys.
    """
    token = _wrap.set(wrap)
    try:
        yield
    finally:
        _wrap.reset(token)


class State(NamedTuple):
    """A state to be saved: the whole of it, or what was added to its lists."""

    state: Any = None
    append: dict[str, list[Any]] | None = None


class Desk:
    """Where what a caller gives is checked and cleaned, before it is written anywhere."""

    def __init__(self, clock: Clock, redactor: Redactor) -> None:
        self.clock = clock
        self.redactor = redactor
        """Every text that people are shown passes it on its way in; keys, inputs, results and states do not."""

    def clean(self, name: str, text: str, limit: int = codec.ROW_TEXT_BYTES) -> str:
        """A row's text without secrets, as long as a row's text may be. Raises as `bounded` does."""
        return codec.clip(self.redactor.text(bounded(name, text, limit)), limit)

    def clean_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Labels without secrets. Raises as `labels_of` does."""
        clean = self.redactor.value(labels_of(labels))
        if clean is labels:
            return labels
        try:
            return labels_of(clean)
        except ValueTooLarge:  # what was put in the place of short secrets made them too long
            return {name: _as_short(text, labels.get(name, "")) for name, text in clean.items()}

    def now(self) -> int:
        """Microseconds UTC."""
        return self.clock.now()

    def new_id(self) -> str:
        """A new id (UUIDv7): ordered by time, unique without asking anyone."""
        return keys.time_ordered_id(self.clock.now(), os.urandom(10))


class Core(Desk):
    """One open ledger of this process. Everything above it shares these parts."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        clock: Clock,
        signals: "Signals",
        folder: Path | None = None,
        *,
        redactor: Redactor | None = None,
    ) -> None:
        super().__init__(clock, redactor or Redactor())
        self.folder = folder
        """Where files beside the ledger lie; None for a ledger without a folder."""
        self.root: Path | None = None
        """The folder of the workspace."""
        self.dsn: str | None = None
        """How a shared ledger is reached; None for one in a file."""
        self.writer = writer
        self.reader = reader
        self.signals = signals
        self.secrets: Source | None = None
        """Gives the values of secrets, after what a run is given itself."""
        self.retain: Callable[[str], None] | None = None
        """Told of runs that have saved many checkpoints."""

    def submit(self, write: Write, unseen: list[Receipt] | None = None) -> Receipt:
        """Queues a write."""
        wrap = _wrap.get()
        if wrap is not None:
            write = wrap(write)
        return self.writer.submit(write, unseen)

    def worker_thread(self, run_id: str) -> str | None:
        """The thread of a run's own conversation, if it has one."""
        return self.reader.runs.get(run_id).worker_thread_id

    def saved(self, run_id: str) -> Saved:
        """What the run's last checkpoint holds."""
        return self.reader.states.load(run_id)[1]

    def checkpoint(
        self, run_id: str, attempt: int, before: Saved, new: State, label: str | None
    ) -> tuple[Write, Saved]:
        """The write that saves a state, and what is saved then."""
        places, saved = before.changes(new.state) if new.append is None else before.appended(new.append)
        self.retained(run_id, saved.number)
        return SaveCheckpoint(run_id, attempt, places, label=label, after=before.number), saved

    def retained(self, run_id: str, number: int) -> None:
        """A run saves its checkpoint of this number: now and then the old ones go, where it is so agreed."""
        if number % EVERY == 0 and self.retain is not None:
            self.retain(run_id)

    def finished_children(self, run_id: str, attempt: int, limit: int) -> "list[Delivery]":
        """Ends of the run's children that no attempt of it has acknowledged."""
        from runstone.engine import deliveries

        return deliveries.of_parent(self, run_id, attempt, limit)

    def own_cap(self, run_id: str) -> BudgetReached | None:
        """That the run and all below it have spent its budget."""
        return own_cap(self.reader, run_id, codec.encode(self.reader.runs.get(run_id).options).decode())

    def steered(self, run_id: str) -> bool:
        """Whether the run was sent messages that it has not had."""
        return bool(self.reader.rows("any_steering", run=self.reader.runs.pk(run_id))[0][0])

    def question(self, input_id: str) -> InputRequest:
        """The input request."""
        return questions.get(self.reader, input_id)


def _as_short(text: str, as_this: str) -> str:
    return text.encode()[: len(as_this.encode())].decode(errors="ignore")


class Signals:
    """Tells waiters that something may have changed: at once for this process's commits, by polling for others'.

    A waiter is called with no promise that its run changed; it looks at the ledger, which is the truth.
    """

    def __init__(self, changed_elsewhere: "Watch") -> None:
        self._changed_elsewhere = changed_elsewhere
        self._lock = threading.Lock()
        self._waiters: dict[int, tuple[str | None, Callable[[], None]]] = {}
        self._numbers = itertools.count()
        self._polling: threading.Thread | None = None
        self._stop = threading.Event()

    def subscribe(self, run_id: str | None, call: Callable[[], None]) -> int:
        """Calls `call` when the run (None: any) may have changed, from any thread. Gives a number for `unsubscribe`."""
        with self._lock:
            number = next(self._numbers)
            self._waiters[number] = (run_id, call)
            if self._polling is None and not self._stop.is_set():
                self._polling = threading.Thread(target=self._poll, name="runstone-poll", daemon=True)
                self._polling.start()
        return number

    def unsubscribe(self, number: int) -> None:
        """Ends a subscription; it may be called once more from another thread meanwhile."""
        with self._lock:
            self._waiters.pop(number, None)

    def committed(self, changed: set[str], _at: int = 0) -> None:
        """Called by the writer after a commit that changed the status of these runs."""
        with self._lock:
            calls = [call for run_id, call in self._waiters.values() if run_id is None or run_id in changed]
        for call in calls:
            call()

    def _poll(self) -> None:
        try:
            while not self._stop.is_set():
                self._changed_elsewhere.rest(self._stop, POLL_S)
                with self._lock:
                    calls = [call for _, call in self._waiters.values()]
                if calls and self._look():
                    for call in calls:
                        call()
        finally:
            self._changed_elsewhere.close()

    def _look(self) -> bool:
        try:
            return self._changed_elsewhere()
        except StoreError:
            return True  # whoever is woken reads for himself, and gets the error

    def close(self) -> None:
        """Ends the polling."""
        self._stop.set()
        with self._lock:  # whoever is about to start it has started it then
            polling = self._polling
        if polling is not None:
            polling.join(5)

    def forked(self) -> None:
        """Called in a forked child: there is no polling thread, and locks may be as it held them."""
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._waiters, self._polling = {}, None
        self._stop.set()
        self._changed_elsewhere.forked()


class Watch:
    """Polls `data_version` on a connection of its own, opened in the thread that polls."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._db: Any = None

    def __call__(self) -> bool:
        if self._db is None:
            self._db = self._connect()
            self._db.changed_elsewhere()
            return True  # what happened before the first look is unknown
        return bool(self._db.changed_elsewhere())

    def rest(self, stop: threading.Event, limit_s: float) -> None:
        """Waits for the time to look again; less long where the store tells that somebody committed."""
        if self._db is None:
            stop.wait(limit_s)
        else:
            self._db.await_commit(stop, limit_s)

    def close(self) -> None:
        """Closes the connection, in the thread that polled."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def forked(self) -> None:
        """Called in a forked child: the connection is the parent's."""
        if self._db is not None:
            self._db.abandon()
