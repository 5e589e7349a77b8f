"""The real clock."""

import os
import time
from typing import Final, final

ENVIRONMENT_VARIABLE: Final = "RUNSTONE_CLOCK_AHEAD_S"
"""Has a whole process live so many seconds ahead, for tests of what a month brings; see `runstone.testing.clock`."""

_AHEAD_US: Final = round(float(os.environ.get(ENVIRONMENT_VARIABLE) or 0) * 1_000_000)


@final
class SystemClock:
    """The machine's clock, as `runstone.domain.clock.Clock` describes it."""

    __slots__ = ()

    def now(self) -> int:
        """Wall time in microseconds since the epoch."""
        return time.time_ns() // 1_000 + _AHEAD_US

    def monotonic(self) -> float:
        """Running time in seconds.

        `time.monotonic` leaves out a suspended machine on Linux (CLOCK_MONOTONIC) and on macOS
        (mach_absolute_time). CLOCK_BOOTTIME would count it, and a laptop that slept would look like
        one that missed its heartbeats.
        """
        return time.monotonic()
