"""Dispatches over PostgreSQL, by the tests that they have over a file."""

import pytest

from runstone.store.postgres import open as postgres
from runstone.testing.contract import Connect
from tests.store.test_dispatches import DispatchContract


class TestPostgres(DispatchContract):
    @pytest.fixture
    def connect(self, dsn: str) -> Connect:
        return postgres.writer(dsn)
