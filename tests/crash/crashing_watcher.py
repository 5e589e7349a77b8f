"""A watcher that kills itself at a crash point, unless one before it has: `MARK POINT` and a watcher's arguments."""

import sys
from pathlib import Path

from runstone.store import crashpoints
from runstone.watching import main


class Once:
    """Leaves the mark before it kills."""

    def __init__(self, mark: Path, point: str) -> None:
        self._mark = mark
        self._name, _, count = point.partition(":")
        self._left = int(count)

    def __call__(self, name: str) -> None:
        if name != self._name:
            return
        done = Path(f"{self._mark}.passed")
        with done.open("a") as file:  # passed by all watchers together, as each begins anew
            file.write("x")
        if done.stat().st_size == self._left and not self._mark.exists():
            self._mark.touch()
            crashpoints.KillAt(name)(name)


if __name__ == "__main__":
    mark, point = Path(sys.argv[1]), sys.argv[2]
    crashpoints.arm(Once(mark, point))
    sys.exit(main(sys.argv[3:]))
