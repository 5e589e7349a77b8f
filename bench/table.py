"""How figures are taken and shown: two sides in turn in one process, medians, and the ratio pair by pair."""

import contextlib
import gc
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROUNDS = 5


class Result(NamedTuple):
    """One line: medians of both sides, and the median, smallest and largest ratio of the pairs."""

    name: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    unit: str = "per s"
    aim: float | None = None
    other: str = "raw"


def alternate(ours: Callable[[], float], theirs: Callable[[], float], rounds: int = ROUNDS) -> tuple[float, ...]:
    """(ours, theirs, ratio, lowest, highest): measured A B, B A, ... after one uncounted round, rates per second."""
    ours(), theirs()
    pairs = []
    for turn in range(rounds):
        gc.collect()
        first, second = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        a, b = first(), second()
        pairs.append((a, b) if turn % 2 == 0 else (b, a))
    ratios = [a / b for a, b in pairs]
    medians = statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
    return (*medians, statistics.median(ratios), min(ratios), max(ratios))


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A folder on the disk of the current directory: a temporary folder may be memory."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        yield Path(folder)


def show(title: str, results: list[Result]) -> str:
    """The results as a Markdown table."""
    lines = [f"### {title}", "", "| what | ours | other | ratio (lowest to highest) | aim |", "|---|---|---|---|---|"]
    for r in results:
        aim = "" if r.aim is None else f"{r.aim:g}" + ("" if r.ratio >= r.aim else " (missed)")
        lines.append(
            f"| {r.name} | {r.ours:,.0f} {r.unit} | {r.theirs:,.0f} ({r.other}) | {r.ratio:.2f} "
            f"({r.low:.2f} to {r.high:.2f}) | {aim} |"
        )
    return "\n".join(lines)
