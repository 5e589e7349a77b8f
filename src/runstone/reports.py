"""What was spent, summed by what a person asks for; what removed runs had spent is in it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from runstone.domain import codec
from runstone.domain.bounds import asked_id
from runstone.domain.records import Totals, UsageRow
from runstone.errors import InvalidInput
from runstone.store import rows
from runstone.store.reads import Reader

GROUPS: Final = ("day", "hour", "model", "provider", "agent", "workflow", "thread", "run")
LABEL: Final = "label:"
_LABELS_MAX: Final = 2  # as many columns the statement has for them

DAY_US: Final = 86_400_000_000
_PARTS: Final = {"day": DAY_US, "hour": 3_600_000_000}
"""Parts of time, in microseconds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EVER: Final = 2**62
_COLUMNS: Final = ("time", "provider", "model", "run", "agent", "workflow", "thread")
"""The first columns of the report's statements; those of two labels follow, and then the sums."""

Filter = str | Iterable[str] | None
Moment = datetime | date | None


def usage(
    reader: Reader,
    by: Sequence[str] | str = ("model",),
    *,
    since: Moment = None,
    until: Moment = None,
    run_id: str | None = None,
    labels: dict[str, str] | None = None,
    **filters: Filter,
) -> list[UsageRow]:
    """Sums of requests by `GROUPS` and `label:NAME`; see `Ledger.usage`. Raises `InvalidInput`."""
    asked = _asked(by)
    named = [one.removeprefix(LABEL) for one in asked if one.startswith(LABEL)]
    part = next((name for name in _PARTS if name in asked), None)
    params: dict[str, Any] = {f"by_{name}": int(name in asked) for name in _COLUMNS}
    params |= {"by_time": int(part is not None), "part_us": _PARTS[part or "day"]}
    params |= dict(zip(("label_1", "label_2"), [*map(_named, named), None, None], strict=False))
    params |= span(since, until)
    params |= {name: chosen(name, filters.pop(name, None)) for name in ("agent", "workflow", "thread")}
    params |= {name: chosen(name, filters.pop(name, None)) for name in ("provider", "model")}
    if filters:
        raise InvalidInput(f"there is no filter {next(iter(filters))!r}")
    pairs = [[_named(name), value] for name, value in _labels(labels).items()]
    params["labels"] = codec.encode(pairs).decode() if pairs else None
    with reader.db.snapshot():  # a run that is removed meanwhile is in one of the two, never in both
        params["runs"] = None if run_id is None else _subtree(reader, run_id)
        found = [*reader.rows(_statement(params), **params), *reader.rows("usage_report_removed", **params)]
    return _summed(found, asked, named)


def _statement(params: dict[str, Any]) -> str:
    """The statement that leaves the runs alone, where nothing is asked for that only they know."""
    of_runs = ("by_run", "by_agent", "by_workflow", "by_thread")
    more = ("label_1", "runs", "agent", "workflow", "thread", "labels")
    plain = not any(params[name] for name in of_runs) and all(params[name] is None for name in more)
    return "usage_report_plain" if plain else "usage_report"


def _summed(found: list[Any], asked: list[str], named: list[str]) -> list[UsageRow]:
    sums: dict[tuple[str | None, ...], Totals] = {}
    names = [*_COLUMNS, *(LABEL + name for name in named)]
    for row in found:
        of = dict(zip(names, row, strict=False))
        key = tuple(_began(name, of["time"]) if name in _PARTS else of[name] for name in asked)
        sums[key] = sums.get(key, Totals()) + rows.totals(tuple(row[len(_COLUMNS) + _LABELS_MAX :]))
    lines = [UsageRow(by=dict(zip(asked, key, strict=True)), totals=sums[key]) for key in sums]
    # Days in their order; within a day, and without one, what cost most comes first.
    return sorted(lines, key=lambda line: (line.by.get("day") or line.by.get("hour") or "", *_weight(line)))


