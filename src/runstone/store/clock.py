"""The real clock."""

import time
from typing import final


@final
class SystemClock:
    """The machine's clock, as `runstone.domain.clock.Clock` describes it."""

    __slots__ = ()

    def now(self) -> int:
        """Wall time in microseconds since the epoch."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """Running time in seconds.

        `time.monotonic` leaves out a suspended machine on Linux (CLOCK_MONOTONIC) and on macOS
        (mach_absolute_time). CLOCK_BOOTTIME would count it, and a laptop that slept would look like
        one that missed its heartbeats.
        """
        return time.monotonic()
