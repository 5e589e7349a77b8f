"""A ledger's file and its parts, without the ledger above them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone.store.sqlite import open as sqlite
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.testing.contract import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    sqlite.prepare(path)
    return path


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(sqlite.writer(path))
    yield store
    store.close()


@pytest.fixture
def db(path: Path) -> Iterator[SQLiteDatabase]:
    db = SQLiteDatabase(path)
    yield db
    db.close()
