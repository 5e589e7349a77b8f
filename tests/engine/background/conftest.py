"""A workspace whose commands are ended after the test, however it ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone.ledger import Ledger
from tests.engine.background.commands import end_all


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as ledger:
        try:
            yield ledger
        finally:
            end_all(tmp_path)