def _weight(line: UsageRow) -> tuple[int, int, list[str]]:
    return -line.totals.cost_picousd, -line.totals.tokens, [name or "" for name in line.by.values()]


def _began(part: str, number: int | None) -> str | None:
    """When a part of time began: a date, or the time of an hour. The hours of removed runs are not known."""
    if number is None:
        return None
    moment = _EPOCH + timedelta(microseconds=number * _PARTS[part])
    return moment.date().isoformat() if part == "day" else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _asked(by: Sequence[str] | str) -> list[str]:
    given = [by] if isinstance(by, str) or not isinstance(by, Iterable) else list(by)
    for one in given:
        label = isinstance(one, str) and len(one) > len(LABEL) and one.startswith(LABEL)
        if one not in GROUPS and not label:
            raise InvalidInput(
                f"usage is summed by {', '.join(GROUPS)} or label:NAME, not {codec.shown(one)}"
            )
    asked = list(dict.fromkeys(given))
    if all(part in asked for part in _PARTS):
        raise InvalidInput("usage is summed by day or by hour, not by both")
    if sum(one.startswith(LABEL) for one in asked) > _LABELS_MAX:
        raise InvalidInput(f"usage is summed by at most {_LABELS_MAX} labels at a time")
    return asked


def _labels(labels: dict[str, str] | None) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, dict) or not all(
        isinstance(one, str) for pair in labels.items() for one in pair
    ):
        raise InvalidInput(f"labels are an object of texts, not {codec.shown(labels)}")
    return {name: codec.row_text(value) for name, value in labels.items()}


def _named(label: str) -> str:
    """The label, if it can be asked for: no path that a store makes of it may lead elsewhere."""
    if '"' in label or "\\" in label:
        raise InvalidInput(f"usage cannot be asked for by the label {codec.shown(label)}")
    codec.utf8(label, "a label")
    return codec.row_text(label)


def span(since: Moment, until: Moment) -> dict[str, int]:
    """From `since` on, to before `until`, as the statements take them."""
    first, end = _us("since", since, -_EVER), _us("until", until, _EVER)
    return {"since": first, "until": end, "first_day": first // DAY_US, "last_day": (end - 1) // DAY_US}


def _us(name: str, moment: Moment, otherwise: int) -> int:
    if moment is None:
        return otherwise
    if not isinstance(moment, date):  # a datetime is one, too
        raise InvalidInput(f"{name} is a date or a datetime, not {codec.shown(moment)}")
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    whole = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (whole - _EPOCH) // timedelta(microseconds=1)


def chosen(name: str, value: Filter) -> str | None:
    """A filter's values as a JSON list; None where there is no filter."""
    if value is None:
        return None
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    return codec.encode([asked_id(name, one) for one in values]).decode()


def _subtree(reader: Reader, run_id: str) -> str:
    keys = [key for (key,) in reader.rows("tree_of", run=reader.runs.pk(run_id))]
    return codec.encode(keys).decode()


# --- sums for a page of runs ---------------------------------------------------------------------------------------


def totals(reader: Reader, run_ids: Iterable[str]) -> dict[str, tuple[Totals, Totals]]:
    """Own and subtree sums by run id, in one query; a run without a request is left out."""
    found: dict[str, list[Totals]] = {}
    for run_id, scope, *counts in reader.rows("totals_by_id", run_ids=codec.encode(list(run_ids)).decode()):
        found.setdefault(run_id, [Totals(), Totals()])[scope] = rows.totals(tuple(counts))
    return {run_id: (own, subtree) for run_id, (own, subtree) in found.items()}


def children(reader: Reader, run_ids: Iterable[str]) -> dict[str, int]:
    """How many children each run has, in one query; superseded ones, and runs without any, are left out."""
    return dict(reader.rows("children_by_id", run_ids=codec.encode(list(run_ids)).decode()))
