"""Fifty detached commands that print a thousand lines a second each, for ten seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.ledger import Ledger
from tests.engine.background.commands import end_all
from tests.engine.background.crowd import alone, crowd

ASKED = {"commands": 50, "per_s": 1_000, "seconds": 10}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as ledger:
        try:
            yield ledger
        finally:
            end_all(tmp_path)


def test_fifty_commands_lose_no_line_and_are_not_slowed(
    ledger: Ledger, tmp_path: Path, record_property: Any
) -> None:
    plain = alone(tmp_path, **ASKED)
    seen = crowd(ledger, tmp_path, **ASKED)
    size = ledger.workspace.database.stat().st_size / 1e6
    told = f"500,000 lines: {seen}; with plain files the slowest took {plain:.2f} s; the ledger has {size:.0f} MB"
    print(told)
    record_property("told", told)
    assert seen.slowest_command < 1.2 * plain
    assert seen.watcher_mb < 80
