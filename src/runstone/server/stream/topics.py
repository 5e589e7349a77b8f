"""What a follower wants of the ledger: topics, types and importance."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from runstone.domain import runs
from runstone.domain.bounds import asked_id
from runstone.errors import InvalidInput

_MOST: Final = 200
"""Topics and types of one stream: each event is compared with them."""

_TYPE: Final = re.compile(r"[a-z][a-z0-9_.]*(\.\*)?\Z")

_TELLING: Final = frozenset(
    {*runs.MOVES, "input.requested", "input.answered", "input.expired", "input.withdrawn"}
)
"""Events by which a run enters a bucket or leaves it: followers of any bucket are told of them."""


class Wanted(msgspec.Struct, frozen=True):
    """A filter. Without topics it is the whole ledger; of several topics and types, one has to fit."""

    runs: frozenset[str] = frozenset()
    subtrees: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    families: tuple[str, ...] = ()
    """Beginnings of types, from `tool.*`."""
    importance: int = 0

    @property
    def everything(self) -> bool:
        """Whether each event fits."""
        return self == _EVERYTHING

    def fits(
        self, event_type: str, importance: int, run_id: str, line: frozenset[str], bucket: str | None
    ) -> bool:
        """Whether an event is wanted. `line` is the ids of its run and of all above that."""
        if importance < self.importance:
            return False
        if (self.types or self.families) and not (
            event_type in self.types or (self.families and event_type.startswith(self.families))
        ):
            return False
        if not (self.runs or self.subtrees or self.buckets):
            return True
        return (
            run_id in self.runs
            or not self.subtrees.isdisjoint(line)
            or (bool(self.buckets) and (bucket in self.buckets or event_type in _TELLING))
        )


_EVERYTHING: Final = Wanted()


def wanted(topics: Iterable[str], types: Iterable[str], importance: int) -> Wanted:
    """The filter of a request. Raises `InvalidInput`."""
    found: dict[str, set[str]] = {"run": set(), "subtree": set(), "bucket": set()}
    topics, types = _split(topics), _split(types)
    for topic in topics:
        name, colon, value = topic.partition(":")
        if name not in found or not colon or not value:
            raise InvalidInput(f"a topic is run:ID, subtree:ID or bucket:NAME, not {topic!r:.80}")
        if name == "bucket" and value not in runs.BUCKETS:
            raise InvalidInput(f"a bucket is one of {', '.join(runs.BUCKETS)}, not {value!r:.80}")
        found[name].add(asked_id("a topic's id", value))
    for one in types:
        if not _TYPE.match(one):
            raise InvalidInput(f"a type is one such as tool.started, or tool.*, not {one!r:.80}")
    return Wanted(
        runs=frozenset(found["run"]),
        subtrees=frozenset(found["subtree"]),
        buckets=frozenset(found["bucket"]),
        types=frozenset(one for one in types if not one.endswith(".*")),
        families=tuple(sorted(one[:-1] for one in types if one.endswith(".*"))),
        importance=importance,
    )


def _split(given: Iterable[str]) -> list[str]:
    """Values that came one by one, or several in one with commas."""
    found = [one.strip() for text in given for one in text.split(",") if one.strip()]
    if len(found) > _MOST:
        raise InvalidInput(f"a stream has at most {_MOST} topics and as many types")
    return found
