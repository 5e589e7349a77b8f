"""`up --demo`: a workspace of its own, filled with three runs, and the agents that go on with them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runstone.cli.output import Output
from runstone.cli.session import Session
from runstone.errors import InvalidInput
from runstone.ledger import Ledger

if TYPE_CHECKING:
    from runstone.engine.registry import Registry

_LOOKED_AT = 1_000


@contextmanager
def place_of(session: Session, *, keep: bool) -> Iterator[Session]:
    """The session in the demo's workspace: the one that `--workspace` names, else a new one that is removed at the end.

    The user's own is never taken because it is the nearest: it must be named.
    """
    if session.workspace is not None:
        yield session
        return
    folder = tempfile.mkdtemp(prefix="runstone-demo-")
    try:
        yield Session(folder, session.output)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def filled(ledger: Ledger, output: Output) -> "Registry":
    """Fills the ledger where it is empty; gives the agents that go on with its runs. Raises `InvalidInput`."""
    from runstone.server.demo import crew, filling

    others = [
        run.id
        for run in ledger.list_runs(depth="0", archived=None, limit=_LOOKED_AT).items
        if run.id not in filling.RUNS.values() and run.labels.get("demo") != "true"
    ]
    if others:
        root = Path(ledger.workspace.root)
        raise InvalidInput(
            f"{root} has runs of its own, and the demo's are not put among them",
            hint="leave --workspace out: the demo then makes a workspace of its own",
        )
    output.note("running the demo's agents: a few seconds", "")
    filling.fill(ledger)
    return crew.registry()
