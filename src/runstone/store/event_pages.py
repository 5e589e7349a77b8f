"""Pages of a run's events in both directions, by type and importance, each along an index."""

import re
from collections.abc import Iterable
from typing import Any, Final

from runstone.domain import codec, events
from runstone.domain.records import Page, RunEvent
from runstone.errors import InvalidInput
from runstone.store.reads import Reader

MAX_PAGE: Final = 10_000
_NO_LIMIT: Final = 2**62

FREQUENT: Final = ("tool.started", "tool.completed", "log.written", "message.appended", "usage.reported")
"""Types that the index by type leaves out: a run has many of them, so that a walk along its events meets them soon."""

_RARE: Final = f"e.type NOT IN ({', '.join(map(repr, FREQUENT))})"
_ARMS: Final = 50
"""So many types are read each along the index; more are looked for along all events of the run."""

_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\.?\Z")

Types = str | Iterable[str] | None


def page(
    reader: Reader,
    run_id: str,
    *,
    after: int = 0,
    before: int | None = None,
    order: str = "asc",
    types: Types = None,
    min_importance: int | None = None,
    limit: int = 100,
    max_bytes: int | None = None,
) -> Page[RunEvent]:
    """Events with `seq` above `after` and below `before`; see `Ledger.events`. Raises `InvalidInput`."""
    _check(after, before, order, min_importance, limit)
    if max_bytes is not None and (type(max_bytes) is not int or max_bytes < 0):
        raise InvalidInput(f"max_bytes is a number of bytes from 0, not {codec.shown(max_bytes)}")
    asked = _types(types)
    pk = reader.runs.pk(run_id)
    where = ["e.run = :run", "e.seq > :after"]
    params: dict[str, Any] = {"run": pk, "after": min(after, _NO_LIMIT), "limit": limit + 1}
    if before is not None:
        where.append("e.seq < :before")
        params["before"] = min(before, _NO_LIMIT)
    with reader.db.snapshot():
        arms = [[]] if asked is None else _arms(reader, pk, asked, params)
        found = [
            row
            for arm in arms
            for row in reader.events.rows(
                [*where, *arm, *_important(min_importance, bool(arm))],
                f"ORDER BY e.seq {order} LIMIT :limit",
                params,
            )
        ]
        if len(arms) > 1:
            found.sort(key=lambda row: row[0], reverse=order == "desc")
        items = [reader.events.record(run_id, row, max_bytes) for row in found[:limit]]
    return Page(items=items, next_cursor=items[-1].seq if len(found) > limit else None)


def _check(after: int, before: int | None, order: str, min_importance: int | None, limit: int) -> None:
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE or type(after) is not int or after < 0:
        raise InvalidInput(
            f"after is a seq from 0 and limit is 1 to {MAX_PAGE}, not {codec.shown(after)} and {codec.shown(limit)}"
        )
    if before is not None and (type(before) is not int or before < 0):
        raise InvalidInput(f"before is a seq from 0, not {codec.shown(before)}")
    if order not in ("asc", "desc"):
        raise InvalidInput(f"order is asc or desc, not {codec.shown(order)}")
    if min_importance is not None and min_importance not in (events.LOW, events.NORMAL, events.HIGH):
        raise InvalidInput(f"min_importance is 0, 1 or 2, not {codec.shown(min_importance)}")


def _types(types: Types) -> list[str] | None:
    if types is None:
        return None
    given = [types] if isinstance(types, str) or not isinstance(types, Iterable) else list(types)
    for one in given:
        if not isinstance(one, str) or len(one) > 100 or not _TYPE.match(one):
            raise InvalidInput(f"types are event types, or beginnings such as tool., not {codec.shown(one)}")
    if len(given) > _ARMS:
        raise InvalidInput(f"at most {_ARMS} types can be asked for")
    return list(dict.fromkeys(given))


def _important(least: int | None, typed: bool) -> list[str]:
    """The condition; spelled as the index of important events has it, unless another index is to be searched."""
    if not least:
        return []
    return [f"+e.importance >= {int(least)}" if typed else f"e.importance >= {int(least)}"]


def _arms(reader: Reader, pk: int, asked: list[str], params: dict[str, Any]) -> list[list[str]]:
    """The ways in which an event may fit: each type along its index; frequent ones are looked for all along the run."""
    beginnings = tuple(one for one in asked if one.endswith("."))
    whole = {one for one in asked if not one.endswith(".")}
    known = [one for (one,) in reader.rows("rare_types", run=pk)] if beginnings else []
    rare = sorted({one for one in known if one.startswith(beginnings)} | (whole - set(FREQUENT)))
    frequent = [one for one in FREQUENT if one in whole or one.startswith(beginnings or ("\0",))]
    if frequent or len(rare) > _ARMS:
        params["types"] = codec.encode([*rare, *frequent]).decode()
        return [["(e.type || '') IN {given_types}"]]
    params |= {f"type_{index}": one for index, one in enumerate(rare)}
    return [[f"e.type = :type_{index}", _RARE] for index in range(len(rare))]
