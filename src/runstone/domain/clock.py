"""The clock as an input: what decides by time is told the time, so that tests can set it."""

from typing import Protocol


class Clock(Protocol):
    """Two readings of time that must never be mixed up."""

    def now(self) -> int:
        """Wall time in integer microseconds since the epoch, UTC. People set it, and it jumps over sleep."""
        ...

    def monotonic(self) -> float:
        """Running time in seconds from an arbitrary start. It stands still while the machine sleeps."""
        ...
