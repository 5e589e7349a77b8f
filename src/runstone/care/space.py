"""Giving space back: loose values are collected, the search index is tidied, free pages leave the file.

All of it happens in short writes beside a working ledger. A whole rewrite (VACUUM) would lock everybody out.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from runstone.care.removing import REST, Removal
from runstone.engine.background import folder as spools
from runstone.errors import StoreError
from runstone.store.base import Write
from runstone.store.reads import Reader
from runstone.store.sqlite import log
from runstone.store.writes.space import GiveBack, TidySearch

if TYPE_CHECKING:
    from runstone.ledger import Ledger

_PAGE: Final = 2_000
_SEARCH_PAGES: Final = 64
_TURNS: Final = 100_000
"""Bounds of loops that end by themselves: 200 GB of file, 25 GB of index."""
_STALE_S: Final = 86_400.0
"""A folder of a command without a run may belong to one that is just being started, for much less than this."""


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger's file, in bytes: all of it, and what of it is free."""

    file_bytes: int
    free_bytes: int
    log_bytes: int
    shrinks: bool
    """Whether free pages can leave it; a file of an older version uses them again, and stays."""

    @property
    def used_bytes(self) -> int:
        """What the ledger needs."""
        return self.file_bytes - self.free_bytes


def measure(ledger: "Ledger") -> Space:
    """How large the file is."""
    size, free, shrinks = ledger.reader.rows("space")[0]
    path = ledger.workspace.database
    try:
        written = path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        written = 0
    return Space(file_bytes=size, free_bytes=free, log_bytes=written, shrinks=bool(shrinks))


def sweep(ledger: "Ledger", removal: Removal) -> None:
    """Collects every blob that no row refers to, and folders of commands whose run is gone."""
    for digests in loose(ledger.reader):
        removal.collect(digests)
    _sweep_spools(ledger)


def loose(reader: Reader) -> Iterator[list[str]]:
    """Digests of blobs that no row refers to, page by page of the table: no read is long."""
    last = reader.rows("last_blob")[0][0]
    for after in range(0, last, _PAGE):
        if found := reader.rows("blob_pages", after=after, last=after + _PAGE):
            yield [digest for (digest,) in found]


def _sweep_spools(ledger: "Ledger") -> None:
    folder = ledger.workspace.folder / spools.FOLDER
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        with suppress(OSError, msgspec.DecodeError):
            launch = msgspec.json.decode((place / "launch.json").read_bytes(), type=spools.Launch)
            one = spools.ExecFolder(ledger.workspace.folder, launch.run_id)
            old = time.time() - place.stat().st_mtime > _STALE_S
            if old and one.path == place and not ledger.reader.rows("pk_of", run_id=launch.run_id):
                one.remove()


def give_back(ledger: "Ledger", *, tidy: bool = True) -> bool:
    """Gives what is free back to the file system. Whether the log was, too: a reader may have held it.

    PostgreSQL uses what is free again by itself (autovacuum), and keeps nothing of what was removed in a file of ours.
    """
    if ledger.workspace.dsn is not None:
        return True
    if tidy:
        _write_until(ledger, lambda: TidySearch(_SEARCH_PAGES))
    if measure(ledger).shrinks:
        _write_until(ledger, GiveBack)
    with suppress(StoreError):
        return log.truncate(ledger.workspace.database)
    return False


def _write_until(ledger: "Ledger", make: Callable[[], Write]) -> None:
    """Writes until a write says that there is nothing left, or that it got no further."""
    before: object = None
    for _ in range(_TURNS):
        started = time.monotonic()
        left = ledger.core.submit(make(), []).result()
        if not left or (left is not True and left == before):
            return
        before = left
        time.sleep(REST * (time.monotonic() - started))
