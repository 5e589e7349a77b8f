"""Reading at size: lists of runs, pages of events and opening, at 10^5 and 10^6 runs with ten events each.

Each list is measured beside the same SQL on a bare connection, which makes no records of its rows. The ledgers are
built once, below `.bench-size/`, by bulk statements (some minutes and 6 GB); `rm -r .bench-size` gives the space back.
"""

import base64
import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import apsw

import runstone
from bench.size_data import BIG_PARENT, BIG_RUN, BIG_THREAD, build
from bench.table import Pace, markdown
from runstone.ledger import Ledger

FOLDER = Path(".bench-size")
SIZES = {"10^5": 100_000, "10^6": 1_000_000}
QUICK = {"10^3": 1_000, "10^4": 10_000}
EVENTS_PER_RUN = 10
PAGE = 50

FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "status=failed": {"status": "failed"},
    "status=completed": {"status": "completed"},
    "status=interrupted": {"status": "interrupted"},
    "bucket=stopped": {"bucket": "stopped"},
    "bucket=needs_input": {"bucket": "needs_input"},
    "kind=subagent": {"kind": "subagent"},
    "kind=subagent or team_member": {"kind": ["subagent", "team_member"]},
    "agent_id": {"agent_id": "agent-7"},
    "parent_id (a tenth of all)": {"parent_id": BIG_PARENT},
    "thread_id (a tenth of all)": {"thread_id": BIG_THREAD},
}

SORTED: dict[str, dict[str, Any]] = {
    "no filter, by end": {"sort": "ended"},
    "no filter, by duration": {"sort": "duration"},
    "no filter, by cost": {"sort": "cost"},
    "status=failed, by cost": {"status": "failed", "sort": "cost"},
    "agent_id, by created": {"agent_id": "agent-7", "sort": "created"},
    "a label of a thousandth": {"labels": {"ticket": "976"}},
    "a label of all, by cost": {"labels": {"team": "search"}, "sort": "cost"},
    "agent_id and status, by cost": {"agent_id": "agent-7", "status": "failed", "sort": "cost"},
    "q of a thousandth": {"q": "976"},
    "q of all": {"q": "look"},
}
LOOKED_UP = [name for name in SORTED if not name.startswith("no filter")]
"""Lists in other orders and by what is looked up; the raw side is a page of the same length in the usual order."""


class Sized(NamedTuple):
    """An open ledger of one size, and a bare connection to the same file."""

    ledger: Ledger
    raw: apsw.Connection


def bench(pace: Pace) -> str:
    quick = pace.seconds < 1
    sizes = QUICK if quick else SIZES
    folder = FOLDER / "quick" if quick else FOLDER
    if quick:
        shutil.rmtree(folder, ignore_errors=True)
    paths, built = {}, []
    for name, runs in sizes.items():
        paths[name], seconds = build(folder / name, runs, EVENTS_PER_RUN)
        if seconds:
            built.append(f"{name} runs built in {seconds:.0f} s")
    opened = {name: _open(path) for name, path in paths.items()}
    try:
        lists = [_line(name, opened, partial(_lists, filters), pace) for name, filters in FILTERS.items()]
        lists += [_line(name, opened, partial(_sorted, asked), pace) for name, asked in SORTED.items()]
        lists.append(_line("no filter, a page in the middle", opened, _middle_of_list, pace))
        pages = [_line(name, opened, sides, pace) for name, sides in {**EVENTS, **SEARCHES}.items()]
        opening = [_opening(name, paths[name], pace) for name in sizes]
    finally:
        for one in opened.values():
            one.ledger.close()
    header = ("what", *(f"{side} at {name}" for name in sizes for side in ("ours", "raw")), "flat", "aim")
    notes = [*built, "Medians of warm calls. `flat` is ours at the larger size against ours at the smaller."]
    return "\n\n".join(
        (markdown(header, [*lists, *pages]), markdown(("opening", "file", "to write", "to read", "aim"), opening),
         " ".join(notes))
    )  # fmt: skip


