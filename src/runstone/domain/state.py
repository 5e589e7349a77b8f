"""A checkpoint's state as places: which of them changed since the last save, and how a state is put together again.

A place is a top-level key of the state (`item` -1), one item of a top-level list (`item` its index) or such a list's
length (`item` -2). The state at checkpoint n has, for each place, the newest row not after n. So a conversation of a
thousand messages adds one message's bytes per save, not the whole of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec

from runstone.domain import codec, groups
from runstone.errors import InvalidInput

WHOLE: Final = -1
LENGTH: Final = -2

MAX_PATH_BYTES: Final = 500

_R = TypeVar("_R", bound=tuple[Any, ...])


class Place(msgspec.Struct, frozen=True):
    """One changed place; `value` None means that it is gone."""

    path: str
    item: int
    value: bytes | None
    passing: bool = False
    """An item that its group is to take in."""
    replaces: tuple[int, ...] = ()
    """Of a group whose items were saved one by one: those that it takes the place of."""


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What leads from one state to the next: keys with new values, lists with more items, keys that are gone."""

    set: dict[str, Any] = {}
    append: dict[str, list[Any]] = {}
    drop: list[str] = []


class SavedList:
    """A list as it was saved. Only the first `count` names are its own: a later one may share them and add more."""

    __slots__ = ("count", "longest", "names", "tail")

    def __init__(self, names: list[int], longest: int, tail: list[bytes | None], count: int) -> None:
        self.names = names
        self.count = count
        self.longest = max(longest, count)
        """How long it ever was: what lies beyond is saved for the first time."""
        self.tail = tail
        """The items of the group that is not full yet."""


