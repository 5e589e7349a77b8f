"""One connection to a shared ledger: transactions under the ledger's lock, statements by name, and connections lost.

Whoever writes takes one lock first, and holds it to its commit, as a write transaction of SQLite does. So all writers
decide one after the other, numbers and positions rise in the order of commits, and a commit of somebody else is
noticed by a number that is read with the lock.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from typing import Any, ClassVar, Final

import psycopg

from runstone import errors
from runstone.store import statements
from runstone.store.base import Row
from runstone.store.postgres import dialect
from runstone.store.postgres.clock import ServerClock
from runstone.store.postgres.connect import open_connection
from runstone.store.postgres.faults import typed
from runstone.store.postgres.pipeline import Pipeline

BUSY_MAX_S: Final = 60
"""So long a writer waits for the others' lock; then `StoreBusy`."""

STOPPED_MAX_S: Final = 5
"""So long a writer may hold the lock and do nothing: a stopped process must not hold up all others."""

RECONNECT_S: Final = 60.0
"""So long a server that is away is waited for; then `StoreUnreachable`, or `WriteUncertain` after a commit."""

COPIED_ROWS: Final = 64
"""From so many rows on COPY takes less time than a statement with arrays."""

HEARD_WITHIN_S: Final = 1.0
"""So often it is looked for commits that the server did not tell of."""

_BREATH_S: Final = 0.002
"""Commits that come close together are looked at once."""

_STAYS_SHARED: Final = 4

_OWN_BREATH_S: Final = 0.01
_own: Final[set[str]] = set()
"""The writers of this process, as they sign their hints."""

_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0

EACH_ROWS: Final = 500
"""Rows that are fetched at a time where they are many."""

_places = itertools.count(1)

LOCK: Final = 0x52756E53746F6E65
"""The number of the ledger's lock in its database ("Runstone")."""

CHANNEL: Final = "runstone"
"""What is notified at each commit; a hint only."""

# Each statement sees what was committed before it began: those after the lock see all of those who had it.
_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_BATCH: Final = "SELECT * FROM begin_batch($1, $2, $3)"
_LOCKING: Final = (LOCK, f"{BUSY_MAX_S}s", f"{STOPPED_MAX_S}s")
_END_BATCH: Final = f"SELECT end_batch($1, $2, $3, $4, '{CHANNEL}', $5)"

# The same for whoever must not take the schema for granted.
_BEGIN_ALONE: Final = f"""{_BEGIN};
SET LOCAL lock_timeout = '{BUSY_MAX_S}s';
SET LOCAL idle_in_transaction_session_timeout = '{STOPPED_MAX_S}s';
SELECT pg_advisory_xact_lock({LOCK})"""

_STANDING: Final = (
    "SELECT (SELECT last FROM numbers WHERE name = 'batches'), (SELECT max(number) FROM migrations)"
)

FORGET_EVERY: Final = 1_000
"""In so many batches once, writers that have not written for long are forgotten: each connection was one."""

_FORGET_WRITERS: Final = "DELETE FROM writers WHERE at < now() - interval '30 days'"

_COLUMNS: Final = """SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"""


