"""Timelines of trees: what is drawn of each run, put together by the store, so that no event needs to be read first."""

from collections import defaultdict
from typing import Final

from runstone.domain import codec, timeline
from runstone.domain.records import Activity, Span, Timeline, TimelineRow, at, maybe_at
from runstone.domain.timeline import AttemptTimes, SpanTimes
from runstone.errors import InvalidCursor, InvalidInput
from runstone.store import rows, trees
from runstone.store.base import Row
from runstone.store.reads import Reader

ATTEMPTS: Final = 100
"""So many attempts of a run are drawn, the newest."""

EVENTS: Final = 50_000
"""So many events a page looks at for what the runs did, of each run the newest."""

MAX_BUCKETS: Final = 100
FRESH: Final = 100_000
"""Whoever knows a timeline as of more events ago is given all of it anew: reading what changed would cost more."""

_PATH: Final = 1_000
_RUN_ID, _PK, _CREATED, _COMPLETED = 0, 36, 24, 27


def page(
    reader: Reader,
    run_id: str,
    *,
    depth: int | None = None,
    limit: int = 200,
    cursor: str | None = None,
    buckets: int = 20,
    since: str | None = None,
) -> Timeline:
    """What is drawn of a run and those below it; see `Ledger.timeline`. Raises as it does."""
    if type(buckets) is not int or not 0 <= buckets <= MAX_BUCKETS:
        raise InvalidInput(f"buckets is a number from 0 to {MAX_BUCKETS}, not {codec.shown(buckets)}")
    with reader.db.snapshot():
        as_of, now = reader.events.cursor(), reader.now()
        top = reader.runs.get(run_id)
        found, following = trees.level_order(
            reader, run_id, depth=depth, limit=limit, cursor=cursor, since=_behind(reader, since)
        )
        keys = [row[_PK] for row in found]
        attempts = _attempts(reader, keys)
        children = trees.counted(reader, keys)
        critical = _critical(reader, reader.runs.pk(run_id))
        activity, cut = _activity(reader, found, buckets, now)
    items = [
        _row(row, attempts[row[_PK]], activity.get(row[_PK], ()), children.get(row[_PK], 0),
             critical=row[_PK] in critical, cut=row[_PK] in cut)
        for row in found
    ]  # fmt: skip
    return Timeline(
        run_id=run_id,
        start=top.created_at,
        end=top.completed_at,
        items=items,
        next_cursor=following,
        as_of=as_of,
        critical=tuple(critical.values()),
    )


def _behind(reader: Reader, since: str | None) -> int | None:
    """The position of a cursor; None for one that is of another ledger, or so old that all is told again."""
    if since is None:
        return None
    epoch, _, position = since.rpartition("-")
    if not epoch or not position.isdecimal() or not position.isascii() or len(position) > 18:
        raise InvalidCursor(f"{since!r:.80} is no cursor of a ledger")
    last = reader.events.last_position()
    known = epoch == reader.events.epoch() and last - FRESH <= int(position) <= last
    return int(position) if known else None


def _row(
    row: Row,
    attempts: list[AttemptTimes],
    activity: tuple[Activity, ...],
    children: int,
    *,
    critical: bool,
    cut: bool,
) -> TimelineRow:
    run = rows.run(row)
    told = timeline.spans(
        row[_CREATED], attempts, status=run.status, reason=run.status_reason, ended_at=row[_COMPLETED]
    )
    missing = bool(attempts) and attempts[0].number > 1
    return TimelineRow(
        run_id=run.id, parent_run_id=run.parent_run_id, depth=run.depth, kind=run.kind, agent_id=run.agent_id,
        title=run.title, phase=run.phase, status=run.status, superseded=run.superseded, start=run.created_at,
        end=run.completed_at, spans=tuple(map(_span, told)), activity=activity, children=children,
        critical=critical, partial=cut or missing,
    )  # fmt: skip


def _span(one: SpanTimes) -> Span:
    return Span(
        kind=one.kind, start=at(one.start), end=maybe_at(one.end), attempt=one.attempt, outcome=one.outcome,
        reason=one.reason,
    )  # fmt: skip


def _attempts(reader: Reader, keys: list[int]) -> defaultdict[int, list[AttemptTimes]]:
    found: defaultdict[int, list[AttemptTimes]] = defaultdict(list)
    for run, *times in reader.rows("newest_attempts", runs=codec.encode(keys).decode(), most=ATTEMPTS):
        found[run].append(AttemptTimes(*times))
    return found


def _critical(reader: Reader, top: int) -> dict[int, str]:
    """The run, its child that ended last or still goes on, that one's child, and so on: what its end waits for.

    Their ids by key, from the top down.
    """
    path = [top]
    while len(path) < _PATH and (last := reader.rows("last_child", run=path[-1])):
        path.append(last[0][0])
    found = reader.runs.rows("r.id IN {given_keys}", keys=codec.encode(path).decode())
    ids = {row[_PK]: row[_RUN_ID] for row in found}
    return {pk: ids[pk] for pk in path}


def _activity(
    reader: Reader, found: list[Row], buckets: int, now: int
) -> tuple[dict[int, tuple[Activity, ...]], set[int]]:
    """What the runs did, by key, in at most so many parts of equal length; and whose first events were left out."""
    if not buckets:
        return {}, set()
    lives = {row[_PK]: (row[_CREATED], row[_COMPLETED] or now) for row in found}
    newest: dict[int, int] = dict(reader.rows("newest_seqs", runs=codec.encode(list(lives)).decode()))
    shares = dict(zip(newest, timeline.shares(newest.values(), EVENTS), strict=True))
    asked = [
        [pk, newest[pk] - shares[pk], begin, _length(begin, end, buckets)]
        for pk, (begin, end) in lives.items()
        if newest.get(pk)
    ]
    done: defaultdict[int, list[Activity]] = defaultdict(list)
    for pk, bucket, tools, failed, steps in reader.rows(
        "activity", asked=codec.encode(asked).decode(), last=buckets - 1
    ):
        begin, length = lives[pk][0], _length(*lives[pk], buckets)
        start = begin + bucket * length
        done[pk].append(
            Activity(
                start=at(start), end=at(start + length), tool_calls=tools, tool_failures=failed, steps=steps
            )
        )
    return {pk: tuple(parts) for pk, parts in done.items()}, {pk for pk in newest if shares[pk] < newest[pk]}


def _length(begin: int, end: int, buckets: int) -> int:
    """Microseconds of one part; never none, so that a run that ended at once has one, too."""
    return max(1, -(-(end - begin) // buckets))
