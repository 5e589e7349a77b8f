"""The contract suite over SQLite."""

from pathlib import Path

import pytest

from runstone.store.sqlite import open as sqlite
from runstone.testing.contract import Connect, StoreContract


class TestSQLite(StoreContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        path = tmp_path / "ledger.db"
        sqlite.prepare(path)
        return sqlite.writer(path)
