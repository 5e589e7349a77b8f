"""The run that a process was started for: a run that it starts becomes its child, unless its caller says otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, final

from runstone.store.reads import Reader

RUN_ID: Final = "RUNSTONE_RUN_ID"
WORKSPACE: Final = "RUNSTONE_WORKSPACE"
DSN: Final = "RUNSTONE_DSN"
COMMAND: Final = "exec"
"""Marks a run as a command in the background, among its options."""


@final
class Ambient:
    """The parent that nobody named: the run of this process, if it was started for one of this ledger."""

    def __repr__(self) -> str:
        return "<the run of this process>"


AMBIENT: Final = Ambient()


def started_for(run_id: str, root: str, dsn: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command that works for the run: who it is, and whose ledger it is in.

    What it starts with `runstone` belongs to the same ledger, also where this process was given the DSN of a shared one
    otherwise. It may have a password in it, which only the environment is told.
    """
    named = {**environ, RUN_ID: run_id, WORKSPACE: root}
    named.pop(DSN, None)
    return named if dsn is None else {**named, DSN: dsn}


def ambient_parent(reader: Reader, root: Path | None) -> str | None:
    """The id in $RUNSTONE_RUN_ID, if it is a run of the workspace that this ledger keeps; else None.

    What is in the variables is no reason to fail: another program may have set them.
    """
    run_id, workspace = os.environ.get(RUN_ID), os.environ.get(WORKSPACE)
    if not run_id or not workspace or root is None:
        return None
    try:
        known = os.path.samefile(workspace, root) and reader.rows("pk_of", run_id=run_id)
    except (OSError, ValueError):
        return None
    return run_id if known else None
