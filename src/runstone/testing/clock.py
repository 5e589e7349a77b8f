"""A clock that a test moves by hand."""

import threading
from typing import Final, final

from runstone.store.clock import ENVIRONMENT_VARIABLE

_MICROSECONDS: Final = 1_000_000
_START: Final = 1_767_225_600 * _MICROSECONDS  # 2026-01-01T00:00:00Z


@final
class FakeClock:
    """A `Clock` that stands still until it is told otherwise. Safe to read and move from any thread."""

    __slots__ = ("_lock", "_monotonic_us", "_now_us")

    def __init__(self, start: int = _START, *, monotonic: float = 1_000.0) -> None:
        self._lock = threading.Lock()
        self._now_us = start
        # Kept as an integer so that many small steps add up exactly.
        self._monotonic_us = _microseconds(monotonic)

    def now(self) -> int:
        """Wall time in microseconds since the epoch."""
        return self._now_us

    def monotonic(self) -> float:
        """Running time in seconds."""
        return self._monotonic_us / _MICROSECONDS

    def advance(self, seconds: float) -> None:
        """Let time pass: both readings move. Raises ValueError if `seconds` is negative."""
        step = _forward(seconds)
        with self._lock:
            self._now_us += step
            self._monotonic_us += step

    def sleep_machine(self, seconds: float) -> None:
        """Suspend the machine: wall time moves on, running time does not. Raises ValueError if negative."""
        step = _forward(seconds)
        with self._lock:
            self._now_us += step

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or (negative) back, as a person or NTP does; no time passes."""
        with self._lock:
            self._now_us += _microseconds(seconds)


def clock_environment(seconds: float) -> dict[str, str]:
    """The environment that makes a new process live so many seconds ahead of the machine's clock."""
    _forward(seconds)
    return {ENVIRONMENT_VARIABLE: str(seconds)}


def _forward(seconds: float) -> int:
    if seconds < 0:
        raise ValueError(f"time cannot pass backwards: {seconds} s; use jump() to set the wall clock back")
    return _microseconds(seconds)


def _microseconds(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)
