"""Lists of runs: filters, sort orders and keyset cursors that are bound to both."""

import base64
import binascii
import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from runstone.domain import codec, runs
from runstone.domain.records import AgentRun, Page
from runstone.errors import InvalidCursor, InvalidInput
from runstone.store import rows
from runstone.store.base import Row
from runstone.store.reads import Reader

MAX_PAGE = 1_000

MAX_ARMS = 16
"""Filters of several values are read value by value, each along its index, up to so many combinations."""

SORTS = {"updated": ("r.updated_at", 26), "created": ("r.created_at", 24)}

_PLAIN = {
    "kind": "r.kind",
    "agent_id": "r.agent_id",
    "parent_id": "r.parent_run_id",
    "root_id": "r.root",
    "thread_id": "r.parent_thread_id",
    "worker_thread_id": "r.worker_thread_id",
    "board_id": "r.task_board_id",
    "card_id": "r.task_card_id",
    "phase": "r.phase",
    "depth": "r.depth",
    "definition_id": "r.definition_id",
    "forked_from": "r.forked_from",
}

_LOST = "l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT value FROM json_each(:dead))"
"""A running run without a live lease, or whose owner is proven dead: it is shown `interrupted`."""

_ASKING = (
    "(SELECT q.run FROM inputs q INDEXED BY inputs_open"
    " WHERE q.status = 'open' AND (q.expires_at IS NULL OR q.expires_at > :now))"
)
"""Runs with an open question. They are few, and an index holds them."""

Filter = str | Iterable[str] | None


def list_runs(
    reader: Reader,
    filters: dict[str, Filter],
    *,
    sort: str = "updated",
    order: str = "desc",
    limit: int = 50,
    cursor: str | None = None,
    superseded: bool = True,
) -> Page[AgentRun]:
    """A page of runs. Ties are broken by creation, so pages neither skip nor repeat a run that does not change."""
    if sort not in SORTS or order not in ("asc", "desc"):
        raise InvalidInput(f"sort is one of {', '.join(SORTS)} and order asc or desc, not {sort!r} {order!r}")
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit is a whole number from 1 to {MAX_PAGE}, not {limit!r}")
    chosen = {name: _values(name, value) for name, value in filters.items()}
    params: dict[str, Any] = {}
    arms = _arms(_alternatives(chosen, params))
    where = [] if superseded else ["r.superseded = 0"]
    shape = _shape(chosen, sort, order, superseded)
    column, place = SORTS[sort]
    if cursor is not None:
        value, pk = _read_cursor(cursor, shape)
        where.append(f"({column}, r.id) {'<' if order == 'desc' else '>'} (:cursor_value, :cursor_pk)")
        params |= {"cursor_value": value, "cursor_pk": pk}
    tail = f"ORDER BY {column} {order}, r.id {order} LIMIT :limit"
    params["limit"] = limit + 1
    found = _rows(reader, [" AND ".join([*where, *arm]) or "1" for arm in arms], tail, params)
    found.sort(key=lambda row: (row[place], row[36]), reverse=order == "desc")
    more = found[limit - 1] if len(found) > limit else None
    next_cursor = None if more is None else _cursor(shape, more[place], more[36])
    return Page(items=[rows.run(row) for row in found[:limit]], next_cursor=next_cursor)


def _rows(reader: Reader, arms: list[str], tail: str, params: dict[str, Any]) -> list[Row]:
    """The first rows of each arm, as of one moment; no run is in two arms."""
    if len(arms) == 1:
        return reader.runs.rows(arms[0], tail, **params)
    with reader.db.snapshot():
        return [row for arm in arms for row in reader.runs.rows(arm, tail, **params)]


def count_by_bucket(reader: Reader, filters: dict[str, Filter]) -> dict[str, int]:
    """How many runs are in each bucket, superseded ones left out."""
    chosen = {
        name: _values(name, value) for name, value in filters.items() if name not in ("status", "bucket")
    }
    params: dict[str, Any] = {}
    where = [*_joined(_alternatives(chosen, params)), "r.superseded = 0"]
    by_status: Counter[str] = Counter()
    buckets = {status: bucket for bucket, statuses in runs.BUCKETS.items() for status in statuses}
    # IS TRUE keeps the planner from walking along another index than that of the few open questions.
    rest = " AND ".join(f"({clause}) IS TRUE" for clause in where)
    with reader.db.snapshot():
        by_status.update(dict(reader.runs.count(" AND ".join(where), params, stored=True)))
        lost = reader.runs.count(f"r.status = 'running' AND ({_LOST}) AND {rest}", params)
        asking = reader.runs.count(f"r.id IN {_ASKING} AND {rest}", params)
    for status, count in lost:
        by_status["running"] -= count
        by_status[status] += count
    counts = dict.fromkeys(runs.BUCKETS, 0)
    for status, count in by_status.items():
        bucket = buckets.get(status, status)  # a later version's status is shown as it is
        counts[bucket] = counts.get(bucket, 0) + count
    for status, count in asking:
        counts[buckets.get(status, status)] -= count
        counts["needs_input"] += count
    return counts


