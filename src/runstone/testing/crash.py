"""Crash on purpose: kill a process at a named write boundary, and find out which boundaries there are."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from runstone.store.crashpoints import ANY, ENVIRONMENT_VARIABLE, KillAt, arm, point

__all__ = ["ANY", "ENVIRONMENT_VARIABLE", "crash_environment", "crash_on", "crash_point", "recording"]

crash_point: Final = point


def crash_environment(name: str, count: int = 1) -> dict[str, str]:
    """The environment that makes a new process kill itself at the `count`-th passing of `name` (or `ANY`)."""
    KillAt(name, count)  # refuse here what the new process would refuse
    return {ENVIRONMENT_VARIABLE: f"{name}:{count}"}


def crash_on(name: str, count: int = 1) -> None:
    """Kill this very process with SIGKILL at the `count`-th passing of `name`, counted from now."""
    arm(KillAt(name, count))


@contextmanager
def recording() -> Iterator[Counter[str]]:
    """Count the points that are passed, by name, instead of crashing: the list that a campaign then drives."""
    passed: Counter[str] = Counter()

    def record(name: str) -> None:
        passed[name] += 1

    previous = arm(record)
    try:
        yield passed
    finally:
        arm(previous)