class PostgresDatabase:
    """A `Database` over one connection, which is opened again when it is lost. Use from one thread at a time."""

    package: ClassVar[str] = "runstone.store.postgres"

    def __init__(self, dsn: str, *, readonly: bool = False, clock: ServerClock | None = None) -> None:
        """Raises `StoreError` subclasses, at once where the server is away. `clock` is told the server's time."""
        self.dsn = dsn
        self.clock = clock or ServerClock()
        self.readonly = readonly
        self.writer = uuid.uuid4()
        if not readonly:
            _own.add(str(self.writer))
        self.on_change: Callable[[PostgresDatabase], Any] | None = None
        """Told when another connection has committed: it may have brought the schema further than ours."""
        self._sql = statements.load(self.package)
        self._types: dict[str, dict[str, str]] = {}
        self._bulk: dict[str, dialect.Bulk | None] = {}
        self._standing: tuple[int, int] | None = None
        self._seen: tuple[int, int] | None = None
        self._numbers: dict[str, int] = {}
        self._shared = 0
        """Whether others write, too: in so many transactions more it is taken for granted."""
        self._ahead: dict[str, list[Row]] = {}
        self._open = False
        self._within = False
        self._closed = False
        self._listens: psycopg.Connection[Any] | None = None
        self._abandoned = False
        self._connect()

    # --- the connection ------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.raw = open_connection(self.dsn, self.clock)
        self._cursor = self.raw.cursor()
        self._pipeline = Pipeline(self.raw)

    def _lost(self) -> bool:
        return bool(self.raw.closed)

    def _reconnect(self, deadline: float) -> None:
        """Connects again until `deadline`. Raises `StoreUnreachable`, or at once what waiting does not change."""
        pause = _PAUSE_S
        while self._lost():
            if self._closed:
                raise errors.LedgerClosed
            try:
                self._connect()
                self._seen = None
            except errors.StoreUnreachable:
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _drop(self) -> None:
        """Gives up a connection that is of no use any more; a transaction on it is over when its caller says so."""
        with suppress(psycopg.Error):
            self.raw.close()

    def _execute(
        self, text: str, params: Sequence[Any] | None = None, *, prepare: bool | None = None
    ) -> None:
        with self._typed():
            self._pipeline.send()
            self._cursor.execute(text, params, prepare=prepare)

    @contextmanager
    def _typed(self) -> Iterator[None]:
        """In the block, what the driver raises becomes a `StoreError`; a connection that is of no use is given up."""
        try:
            yield
        except psycopg.Error as error:
            mine = typed(error, broken=self._lost())
            if isinstance(mine, errors.StoreUnreachable):
                self._drop()
            raise mine from error

    def _ask(self, *statements: tuple[str, Sequence[Any]]) -> list[list[Row]]:
        """Rows of statements in a transaction, sent with what was queued before them."""
        with self._typed():
            return self._pipeline.ask(*statements)

    def _fetch(self, text: str, params: Sequence[Any] | None = None) -> list[Row]:
        """Rows of a statement. Outside of a transaction a lost connection is opened again, and asked once more."""
        if self._open:
            return self._ask((text, params or ()))[0]
        alone = not self._within
        if alone and self._lost():
            self._reconnect(time.monotonic() + RECONNECT_S)
        try:
            self._execute(text, params)
        except errors.StoreUnreachable:
            if not alone or self._closed:
                raise
            self._reconnect(time.monotonic() + RECONNECT_S)
            self._execute(text, params)
        return self._cursor.fetchall() if self._cursor.description is not None else []

    def _last(self, *texts: str) -> list[Row]:
        """Rows of the last of several statements, which are sent together."""
        self._execute(";\n".join(texts), prepare=False)
        while self._cursor.nextset():
            continue
        return self._cursor.fetchall() if self._cursor.description is not None else []

    # --- transactions --------------------------------------------------------------------------------------------

    def begin(self, ahead: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        if self.readonly:
            raise errors.StoreReadOnly("this connection was opened for reading")
        deadline = time.monotonic() + RECONNECT_S
        while True:
            self._reconnect(deadline)
            try:
                self._open = True
                batches, schema, now = self._take_lock(ahead if self._shared else ())
                self._standing = batches, schema
                self.clock.heard(now)
                self._numbers = {}
                return
            except errors.StoreUnreachable:
                self._open = False
                if time.monotonic() > deadline:
                    raise
            except BaseException:
                self.rollback()
                raise

    def _take_lock(self, ahead: Sequence[tuple[str, dict[str, Any]]]) -> Row:
        """Begins, and asks with it what will be asked first, where others write, too."""
        self._pipeline.put(_BEGIN)
        asked = [_named(self._sql[name]) for name, _ in ahead]
        also = [(one.text, one.values(params)) for one, (_, params) in zip(asked, ahead, strict=True)]
        [standing], *answers = self._ask((_BEGIN_BATCH, _LOCKING), *also)
        self._ahead = {name: rows for (name, _), rows in zip(ahead, answers, strict=True)}
        return standing

    def commit(self) -> None:
        batch = uuid.uuid4()
        assert self._standing is not None
        batches, schema = self._standing
        try:
            self._end(batch)
            self._open = False
        except errors.StoreUnreachable:
            # The connection was lost before the server's answer came: it may have committed, or not.
            if not self._was_committed(batch):
                raise
            self._open = False
        except Exception:
            raise
        except BaseException:  # Ctrl-C, which may have come before the commit or after it
            self._open = not self._was_committed(batch)
            raise
        self._seen, self._ahead = (batches + 1, schema), {}

    def _end(self, batch: uuid.UUID) -> None:
        """Sends what is queued, which numbers are taken, the batch's own id, and COMMIT."""
        numbers = {**self._numbers, "batches": (self._standing or (0, 0))[0] + 1}
        names, lasts = dialect.array(numbers, "text"), dialect.array(numbers.values(), "bigint")
        self._pipeline.put(_END_BATCH, (self.writer, batch, names, lasts, str(self.writer)))
        if numbers["batches"] % FORGET_EVERY == 0:
            self._pipeline.put(_FORGET_WRITERS)
        self._pipeline.put("COMMIT")
        with self._typed():
            self._pipeline.send()

    def _was_committed(self, batch: uuid.UUID) -> bool:
        """Whether the server has the batch: asked under the lock, which the lost connection holds until it is over.

        Raises `WriteUncertain` if the server does not come back in time.
        """
        deadline = time.monotonic() + RECONNECT_S
        while True:
            try:
                self._drop()
                self._reconnect(deadline)
                rows = self._last(_BEGIN_ALONE, f"SELECT batch FROM writers WHERE writer = '{self.writer}'")  # noqa: S608
                self._last("ROLLBACK")
                return rows == [(batch,)]
            except errors.StoreError as error:
                if time.monotonic() > deadline or not isinstance(error, errors.StoreUnreachable):
                    raise errors.WriteUncertain(
                        "the connection was lost in a commit, and the database server did not come back to say whether "
                        f"it was stored ({error})"
                    ) from error

    def rollback(self) -> None:
        if self._open:
            self._open, self._ahead = False, {}
            self._pipeline.clear()
            if not self._lost():
                self._last("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        return self._open

    def changed_elsewhere(self) -> bool:
        if not self._open:
            self._standing = self._fetch(_STANDING)[0]
        assert self._standing is not None
        schema = self._standing[1]
        if self.on_change is not None and (self._seen is None or schema != self._seen[1]):
            self.on_change(self)  # raises each time that it is asked, until it has nothing against the change
        changed = self._standing != self._seen
        self._seen = self._standing
        self._shared = _STAYS_SHARED if changed else max(0, self._shared - 1)
        return changed

    def await_commit(self, stop: threading.Event, limit_s: float) -> None:
        """Told by the server where sessions are whole; a lost hint costs `HEARD_WITHIN_S`, as it is looked anyway.

        What this process commits is told to those who wait in it without the server, so that its hints are no hurry.
        """
        if self._lost() or self.raw.prepare_threshold is None:  # away, or behind a pooler
            stop.wait(limit_s)
            return
        try:
            if self._listens is not self.raw:
                self._execute(f"LISTEN {CHANNEL}", prepare=False)
                self._listens = self.raw
                return  # what was committed before was not told
            left = HEARD_WITHIN_S
            deadline = time.monotonic() + left
            while not stop.is_set() and left > 0:
                hints = [
                    one.payload for one in self.raw.notifies(timeout=min(2 * limit_s, left), stop_after=1)
                ]
                if not _own.issuperset(hints):
                    stop.wait(_BREATH_S)
                    return
                if hints:
                    deadline = min(deadline, time.monotonic() + limit_s)
                    stop.wait(_OWN_BREATH_S)
                left = deadline - time.monotonic()
        except (psycopg.Error, errors.StoreError):
            self._drop()  # whoever looks next connects again
            stop.wait(limit_s)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A transaction under the ledger's lock in which nothing is taken for granted: for a change of the schema."""
        self._reconnect(time.monotonic() + RECONNECT_S)
        try:
            self._open = True
            self._last(_BEGIN_ALONE)
            yield
            self._last("COMMIT")
            self._open = False
        finally:
            self.rollback()

    def run(self, text: str) -> list[Row]:
        """Runs statements of ours that take no parameters, and gives the rows of the last one."""
        return self._last(text)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads as of one moment; for a reader, and short."""
        self._reconnect(time.monotonic() + RECONNECT_S)
        self._within = True
        try:
            self._last("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        finally:
            self._within = False
            if not self._lost():
                self._last("ROLLBACK")

    # --- statements ----------------------------------------------------------------------------------------------

    def rows(self, name: str, params: dict[str, Any] | None = None, /, **more: Any) -> list[Row]:
        if self._ahead and (known := self._ahead.pop(name, None)) is not None:
            return known
        return self.query(self._sql[name], {**params, **more} if params else more)

    def select(self, columns: str, tables: str, where: str, tail: str, params: dict[str, Any]) -> list[Row]:
        named = self._sql
        # All parts are texts of ours (queries/, store/lists.py); what callers give is in `params`.
        where = dialect.estimated(statements.filled(where, named))
        return self.query(f"SELECT {named[columns]} FROM {named[tables]} WHERE {where} {tail}", params)  # noqa: S608

    def query(self, sql: str, params: dict[str, Any] | None = None) -> list[Row]:
        """Rows of a statement's text; for the reader, which puts filters together from named parts."""
        statement = _named(sql)
        return self._fetch(statement.text, statement.values(params or {}))

    def each(self, name: str, **params: Any) -> Iterator[Row]:
        """Rows of a statement one after the other, in a snapshot of a connection of one's own: not held in memory.

        A cursor of the server's, and not the driver's stream: other statements are asked meanwhile.
        """
        statement = _named(self._sql[name])
        place = f"each_{next(_places)}"
        self._execute(f"DECLARE {place} NO SCROLL CURSOR FOR {statement.text}", statement.values(params))
        while rows := self._fetch(f"FETCH {EACH_ROWS} FROM {place}"):
            yield from rows
            if len(rows) < EACH_ROWS:
                break
        self._execute(f"CLOSE {place}")

    def insert(self, name: str, rows: list[Row]) -> None:
        statement = self._many(name)
        if statement is not None and statement.counted is not None:
            last = max(row[0] for row in rows)
            self._numbers[statement.counted] = max(last, self._numbers.get(statement.counted, 0))
        if statement is None or len(rows) == 1:
            text = _positional(self._sql[name])
            for row in rows:
                self._put(text, row)
        elif statement.copied is not None and len(rows) >= COPIED_ROWS:
            self._copy(statement.copied, rows)
        else:
            self._put(statement.text, statement.values(rows))

    def _put(self, text: str, params: Sequence[Any]) -> None:
        """In a transaction it goes to the server with what follows it, with COMMIT at the latest."""
        if self._open:
            self._pipeline.put(text, params)
        else:
            self._execute(text, params)

    def _copy(self, text: str, rows: list[Row]) -> None:
        with self._typed():
            self._pipeline.send()
            with self._cursor.copy(text) as copy:
                # In parts: the server stores some while others are written.
                for start in range(0, len(rows), COPIED_ROWS):
                    copy.write(dialect.lines(rows[start : start + COPIED_ROWS]))

    def _many(self, name: str) -> dialect.Bulk | None:
        try:
            return self._bulk[name]
        except KeyError:
            self._bulk[name] = made = dialect.bulk(self._sql[name], self._types_of)
            return made

    def _types_of(self, table: str) -> dict[str, str]:
        if not self._types:
            for relation, column, kind in self._fetch(_COLUMNS):
                self._types.setdefault(relation, {})[column] = kind
        return self._types[table]

    def sql(self, name: str) -> str:
        """The text of a named statement."""
        return self._sql[name]

    def close(self) -> None:
        self._closed = True
        _own.discard(str(self.writer))
        self._drop()

    def __del__(self) -> None:
        # A thread's connection goes with the thread; the driver would only complain that nobody had closed it.
        if not getattr(self, "_abandoned", True):
            with suppress(Exception):
                self.raw.close()

    def abandon(self) -> None:
        self._abandoned = True
        # The socket is the parent's, too: a goodbye on it would end the parent's session. One reference too many keeps
        # even the interpreter's end from saying it.
        import ctypes

        for kept in (self.raw, self.raw.pgconn, self._cursor):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


@lru_cache(maxsize=2_000)
def _named(text: str) -> dialect.Named:
    return dialect.named(text)


@cache
def _positional(text: str) -> str:
    return dialect.positional(text)
