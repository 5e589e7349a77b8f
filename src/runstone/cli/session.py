"""What one command works with: the workspace that was asked for, opened for reading or writing, and the output."""

import importlib
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import click

import runstone
from runstone import config
from runstone import workspace as places
from runstone.cli.output import Output
from runstone.engine.registry import Entry
from runstone.errors import AgentNotFound, InvalidInput, NotFound, WorkspaceNotFound
from runstone.ledger import Ledger

BUNDLED: Final = {"repo-audit": "runstone.audit"}
"""Workflows that come with Runstone, by the module that registers each."""


class Session:
    """The global options of one command line."""

    def __init__(self, workspace: str | None, output: Output, *, url: str | None = None) -> None:
        self.workspace = workspace
        """The folder or the DSN that was named; None for those of the environment, or the folder around us."""
        self.output = output
        self.url = url
        """The server whose ledger the command works with; None for the file of a workspace."""

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """The ledger, opened so that nothing changes; says on a terminal which one. Raises `WorkspaceNotFound`."""
        if self.url is not None:
            with self._connected(self.url) as ledger:
                yield ledger
            return
        with runstone.open(self.workspace, readonly=True, create=False) as ledger:
            self._say_which(ledger)
            yield ledger

    @contextmanager
    def changing(self, *, create: bool = False) -> Iterator[Ledger]:
        """The ledger, opened for writing; with `create`, in a new workspace where there is none."""
        if self.url is not None:
            with self._connected(self.url) as ledger:
                yield ledger
            return
        # Named, so that it is this command that says whether a workspace was created, and how.
        named = self.root() if create and self.dsn is None else self.workspace
        with runstone.open(named, create=create) as ledger:
            if ledger.workspace.created:
                self.output.note(f"created the workspace {ledger.workspace.folder}", "")
            else:
                self._say_which(ledger)
            for unheeded in ledger.core.redactor.notes:
                self.output.warning(unheeded)
            yield ledger

    @contextmanager
    def _connected(self, url: str) -> Iterator[Ledger]:
        """The ledger of a server: it has the face of one in this process, and a test compares the two."""
        with runstone.connect(url) as ledger:
            if sys.stderr.isatty():
                self.output.note(f"server {ledger.url}")
            yield cast("Ledger", ledger)

    def _say_which(self, ledger: Ledger) -> None:
        if sys.stderr.isatty():
            kind = "workspace" if ledger.workspace.dsn is None else "ledger"
            self.output.note(f"{kind} {ledger.workspace.name}")

    @property
    def dsn(self) -> str | None:
        """The shared ledger that the command works with; None for one in a folder."""
        return places.dsn_of(self.workspace)

    def require_folder(self, what: str, instead: str) -> None:
        """Raises `InvalidInput` where the ledger is in a database, for what only works on files."""
        if self.dsn is not None:
            raise InvalidInput(
                f"{what} works on a ledger in a folder, and this one is in a database", hint=instead
            )

    def existing(self) -> places.Workspace:
        """The workspace that there is; nothing of it is opened. Raises `WorkspaceNotFound`."""
        return places.locate(self.workspace, create=False)

    def settle_trust(self, *, trust: bool) -> None:
        """Asks on a terminal whether the workspace's runstone.toml may run code, where nobody said so yet."""
        self._say_unread(self.root())
        self._settle_trust(self.root(), trust=trust)

    def root(self) -> Path:
        """The workspace's folder: the one that there is, or the one that would be created."""
        try:
            return places.locate(self.workspace, create=False).root
        except WorkspaceNotFound:
            return Path(self.workspace or os.environ.get(places.VARIABLE) or ".").resolve()

    def define(self, root: Path, name: str | None, *, trust: bool) -> config.Config:
        """Registers what the workspace's runstone.toml names, and the bundled workflow `name` (None: all of them).

        Asks on a terminal whether the file may run code, where nobody allowed it yet. Raises `ConfigNotTrusted`.
        """
        self._say_unread(root)
        wanted = [one for one in BUNDLED if name is None or name.split("/")[0] == one]
        loaded = config.Config()
        if trust or config.is_trusted(root) or not (name and wanted):
            self._settle_trust(root, trust=trust)
            loaded = config.load(root)
        self._bundle(wanted)
        return loaded

    @staticmethod
    def _bundle(names: Iterable[str]) -> None:
        known = {one.name for one in runstone.default_registry().workflows()}
        for name in names:
            if name not in known:
                importlib.import_module(BUNDLED[name])

    def find(self, get: Callable[[str], Entry], name: str, *, trust: bool) -> Entry:
        """What `get` gives for the name. Raises `NotFound` as it does, with the bundled names among those there are."""
        self.define(self.root(), name, trust=trust)
        try:
            return get(name)
        except NotFound:
            self._bundle(BUNDLED)
            return get(name)

    def _say_unread(self, root: Path) -> None:
        """A runstone.toml below the workspace is not read; whoever wrote it here must not wonder why."""
        if self.workspace or os.environ.get(places.VARIABLE):
            return  # the workspace was named
        here = Path.cwd().resolve()
        below = [place for place in (here, *here.parents) if root in place.parents]
        for folder in below:
            if (folder / config.FILE).is_file():
                hint = "--workspace ." if folder == here else f"--workspace {shlex.quote(str(folder))}"
                self.output.warning(
                    f"{folder / config.FILE} is not read, the workspace is {root}; to have one here: {hint}"
                )
                return

    def require(self, name: str, root: Path) -> None:
        """Raises `AgentNotFound` unless an agent or a workflow has that name, with the names and what was read."""
        registry = runstone.default_registry()
        names = {one.name for one in (*registry.workflows(), *registry.agents())}
        if name in names:
            return
        file = root / config.FILE
        read = f"read: {file}" if file.exists() else f"there is no {file}"
        there = ", ".join([*BUNDLED, *sorted(names - BUNDLED.keys())[:20]])
        raise AgentNotFound(f"no workflow or agent {name!r} is registered (there are: {there}; {read})")

    def _settle_trust(self, root: Path, *, trust: bool) -> None:
        file = root / config.FILE
        if not file.exists() or config.is_trusted(root):
            return
        asking = self.output.text and sys.stdin.isatty() and sys.stderr.isatty()
        question = f"{file} can import modules and start commands. Allow that, now and later?"
        if trust or (asking and click.confirm(question, err=True)):
            config.trust(root)
