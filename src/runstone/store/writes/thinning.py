"""Removing some of a run's checkpoints: their heads first, then, a chunk a time, the rows that the others don't need.

Between any two of these writes every checkpoint that is there loads as it was saved. What was cut off after the heads
leaves rows that nobody looks at; asking again takes them.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from runstone.domain import codec
from runstone.domain.thinning import Lengths, PlaceRow, list_paths, unneeded
from runstone.errors import IllegalTransition
from runstone.store.base import Row, Write
from runstone.store.batch import Batch

HEADS: Final = 500
"""Checkpoints that one write removes at most."""

PAGE: Final = 2_000
"""Rows that one write looks at, so that none lasts over 200 ms."""

Cursor = tuple[str, int, int]
START: Final[Cursor] = ("", -(2**62), 0)
"""Before all places of a run."""


class RemoveCheckpoints(Write):
    """Removes heads of checkpoints; the newest one of a run stays. The value: the numbers that were there."""

    __slots__ = ("numbers", "run_id")

    def __init__(self, run_id: str, numbers: Sequence[int]) -> None:
        self.run_id = run_id
        self.numbers = list(numbers)

    def decide(self, batch: Batch) -> list[int]:
        head = batch.head(self.run_id)
        newest = batch.read("last_checkpoint", run=head.pk)[0][0]
        if newest in self.numbers:
            raise IllegalTransition(
                f"run {self.run_id} would go on from checkpoint {newest}; the newest one stays",
                run_id=self.run_id,
            )
        asked = codec.encode(self.numbers).decode()
        found = [number for (number,) in batch.read("existing_checkpoints", run=head.pk, numbers=asked)]
        for number in found:
            batch.stage("delete_checkpoint", head.pk, number)
        if found:
            batch.record(head, "checkpoint.removed", {"numbers": found})
        return found


class Chunk(msgspec.Struct):
    """What one write took: rows, their bytes, digests of blobs that they referred to, and where to go on, if at all."""

    rows: int = 0
    bytes: int = 0
    refs: set[str] = msgspec.field(default_factory=set)
    cursor: Cursor | None = None


class ThinPlaces(Write):
    """Removes rows of a page that no checkpoint of the run needs. The value is a `Chunk`."""

    __slots__ = ("after", "limit", "run_id")

    def __init__(self, run_id: str, after: Cursor = START, limit: int = PAGE) -> None:
        self.run_id = run_id
        self.after = after
        self.limit = limit

    def decide(self, batch: Batch) -> Chunk:
        pk = batch.head(self.run_id).pk
        kept = [number for (number,) in batch.read("kept_numbers", run=pk)]
        if not kept:
            return Chunk()  # a prune takes them all
        path, item, since = self.after
        page = batch.read("place_page", run=pk, path=path, item=item, since=since, limit=self.limit)
        rows = place_rows(page)
        lengths = Lengths(kept)
        for name in list_paths(rows):
            lengths.add(name, length_rows(batch.read("lengths_of", run=pk, path=name)))
        whole = len(rows) < self.limit
        chunk = Chunk(cursor=None if whole else rows[-2][:3])
        for row in unneeded(rows, lengths, whole=whole, begins=self.after == START):
            batch.stage("delete_place", pk, *row[:3])
            chunk.rows += 1
            chunk.bytes += row.bytes
            if row.ref is not None:
                chunk.refs.add(row.ref)
        return chunk


def place_rows(page: list[Row]) -> list[PlaceRow]:
    """Rows of the statement `place_page`."""
    return [PlaceRow(path, item, since, bool(gone), *more) for path, item, since, gone, *more in page]


def length_rows(rows: list[Row]) -> list[tuple[int, int | None]]:
    """Rows of the statement `lengths_of`."""
    return [(since, None if length is None else int(length)) for since, length in rows]
