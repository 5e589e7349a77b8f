"""One APSW connection with the pragmas that durability needs, errors made typed, and statements by name."""

import fcntl
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import apsw

from runstone import errors
from runstone.store import statements
from runstone.store.base import Row

BUSY_FAST_S = 0.25
"""So long a writer competes freely; then it queues on the lock file, so that no process starves."""

BUSY_MAX_S = 60.0
"""So long it waits at all; then `StoreBusy`."""

BUSY_ALONE_MS = 1_000
"""So long whoever must be alone waits for others: a command that is just ending."""

CHUNK_ROWS = 256
"""Rows in one INSERT at most. Larger texts are not kept prepared by APSW, and gain nothing."""

_ERRORS: list[tuple[type[apsw.Error], type[errors.StoreError]]] = [
    (apsw.BusyError, errors.StoreBusy),
    (apsw.LockedError, errors.StoreBusy),
    (apsw.FullError, errors.StoreFull),
    (apsw.IOError, errors.StoreIO),
    (apsw.ReadOnlyError, errors.StoreReadOnly),
    (apsw.CantOpenError, errors.StoreReadOnly),
    (apsw.PermissionsError, errors.StoreReadOnly),
    (apsw.CorruptError, errors.StoreCorrupt),
    (apsw.NotADBError, errors.StoreCorrupt),
]


def typed(error: apsw.Error) -> errors.StoreError:
    """The `StoreError` that says what the driver's error means."""
    for kind, mine in _ERRORS:
        if isinstance(error, kind):
            told = (mine.__doc__ or "").strip().splitlines()[0]
            # A copy that the file system cut off has the code of its error, and no text.
            return mine(told if str(error).endswith("not an error") else f"{told} ({error})")
    return errors.StoreError(f"SQLite refused the statement: {error}")


