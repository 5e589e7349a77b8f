"""Places where a test may kill the process, so that every write boundary is crashed on purpose.

Production code says `point("writer.before_commit")`. Unless a test armed it, that is one comparison. A test
arms a whole process from outside with `RUNSTONE_CRASH_AT=NAME:COUNT` (`*` is any name), or in process
through `runstone.testing.crash`.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Final, final

ENVIRONMENT_VARIABLE: Final = "RUNSTONE_CRASH_AT"
ANY: Final = "*"


def point(name: str) -> None:
    """Pass the crash point `name` (`module.place`, stable: campaigns list points by name)."""
    if _hook is not None:
        _hook(name)


def writes(side: str, batch: Sequence[object]) -> None:
    """Pass `writer.SIDE_commit`, and `NAME.SIDE_commit` for each kind of write in the batch.

    So every kind of write has boundaries that can be crashed at, also one that is added later.
    """
    if _hook is not None:
        for name in dict.fromkeys(type(write).__name__ for write in batch):
            _hook(f"{name}.{side}_commit")
        _hook(f"writer.{side}_commit")


def arm(hook: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """Call `hook(name)` at every passing from now on, or nothing if None; returns the hook before it."""
    global _hook
    previous, _hook = _hook, hook
    return previous


@final
class KillAt:
    """A hook that kills this process with SIGKILL at the `count`-th passing of a point."""

    __slots__ = ("_left", "_lock", "_name")

    def __init__(self, name: str, count: int = 1) -> None:
        if not name or count < 1:
            raise ValueError(f"a crash point needs a name and a count from 1, not {name!r} and {count}")
        self._name = name
        self._left = count
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        if self._name not in (ANY, name):
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                # SIGKILL, not os._exit: nothing of this process may run on, in any thread.
                os.kill(os.getpid(), signal.SIGKILL)

    @classmethod
    def parse(cls, setting: str) -> "KillAt":
        """Read `NAME` or `NAME:COUNT`. Raises ValueError: a mistyped crash that never comes proves nothing."""
        name, _, count = setting.partition(":")
        if count and not count.isdecimal():
            raise ValueError(f"{ENVIRONMENT_VARIABLE}={setting!r} should read NAME:COUNT")
        return cls(name, int(count or 1))


def _from_environment() -> Callable[[str], None] | None:
    setting = os.environ.get(ENVIRONMENT_VARIABLE)
    return KillAt.parse(setting) if setting else None


_hook: Callable[[str], None] | None = _from_environment()