class Saved:
    """What the last checkpoint held: a hash for each place, so that a save stores only what changed.

    It is not changed by a save: each gives a new one, so that one which is refused leaves nothing behind.
    """

    def __init__(self) -> None:
        self.number = 0
        self.values: dict[str, int] = {}
        self.lists: dict[str, SavedList] = {}
        self.longest: dict[str, int] = {}
        """Of lists that are gone."""

    def changes(self, state: Any) -> "tuple[list[Place], Saved]":
        """The places of `state` that differ, and what is saved once they are stored. Linear in the state."""
        if not isinstance(state, dict):
            state = {"": state}
        elif "" in state:
            raise InvalidInput("a state's top-level keys must not be empty text")
        places: list[Place] = []
        after = Saved()
        after.number, after.longest = self.number + 1, dict(self.longest)
        for key, value in state.items():
            path = _path(key)
            if type(value) is list:
                after.lists[path] = self._changed_list(path, value, places)
            else:
                data = codec.encode(value)
                after.values[path] = name = hash(data)
                if self.values.get(path) != name:
                    places.append(Place(path, WHOLE, data))
        places += self._gone(after)
        return places, after

    def _changed_list(self, path: str, value: list[Any], places: list[Place]) -> SavedList:
        encoded = codec.encode_items(value)
        names = [*map(hash, encoded)]
        before = self._before(path)
        known = before.names
        same = min(before.count, len(names))
        changed = [index for index in range(same) if known[index] != names[index]]
        changed += range(same, len(names))
        for index in changed:
            codec.require_shallow(value[index], encoded[index])
        places += _laid_out(path, 0, encoded, changed, before)
        if before.count != len(value) or path not in self.lists:
            places.append(Place(path, LENGTH, str(len(value)).encode()))
        return SavedList(names, before.longest, _tail(encoded, 0), len(names))

    def _before(self, path: str) -> SavedList:
        found = self.lists.get(path)
        return found or SavedList([], self.longest.get(path, 0), [], 0)

    def _gone(self, after: "Saved") -> Iterable[Place]:
        for path in self.values.keys() - after.values.keys():
            yield Place(path, WHOLE, None)
        for path in self.lists.keys() - after.lists.keys():
            after.longest[path] = self.lists[path].longest
            yield Place(path, LENGTH, None)

    def appended(self, append: dict[str, list[Any]]) -> "tuple[list[Place], Saved]":
        """The places of items added at the end of top-level lists. Linear in what is added."""
        if not isinstance(append, dict):
            raise InvalidInput(f"append= is an object of lists, not {codec.shown(append)}")
        places: list[Place] = []
        after = Saved()
        after.number, after.values, after.longest = self.number + 1, self.values, self.longest
        after.lists = dict(self.lists)
        for key, items in append.items():
            path = _path(key)
            no_list = path in self.values or path == ""
            if no_list or not isinstance(items, list) or "" in self.values or "" in self.lists:
                raise InvalidInput(f"append= adds items to lists; {path!r} is none")
            encoded = [codec.encode(item) for item in items]
            after.lists[path] = self._longer_list(path, encoded, places)
        return places, after

    def merged(self, change: "Change") -> "tuple[list[Place], Saved]":
        """The places of a change that names top-level keys. Linear in what the change holds."""
        places: list[Place] = []
        after = Saved()
        after.number, after.values = self.number + 1, dict(self.values)
        after.longest, after.lists = dict(self.longest), dict(self.lists)
        for key in change.drop:
            after._drop(_path(key), places, of_list=True, of_value=True)
        for key, value in change.set.items():
            after._drop(_path(key), places, of_list=type(value) is not list, of_value=type(value) is list)
        for key, value in change.set.items():
            after._set(_path(key), value, places, self)
        for key, items in change.append.items():
            path = _path(key)
            if path in after.values or path == "" or not isinstance(items, list):
                raise InvalidInput(f"append adds items to lists; {path!r} is none")
            after.lists[path] = self._longer_list(path, [codec.encode(item) for item in items], places)
        if "" in after.values.keys() | after.lists.keys() and len(after.values) + len(after.lists) > 1:
            raise InvalidInput("a state's top-level keys must not be empty text")
        return places, after

    def _set(self, path: str, value: Any, places: list[Place], before: "Saved") -> None:
        if type(value) is list:
            self.lists[path] = before._changed_list(path, value, places)
            return
        data = codec.encode(value)
        self.values[path] = name = hash(data)
        if before.values.get(path) != name:
            places.append(Place(path, WHOLE, data))

    def _drop(self, path: str, places: list[Place], *, of_list: bool, of_value: bool) -> None:
        """Notes that a key is gone, or has a value of the other kind from now on."""
        if of_value and self.values.pop(path, None) is not None:
            places.append(Place(path, WHOLE, None))
        if of_list and (found := self.lists.pop(path, None)) is not None:
            self.longest[path] = found.longest
            places.append(Place(path, LENGTH, None))

    def change_to(self, state: Any) -> "tuple[Change, Saved]":
        """What leads to the state, by its top-level keys, and what is saved then. Linear in the state."""
        places, after = self.changes(state)
        whole = state if isinstance(state, dict) else {"": state}
        touched = {place.path for place in places}
        gone = [path for path in touched if path not in after.values and path not in after.lists]
        longer = {
            path: whole[path][self.lists[path].count :]
            for path in touched & after.lists.keys() & self.lists.keys()
            if _only_longer(self.lists[path], after.lists[path])
        }
        rest = {path: whole[path] for path in touched if path not in longer and path not in gone}
        return Change(set=rest, append=longer, drop=sorted(gone)), after

    def _longer_list(self, path: str, encoded: list[bytes], places: list[Place]) -> SavedList:
        before = self._before(path)
        count = before.count + len(encoded)
        first = before.count - len(before.tail)
        items = [*before.tail, *encoded]
        places += _laid_out(path, first, items, range(before.count, count), before)
        places.append(Place(path, LENGTH, str(count).encode()))
        names = before.names
        if len(names) != before.count:  # a save that was given up has added to it
            names = names[: before.count]
        names.extend(map(hash, encoded))
        return SavedList(names, before.longest, _tail(items, first), count)


def _only_longer(before: SavedList, after: SavedList) -> bool:
    return before.count < after.count and before.names[: before.count] == after.names[: before.count]


