"""Retention of a run's checkpoints: the last ones and the labelled ones stay, the others go beside a working run."""

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runstone.care.removing import REST, Removal, chunks
from runstone.domain.thinning import Lengths, doomed, list_paths, unneeded
from runstone.errors import InvalidInput
from runstone.store.base import Write
from runstone.store.reads import Reader
from runstone.store.writes.thinning import (
    HEADS,
    PAGE,
    START,
    Cursor,
    RemoveCheckpoints,
    ThinPlaces,
    length_rows,
    place_rows,
)

if TYPE_CHECKING:
    from runstone.ledger import Ledger

_TURNS: Final = 1_000_000
"""Bounds a loop that ends by itself: two milliards of rows."""


class Thinned(msgspec.Struct, frozen=True, kw_only=True):
    """What a retention removed of a run, or would. `bytes` are those of the rows and of the values that they refer to;
    a value that others refer to, too, stays."""

    run_id: str
    removed: tuple[int, ...]
    """Numbers of the checkpoints."""
    kept: int
    rows: int
    bytes: int
    blobs: int = 0
    """Values that nobody referred to any more, and that were collected."""


def thin(
    ledger: "Ledger", run_id: str, *, keep: int, keep_labelled: bool = True, dry_run: bool = False
) -> Thinned:
    """Removes all but the last `keep` checkpoints of a run, from 1, and those with a label.

    Each kept one loads exactly as before, also while this works or where it is cut off; asking again goes on.
    """
    if type(keep) is not int or keep < 1:
        raise InvalidInput(f"keep is a whole number from 1, as the newest checkpoint stays; not {keep!r:.80}")
    reader = ledger.reader
    pk = reader.runs.pk(run_id)
    there = [(number, label) for number, label in reader.rows("checkpoint_labels", run=pk)]
    numbers = doomed(there, keep=keep, keep_labelled=keep_labelled)
    if dry_run:
        gone = set(numbers)
        rows, size = _weigh(reader, pk, [number for number, _ in there if number not in gone])
        return Thinned(
            run_id=run_id, removed=tuple(numbers), kept=len(there) - len(numbers), rows=rows, bytes=size
        )
    return _carry_out(ledger, run_id, numbers, len(there))


def _carry_out(ledger: "Ledger", run_id: str, numbers: list[int], there: int) -> Thinned:
    removed: list[int] = []
    for some in chunks(numbers, HEADS):
        removed += _rested(ledger, RemoveCheckpoints(run_id, some))
    rows = size = 0
    refs: set[str] = set()
    cursor = START
    for _ in range(_TURNS):
        chunk = _rested(ledger, ThinPlaces(run_id, cursor))
        rows, size = rows + chunk.rows, size + chunk.bytes
        refs |= chunk.refs
        if chunk.cursor is None:
            break
        cursor = chunk.cursor
    removal = Removal(ledger)
    removal.collect(refs)
    return Thinned(
        run_id=run_id, removed=tuple(removed), kept=there - len(removed), rows=rows, bytes=size,
        blobs=removal.taken.blobs,
    )  # fmt: skip


def _rested(ledger: "Ledger", write: Write) -> Any:
    """The write's value, once others had their turn, too."""
    started = time.monotonic()
    value = ledger.core.submit(write, []).result()
    time.sleep(REST * (time.monotonic() - started))
    return value


def _weigh(reader: Reader, pk: int, kept: list[int]) -> tuple[int, int]:
    """How many rows the kept checkpoints don't need, and their bytes. Reads only."""
    rows = size = 0
    cursor: Cursor | None = START
    lengths = Lengths(kept)
    for _ in range(_TURNS):
        if cursor is None or not kept:
            break
        path, item, since = cursor
        page = place_rows(reader.rows("place_page", run=pk, path=path, item=item, since=since, limit=PAGE))
        for name in list_paths(page):
            if name not in lengths:
                lengths.add(name, length_rows(reader.rows("lengths_of", run=pk, path=name)))
        whole = len(page) < PAGE
        for row in unneeded(page, lengths, whole=whole, begins=cursor == START):
            rows, size = rows + 1, size + row.bytes
        cursor = None if whole else page[-2][:3]
    return rows, size
