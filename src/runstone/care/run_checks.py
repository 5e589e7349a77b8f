"""Runs against their events: the row, attempts, requests, sums, tool calls, leases and checkpoints.

Runs are read in pages, each within one snapshot, so that what is compared is of one moment while others write.
"""

from collections.abc import Callable, Iterator
from typing import Any

from runstone.care.findings import finding
from runstone.domain.history import AttemptRow, CheckpointRow, History
from runstone.domain.records import Finding
from runstone.domain.runs import Head
from runstone.store import histories
from runstone.store.base import Row
from runstone.store.reads import Reader

_PAGE = 200
"""Runs in a snapshot, about."""

_PAGE_EVENTS = 20_000
"""After so many events a snapshot ends with the run: none stays open for long."""

_END = 2**62
_POINTERS = frozenset({"pk", "run_id", "parent", "root", "last_seq"})
"""Fields that follow from other rows; `run_lineage` is about them."""

FOLDED = tuple(name for name in Head.__struct_fields__ if name not in _POINTERS)
"""Fields of the row that events give."""

_HEAD = tuple(name for name in Head.__struct_fields__ if name != "last_seq")

Progress = Callable[[int, int], None]
"""Told how many runs are done, of how many."""


class Stored:
    """The rows of a page's runs, by run."""

    def __init__(self, reader: Reader, first: int, last: int) -> None:
        def grouped(statement: str) -> dict[int, list[Row]]:
            found: dict[int, list[Row]] = {}
            for run, *row in reader.rows(statement, first=first, last=last):
                found.setdefault(run, []).append(tuple(row))
            return found

        self.attempts = grouped("attempts_of_runs")
        self.usage = grouped("usage_of_runs")
        self.totals = grouped("own_totals_of_runs")
        self.tools = grouped("own_tools_of_runs")
        self.leases = grouped("leases_of_runs")
        self.checkpoints = grouped("checkpoints_of_runs")


def check_runs(reader: Reader, progress: Progress | None = None) -> Iterator[Finding]:
    """Each run against its events."""
    after, done, count = 0, 0, int(reader.rows("run_count")[0][0])
    while after < _END:
        with reader.db.snapshot():
            found, after, seen = _check_page(reader, after)
        yield from found
        done += seen
        if progress is not None:
            progress(min(done, count), max(done, count))


def _check_page(reader: Reader, after: int) -> tuple[list[Finding], int, int]:
    """(findings, the last run looked at, how many) of the runs behind `after`."""
    rows = reader.db.select(
        "head_columns", "head_tables", "r.id > :after", "ORDER BY r.id LIMIT :limit", {"after": after, "limit": _PAGE}
    )  # fmt: skip
    heads = {row[0]: Head(**dict(zip(_HEAD, row, strict=True))) for row in rows}
    last = rows[-1][0] if len(rows) == _PAGE else _END
    stored = Stored(reader, after + 1, last)
    found: list[Finding] = []
    events, at = 0, after
    for history in _read(reader, heads, after, last):
        at = history.head.pk
        head = heads.pop(at, None)
        if head is None:
            told = f"there are {history.count} events of a run with the key {at}, but there is no such run"
            able = lost_id(reader, history) is not None
            found.append(finding("run_missing", f"#{at}", told, repairable=able))
        else:
            found += compare(head, history, stored)
        events += history.count
        if events >= _PAGE_EVENTS:
            last = at
            break
    eventless = [head for pk, head in heads.items() if pk <= last]
    found += [
        finding("events_missing", head.run_id, f"run {head.run_id} has no events") for head in eventless
    ]
    return found, last, sum(1 for row in rows if row[0] <= last)


def _read(reader: Reader, heads: dict[int, Head], after: int, last: int) -> Iterator[History]:
    """The histories of a range of runs, one after the other."""
    history: History | None = None
    run, seq = after, _END
    while rows := reader.rows("events_of_runs", run=run, seq=seq, last=last, limit=histories.PAGE):
        start = 0
        for index, row in enumerate(rows):
            if history is None or row[0] != history.head.pk:
                if history is not None:
                    histories.extend(history, rows[start:index], reader.values.text)
                    yield history
                head = heads.get(row[0])
                history, start = History(row[0], head.run_id if head else ""), index
        assert history is not None
        histories.extend(history, rows[start:], reader.values.text)
        run, seq = rows[-1][0], rows[-1][1]
    if history is not None:
        yield history


def read_history(reader: Reader, pk: int, run_id: str) -> History:
    """What the events of one run say; in as many reads as it takes, as events never change."""
    history, seq = History(pk, run_id), 0
    while rows := reader.rows("events_of_runs", run=pk, seq=seq, last=pk, limit=histories.PAGE):
        histories.extend(history, rows, reader.values.text)
        seq = rows[-1][1]
    return history


def lost_id(reader: Reader, history: History) -> str | None:
    """The id of a run whose row is gone, from its own events or from its parent's; None where that is not sure."""
    says = history.head
    if history.trouble:
        return None
    found = history.own_id
    for child, key, agent in reader.rows("child_told_after", run=says.pk):
        if (key, agent) == (says.child_key, says.agent_id):
            found = found or child
    return None if found is None or reader.rows("pk_of", run_id=found) else found