def _laid_out(
    path: str, first: int, items: Sequence[bytes | None], changed: Iterable[int], before: SavedList
) -> Iterator[Place]:
    """Places of the items (from `first` on) that changed: groups that are full now, and what is in none."""
    grouped: set[int] = set()
    for number in range(before.count // groups.SIZE, (first + len(items)) // groups.SIZE):
        start = number * groups.SIZE
        some = [_short(item) for item in items[start - first : start - first + groups.SIZE]]
        inside = tuple(start + index for index, item in enumerate(some) if item is not None)
        if not inside:
            continue
        fresh = start >= before.longest
        yield Place(path, groups.item_of(number), groups.pack(some), replaces=() if fresh else inside)
        grouped.update(inside if fresh else ())
    for index in changed:
        if index not in grouped:
            item = items[index - first]
            passing = index >= before.longest and _short(item) is not None
            yield Place(path, index, item, passing=passing)


def _short(item: bytes | None) -> bytes | None:
    """The item, where a group takes it in."""
    return None if item is None or len(item) > groups.MAX_ITEM else item


def _tail(items: Sequence[bytes | None], first: int) -> list[bytes | None]:
    """What the group that is not full yet has, of items from `first`, where a group begins."""
    return [_short(item) for item in items[(first + len(items)) // groups.SIZE * groups.SIZE - first :]]


def assemble(rows: Iterable[tuple[str, int, bytes | None]], *, named: bool = True) -> tuple[Any, Saved]:
    """The state of rows (path, item, newest value), and what is saved by it; empty where it is not `named`.

    Raises `ValueError` or `KeyError` for rows that are no state.
    """
    saved, state = Saved(), {}
    lists: dict[str, dict[int, bytes]] = {}
    lengths: dict[str, int] = {}
    for path, item, value in rows:
        if item == LENGTH:
            if value is not None:
                lengths[path] = int(value)
            else:
                lists.setdefault(path, {})
        elif item == WHOLE:
            if value is not None:
                state[path] = codec.decode(value)
                if named:
                    saved.values[path] = hash(value)
        elif value is not None:
            lists.setdefault(path, {})[item] = value
    for path, length in lengths.items():
        state[path] = _assemble_list(path, length, lists.get(path, {}), saved if named else None)
    if named:
        saved.longest = {path: _longest(parts) for path, parts in lists.items() if path not in lengths}
    return (state[""] if set(state) == {""} else state), saved


def _assemble_list(path: str, length: int, parts: dict[int, bytes], saved: Saved | None) -> list[Any]:
    found: dict[int, Any] = {}
    for item, data in parts.items():
        if groups.number_of(item) is not None:
            found.update(zip(*groups.unpack(item, data, raw=saved is not None), strict=True))
    single = {item: data for item, data in parts.items() if item >= 0}  # newer than the group
    found.update(single if saved is not None else {item: codec.decode(data) for item, data in single.items()})
    items = [*map(found.__getitem__, range(length))]
    if saved is None:
        return items
    encoded = [*map(bytes, items)]
    names = [*map(hash, encoded)]
    saved.lists[path] = SavedList(names, _longest(parts), _tail(encoded, 0), length)
    return [*map(codec.decode, encoded)]


def _longest(parts: Iterable[int]) -> int:
    """How long a list was, by the places that there are of it."""
    ends = (item + 1 if item >= 0 else groups.first_of(item) + groups.SIZE for item in parts)
    return max(ends, default=0)


def needed(rows: Sequence[_R], length_of: Callable[[_R], int]) -> Iterable[_R]:
    """Of the newest rows (path, item, codec, value, ref) those that the state is made of.

    What is gone is left out, and so are the items that a list had before it became shorter.
    """
    there = [row for row in rows if row[3] is not None or row[4] is not None]
    lengths = {row[0]: length_of(row) for row in there if row[1] == LENGTH}
    return (
        row for row in there if row[1] in (WHOLE, LENGTH) or groups.first_of(row[1]) < lengths.get(row[0], 0)
    )


def _path(key: Any) -> str:
    """A top-level key, which stands in every row of its place."""
    raw = codec.utf8(key, "a state's top-level key") if isinstance(key, str) else None
    if raw is None or len(raw) > MAX_PATH_BYTES or b"\0" in raw:
        raise InvalidInput(
            f"a state's top-level keys are texts of at most {MAX_PATH_BYTES} bytes without NUL, not {key!r:.80}"
        )
    return str.__str__(key)
