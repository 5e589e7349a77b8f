"""What a list of runs is asked for: filters into conditions, each a text of ours with parameters of the caller's."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import msgspec

from runstone.domain import codec, runs
from runstone.domain.bounds import checked_mark
from runstone.errors import InvalidInput

Filter = str | Iterable[str] | None
Moment = datetime | date | str | None

PLAIN: Final = {
    "parent_id": "r.parent_run_id",
    "root_id": "r.root",
    "forked_from": "r.forked_from",
    "card_id": "r.task_card_id",
    "board_id": "r.task_board_id",
    "worker_thread_id": "r.worker_thread_id",
    "thread_id": "r.parent_thread_id",
    "definition_id": "r.definition_id",
    "agent_id": "r.agent_id",
    "phase": "r.phase",
    "kind": "r.kind",
    "depth": "r.depth",
}
"""Filters by one column. Those that leave fewer runs come first: that is the order in which they are tried."""

NULLABLE: Final = frozenset({"thread_id", "definition_id", "agent_id", "phase", "parent_id"})
"""Of these an empty text asks for the runs that have none."""

SPANS: Final = {"created": "r.created_at", "updated": "r.updated_at", "ended": "r.completed_at"}

MOMENTS: Final = tuple(f"{name}_{end}" for name in SPANS for end in ("from", "to"))

NAMES: Final = ("status", "bucket", *PLAIN, "labels", *MOMENTS, "q", "pinned", "archived")

NONE: Final = "FALSE"
"""The condition of a filter that no run can fulfil."""

LOST: Final = "l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN {dead_owners}"
"""A running run without a live lease, or whose owner is proven dead: it is shown `interrupted`."""

LABEL_OF: Final = "{label_of}"
"""A function: a label's name or value as it is searched."""

ASKING: Final = "{asking_keys}"
"""Runs with an open question. They are few, and an index holds them."""

_VALUES_MAX: Final = 200
_LABELS_MAX: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Wanted(msgspec.Struct):
    """Checked filters, as conditions over `runs r` with its lease `l`."""

    given: dict[str, Any]
    """What was asked for, in the one way that a cursor is bound to."""
    params: dict[str, Any]
    alternatives: dict[str, list[str]]
    """By filter its conditions, one of which must hold; no two do. Each is a search in an index."""
    labels: list[list[str]]
    """For each label its conditions, over `labels k`."""
    spans: dict[str, str]
    """Conditions on times, by what they are about."""
    words: str | None
    archived: bool | None
    pinned: bool | None
    superseded: bool

    def always(self, *, without: str | None = None) -> list[str]:
        """Conditions that every run of the list fulfils and that are looked up in its row."""
        found = [] if self.archived is None else [f"r.archived = {int(self.archived)}"]
        if self.pinned is not None:
            found.append(f"r.pinned = {int(self.pinned)}")
        if not self.superseded:
            found.append("r.superseded = 0")
        found += [clause for name, clause in self.spans.items() if name != without]
        return found + [label_clause(one) for one in self.labels]

    def joined(self) -> list[str]:
        """The alternatives, each joined by OR."""
        return [f"({' OR '.join(clauses)})" for clauses in self.alternatives.values()]


def read(filters: dict[str, Any], *, superseded: bool = True) -> Wanted:
    """Checks filters. Raises `InvalidInput`, naming what is wrong."""
    for name in filters:
        if name not in NAMES:
            raise InvalidInput(f"there is no filter {name!r:.80}; there are {', '.join(NAMES)}")
    texts = {name: _values(name, filters.get(name)) for name in ("status", "bucket", *PLAIN)}
    params: dict[str, Any] = {}
    alternatives = {"status": clauses} if (clauses := _status_clauses(texts, params)) else {}
    alternatives |= {
        name: _plain_clauses(name, values, params) or [NONE]
        for name in PLAIN
        if (values := texts[name]) is not None
    }
    labels = _labels(filters.get("labels"))
    words = filters.get("q")
    if words is not None and not isinstance(words, str):
        raise InvalidInput(f"q is a text, not {codec.shown(words)}")
    marks = {name: filters.get(name) for name in runs.MARKS}
    for name, mark in marks.items():
        if mark is not None:
            checked_mark(name, mark)
    moments = {name: us(name, filters.get(name)) for name in MOMENTS}
    given = {**texts, **moments, "labels": labels or None, "q": words, **marks}
    return Wanted(
        given={**{n: v for n, v in given.items() if v is not None}, "superseded": superseded},
        params=params, alternatives=alternatives, labels=_label_clauses(labels, params), spans=_spans(moments, params),
        words=words, archived=marks["archived"], pinned=marks["pinned"], superseded=superseded,
    )  # fmt: skip


