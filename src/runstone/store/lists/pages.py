"""Pages of runs: a walk along an index in the order that was asked for, or a sort of few candidates."""

import itertools
import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from runstone.domain import codec
from runstone.domain.records import AgentRun, Page
from runstone.errors import InvalidInput
from runstone.store import rows
from runstone.store.base import Row
from runstone.store.lists import candidates, cursors, filters
from runstone.store.lists.cursors import Place
from runstone.store.lists.filters import Wanted
from runstone.store.reads import Reader

T = TypeVar("T")
MAX_PAGE: Final = 1_000

MAX_ARMS: Final = 16
"""Filters of several values are read value by value, each along its index, up to so many combinations."""

_PK: Final = 36
"""Where a row of `run_columns` has the run's key."""


class Sort(msgspec.Struct, frozen=True):
    """An order: what it sorts by, and the column without which a run has no such value, and comes last."""

    by: str
    needs: str | None = None


SORTS: Final = {
    "updated": Sort("r.updated_at"),
    "created": Sort("r.created_at"),
    "ended": Sort("r.completed_at", "r.completed_at"),
    "duration": Sort("(r.completed_at - coalesce(r.started_at, r.completed_at))", "r.completed_at"),
    "cost": Sort("r.cost_picousd", "r.cost_picousd"),
}


def list_runs(
    reader: Reader,
    asked: dict[str, Any],
    *,
    sort: str = "updated",
    order: str = "desc",
    limit: int = 50,
    cursor: str | None = None,
    superseded: bool = True,
) -> Page[AgentRun]:
    """A page of runs. Ties are broken by creation, so pages neither skip nor repeat a run that does not change.

    Runs without an end, a duration or a known cost come last in those orders, whichever way they go.
    """
    more: dict[str, Any] = {"sort": sort, "order": order, "limit": limit, "cursor": cursor}
    return read_page(reader, asked, lambda found: [*map(rows.run, found)], superseded=superseded, **more)


def read_page(
    reader: Reader,
    asked: dict[str, Any],
    make: Callable[[list[Row]], list[T]],
    *,
    sort: str = "updated",
    order: str = "desc",
    limit: int = 50,
    cursor: str | None = None,
    superseded: bool = True,
) -> Page[T]:
    """As `list_runs`, of what `make` makes of the rows of `run_columns`; what it reads is of the same moment."""
    if sort not in SORTS or order not in ("asc", "desc"):
        raise InvalidInput(f"sort is one of {', '.join(SORTS)} and order asc or desc, not {sort!r} {order!r}")
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit is a whole number from 1 to {MAX_PAGE}, not {limit!r}")
    wanted = filters.read(asked, superseded=superseded)
    form = cursors.shape([wanted.given, sort, order])
    place = None if cursor is None else cursors.read(cursor, form)
    with reader.db.snapshot():
        as_of = reader.events.cursor()
        texts = 0 if wanted.words is None else place.texts if place else candidates.newest_text(reader)
        among = candidates.find(reader, wanted, sort=sort, texts=texts)
        step = _Step(reader, wanted, sort, order, limit + 1)
        found = step.walk(place) if among.keys is None else step.among(among.keys, place)
        items = make(found[:limit])
    last = found[limit - 1] if len(found) > limit else None
    after = None if last is None else cursors.write(form, Place(_value(sort, last), last[_PK], texts))
    return Page(items=items, next_cursor=after, as_of=as_of)


def _value(sort: str, row: Row) -> int | None:
    """What a row of `run_columns` is sorted by."""
    started, completed = row[25], row[27]
    if sort == "duration":
        return None if completed is None else completed - (completed if started is None else started)
    value: int | None = row[{"updated": 26, "created": 24, "ended": 27, "cost": 45}[sort]]
    return value


