"""Awaited durable appends beside a pure Python thread in the same process, which holds the interpreter lock.

The aim is against a writer thread that executes a statement per row, each of which may give up the lock; raw
`executemany`, and threads that switch sooner, are for information. One batch of 1,000 rows can take those sides
seconds, so these lines have fewer rounds.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from functools import partial

from bench.appends import Ours, Raw, both
from bench.table import Pace, Result, alternate, comparison

SHORT_SWITCH_S = 0.0005


def bench(pace: Pace) -> str:
    """Ours, the other sides and their ratios."""
    with both() as (ours, raw), _busy_thread():
        return comparison(_lines(ours, raw, pace))


def _lines(ours: Ours, raw: Raw, pace: Pace) -> Iterator[Result]:
    seconds, few = pace.seconds, pace.fewer(3)
    for n in (100, 1_000):
        name = f"beside a busy thread, {n:,} appenders"
        pairs = alternate(partial(ours.rate, n, seconds), partial(raw.rowwise_rate, n, seconds), few)
        yield Result(name, pairs, unit="events/s", aim=10.0, other="a statement per row")
        pairs = alternate(partial(ours.rate, n, seconds), partial(raw.rate, n, seconds), few)
        yield Result("the same", pairs, unit="events/s", other="raw `executemany`")
    with _switching_after(SHORT_SWITCH_S):
        pairs = alternate(partial(ours.rate, 1_000, seconds), partial(raw.rowwise_rate, 1_000, seconds), few)
        name = f"the same with `sys.setswitchinterval({SHORT_SWITCH_S})`"
        yield Result(name, pairs, unit="events/s", other="a statement per row")


@contextlib.contextmanager
def _busy_thread() -> Iterator[None]:
    """A pure Python thread in the process, which holds the interpreter lock as long as it may."""
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            number = (number * 1_103_515_245 + 12_345) % 2_147_483_648

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def _switching_after(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
