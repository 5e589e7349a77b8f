"""Tests of other stages, run over PostgreSQL: each folder that one opens is a ledger in a database there.

Databases are used again, emptied: to make one takes longer than most of these tests.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runstone import workspace as places
from runstone.errors import WorkspaceNotFound
from tests.postgres import server

_free: list[str] = []

_EMPTY = """DO $$ BEGIN
  EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('%I', relname), ', ') || ' RESTART IDENTITY CASCADE' FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT IN ('migrations', 'meta', 'numbers'));
  DELETE FROM meta WHERE name NOT IN ('epoch', 'usable_from');
  UPDATE numbers SET last = 0;
END $$"""


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Path, str]]:
    """The databases that stand for folders."""
    databases: dict[Path, str] = {}

    def locate(path: Any, *, create: bool) -> places.Workspace:
        assert path is not None, "only what is named is known to be a test's own"
        root = Path(path).resolve()
        if root not in databases:
            if not create:
                raise WorkspaceNotFound(f"there is no ledger for {root}")
            databases[root] = _free.pop() if _free else server.fresh()
        return places.Workspace(root, dsn=databases[root], may_begin=create)

    monkeypatch.setattr(places, "locate", locate)
    yield databases
    for dsn in databases.values():
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("SET lock_timeout = '10s'")
            admin.execute(_EMPTY)
        _free.append(dsn)


@pytest.fixture(scope="session", autouse=True)
def _drop_databases() -> Iterator[None]:
    yield
    while _free:
        server.drop(_free.pop())
