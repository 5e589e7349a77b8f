"""What a client has not yet had acknowledged: a folder of append-only segments, locked by the process that writes it.

A record is `CRC NUMBER JSON` on a line of its own. A killed process leaves its folder; the next one that gets the lock
delivers what is in it. The last record of a segment may be torn by a power cut; it was not acknowledged to anybody.
"""

import fcntl
import os
import shutil
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from runstone.errors import SpoolFull, StoreCorrupt, StoreIO

SEGMENT_BYTES: Final = 8 * 1024 * 1024
"""A segment is removed once all of it is acknowledged; smaller ones give the disk back sooner."""

END_BYTES: Final = 1024 * 1024
"""So much more than its bound a spool takes for the ends of runs: one that ended must not read as interrupted."""

_LOCK: Final = "lock"
_OWNER: Final = "owner.json"
_SUFFIX: Final = ".log"


class Record(msgspec.Struct, frozen=True):
    """An operation in the spool."""

    number: int
    data: bytes


class _Segment:
    """One file: its first number, the last one written, and its bytes."""

    __slots__ = ("first", "last", "path", "size")

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        self.first = first
        self.last = first - 1
        self.size = 0


class Spool:
    """A folder of segments that this process has locked. Thread-safe. Close it."""

    def __init__(self, folder: Path, lock: int, limit_bytes: int) -> None:
        self.folder = folder
        self._lock_file = lock
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._segments = [_Segment(path, int(path.stem)) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
        self._file: int | None = None
        self._read_at: tuple[int, int] = (0, 0)  # the number after which the offset in its segment lies
        self._unsynced = False
        for segment in self._segments:
            self._measure(segment)

    @property
    def last(self) -> int:
        """The number of the last record."""
        return self._segments[-1].last if self._segments else 0

    def owner(self) -> bytes | None:
        """Who wrote it, as JSON; None where it was killed before it said so."""
        with suppress(FileNotFoundError):
            return (self.folder / _OWNER).read_bytes() or None
        return None

    def set_owner(self, data: bytes) -> None:
        """Says who writes it; durable with the first record."""
        with _Typed("written"):
            _write_private(self.folder / _OWNER, data)

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, records: Sequence[Record], *, ends: bool = False) -> None:
        """Adds records, all or none. Raises `SpoolFull` or `StoreIO`. They survive the process, not yet a power cut."""
        data = b"".join(_line(record) for record in records)
        limit = self._limit + (END_BYTES if ends else 0)
        with self._lock:
            held = sum(segment.size for segment in self._segments)
            if held + len(data) > limit:
                raise SpoolFull(
                    f"{self.folder} holds {held:,} bytes that no server has taken; {limit:,} are allowed"
                )
            segment = self._open_segment(records[0].number)
            with _Typed("written"):
                self._write(segment, data)
            segment.size += len(data)
            segment.last = records[-1].number
            self._unsynced = True

    def _open_segment(self, number: int) -> _Segment:
        if self._file is not None and self._segments[-1].size < SEGMENT_BYTES:
            return self._segments[-1]
        with _Typed("written"):
            if self._file is not None:
                os.fsync(self._file)
                os.close(self._file)
                self._file = None
            segment = _Segment(self.folder / f"{number:016d}{_SUFFIX}", number)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(segment.path, flags, 0o600)
            self._segments.append(segment)
            _sync_folder(self.folder)
        return segment

    def _write(self, segment: _Segment, data: bytes) -> None:
        assert self._file is not None
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._file, data[written:], segment.size + written)
        except OSError:
            with suppress(OSError):  # nothing after it may follow half a record
                os.ftruncate(self._file, segment.size)
            raise

    def sync(self) -> None:
        """Makes what was added survive a power cut. Raises `StoreIO`."""
        with self._lock:
            if self._file is None or not self._unsynced:
                return
            descriptor, self._unsynced = os.dup(self._file), False
        try:
            with _Typed("made durable"):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, after: int, *, records: int, size: int) -> list[Record]:
        """The records with numbers above `after`, in order: at most so many, and about so many bytes, but one."""
        found: list[Record] = []
        held = 0
        for record in self._from(after):
            held += len(record.data)
            if found and held > size:
                break
            found.append(record)
            if len(found) >= records:
                break
        return found

    def _from(self, after: int) -> Iterator[Record]:
        with self._lock:
            segments = [segment for segment in self._segments if segment.last > after]
            at, offset = self._read_at
        for segment in segments:
            start = offset if at == after and segment.first <= at <= segment.last else 0
            for record, end in _records(segment.path, start):
                if record.number > after:
                    with self._lock:
                        self._read_at = (record.number, end)
                    yield record

    def _measure(self, segment: _Segment) -> None:
        """Finds the last whole record, and cuts off a torn one. Raises `StoreCorrupt` for damage before that."""
        for record, end in _records(segment.path, 0):
            segment.last, segment.size = record.number, end
        size = segment.path.stat().st_size
        if size > segment.size:
            with segment.path.open("rb") as file:
                file.seek(segment.size)
                if b"\n" in file.read()[:-1]:
                    raise StoreCorrupt(
                        f"{segment.path} is damaged after record {segment.last}",
                        hint=f"what is before it was delivered or will be; move {self.folder} away to go on without it",
                    )
            os.truncate(segment.path, segment.size)

    def forget(self, up_to: int) -> None:
        """Removes segments all of whose records were acknowledged."""
        with self._lock:
            gone = [segment for segment in self._segments if segment.last <= up_to]
            if gone and gone[-1] is self._segments[-1] and self._file is not None:
                if gone[-1].size < SEGMENT_BYTES // 8:
                    gone.pop()  # a small one is written on
                else:
                    os.close(self._file)
                    self._file = None
            self._segments = [segment for segment in self._segments if segment not in gone]
            for segment in gone:
                segment.path.unlink(missing_ok=True)

    def close(self, *, delivered: bool) -> None:
        """Gives up the lock; removes the folder where everything was acknowledged."""
        with self._lock:
            if self._file is not None:
                with suppress(OSError):
                    os.fsync(self._file)
                os.close(self._file)
                self._file = None
            if delivered:
                shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock_file)