def compare(head: Head, history: History, stored: Stored) -> list[Finding]:
    """Where the rows of a run say something else than its events."""
    doubts = history.trouble
    if doubts:
        return [finding(doubt.code, head.run_id, f"run {head.run_id}: {doubt.text}") for doubt in doubts]
    pk = head.pk
    attempts = {row[0]: AttemptRow(*row) for row in stored.attempts.get(pk, ())}
    if _is_ahead(head, history, attempts):
        has, says = (f"{one.status} at attempt {one.attempt}" for one in (head, history.head))
        told = f"run {head.run_id}: its row and attempts say {has}, its events end with {says}"
        return [finding("events_behind", head.run_id, told)]
    found = _row(head, history)
    found += _attempts(head, history, attempts)
    found += _checkpoints(head, history, stored.checkpoints.get(pk, []))
    if not history.pruned:
        found += _requests(head, history, stored.usage.get(pk, []), stored.totals.get(pk, []))
        found += _tools(head, history, stored.tools.get(pk, []))
    for (number,) in stored.leases.get(pk, ()):
        if history.head.status != "running" or number != history.head.attempt:
            told = f"run {head.run_id} has a lease of attempt {number} that belongs to no open attempt"
            found.append(finding("lease_stray", head.run_id, told))
    return found


def _is_ahead(head: Head, history: History, attempts: dict[int, AttemptRow]) -> bool:
    """Whether row and attempts agree on something that the events do not know: then it is the events that lack it."""
    says = history.head
    if head.attempt > says.attempt:
        return head.attempt in attempts
    row = attempts.get(says.attempt)
    ended = row is not None and row.ended_at is not None
    return says.status == "running" and head.status != "running" and ended


def _row(head: Head, history: History) -> list[Finding]:
    found = []
    for name in FOLDED:
        has, says = getattr(head, name), getattr(history.head, name)
        if has != says:
            told = f"run {head.run_id}: {name} is {has!r:.120}, its events say {says!r:.120}"
            found.append(finding("run_row", head.run_id, told))
    return found


def _attempts(head: Head, history: History, attempts: dict[int, AttemptRow]) -> list[Finding]:
    known = {number: row for number, row in attempts.items() if number >= history.known_attempts}
    if known == history.attempts:
        return []
    wrong = sorted(n for n in {*known, *history.attempts} if known.get(n) != history.attempts.get(n))
    told = f"the attempts of run {head.run_id} do not fit its events: {_listed(wrong)}"
    return [finding("attempt_rows", head.run_id, told)]


def _checkpoints(head: Head, history: History, rows: list[Row]) -> list[Finding]:
    stored = {row[0]: CheckpointRow(*row[:6]) for row in rows}  # what it knew of the journal is in no event
    found = []
    wrong = sorted(n for n, row in history.checkpoints.items() if stored.get(n) != row)
    if wrong:
        told = f"checkpoints of run {head.run_id} are not what their events say: {_listed(wrong)}"
        found.append(finding("checkpoint_rows", head.run_id, told))
    unknown = sorted(stored.keys() - history.checkpoints.keys())
    if unknown and not history.pruned:
        told = f"checkpoints of run {head.run_id} have no event: {_listed(unknown)}"
        found.append(finding("events_behind", head.run_id, told))
    return found


def _requests(head: Head, history: History, rows: list[Row], totals: list[Row]) -> list[Finding]:
    stored = {row[0]: tuple(row[1:-1]) for row in rows}
    says = {
        request_id: (one.attempt, one.usage.at, *one.usage.columns()) for request_id, one in history.requests.items()
    }  # fmt: skip
    found = []
    spent = _sums(list(history.requests.values()))
    has = {(provider, model): counts for provider, model, *counts in totals if any(counts)}
    unknown = stored.keys() - says.keys()
    if unknown and has != spent:
        told = (
            f"run {head.run_id}: its requests and totals have {_listed(sorted(unknown))}, its events do not"
        )
        return [finding("events_behind", head.run_id, told)]
    wrong = sorted({n for n in says if stored.get(n) != says[n]} | unknown)
    wrong += [f"{row[0]} (of another tree)" for row in rows if row[-1] != head.root]
    if wrong:
        told = f"the requests of run {head.run_id} are not those of its events: {_listed(wrong)}"
        found.append(finding("usage_rows", head.run_id, told))
    if has != spent:
        told = f"the own totals of run {head.run_id} are not what its events add up to"
        found.append(finding("own_totals", head.run_id, told))
    return found


def _sums(requests: list[Any]) -> dict[tuple[str, str], list[int]]:
    """Counts by provider and model; what adds up to nothing is left out."""
    sums: dict[tuple[str, str], list[int]] = {}
    for request in requests:
        usage = request.usage
        counts = usage.counts()
        have = sums.get((usage.provider, usage.model))
        sums[usage.provider, usage.model] = (
            counts if have is None else [a + b for a, b in zip(have, counts, strict=True)]
        )
    return sums


def _tools(head: Head, history: History, rows: list[Row]) -> list[Finding]:
    # By what calls are counted under may differ where a call's end does not name its tool: the sums must not.
    has = [sum(row[1] for row in rows), sum(row[2] for row in rows)]
    says = [
        sum(calls for calls, _ in history.tools.values()),
        sum(failed for _, failed in history.tools.values()),
    ]
    if has == says:
        return []
    told = f"the tool counts of run {head.run_id} are not what its events add up to"
    return [finding("tool_counts", head.run_id, told)]


def _listed(items: list[Any]) -> str:
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return ", ".join(str(item) for item in items[:5]) + more