def _open(path: Path) -> Sized:
    raw = apsw.Connection(str(path / ".runstone" / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
    raw.execute("PRAGMA cache_size = -16000")
    return Sized(runstone.open(path, readonly=True), raw)


Sides = Callable[[Sized], tuple[Callable[[], object], Callable[[], object]]]


def _line(name: str, opened: dict[str, Sized], sides: Sides, pace: Pace) -> tuple[str, ...]:
    figures = []
    for sized in opened.values():
        ours, raw = sides(sized)
        figures += [_median_s(ours, pace), _median_s(raw, pace)]
    aim = 0.005 if "200 events" in name else None if name in LOOKED_UP or "search" in name else 0.001
    missed = aim is not None and max(figures[0::2]) > aim
    shown_aim = "" if aim is None else _shown(aim) + (" (missed)" if missed else "")
    return (
        name,
        *(_shown(figure) for figure in figures),
        f"{figures[2] / figures[0]:.2f}",
        shown_aim,
    )


def _median_s(call: Callable[[], object], pace: Pace) -> float:
    call()
    times: list[float] = []
    until = time.perf_counter() + pace.seconds
    while len(times) < 5 or time.perf_counter() < until:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


# --- lists -----------------------------------------------------------------------------------------------------------

_RAW_WHERE = {
    "status": "r.status IN ({})", "bucket": "r.status IN ({})", "kind": "r.kind IN ({})",
    "agent_id": "r.agent_id IN ({})", "parent_id": "r.parent_run_id IN ({})", "thread_id": "r.parent_thread_id IN ({})",
}  # fmt: skip
_BUCKETS = {"stopped": ("cancelled", "interrupted"), "needs_input": ("awaiting_user",)}


def _lists(
    filters: dict[str, str | list[str]], sized: Sized
) -> tuple[Callable[[], object], Callable[[], object]]:
    where, values = "1", list[object]()
    for name, value in filters.items():
        values = [*(_BUCKETS.get(value, (value,)) if isinstance(value, str) else value)]
        where = _RAW_WHERE[name].format(", ".join("?" * len(values)))
    return partial(sized.ledger.list_runs, limit=PAGE, **filters), _raw_list(sized, where, values)  # type: ignore[arg-type]


def _sorted(asked: dict[str, Any], sized: Sized) -> tuple[Callable[[], object], Callable[[], object]]:
    return partial(sized.ledger.list_runs, limit=PAGE, **asked), _raw_list(sized, "1", [])


def _raw_list(sized: Sized, where: str, values: list[object]) -> Callable[[], object]:
    columns = ", ".join(f"r.{row[1]}" for row in sized.raw.execute("PRAGMA table_info(runs)"))
    sql = (
        f"SELECT {columns}, l.expires_at FROM runs r LEFT JOIN leases l ON l.run = r.id "
        f"WHERE {where} AND r.archived = 0 "
        f"ORDER BY r.updated_at DESC, r.id DESC LIMIT {PAGE + 1}"
    )
    return lambda: list(sized.raw.execute(sql, values))


def _middle_of_list(sized: Sized) -> tuple[Callable[[], object], Callable[[], object]]:
    ((number, updated),) = sized.raw.execute(
        "SELECT id, updated_at FROM runs WHERE updated_at >= "
        "(SELECT (min(updated_at) + max(updated_at)) / 2 FROM runs) ORDER BY updated_at, id LIMIT 1"
    )
    first = sized.ledger.list_runs(limit=1).next_cursor
    cursor = _cursor_at(first, updated, number)
    where = "(r.updated_at, r.id) < (?, ?)"
    return partial(sized.ledger.list_runs, limit=PAGE, cursor=cursor), _raw_list(
        sized, where, [updated, number]
    )


def _cursor_at(cursor: str | None, updated: int, number: int) -> str:
    """The cursor of the same list at another place, so that no thousands of pages need to be turned."""
    from runstone.store.lists import cursors

    assert cursor is not None
    form = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(".")[0]
    return cursors.write(form, cursors.Place(updated, number))


# --- events ----------------------------------------------------------------------------------------------------------

_EVENT = "seq, position, type, version, payload, payload_ref, importance, at, attempt, event_key"


def _last_events(sized: Sized) -> tuple[Callable[[], object], Callable[[], object]]:
    sql = f"SELECT {_EVENT} FROM events WHERE run = (SELECT id FROM runs WHERE run_id = ?) ORDER BY seq DESC LIMIT 200"
    return (
        partial(sized.ledger.reader.events.before, BIG_RUN, limit=200),
        lambda: list(sized.raw.execute(sql, (BIG_RUN,))),
    )


def _middle_events(sized: Sized) -> tuple[Callable[[], object], Callable[[], object]]:
    pk = "(SELECT id FROM runs WHERE run_id = ?)"
    (last,) = next(sized.raw.execute(f"SELECT max(seq) FROM events WHERE run = {pk}", (BIG_RUN,)))
    sql = f"SELECT {_EVENT} FROM events WHERE run = {pk} AND seq > ? ORDER BY seq LIMIT 201"
    return (
        partial(sized.ledger.events, BIG_RUN, after=last // 2, limit=200),
        lambda: list(sized.raw.execute(sql, (BIG_RUN, last // 2))),
    )


EVENTS: dict[str, Sides] = {
    "the last 200 events of a run with a tenth of all": _last_events,
    "200 events in its middle": _middle_events,
}


def _search(words: str, sized: Sized) -> tuple[Callable[[], object], Callable[[], object]]:
    sql = "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT 20"
    return partial(sized.ledger.search, words), lambda: list(sized.raw.execute(sql, (words,)))


SEARCHES: dict[str, Sides] = {
    "search of a word that all titles have": partial(_search, "look"),
    "search of a word that a thousandth has": partial(_search, "976"),
}


# --- opening ---------------------------------------------------------------------------------------------------------


def _opening(name: str, path: Path, pace: Pace) -> tuple[str, ...]:
    size = (path / ".runstone" / "ledger.db").stat().st_size

    def opened(*, readonly: bool) -> None:
        with runstone.open(path, readonly=readonly) as ledger:
            ledger.cursor()

    write, read = (_median_s(partial(opened, readonly=readonly), pace) for readonly in (False, True))
    aim = "10.00 ms" + ("" if max(write, read) <= 0.010 else " (missed)")
    return name, f"{size / 1e9:.2f} GB", _shown(write), _shown(read), aim
