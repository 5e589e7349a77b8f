"""Folders that ledgers in databases stand for, while tests of files run over PostgreSQL."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import apsw
import pytest

from runstone import workspace as places
from tests.postgres import server
from tests.postgres.over.elsewhere import standing
from tests.postgres.over.raw import Raw

ELSEWHERE = Path(standing.__file__).parent
READY = 3
"""So many ledgers lie ready for folders that other processes make."""

_OWN = ("__name__", "__file__", "__doc__", "__spec__", "__loader__", "__package__", "__cached__")
_connection = apsw.Connection


class Folders:
    """The databases that stand for folders."""

    def __init__(self, ready: Path) -> None:
        self.databases: dict[Path, str] = {}
        self._ready = ready
        self._laid: dict[Path, str] = {}

    def locate(self, path: Any, *, create: bool) -> places.Workspace:
        """As `runstone.workspace.locate`; a folder that may be made gets a database."""
        root = standing.folder(path)
        if create and root is not None and standing.dsn_of(root) is None:
            self.share(root)
        return standing.locate(path, create=create)

    def share(self, folder: Path) -> str:
        """Has an empty ledger stand for the folder; its DSN."""
        root = folder.resolve()
        self.databases[root] = dsn = server.lend()
        standing.stands_for(root, dsn)
        return dsn

    def connection(self, path: str, *rest: Any, **more: Any) -> Any:
        """As `apsw.Connection`; of a ledger's file where one in a database stands for it."""
        file = Path(path)
        known = (standing.dsn_of(folder) for folder in file.parents) if file.name == places.DATABASE else ()
        dsn = next(filter(None, known), None)
        return _connection(path, *rest, **more) if dsn is None else Raw(dsn)

    def lay_ready(self) -> None:
        """Sees that there are ledgers for folders that other processes make."""
        for number in range(READY):
            place = self._ready / str(number)
            if not place.exists():
                self._take_laid_back(place)
                self._laid[place] = dsn = server.lend()
                place.write_text(dsn)

    def take_back(self, *, but: frozenset[Path] = frozenset()) -> None:
        """Empties what was lent."""
        for root in [root for root in self.databases if root not in but]:
            server.take_back(self.databases.pop(root))

    def close(self) -> None:
        """Empties all."""
        self.take_back()
        for place in list(self._laid):
            self._take_laid_back(place)

    def _take_laid_back(self, place: Path) -> None:
        if place in self._laid:
            server.take_back(self._laid.pop(place))


@contextmanager
def shared() -> Iterator[Folders]:
    """Each folder that is opened is a ledger in a database, here and in processes that are started."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as ready:
        folders = Folders(Path(ready))
        patch.setattr(places, "locate", folders.locate)
        patch.setattr(apsw, "Connection", folders.connection)
        before = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ELSEWHERE), before))))
        patch.setenv(standing.READY, ready)
        try:
            yield folders
        finally:
            folders.close()


def all_of(module: ModuleType, *, without: dict[str, str] | None = None) -> dict[str, Any]:
    """The tests and fixtures of a module, but for some, each with the reason why it is one of files alone."""
    kept = {name: thing for name, thing in vars(module).items() if name not in _OWN}
    for name in without or {}:
        del kept[name]  # one that is gone must not stay named here
    return kept
