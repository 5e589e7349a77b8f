"""A list of runs in groups: by one of its columns, by what people look for, or by the day of the last change."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from runstone.domain import codec, runs
from runstone.domain.records import at
from runstone.errors import InvalidInput
from runstone.store.lists import candidates, filters
from runstone.store.lists.counts import MOST
from runstone.store.reads import Reader

BY: Final = ("bucket", "agent_id", "definition_id", "thread_id", "day")
GROUPS_MAX: Final = 200
_TABLES: Final = "runs r LEFT JOIN leases l ON l.run = r.id"
_DAY_US: Final = 86_400_000_000
_ORDER: Final = ("needs_input", "failed", "stopped", "working", "completed")
"""What people look for first."""
_MINUTES: Final = 18 * 60
_BUCKETS: Final = {status: bucket for bucket, statuses in runs.BUCKETS.items() for status in statuses}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Some runs of a list that have something in common."""

    key: str
    """What they have in common, as the filter of that name takes it: empty where they have none of it."""
    count: int
    newest_at: datetime
    """When one of them changed last."""
    updated_from: datetime | None = None
    updated_to: datetime | None = None
    """The ends of the day, where they are grouped by days."""


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """The groups, in their order; `complete` is False where there may be more runs or groups."""

    items: list[Group]
    complete: bool
    as_of: str


def group(reader: Reader, asked: dict[str, Any], *, by: str, offset_minutes: int = 0) -> Groups:
    """The groups of the runs that fit. Days are those of a place whose clock is ahead of UTC by so much.

    Groups by bucket come in the order in which people look; all others by their last change, the newest first.
    """
    if by not in BY:
        raise InvalidInput(f"a list is grouped by {', '.join(BY)}, not {by!r:.80}")
    if not -_MINUTES <= offset_minutes <= _MINUTES:
        raise InvalidInput(f"an offset is at most {_MINUTES} minutes, not {offset_minutes}")
    wanted = filters.read(asked)
    with reader.db.snapshot():
        as_of = reader.events.cursor()
        texts = 0 if wanted.words is None else candidates.newest_text(reader)
        among = candidates.find(reader, wanted, sort=None, texts=texts)
        params = {**wanted.params, "offset": offset_minutes * 60_000_000, "day": _DAY_US}
        where = [*wanted.joined(), *wanted.always()]
        if among.keys is not None:
            where.append("r.id IN {given_keys}")
            params["keys"] = codec.encode(among.keys).decode()
        fits = f"r.id IN (SELECT r.id FROM {_TABLES} WHERE {' AND '.join(where) or 'TRUE'} LIMIT {MOST})"  # noqa: S608 (texts of ours)
        found = reader.runs.groups(by, fits, params, limit=GROUPS_MAX + 1)
    items = _by_bucket(found) if by == "bucket" else [_group(by, offset_minutes, *row) for row in found]
    complete = among.complete and len(items) <= GROUPS_MAX and sum(one.count for one in items) < MOST
    return Groups(items=items[:GROUPS_MAX], complete=complete, as_of=str(as_of))


def _group(by: str, offset_minutes: int, key: Any, count: int, newest: int) -> Group:
    if by != "day":
        return Group(key="" if key is None else str(key), count=count, newest_at=at(newest))
    begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=key)
    ends = [begin + timedelta(days=days, minutes=-offset_minutes) for days in (0, 1)]
    return Group(
        key=begin.date().isoformat(),
        count=count,
        newest_at=at(newest),
        updated_from=ends[0],
        updated_to=ends[1],
    )


def _by_bucket(found: list[tuple[Any, int, int]]) -> list[Group]:
    sums: dict[str, tuple[int, int]] = {}
    for status, count, newest in found:
        bucket = _BUCKETS.get(status, status)
        counted, last = sums.get(bucket, (0, 0))
        sums[bucket] = (counted + count, max(last, newest))
    names = [*(name for name in _ORDER if name in sums), *(name for name in sums if name not in _ORDER)]
    return [Group(key=name, count=sums[name][0], newest_at=at(sums[name][1])) for name in names]
