"""Which checkpoints a retention keeps, and which rows of a run's states the kept ones do not need.

A row counts from its checkpoint up to the next row of the same place. So a checkpoint can be removed without writing
anything again: its rows serve the next kept one as they are, and those that no kept one looks at any more can go.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from runstone.domain import groups
from runstone.domain.state import LENGTH, WHOLE

_NEVER: Final = 2**62


class PlaceRow(NamedTuple):
    """A row of a place: since which checkpoint, whether it says that the place is gone, and what it takes up."""

    path: str
    item: int
    since: int
    gone: bool
    ref: str | None
    bytes: int


class Lengths:
    """How long the lists of a run's states are, at each kept checkpoint."""

    def __init__(self, kept: Sequence[int]) -> None:
        self.kept = kept
        self._at: dict[str, list[int]] = {}

    def add(self, path: str, rows: Iterable[tuple[int, int | None]]) -> None:
        """Adds a list's rows (since, length; None where it is gone), the oldest first."""
        known = list(rows)
        since = [number for number, _ in known]
        found = ((known[index - 1][1] or 0) if (index := bisect_right(since, k)) else 0 for k in self.kept)
        self._at[path] = list(found)

    def __contains__(self, path: object) -> bool:
        return path in self._at

    def reach(self, row: PlaceRow, first: int, last: int) -> bool:
        """Whether the list has the item, or the first of the group, at a kept checkpoint of `first` to before `last`.

        These count the kept ones.
        """
        lengths, item = self._at[row.path], groups.first_of(row.item)
        return any(lengths[index] > item for index in range(first, last))


def doomed(
    checkpoints: Sequence[tuple[int, str | None]], *, keep: int, keep_labelled: bool = True
) -> list[int]:
    """Numbers of the checkpoints (number, label; the oldest first) that go. The newest one never does."""
    old = checkpoints[: max(0, len(checkpoints) - max(1, keep))]
    return [number for number, label in old if not (keep_labelled and label)]


def unneeded(rows: Sequence[PlaceRow], lengths: Lengths, *, whole: bool, begins: bool) -> Iterator[PlaceRow]:
    """Of a page of rows, in order, those that no kept checkpoint needs.

    `whole` says that no row comes after the page: without it nothing is said of the last one. `begins` says that none
    came before it.
    """
    before: tuple[str, int] | None = None
    stays = False  # whether an older row of the same place stays
    for index, row in enumerate(rows):
        place = row[:2]
        stays = stays and place == before
        if place != before and index == 0 and not begins:
            stays = True  # perhaps: an older row may be on the page before
        before = place
        if index + 1 < len(rows):
            following = rows[index + 1]
            until = following.since if following[:2] == place else _NEVER
        elif whole:
            until = _NEVER
        else:
            return
        if _needed(row, until, lengths) and (stays or not row.gone):
            stays = True
        else:
            yield row


def _needed(row: PlaceRow, until: int, lengths: Lengths) -> bool:
    first, last = bisect_left(lengths.kept, row.since), bisect_left(lengths.kept, until)
    if row.item in (WHOLE, LENGTH) or first == last:
        return first < last
    return lengths.reach(row, first, last)


def list_paths(rows: Iterable[PlaceRow]) -> list[str]:
    """The lists that a page has items of."""
    return list(dict.fromkeys(row.path for row in rows if row.item not in (WHOLE, LENGTH)))
