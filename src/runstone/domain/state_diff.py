"""What differs between two states: fields and items that came, went, changed or moved, and texts line by line.

Paths are JSON Pointers (RFC 6901): of what is gone or was moved in the first state, of everything else in the second.
The time grows with the size of the states, whatever is in them: what it takes to compare is bounded.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from runstone.domain.text_diff import align, brief, ends, unified

MAX_DEPTH: Final = 16
"""Lists and objects within each other are compared this deep; what differs below is one change."""

MAX_ITEMS: Final = 20_000
"""Items of lists and lines of texts that are told apart, in all; beyond it a list that differs is one change."""

MAX_CHANGES: Final = 2_000
"""Changes that are given; of what is beyond only `more` is said."""

LONG_TEXT: Final = 80
"""Longer texts, and those of several lines, are compared line by line."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_PLAIN: Final = ({str, type(None)}, {int, type(None)}, {str, int, type(None)})
"""Types of which no two different values are equal: they are compared as they are."""

Action = Literal["added", "removed", "changed", "moved"]


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference. `before` and `after` are values, unset where there is none; `text` is a unified diff by lines."""

    action: Action
    path: str
    moved_to: str | None = None
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    text: tuple[str, ...] = ()


class StateDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of two states, in the order of the second one; none if they are equal."""

    changes: tuple[Change, ...]
    more: bool = False
    """There are more than `MAX_CHANGES`."""

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there are of each action."""
        return dict(Counter(change.action for change in self.changes))


def diff(before: Any, after: Any) -> StateDiff:
    """The differences of two JSON values. Equal are numbers of the same type and value, and objects in any order."""
    changes: list[Change] = []
    if _encode(before) != _encode(after):
        for change in _Comparison().of(before, after, "", 0):
            if len(changes) == MAX_CHANGES:
                return StateDiff(changes=tuple(changes), more=True)
            changes.append(change)
    return StateDiff(changes=tuple(changes))


class _Comparison:
    """One comparison; `left` is how many items and lines may still be told apart, which bounds its time."""

    def __init__(self) -> None:
        self.left = MAX_ITEMS

    def of(self, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
        """The differences of two values that are not equal."""
        if depth < MAX_DEPTH and type(before) is dict and type(after) is dict:
            yield from self._objects(before, after, path, depth + 1)
        elif depth < MAX_DEPTH and type(before) is list and type(after) is list:
            yield from self._lists(before, after, path, depth + 1)
        elif type(before) is str and type(after) is str and (_is_long(before) or _is_long(after)):
            yield Change(
                action="changed", path=path, before=before, after=after, text=self._text(before, after)
            )
        else:
            yield Change(action="changed", path=path, before=before, after=after)

    def _text(self, before: str, after: str) -> tuple[str, ...]:
        lines = max(before.count("\n"), after.count("\n")) + 1
        if lines > self.left:
            return brief(before, after)
        self.left -= lines
        return unified(before, after)

    def _objects(
        self, before: dict[str, Any], after: dict[str, Any], path: str, depth: int
    ) -> Iterator[Change]:
        for name, value in before.items():
            if name not in after:
                yield Change(action="removed", path=_below(path, name), before=value)
        for name, value in after.items():
            if name not in before:
                yield Change(action="added", path=_below(path, name), after=value)
            elif _encode(before[name]) != _encode(value):
                yield from self.of(before[name], value, _below(path, name), depth)

    def _lists(self, before: list[Any], after: list[Any], path: str, depth: int) -> Iterator[Change]:
        """Items that stayed in order are passed over; between them what went is compared with what came, in order."""
        old, new = _names(before, after)
        head, tail = ends(old, new)
        count = max(len(old), len(new)) - head - tail
        if count > self.left:
            yield Change(action="changed", path=path, before=before, after=after)
            return
        self.left -= count
        aligned = align(old, new, head, tail)
        left, arrived = dict(aligned.moved), {index for _, index in aligned.moved}
        for gap in aligned.gaps:
            for index in gap.gone:
                if index in left:
                    there = f"{path}/{left[index]}"
                    yield Change(action="moved", path=f"{path}/{index}", moved_to=there, after=before[index])
            gone = [index for index in gap.gone if index not in left]
            come = [index for index in gap.new if index not in arrived]
            for index, other in zip(gone, come, strict=False):
                yield from self.of(before[index], after[other], f"{path}/{other}", depth)
            for index in gone[len(come) :]:
                yield Change(action="removed", path=f"{path}/{index}", before=before[index])
            for other in come[len(gone) :]:
                yield Change(action="added", path=f"{path}/{other}", after=after[other])


def _is_long(text: str) -> bool:
    return len(text) > LONG_TEXT or "\n" in text


def _names(before: list[Any], after: list[Any]) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    """What tells items apart: themselves where that is safe (1, 1.0 and true are equal to Python), else their JSON."""
    kinds = set(map(type, before)) | set(map(type, after))
    if any(kinds <= plain for plain in _PLAIN):
        return before, after
    return [*map(_encode, before)], [*map(_encode, after)]


def _below(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