def _alternatives(filters: dict[str, list[str] | None], params: dict[str, Any]) -> list[list[str]]:
    """For each filter its conditions, one of which must hold."""
    found = [clauses] if (clauses := _status_clauses(filters, params)) else []
    for name, values in filters.items():
        if name in ("status", "bucket"):
            continue
        if name not in _PLAIN:
            raise InvalidInput(f"there is no filter {name!r}; there are status, bucket, {', '.join(_PLAIN)}")
        if values is not None:
            found.append(_plain_clauses(name, values, params) or ["0"])
    return found


def _arms(alternatives: list[list[str]]) -> list[list[str]]:
    """The ways in which a run may fit. Joined by OR all that fit are sorted for each page; one way after the other is
    a walk along an index each, which stops after the page."""
    if math.prod(map(len, alternatives)) <= MAX_ARMS:
        return [list(arm) for arm in itertools.product(*alternatives)]
    return [_joined(alternatives)]


def _joined(alternatives: list[list[str]]) -> list[str]:
    return [f"({' OR '.join(clauses)})" for clauses in alternatives]


def _plain_clauses(name: str, values: list[str], params: dict[str, Any]) -> list[str]:
    clauses = []
    for index, value in enumerate(dict.fromkeys(values)):
        if name == "depth" and value == "0":
            clauses.append("r.depth = 0")  # spelled out, as the index of the top-level runs asks for it
            continue
        params[f"{name}_{index}"] = value
        known = "(SELECT id FROM runs WHERE run_id = :{})" if name == "root_id" else ":{}"
        clauses.append(f"{_PLAIN[name]} = {known.format(f'{name}_{index}')}")
    return clauses


def _status_clauses(filters: dict[str, list[str] | None], params: dict[str, Any]) -> list[str]:
    """The conditions of the filters by status and bucket, no two of which hold; empty without such a filter."""
    statuses, buckets = filters.get("status"), filters.get("bucket")
    if statuses is None and not buckets:
        return []
    for bucket in buckets or []:
        if bucket not in runs.BUCKETS:
            raise InvalidInput(f"bucket {bucket!r} is none of {', '.join(runs.BUCKETS)}")
    asked = list(dict.fromkeys(statuses or []))
    clauses = [clause for status in asked for clause in _of_status(status, params)]
    if "needs_input" in (buckets or []) and "awaiting_user" not in asked:
        clauses += _of_status("awaiting_user", params)
    if "needs_input" in (buckets or []):
        others = [f"r.id IN {_ASKING}", *(f"NOT ({clause})" for clause in clauses)]
        clauses.append(" AND ".join(others))
    for bucket in dict.fromkeys(buckets or []):
        for status in runs.BUCKETS[bucket] if bucket != "needs_input" else ():
            if status not in asked:  # runs that have ended ask nothing
                rest = "" if status in runs.ENDED else f" AND r.id NOT IN {_ASKING}"
                clauses += [one + rest for one in _of_status(status, params)]
    return clauses or ["0"]


def _of_status(status: str, params: dict[str, Any]) -> list[str]:
    """The conditions under which a run is shown with that status, each of which is a walk along an index."""
    if status not in runs.STATUSES:
        raise InvalidInput(f"status {status!r} is none of {', '.join(runs.STATUSES)}")
    params[f"status_{status}"] = status
    if status == "running":
        return [f"r.status = :status_running AND NOT ({_LOST})"]
    lost = [f"r.status = 'running' AND ({_LOST})"] if status == "interrupted" else []
    return [f"r.status = :status_{status}", *lost]


def _values(name: str, value: Filter) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, str | Iterable):
        raise InvalidInput(f"{name} takes a text or several, not {value!r:.80}")
    values = [value] if isinstance(value, str) else list(value)
    if len(values) > 200 or not all(isinstance(v, str) for v in values):
        raise InvalidInput(f"{name} takes a text or at most 200 texts")
    for one in values:
        codec.utf8(one, name)
    return values


def _shape(filters: dict[str, list[str] | None], sort: str, order: str, superseded: bool) -> str:
    kept = {name: values for name, values in filters.items() if values is not None}
    return hashlib.blake2b(codec.canonical([kept, sort, order, superseded]), digest_size=6).hexdigest()


def _cursor(shape: str, value: int, pk: int) -> str:
    return base64.urlsafe_b64encode(f"{shape}.{value}.{pk}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str, shape: str) -> tuple[int, int]:
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        given, value, pk = text.split(".")
        numbers = int(value), int(pk)
    except (AttributeError, ValueError, binascii.Error) as error:
        raise InvalidCursor(f"{cursor!r:.80} is no cursor of a list") from error
    if not all(-(2**63) <= number < 2**63 for number in numbers):
        raise InvalidCursor(f"{cursor!r:.80} is no cursor of a list")
    if given != shape:
        raise InvalidCursor("the cursor belongs to a list with other filters or another order")
    return numbers
