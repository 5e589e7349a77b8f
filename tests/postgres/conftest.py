"""A database of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.postgres import server


@pytest.fixture
def dsn() -> Iterator[str]:
    """A new ledger, empty and current."""
    with server.database() as dsn:
        yield dsn