class SQLiteDatabase:
    """A `Database` over one file. Use from one thread at a time."""

    package: ClassVar[str] = "runstone.store.sqlite"

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool = False,
        create: bool = False,
        immutable: bool = False,
        exclusive: bool = False,
    ) -> None:
        """`immutable` reads a file that nobody can change, without a lock; `exclusive` allows nobody else beside it."""
        self.path = path
        readonly = readonly or immutable
        flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE
        flags |= apsw.SQLITE_OPEN_CREATE if create else 0
        try:
            # Serialized, as SQLite is by default: a use from two threads at once is then an error, not a broken memory.
            name = f"file:{quote(str(path))}?immutable=1" if immutable else str(path)
            flags |= apsw.SQLITE_OPEN_URI if immutable else 0
            self.raw = apsw.Connection(name, flags=flags, statementcachesize=256)
            self.raw.set_busy_timeout(BUSY_ALONE_MS if exclusive else 5_000)
            if exclusive:  # before the first look at the file: the lock is taken with it
                self.raw.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._configure(readonly)
        except apsw.Error as error:
            raise typed(error) from error
        self._sql = statements.load(self.package)
        self._many: dict[tuple[str, int], str] = {}
        self._version: int | None = None
        self._schema: int | None = None
        self.on_change: Callable[[SQLiteDatabase], Any] | None = None
        """Told when another connection has committed: it may have brought the schema further than ours."""
        self._lock_path = path.with_name(path.name + "-queue")

    def _configure(self, readonly: bool) -> None:
        execute = self.raw.execute
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA recursive_triggers = ON")
        execute("PRAGMA temp_store = MEMORY")
        execute("PRAGMA mmap_size = 0")
        execute("PRAGMA cache_size = -16000")
        if readonly:
            execute("PRAGMA query_only = ON")
            return
        if self.raw.execute("PRAGMA page_count").get == 0:
            # Only a file that is still empty takes it; what a prune frees can then go back to the file system.
            execute("PRAGMA auto_vacuum = INCREMENTAL")
        if self.raw.execute("PRAGMA journal_mode = WAL").get != "wal":
            raise errors.StoreIO(
                f"{self.path.parent} does not support SQLite's write-ahead log", hint="use a local disk"
            )
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA fullfsync = ON")
        execute("PRAGMA checkpoint_fullfsync = ON")
        execute("PRAGMA wal_autocheckpoint = 2000")
        execute("PRAGMA journal_size_limit = 67108864")

    # --- transactions --------------------------------------------------------------------------------------------

    def begin(self, ahead: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        # What is asked ahead costs no way here.
        if not self._begin_within(BUSY_FAST_S, pause_s=0.002):
            self._begin_queued()

    def _begin_within(self, limit_s: float, pause_s: float) -> bool:
        """Tries to begin until `limit_s` has passed, pausing a little at random."""
        self.raw.set_busy_timeout(0)
        deadline = time.monotonic() + limit_s
        try:
            while True:
                try:
                    self.raw.execute("BEGIN IMMEDIATE")
                    return True
                except apsw.BusyError:
                    if time.monotonic() >= deadline:
                        return False
                time.sleep(pause_s * (0.5 + random.random()))
        except apsw.Error as error:
            raise typed(error) from error

    def _begin_queued(self) -> None:
        """One starving process at a time polls fast; the others wait for the lock file in turn."""
        deadline = time.monotonic() + BUSY_MAX_S
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise errors.StoreIO(f"{self._lock_path} cannot be opened: {error.strerror}") from error
        try:
            while not _try_lock(descriptor):
                if time.monotonic() >= deadline:
                    raise errors.StoreBusy(f"other processes held {self.path} for {BUSY_MAX_S:.0f} s")
                time.sleep(0.005)
            if not self._begin_within(deadline - time.monotonic(), pause_s=0.0002):
                raise errors.StoreBusy(f"another process held {self.path} for {BUSY_MAX_S:.0f} s")
        finally:
            os.close(descriptor)

    def commit(self) -> None:
        self._execute("COMMIT")

    def rollback(self) -> None:
        if self.raw.in_transaction:
            self._execute("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        return bool(self.raw.in_transaction)

    def changed_elsewhere(self) -> bool:
        schema = self.raw.execute("PRAGMA user_version").get
        if schema != self._schema and self.on_change is not None:
            self.on_change(self)  # raises each time that it is asked, until it has nothing against the change
        version = self.raw.execute("PRAGMA data_version").get
        changed = (version, schema) != (self._version, self._schema)
        self._version, self._schema = version, schema
        return bool(changed)

    def await_commit(self, stop: threading.Event, limit_s: float) -> None:
        stop.wait(limit_s)  # SQLite tells nobody

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads as of one moment; for a reader, and short."""
        self._execute("BEGIN")
        try:
            yield
        finally:
            self._execute("ROLLBACK")

    # --- statements ----------------------------------------------------------------------------------------------

    def rows(self, name: str, params: dict[str, Any] | None = None, /, **more: Any) -> list[Row]:
        return self.query(self._sql[name], {**params, **more} if params else more)

    def select(self, columns: str, tables: str, where: str, tail: str, params: dict[str, Any]) -> list[Row]:
        named = self._sql
        # All parts are texts of ours (queries/, store/lists.py); what callers give is in `params`.
        where = statements.filled(where, named)
        return self.query(f"SELECT {named[columns]} FROM {named[tables]} WHERE {where} {tail}", params)  # noqa: S608

    def query(self, sql: str, params: Any = None) -> list[Row]:
        """Rows of a statement's text; for the reader, which puts filters together from named parts."""
        try:
            return list(self.raw.execute(sql, params or None))
        except apsw.Error as error:
            raise typed(error) from error

    def each(self, name: str, **params: Any) -> Iterator[Row]:
        """Rows of a statement one after the other, for a connection of one's own: they are not held in memory."""
        try:
            yield from self.raw.execute(self._sql[name], params or None)
        except apsw.Error as error:
            raise typed(error) from error

    def insert(self, name: str, rows: list[Row]) -> None:
        start, left = 0, len(rows)
        while left:
            count = min(CHUNK_ROWS, 1 << (left.bit_length() - 1))
            sql = self._many.get((name, count))
            if sql is None:
                text = self._sql[name]
                sql = self._many[name, count] = text if count == 1 else statements.many_rows(text, count)
            chunk = rows[start : start + count]
            self._execute(sql, chunk[0] if count == 1 else list(chain.from_iterable(chunk)))
            start, left = start + count, left - count

    def _execute(self, sql: str, params: Any = None) -> None:
        try:
            self.raw.execute(sql, params)
        except apsw.Error as error:
            raise typed(error) from error

    def sql(self, name: str) -> str:
        """The text of a named statement."""
        return self._sql[name]

    def close(self) -> None:
        try:
            self.raw.close()
        except apsw.Error as error:
            raise typed(error) from error

    def abandon(self) -> None:
        # The parent's locks are not the child's, but SQLite's memory of them was copied: closing could end what
        # the parent works with, or wait for ever for a thread of the parent that was in SQLite. One reference too many
        # keeps even the interpreter's end from closing it, and the module from closing all that it knows of.
        import ctypes

        for kept in (self.raw, apsw):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
