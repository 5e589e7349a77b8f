"""`export --move`: unfinished trees go on where their export is imported, and are sealed here.

The whole file is on the disk, under its name, before anything is sealed; and it is sealed only if it is, by then, still
as the file has it. Killed in between, there is a file and nothing is sealed. What changed meanwhile is exported anew.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from runstone.care import parts
from runstone.care.export import Exported, Moving, export
from runstone.domain import runs as rules
from runstone.errors import InvalidInput, NotFound, Refused
from runstone.store import crashpoints
from runstone.store.writes.moves import SealTrees, UnsealTrees

if TYPE_CHECKING:
    from runstone.ledger import Ledger

Told = Callable[[int, int], None]
_TRIES: Final = 5
"""So often a tree is exported again that changed while it was."""


def move(
    ledger: "Ledger",
    target: Path,
    runs: Sequence[str] | None = None,
    *,
    told: Told = lambda done, of: None,
) -> Exported:
    """Exports whole trees, and seals what is unfinished in them. None: all that was not moved before.

    Raises `RunIsLive` while somebody works on one, `RunMoved` for one that was moved before, and what `export` raises;
    nothing is sealed then, and there is no file. Where a database did not say whether it has sealed them, the file
    stays.
    """
    _check_whole(ledger, runs)
    ledger.supervisor.reconcile()
    for _ in range(_TRIES):
        moving = Moving(everything=runs is None)
        written = export(ledger, target, runs, moving=moving, told=told)
        crashpoints.point("export.before_seal")
        sealed = _seal(ledger, target, moving)
        if sealed is not None:
            return msgspec.structs.replace(written, moved=sealed)
    raise Refused(
        f"the runs change as fast as they are exported, {_TRIES} times in a row; nothing was moved",
        hint="end what reports them, or wait: runstone runs list --status running",
    )


def _seal(ledger: "Ledger", target: Path, moving: Moving) -> int | None:
    write = SealTrees(moving.trees, export=target.name, made_at=moving.made_at)
    try:
        sealed: int | None = ledger.core.submit(write, []).result(None)
    except Refused:
        _take_away(target)
        raise
    if sealed is None:
        _take_away(target)
    return sealed


def _take_away(target: Path) -> None:
    """The file of a move that was refused: nobody may take it for one that was made."""
    target.unlink(missing_ok=True)
    parts.sync_folder(target.parent)


def _check_whole(ledger: "Ledger", runs: Sequence[str] | None) -> None:
    """Raises `InvalidInput` for a run that is part of a tree: what is above it would wait for it in vain."""
    for run_id in runs or ():
        top = _top_of(ledger, run_id)
        if top != run_id:
            raise InvalidInput(
                f"run {run_id} is part of the tree of {top}; only whole trees are moved",
                hint=f"move that: runstone export {top} --move -o FILE",
            )
        run = ledger.get_run(run_id)
        if run.status == "moved":
            raise rules.moved(run_id, run.status_reason)


def _top_of(ledger: "Ledger", run_id: str) -> str:
    rows = ledger.reader.rows("exported_top", run_id=run_id)
    if not rows:
        raise NotFound(f"there is no run {run_id}", run_id=run_id)
    return str(rows[0][0])


def take_back(ledger: "Ledger", runs: Sequence[str] | None = None) -> int:
    """Lets trees that were moved go on here; None: all of them. Gives how many runs were sealed."""
    if runs is None:
        roots = [str(root) for (root,) in ledger.reader.rows("moved_roots")]
    else:
        roots = list(dict.fromkeys(_top_of(ledger, run_id) for run_id in runs))
    taken: int = ledger.core.submit(UnsealTrees(roots), []).result(None)
    return taken
