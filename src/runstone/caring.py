"""`ledger.care`: proving the ledger, and what leaves it or comes into it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from runstone.domain.records import Finding
from runstone.errors import InvalidInput

if TYPE_CHECKING:
    from runstone.care.export import Exported
    from runstone.care.import_ import Imported
    from runstone.ledger import Ledger


class Care:
    """`ledger.care`. What it needs is imported when it is asked for: most processes never look after their ledger."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def verify(self, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
        """What is wrong with the ledger; empty if nothing is. `progress` is told (runs proved, of how many)."""
        from runstone.care.verify import verify

        return verify(self._ledger, progress)

    def prune(self, run_id: str) -> int:
        """Removes events, messages and checkpoints of a whole ended tree; rows and totals stay. Gives how many runs."""
        from runstone.care.removing import Removal

        return Removal(self._ledger).prune(run_id)

    def remove(self, run_id: str) -> int:
        """Removes a whole ended tree; gives how many runs. Raises `IllegalTransition` if one has not ended.

        What it had spent stays in `usage`; forks of it keep what they know.
        """
        from runstone.care.removing import Removal

        return Removal(self._ledger).remove(run_id)

    def export(
        self,
        target: str | os.PathLike[str] | IO[bytes],
        runs: Sequence[str] | None = None,
        *,
        subtree: bool = True,
        redact: bool = False,
        force: bool = False,
        move: bool = False,
    ) -> "Exported":
        """Writes runs with all that belongs to them as lines, to a file or a binary stream; without `runs` everything.

        `.zst` and `.gz` compress. `subtree=False` takes the named runs alone. Values are in it as they were given;
        `redact` masks them, and then it is for reading only. Raises `NotFound`, and `InvalidInput` if the file exists.

        `move` takes whole trees, which go on where the file is imported: what is unfinished in them is sealed here once
        the file is on the disk. Raises `RunIsLive` while somebody works on one; nothing is sealed then.
        """
        if move:
            from runstone.care.sealing import move as moved

            _check_move(target, subtree=subtree, redact=redact, force=force)
            return moved(self._ledger, _place(target), runs)
        from runstone.care.export import export

        return export(self._ledger, _place(target), runs, subtree=subtree, redact=redact, force=force)

    def take_back(self, runs: Sequence[str] | None = None) -> int:
        """Lets trees that an export has moved go on here; without `runs` all of them. Gives how many runs were sealed.

        For a file that was not imported anywhere: else they go on in two places.
        """
        from runstone.care.sealing import take_back

        return take_back(self._ledger, runs)

    def import_(self, source: str | os.PathLike[str] | IO[bytes]) -> "Imported":
        """Takes in the runs of an export that are not here; ids and `seq` stay. What was running is interrupted here.

        Raises `InvalidExport`, and `ImportConflict` for what is here with another content; nothing has changed then.
        """
        from runstone.care.import_ import import_

        return import_(self._ledger, _place(source))


def _check_move(target: Any, *, subtree: bool, redact: bool, force: bool) -> None:
    """Raises `InvalidInput` for what could leave sealed runs without a file that brings them back to life."""
    if not isinstance(target, str | os.PathLike):
        raise InvalidInput(
            "a move is written to a file, as only that is known to be there when runs are sealed"
        )
    if not subtree or redact:
        raise InvalidInput("a move takes whole trees, with their values as they are")
    if force:
        raise InvalidInput(
            "a move replaces no file: that may be all that there is of another one", hint="name another file"
        )


def _place(given: str | os.PathLike[str] | IO[bytes]) -> Any:
    return Path(given) if isinstance(given, str | os.PathLike) else given
