"""Whole suites of tests, run over PostgreSQL: each folder that one opens is a ledger in a database there."""

from collections.abc import Iterator

import pytest

from tests.postgres import server
from tests.postgres.over import folders
from tests.postgres.over.folders import Folders


@pytest.fixture(scope="session", autouse=True)
def _drop_databases() -> Iterator[None]:
    yield
    server.drop_lent()


@pytest.fixture(scope="module", autouse=True)
def databases() -> Iterator[Folders]:
    """The databases that stand for folders; those of a module's own fixtures stay as long as they."""
    with folders.shared() as opened:
        yield opened


@pytest.fixture(autouse=True)
def shared(databases: Folders) -> Iterator[Folders]:
    """Takes back what one test had."""
    before = frozenset(databases.databases)
    databases.lay_ready()
    yield databases
    databases.take_back(but=before)
