"""Tests of other stages, run over PostgreSQL: each folder that one opens is a ledger in a database there.

Processes that a test starts open the same one for the same folder; see `elsewhere/sitecustomize.py`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone import workspace as places
from tests.postgres import server
from tests.postgres.over.elsewhere import standing

ELSEWHERE = Path(standing.__file__).parent


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Path, str]]:
    """The databases that stand for folders."""
    databases: dict[Path, str] = {}

    def locate(path: Any, *, create: bool) -> places.Workspace:
        assert path is not None, "only what is named is known to be a test's own"
        root = Path(path).resolve()
        if create and standing.dsn_of(root) is None:
            root.mkdir(parents=True, exist_ok=True)
            databases[root] = server.lend()
            standing.stands_for(root, databases[root])
        return standing.locate(path, create=create)

    monkeypatch.setattr(places, "locate", locate)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ELSEWHERE), before))))
    yield databases
    for dsn in databases.values():
        server.take_back(dsn)
