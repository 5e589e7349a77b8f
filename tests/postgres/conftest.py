"""A ledger in a database of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.postgres import server


@pytest.fixture
def dsn() -> Iterator[str]:
    """An empty and current ledger."""
    dsn = server.lend()
    yield dsn
    server.take_back(dsn)


@pytest.fixture(scope="session", autouse=True)
def _drop_databases() -> Iterator[None]:
    yield
    server.drop_lent()
