"""The crash suite's folders, when it runs over PostgreSQL: each that it opens is a ledger in a database there.

Programs that it kills open the same one for the same folder (see `elsewhere/sitecustomize.py`), and find one where they
are the first. A folder that is copied or removed takes its database along.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone import workspace
from tests.crash import world
from tests.postgres import server
from tests.postgres.crash import standing

ELSEWHERE = Path(__file__).parent / "elsewhere"
ROOT = Path(__file__).parents[3]


class Places:
    """The databases that stand for folders."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.databases: dict[Path, str] = {}
        self._made: set[str] = set()
        """Those that were not lent, and cannot be given back."""
        self._patch = patch
        self._copytree, self._rmtree, self._start = shutil.copytree, shutil.rmtree, world.Server.start

    def stand_in(self) -> None:
        """From now on this process, and those that it starts, find them."""
        self._patch.setattr(workspace, "locate", self.locate)
        self._patch.setattr(shutil, "copytree", self.copytree)
        self._patch.setattr(shutil, "rmtree", self.rmtree)
        self._patch.setattr(world.Server, "start", self._starting())
        before = os.environ.get("PYTHONPATH")
        self._patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ELSEWHERE), str(ROOT), before))))

    def begin(self, root: Path, *, empty: bool = False) -> None:
        """Has a database stand for a folder that has none; `empty` is one without a schema."""
        if standing.dsn_of(root) is None:
            root.mkdir(parents=True, exist_ok=True)
            self._stand(root, server.fresh(migrated=False) if empty else server.lend(), made=empty)

    def _stand(self, root: Path, dsn: str, *, made: bool) -> None:
        self.databases[root] = dsn
        if made:
            self._made.add(dsn)
        standing.stands_for(root, dsn)

    def locate(self, path: Any, *, create: bool) -> workspace.Workspace:
        """As `runstone.workspace.locate`."""
        assert path is not None, "only what is named is known to be a test's own"
        if create and not workspace.is_dsn(path):
            self.begin(Path(path).resolve())
        return standing.locate(path, create=create)

    def copytree(self, source: Any, target: Any, *how: Any, **named: Any) -> Any:
        """As `shutil.copytree`, which calls itself; nobody may have the ledger open."""
        copied = self._copytree(source, target, *how, **named)
        dsn = standing.dsn_of(Path(source))
        if dsn is not None:
            self._stand(Path(target).resolve(), server.copy_of(dsn), made=True)
        return copied

    def rmtree(self, root: Any, *arguments: Any, **how: Any) -> None:
        """As `shutil.rmtree`."""
        dsn = self.databases.pop(Path(root).resolve(), None) if isinstance(root, str | Path) else None
        if dsn is not None:
            self._end(dsn)
        self._rmtree(root, *arguments, **how)

    def _starting(self) -> Callable[..., world.Victim]:
        """A program that opens a new folder finds a ledger, and one without a schema where it shall die making it."""
        start = self._start

        def starting(
            one: world.Server,
            folder: Path,
            program: str,
            *arguments: str,
            crash: tuple[str, int] | None = None,
        ) -> world.Victim:
            makes = program == "points" or (crash is not None and crash[0].startswith("migrate."))
            self.begin(folder.resolve(), empty=makes)
            return start(one, folder, program, *arguments, crash=crash)

        return starting

    def end(self, *, but: set[Path]) -> None:
        """Gives back all but those of some places."""
        for root in set(self.databases) - but:
            self._end(self.databases.pop(root))

    def _end(self, dsn: str) -> None:
        if dsn in self._made:
            self._made.remove(dsn)
            server.drop(dsn)
        else:
            server.take_back(dsn)


@pytest.fixture(scope="module", autouse=True)
def places() -> Iterator[Places]:
    """For the module, as some of what its tests share is made once."""
    with pytest.MonkeyPatch.context() as patch:
        places = Places(patch)
        places.stand_in()
        yield places
        places.end(but=set())


@pytest.fixture(autouse=True)
def given_back(places: Places) -> Iterator[None]:
    """What a test itself has opened goes with it."""
    before = set(places.databases)
    yield
    places.end(but=before)
