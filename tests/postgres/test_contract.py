"""The contract suite over PostgreSQL."""

import pytest

from runstone.store.postgres import open as postgres
from runstone.testing.contract import Connect, StoreContract


class TestPostgreSQL(StoreContract):
    @pytest.fixture
    def connect(self, dsn: str) -> Connect:
        return postgres.writer(dsn)
