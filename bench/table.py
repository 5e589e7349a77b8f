"""How figures are taken and shown: two sides in turn, medians, and the ratio pair by pair."""

import contextlib
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import apsw
import psutil


class Pace(NamedTuple):
    """How long one figure is measured, and how many pairs of figures there are."""

    seconds: float = 1.0
    rounds: int = 5

    def fewer(self, rounds: int) -> "Pace":
        """The same with at most so many rounds, for sides of which one takes long."""
        return self._replace(rounds=min(rounds, self.rounds))


RAW_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 2000",
    "cache_size = -16000",
)
"""What a ledger sets, too."""


class Pairs(NamedTuple):
    """Medians of both sides, and the median, smallest and largest ratio of the pairs."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float


class Result(NamedTuple):
    """One line: what was measured, and against what."""

    name: str
    pairs: Pairs
    unit: str = "per s"
    aim: float | None = None
    other: str = "raw"


def alternate(ours: Callable[[], float], theirs: Callable[[], float], pace: Pace) -> Pairs:
    """Rates per second of both sides, measured A B, B A, ... after one uncounted round."""
    ours(), theirs()
    pairs = []
    for turn in range(pace.rounds):
        gc.collect()
        first, second = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        a, b = first(), second()
        pairs.append((a, b) if turn % 2 == 0 else (b, a))
    ratios = [a / b for a, b in pairs]
    medians = statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
    return Pairs(*medians, statistics.median(ratios), min(ratios), max(ratios))


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A folder on the disk of the current directory: a temporary folder may be memory."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        yield Path(folder)


def raw_connection(path: Path) -> apsw.Connection:
    """A connection of a raw side, as durable as a ledger's."""
    db = apsw.Connection(str(path))
    db.set_busy_timeout(60_000)
    for pragma in RAW_PRAGMAS:
        db.execute(f"PRAGMA {pragma}")
    return db


def machine() -> str:
    """Processors, load, Python and SQLite: ratios hold beyond one machine, rates don't."""
    load = os.getloadavg()[0]
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores (load {load:.1f} at the start), "
        f"Python {platform.python_version()}, APSW {apsw.apsw_version()}, SQLite {apsw.sqlite_lib_version()}"
    )


class Bystanders:
    """What other processes use of the processors meanwhile: our sides need two cores, most raw ones need one."""

    def __init__(self) -> None:
        self._before = _others_s(), time.monotonic()

    def __str__(self) -> str:
        others_s, since = self._before
        cores = max(0.0, _others_s() - others_s) / (time.monotonic() - since)
        return f"Other processes used {cores:.1f} of {os.cpu_count()} cores meanwhile."


def _others_s() -> float:
    """Seconds of all processors used by others than this process and those that it started and waited for."""
    everyone, own = psutil.cpu_times(), os.times()
    idle = everyone.idle + getattr(everyone, "iowait", 0.0) + getattr(everyone, "guest", 0.0)
    return float(sum(everyone) - idle - sum(own[:4]))


def comparison(results: Iterable[Result]) -> str:
    """Results as a Markdown table."""
    return markdown(("what", "ours", "other", "ratio (lowest to highest)", "aim"), map(_line, results))


def _line(result: Result) -> tuple[str, ...]:
    pairs = result.pairs
    aim = "" if result.aim is None else f"{result.aim:g}" + ("" if pairs.ratio >= result.aim else " (missed)")
    return (
        result.name,
        f"{pairs.ours:,.0f} {result.unit}",
        f"{pairs.theirs:,.0f} ({result.other})",
        f"{pairs.ratio:.2f} ({pairs.low:.2f} to {pairs.high:.2f})",
        aim,
    )


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))
