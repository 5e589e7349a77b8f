"""`migrate --to`: a ledger in a file goes on in a PostgreSQL database, with all that it holds.

The file is sealed first, so that nothing is written there any more. Then all of it is exported and taken in: ids,
order, history, values and open questions stay. A move that was cut off is finished by doing it again.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from runstone.care.export import export
from runstone.care.import_ import Imported, import_
from runstone.errors import ImportConflict, InvalidExport, InvalidInput, LedgerMoved
from runstone.store.sqlite import seal
from runstone.store.writes.importing import ImportSpent
from runstone.workspace import Workspace, shown_dsn

if TYPE_CHECKING:
    from runstone.ledger import Ledger

Told = Callable[[int, int], None]
_SUFFIX: Final = ".jsonl.zst"


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A move that was done."""

    source: str
    target: str
    exported_bytes: int
    imported: Imported
    elapsed_ms: int


def move(source: Workspace, target: "Ledger", told: Told = lambda done, of: None) -> Moved:
    """Moves all of the workspace into the ledger `target`, and leaves it sealed.

    Raises `RunIsLive` while a run is worked on, `LedgerMoved` for one that was moved elsewhere, `ImportConflict` for
    runs that the target has with another content: nothing has changed then, on either side.
    """
    from runstone.ledger import Ledger

    began = time.monotonic()
    if source.dsn is not None or target.workspace.dsn is None:
        raise InvalidInput(
            "a move is from a workspace's folder into a database",
            hint="elsewhere: runstone export --all, then import",
        )
    name = shown_dsn(target.workspace.dsn)
    begun = _seal(source, name)
    try:
        with (
            Ledger(source, readonly=True) as reading,
            tempfile.TemporaryDirectory(dir=source.folder) as folder,
        ):
            file = Path(folder) / f"all{_SUFFIX}"
            written = export(reading, file, moves=True, told=told)
            done = import_(target, file, told=told)
            spent = reading.reader.rows("removed_usage_rows")
            target.core.writer.submit(ImportSpent(done.from_epoch, spent), []).result(None)
    except (ImportConflict, InvalidExport):
        if begun:  # the target is as it was
            seal.unseal(source.database)
        raise
    return Moved(
        source=str(source.root), target=name, exported_bytes=written.bytes, imported=done,
        elapsed_ms=int((time.monotonic() - began) * 1000),
    )  # fmt: skip


def _seal(source: Workspace, to: str) -> bool:
    """Whether the move begins now; False goes on with one that was cut off."""
    from runstone.ledger import Ledger

    sealed = seal.sealed_for(source.database)
    if sealed is not None:
        if sealed != to:
            raise LedgerMoved(f"{source.root} was moved to {sealed} already")
        return False
    with Ledger(source) as ledger:  # brings the schema up to date, and interrupts what dead owners left
        now = ledger.core.now()
    seal.seal(source.database, to, now)
    return True


def undo(source: Workspace) -> str | None:
    """Lets a workspace that was moved go on; gives where it had been moved to, None if it was not."""
    return seal.unseal(source.database)
