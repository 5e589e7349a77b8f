"""Reading: each thread on its own connection, no transaction held open, no effects."""

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from runstone.domain import codec
from runstone.domain.clock import Clock
from runstone.errors import ForkedLedger, LedgerClosed, StoreError
from runstone.store.base import Database, Row
from runstone.store.reading.attempts import Attempts
from runstone.store.reading.boards import Boards
from runstone.store.reading.bulks import Bulks
from runstone.store.reading.commands import Commands
from runstone.store.reading.events import Events
from runstone.store.reading.journal import Journals
from runstone.store.reading.runs import Runs
from runstone.store.reading.search import Search
from runstone.store.reading.states import States
from runstone.store.reading.threads import Threads
from runstone.store.reading.told import Told
from runstone.store.reading.usage import Usage
from runstone.store.reading.values import Values
from runstone.store.reading.views import Views


class Reader:
    """Reads records. Thread-safe; a connection per thread, closed with the thread or the reader."""

    def __init__(
        self,
        connect: Callable[[], Database],
        clock: Clock,
        *,
        dead: Callable[["Reader"], list[str]] | None = None,
    ) -> None:
        """`dead` tells which owners of leases are proven dead on this machine."""
        self._connect = connect
        self._dead = dead
        self._clock = clock
        self._local = threading.local()
        self._all: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False
        self._forked = False
        self.runs = Runs(self)
        self.attempts = Attempts(self)
        self.events = Events(self)
        self.journal = Journals(self)
        self.values = Values(self)
        self.states = States(self)
        self.threads = Threads(self)
        self.boards = Boards(self)
        self.commands = Commands(self)
        self.usage = Usage(self)
        self.search = Search(self)
        self.views = Views(self)
        self.bulks = Bulks(self)
        self.told = Told(self)

    @property
    def db(self) -> Database:
        """This thread's connection."""
        if self._forked:
            raise ForkedLedger
        if self._closed:
            raise LedgerClosed
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
            self._all.add(db)
        return db

    def close(self) -> None:
        """Closes the connections of all threads; one that is in use at this moment goes with its thread."""
        if self._forked:
            return
        self._closed = True
        for db in list(self._all):
            with suppress(StoreError):
                db.close()

    def another(self) -> Database:
        """A connection of the caller's own, who closes it: for one long look."""
        if self._forked:
            raise ForkedLedger
        if self._closed:
            raise LedgerClosed
        return self._connect()

    def renew(self) -> None:
        """Gives this thread a new connection."""
        db: Database | None = getattr(self._local, "db", None)
        if db is not None:
            del self._local.db
            self._all.discard(db)
            db.close()

    def connections(self) -> list[Database]:
        """The connections of all threads. Who forks holds them: the child would close those of other threads."""
        return list(self._all)

    def forked(self) -> None:
        """Called in a forked child: the parent's connections are not touched, not even closed."""
        self._forked = True
        for db in list(self._all):
            db.abandon()

    def now(self) -> int:
        """Microseconds UTC, by the ledger's clock."""
        return self._clock.now()

    def rows(self, name: str, /, **params: Any) -> list[Row]:
        """Rows of a named statement."""
        return self.db.rows(name, params)

    def liveness(self) -> dict[str, Any]:
        """What decides which leases are live: the time, and the owners that are proven dead."""
        return {
            "now": self._clock.now(),
            "dead": codec.encode(self._dead(self) if self._dead else []).decode(),
        }
