"""A worker that is stopped and replaced, by the test that holds for an engine over a file."""

from pathlib import Path

import pytest

import runstone
from tests.campaign.crash.over_postgres.test_owners import stopped_anywhere
from tests.crash import test_owners as over_a_file
from tests.crash.test_owners import (
    test_the_processes_of_a_stopped_owner_are_gone_before_the_new_attempt_starts_its_own,
)

__all__ = [
    "parent_is_parked",
    "stopped_anywhere",
    "test_the_processes_of_a_stopped_owner_are_gone_before_the_new_attempt_starts_its_own",
]


@pytest.fixture(autouse=True)
def parent_is_parked(stopped_anywhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds it any more: it is its child that loses its owner."""
    monkeypatch.setattr(over_a_file, "has_owner_lost", has_child_lost_its_owner)


def has_child_lost_its_owner(folder: Path, run_id: str) -> bool:
    with runstone.open(folder, readonly=True) as ledger:
        return [run.status for run in ledger.list_runs(parent_id=run_id)] == ["interrupted"]