def plain(filters: dict[str, Any]) -> dict[str, Any]:
    """Checked filters as JSON values, as `read` takes them again. Raises `InvalidInput`."""
    if not isinstance(filters, dict):
        raise InvalidInput(f"filters are an object, not {codec.shown(filters)}")
    read(filters)
    return {name: _plain_value(one) for name, one in filters.items() if one is not None or name == "archived"}


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | dict):
        return value
    return value.isoformat() if isinstance(value, date) else list(value)


def label_clause(alternatives: list[str]) -> str:
    """A label's condition, looked up run by run."""
    fits = " OR ".join(f"({clause} AND k.run = r.id)" for clause in alternatives)
    return f"EXISTS (SELECT 1 FROM labels k WHERE {fits})"  # noqa: S608 (texts of ours)


def us(name: str, moment: Moment) -> int | None:
    """Microseconds of a moment; a naive time is UTC, a date is its beginning. Raises `InvalidInput`."""
    if moment is None:
        return None
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidInput(f"{name} is a time as in RFC 3339, not {codec.shown(moment)}") from None
    if not isinstance(moment, date):  # a datetime is one, too
        raise InvalidInput(f"{name} is a date or a datetime, not {codec.shown(moment)}")
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    whole = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (whole - _EPOCH) // timedelta(microseconds=1)


def _spans(moments: dict[str, int | None], params: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, column in SPANS.items():
        ends = {f"{name}_from": ">=", f"{name}_to": "<"}
        given = {end: moments[end] for end in ends if moments[end] is not None}
        if given:
            found[name] = " AND ".join(f"{column} {ends[end]} :{end}" for end in given)
            params |= given
    return found


def _labels(labels: Any) -> dict[str, list[str]]:
    if labels is None:
        return {}
    if not isinstance(labels, dict) or len(labels) > _LABELS_MAX:
        raise InvalidInput(f"labels are an object of texts, at most {_LABELS_MAX}, not {codec.shown(labels)}")
    found = {}
    for name, value in labels.items():
        values = _values(f"label {codec.shown(name)}", value)
        if not isinstance(name, str) or values is None:
            raise InvalidInput(f"label {codec.shown(name)} takes a text or several")
        codec.utf8(name, "a label")
        found[codec.row_text(name)] = [codec.row_text(one) for one in values]
    return found


def _label_clauses(labels: dict[str, list[str]], params: dict[str, Any]) -> list[list[str]]:
    found = []
    for index, (name, values) in enumerate(labels.items()):
        params[f"label_{index}"] = name
        params |= {f"label_{index}_{at}": value for at, value in enumerate(dict.fromkeys(values))}
        found.append(
            [
                f"k.name = {LABEL_OF}(:label_{index}) AND k.value = {LABEL_OF}(:label_{index}_{at})"
                for at in range(len(set(values)))
            ]
            or [NONE]
        )
    return found


def _plain_clauses(name: str, values: list[str], params: dict[str, Any]) -> list[str]:
    clauses = []
    for index, value in enumerate(dict.fromkeys(values)):
        if name == "depth" and value == "0":
            clauses.append("r.depth = 0")  # spelled out, as the index of the top-level runs asks for it
            continue
        if value == "" and name in NULLABLE:
            clauses.append(f"{PLAIN[name]} IS NULL")
            continue
        params[f"{name}_{index}"] = value
        known = "(SELECT id FROM runs WHERE run_id = :{})" if name == "root_id" else ":{}"
        clauses.append(f"{PLAIN[name]} = {known.format(f'{name}_{index}')}")
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
        others = [f"r.id IN {ASKING}", *(f"NOT ({clause})" for clause in clauses)]
        clauses.append(" AND ".join(others))
    for bucket in dict.fromkeys(buckets or []):
        for status in runs.BUCKETS[bucket] if bucket != "needs_input" else ():
            if status not in asked:  # runs that have ended ask nothing
                rest = "" if status in runs.ENDED else f" AND r.id NOT IN {ASKING}"
                clauses += [one + rest for one in _of_status(status, params)]
    return clauses or [NONE]


def _of_status(status: str, params: dict[str, Any]) -> list[str]:
    """The conditions under which a run is shown with that status, each of which is a walk along an index."""
    if status not in runs.STATUSES:
        raise InvalidInput(f"status {status!r} is none of {', '.join(runs.STATUSES)}")
    params[f"status_{status}"] = status
    if status == "running":
        return [f"r.status = :status_running AND NOT ({LOST})"]
    lost = [f"r.status = 'running' AND ({LOST})"] if status == "interrupted" else []
    return [f"r.status = :status_{status}", *lost]


def _values(name: str, value: Filter) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, str | Iterable):
        raise InvalidInput(f"{name} takes a text or several, not {value!r:.80}")
    values = [value] if isinstance(value, str) else list(value)
    if len(values) > _VALUES_MAX or not all(isinstance(v, str) for v in values):
        raise InvalidInput(f"{name} takes a text or at most {_VALUES_MAX} texts")
    for one in values:
        codec.utf8(one, name)
    return values