def create(base: Path, name: str, limit_bytes: int) -> Spool:
    """A new spool of that name below `base`. Raises `StoreIO`."""
    folder = base / name
    with _Typed("created"):
        folder.mkdir(mode=0o700, parents=True)
        lock = _try_lock(folder / _LOCK)
    assert lock is not None
    return Spool(folder, lock, limit_bytes)


def abandoned(base: Path, limit_bytes: int) -> Iterator[Spool]:
    """Spools below `base` whose process is gone; each is locked. Those without a record are removed."""
    for folder in sorted(path for path in base.glob("*") if path.is_dir()):
        with suppress(OSError):
            lock = _try_lock(folder / _LOCK, create=False)
            if lock is None:
                continue
            try:
                spool = Spool(folder, lock, limit_bytes)
            except StoreCorrupt:
                os.close(lock)
                continue
            if spool.last:
                yield spool
            else:
                spool.close(delivered=True)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in the spools below a folder."""

    folder: str
    spools: int
    bytes: int


def standing(base: Path) -> Standing:
    """What lies below `base`; takes no lock, so that it may be asked at any time."""
    sizes = {path: path.stat().st_size for path in base.glob(f"*/*{_SUFFIX}") if path.exists()}
    return Standing(folder=str(base), spools=len({path.parent for path in sizes}), bytes=sum(sizes.values()))


def left_behind(base: Path) -> Standing:
    """What lies in spools below `base` that no process has."""
    spools = size = 0
    for folder in (path for path in base.glob("*") if path.is_dir()):
        with suppress(OSError):
            held = sum(path.stat().st_size for path in folder.glob(f"*{_SUFFIX}"))
            lock = _try_lock(folder / _LOCK, create=False) if held else None
            if lock is not None:
                os.close(lock)
                spools, size = spools + 1, size + held
    return Standing(folder=str(base), spools=spools, bytes=size)


def _try_lock(path: Path, *, create: bool = True) -> int | None:
    """The locked file, or None where another process has it, or has removed it meanwhile."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _line(record: Record) -> bytes:
    body = b"%d %b" % (record.number, record.data)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _records(path: Path, start: int) -> Iterator[tuple[Record, int]]:
    """The whole records from an offset on, each with the offset after it."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(start)
        end = start
        for line in file:
            crc, _, body = line[:-1].partition(b" ")
            number, _, data = body.partition(b" ")
            if not line.endswith(b"\n") or not number.isdigit() or crc != b"%08x" % zlib.crc32(body):
                return
            end += len(line)
            yield Record(int(number), data), end


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Typed:
    """Turns errors of the file system into the ledger's own."""

    def __init__(self, done: str) -> None:
        self._done = done

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        import errno

        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpoolFull(
                f"the disk is full: {error.filename or 'the spool'} cannot be {self._done}"
            ) from error
        raise StoreIO(f"the spool cannot be {self._done}: {error}") from error
