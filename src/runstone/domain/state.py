"""A checkpoint's state as places: which of them changed since the last save, and how a state is put together again.

A place is a top-level key of the state (`item` -1), one item of a top-level list (`item` its index) or such a list's
length (`item` -2). The state at checkpoint n has, for each place, the newest row not after n. So a conversation of a
thousand messages adds one message's bytes per save, not the whole of it.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from runstone.domain import codec
from runstone.errors import InvalidInput

WHOLE: Final = -1
LENGTH: Final = -2

MAX_PATH_BYTES: Final = 500


class Place(msgspec.Struct, frozen=True):
    """One changed place; `value` None means that it is gone."""

    path: str
    item: int
    value: bytes | None


class Saved:
    """What the last checkpoint held: a hash for each place, so that a save stores only what changed.

    It is not changed by a save: each gives a new one, so that one which is refused leaves nothing behind. Of a list's
    names only the first `counts[path]` are its own: a later `Saved` may share the list and have added more.
    """

    def __init__(self) -> None:
        self.number = 0
        self.values: dict[str, str] = {}
        self.names: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}

    def changes(self, state: Any) -> "tuple[list[Place], Saved]":
        """The places of `state` that differ, and what is saved once they are stored. Linear in the state."""
        if not isinstance(state, dict):
            state = {"": state}
        elif "" in state:
            raise InvalidInput("a state's top-level keys must not be empty text")
        places: list[Place] = []
        after = Saved()
        after.number = self.number + 1
        for key, value in state.items():
            path = _path(key)
            if type(value) is list:
                after.names[path] = self._changed_list(path, value, places)
                after.counts[path] = len(value)
            else:
                data = codec.encode(value)
                after.values[path] = name = _name(data)
                if self.values.get(path) != name:
                    places.append(Place(path, WHOLE, data))
        places += self._gone(after)
        return places, after

    def _changed_list(self, path: str, value: list[Any], places: list[Place]) -> list[str]:
        before, count = self.names.get(path, []), self.counts.get(path, 0)
        names = []
        for index, data in enumerate(codec.encode_items(value)):
            name = _name(data)
            names.append(name)
            if index >= count or before[index] != name:
                places.append(Place(path, index, data))
        if count != len(value) or path not in self.counts:
            places.append(Place(path, LENGTH, str(len(value)).encode()))
        return names

    def _gone(self, after: "Saved") -> Iterable[Place]:
        for path in self.values.keys() - after.values.keys():
            yield Place(path, WHOLE, None)
        for path in self.counts.keys() - after.counts.keys():
            yield Place(path, LENGTH, None)

    def appended(self, append: dict[str, list[Any]]) -> "tuple[list[Place], Saved]":
        """The places of items added at the end of top-level lists. Linear in what is added."""
        if not isinstance(append, dict):
            raise InvalidInput(f"append= is an object of lists, not {codec.shown(append)}")
        places: list[Place] = []
        added: dict[str, list[str]] = {}
        for key, items in append.items():
            path = _path(key)
            no_list = path in self.values or path == ""
            if no_list or not isinstance(items, list) or "" in self.values or "" in self.counts:
                raise InvalidInput(f"append= adds items to lists; {path!r} is none")
            start = self.counts.get(path, 0)
            encoded = [codec.encode(item) for item in items]
            places += [Place(path, start + index, data) for index, data in enumerate(encoded)]
            places.append(Place(path, LENGTH, str(start + len(items)).encode()))
            added[path] = [_name(data) for data in encoded]
        return places, self._with(added)

    def _with(self, added: dict[str, list[str]]) -> "Saved":
        after = Saved()
        after.number, after.values = self.number + 1, self.values
        after.names, after.counts = dict(self.names), dict(self.counts)
        for path, names in added.items():
            count = self.counts.get(path, 0)
            shared = after.names.setdefault(path, [])
            if len(shared) != count:  # a save that was given up has added to it
                shared = after.names[path] = shared[:count]
            shared.extend(names)
            after.counts[path] = count + len(names)
        return after


def assemble(rows: Iterable[tuple[str, int, bytes | None]], *, named: bool = True) -> tuple[Any, Saved]:
    """The state of rows (path, item, newest value), and what is saved by it; empty where it is not `named`."""
    saved, state = Saved(), {}
    lists: dict[str, dict[int, bytes]] = {}
    lengths: dict[str, int] = {}
    for path, item, value in rows:
        if item == LENGTH:
            if value is not None:
                lengths[path] = int(value)
        elif item == WHOLE:
            if value is not None:
                state[path] = codec.decode(value)
                if named:
                    saved.values[path] = _name(value)
        elif value is not None:
            lists.setdefault(path, {})[item] = value
    for path, length in lengths.items():
        items = [lists[path][index] for index in range(length)] if length else []
        state[path] = [codec.decode(item) for item in items]
        if named:
            saved.names[path], saved.counts[path] = [_name(item) for item in items], length
    return (state[""] if set(state) == {""} else state), saved


def _path(key: Any) -> str:
    """A top-level key, which stands in every row of its place."""
    if not isinstance(key, str) or len(codec.utf8(key, "a state's top-level key")) > MAX_PATH_BYTES:
        raise InvalidInput(
            f"a state's top-level keys are texts of at most {MAX_PATH_BYTES} bytes, not {key!r:.80}"
        )
    return str.__str__(key)


def _name(data: bytes) -> str:
    return codec.digest(data)[:32]
