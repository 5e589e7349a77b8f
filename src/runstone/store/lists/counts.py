"""Counts of runs by bucket, by the filters of lists."""

from collections import Counter
from typing import Any, Final

from runstone.domain import codec, runs
from runstone.domain.records import Counts
from runstone.store.lists import candidates, filters
from runstone.store.lists.filters import ASKING, LOST, Wanted
from runstone.store.reads import Reader

MOST: Final = 100_000
"""So many runs a count looks at, where no index holds what it counts."""

_BUCKETS: Final = {status: bucket for bucket, statuses in runs.BUCKETS.items() for status in statuses}


def count_by_bucket(reader: Reader, asked: dict[str, Any]) -> Counts:
    """How many runs are in each bucket, superseded ones left out. Filters by status and bucket are passed over.

    All runs and those at the top are counted along an index. Otherwise a count looks at 100,000 runs that fit, and
    with `q` at those of the newest 20,000 texts that hold its words: beyond, `complete` is False.
    """
    rest = {name: value for name, value in asked.items() if name not in ("status", "bucket")}
    wanted = filters.read(rest, superseded=False)
    with reader.db.snapshot():
        as_of = reader.events.cursor()
        texts = 0 if wanted.words is None else candidates.newest_text(reader)
        among = candidates.find(reader, wanted, sort=None, texts=texts)
        by_status, asking = _counted(reader, wanted, among.keys)
    counts = Counts(dict.fromkeys(runs.BUCKETS, 0))
    counts.as_of = as_of
    counts.complete = (among.complete and sum(by_status.values()) < MOST) or _is_held(wanted)
    for status, count in by_status.items():
        bucket = _BUCKETS.get(status, status)  # a later version's status is shown as it is
        counts[bucket] = counts.get(bucket, 0) + count
    for status, count in asking:
        counts[_BUCKETS.get(status, status)] -= count
        counts["needs_input"] += count
    return counts


def below_by_bucket(reader: Reader, run_ids: list[str]) -> dict[str, dict[str, int]]:
    """For each top-level run how many of those below it are in each bucket; superseded ones are left out."""
    found: dict[str, dict[str, int]] = {}
    asked = codec.encode(run_ids).decode()
    for run_id, status, asks, count in reader.rows("below_the_top", runs=asked, **reader.liveness()):
        bucket = "needs_input" if asks else str(_BUCKETS.get(status, status))
        buckets = found.setdefault(run_id, {})
        buckets[bucket] = buckets.get(bucket, 0) + count
    return found


def _is_held(wanted: Wanted) -> bool:
    """Whether an index holds all that a count is about."""
    more = wanted.words or wanted.labels or wanted.spans or wanted.pinned is not None
    return not more and wanted.archived is False and set(wanted.alternatives) <= {"depth"}


def _counted(
    reader: Reader, wanted: Wanted, keys: list[int] | None
) -> tuple[Counter[str], list[tuple[str, int]]]:
    """Counts by shown status; and by status of those that ask, which are in the first, too."""
    where = [*wanted.joined(), *wanted.always()]
    params = dict(wanted.params)
    if keys is not None:
        where.append("r.id IN {given_keys}")
        params["keys"] = codec.encode(keys).decode()
    fits = " AND ".join(where)
    if keys is None and not _is_held(wanted):
        fits = f"r.id IN (SELECT r.id FROM runs r WHERE {fits} LIMIT {MOST})"  # noqa: S608 (texts of ours)
    # IS TRUE keeps the planner from walking along another index than that of the few open questions.
    rest = " AND ".join(f"({clause}) IS TRUE" for clause in where)
    by_status = Counter(dict(reader.runs.count(fits, params, stored=True)))
    for status, count in reader.runs.count(f"r.status = 'running' AND ({LOST}) AND {rest}", params):
        by_status["running"] -= count
        by_status[status] += count
    return by_status, reader.runs.count(f"r.id IN {ASKING} AND {rest}", params)