class _Step:
    """One page's reading: at most `limit` rows behind a place."""

    def __init__(self, reader: Reader, wanted: Wanted, sort: str, order: str, limit: int) -> None:
        self.reader = reader
        self.wanted = wanted
        self.sort, self.order, self.limit = sort, order, limit
        self.by, self.needs = SORTS[sort].by, SORTS[sort].needs

    def walk(self, place: Place | None) -> list[Row]:
        """Rows along the order's index: first those that have a value, then the others."""
        found: list[Row] = []
        if place is None or place.value is not None:
            where, params = ([] if self.needs is None else [f"{self.needs} IS NOT NULL"]), dict[str, Any]()
            if place is not None:
                where.append(self._behind(place, params))
            if self.sort in self.wanted.spans:
                where.append(self.wanted.spans[self.sort])
            found = self._arms(where, f"{self.by} {self.order}", params)
        if self.needs is not None and self.sort not in self.wanted.spans and len(found) < self.limit:
            where, params = [f"{self.needs} IS NULL"], {}
            if place is not None and place.value is None:
                where.append(f"r.id {self._beyond} :cursor_pk")
                params = {"cursor_pk": place.pk}
            found += self._arms(where, f"{self.needs} {self.order}", params)
        return found[: self.limit]

    @property
    def _beyond(self) -> str:
        return "<" if self.order == "desc" else ">"

    def _behind(self, place: Place, params: dict[str, Any]) -> str:
        params |= {"cursor_value": place.value, "cursor_pk": place.pk}
        if not self.by.startswith("("):
            return f"({self.by}, r.id) {self._beyond} (:cursor_value, :cursor_pk)"
        # Of an expression no index is searched for a pair: its value bounds the search.
        less = self._beyond
        return (
            f"{self.by} {less}= :cursor_value AND ({self.by} {less} :cursor_value OR r.id {less} :cursor_pk)"
        )

    def _arms(self, where: list[str], order_by: str, params: dict[str, Any]) -> list[Row]:
        """The first rows of each way to fit, put together; no run is in two."""
        tail = f"ORDER BY {order_by}, r.id {self.order} LIMIT :limit"
        params = {**self.wanted.params, **params, "limit": self.limit}
        found: list[Row] = []
        arms = self._ways()
        for arm in arms:
            found += self.reader.runs.rows(" AND ".join([*where, *arm]) or "TRUE", tail, **params)
        if len(arms) > 1:
            found.sort(key=self._rank, reverse=self.order == "desc")
        return found

    def _rank(self, row: Row) -> tuple[int, int]:
        return _value(self.sort, row) or 0, row[_PK]

    def _ways(self) -> list[list[str]]:
        """The ways in which a run may fit. Joined by OR all that fit are sorted for each page; one way after the other
        is a walk along an index each, which stops after the page. That goes for the order of the last change. The other
        orders have one index each, and IS TRUE keeps the planner from another."""
        rest = [_looked_up(clause) for clause in self.wanted.always(without=self.sort)]
        joined = self.wanted.joined()
        if self.sort != "updated":
            return [[f"({clause}) IS TRUE" for clause in joined] + rest]
        alternatives = list(self.wanted.alternatives.values())
        marked = ["r.archived = 0", "r.archived = 1"]
        listed = marked if self.wanted.archived is None else [marked[int(self.wanted.archived)]]
        if math.prod(map(len, [*alternatives, listed])) <= MAX_ARMS:
            return [[*arm, *rest] for arm in itertools.product(*alternatives, listed)]
        return [[*joined, one, *rest] for one in listed]

    def among(self, keys: list[int], place: Place | None) -> list[Row]:
        """Of the runs with these keys those that fit, in the order that was asked for."""
        where = [*self.wanted.joined(), *self.wanted.always()]
        params = {**self.wanted.params, "keys": codec.encode(keys).decode(), "limit": self.limit}
        if place is not None and place.value is None:
            where.append(f"{self.needs} IS NULL AND r.id {self._beyond} :cursor_pk")
            params["cursor_pk"] = place.pk
        elif place is not None:
            behind = self._behind(place, params)
            where.append(behind if self.needs is None else f"({behind} OR {self.needs} IS NULL)")
        last = "" if self.needs is None else f"{self.needs} IS NULL, "
        tail = f"ORDER BY {last}{self.by} {self.order}, r.id {self.order} LIMIT :limit"
        chosen = self.reader.runs.keys("listed_runs", " AND ".join(where) or "TRUE", tail, **params)
        ranks = {pk: rank for rank, pk in enumerate(chosen)}
        found = self.reader.runs.rows("r.id IN {given_keys}", keys=codec.encode(chosen).decode())
        return sorted(found, key=lambda row: ranks[row[_PK]])


def _looked_up(clause: str) -> str:
    """A condition that is to be looked up in rows, not searched in an index of its own."""
    return clause.replace("r.created_at", "+r.created_at").replace("r.updated_at", "+r.updated_at").replace(
        "r.completed_at", "+r.completed_at"
    ).replace("r.archived", "+r.archived")  # fmt: skip
