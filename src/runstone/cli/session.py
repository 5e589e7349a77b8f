"""What one command works with: the workspace that was asked for, opened for reading or writing, and the output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import runstone
from runstone.cli.output import Output
from runstone.ledger import Ledger


class Session:
    """The global options of one command line."""

    def __init__(self, workspace: str | None, output: Output) -> None:
        self.workspace = workspace
        self.output = output

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """The ledger, opened so that nothing changes; says on a terminal which one. Raises `WorkspaceNotFound`."""
        with runstone.open(self.workspace, readonly=True, create=False) as ledger:
            if sys.stderr.isatty() and self.output.text:
                self.output.note(f"workspace {ledger.workspace.root}")
            yield ledger

    @contextmanager
    def changing(self) -> Iterator[Ledger]:
        """The ledger of an existing workspace, opened for writing."""
        with runstone.open(self.workspace, create=False) as ledger:
            yield ledger

    @contextmanager
    def running(self) -> Iterator[Ledger]:
        """The ledger for running work, created where there is none, with what `runstone.toml` registers."""
        from runstone import config

        with runstone.open(self.workspace) as ledger:
            config.load(ledger.workspace)
            yield ledger
