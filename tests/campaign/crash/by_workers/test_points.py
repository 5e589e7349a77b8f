"""Every boundary of every kind of write where workers execute, by the tests that crash there over a file."""

from pathlib import Path

import pytest

from tests.campaign import test_boundaries as boundaries
from tests.campaign.crash.over_postgres.test_points import (
    test_a_crash_at_each_boundary_loses_nothing,
    test_a_crash_at_each_other_boundary_loses_nothing,
    test_every_kind_of_write_passes_its_points,
    without_those_of_a_file,
)

__all__ = [
    "test_a_crash_at_each_boundary_loses_nothing",
    "test_a_crash_at_each_other_boundary_loses_nothing",
    "test_every_kind_of_write_passes_its_points",
    "without_those_of_a_file",
]


@pytest.mark.parametrize(
    "point",
    ["relay.before_enqueue", "relay.after_enqueue", "MoveDispatches.before_commit", "MoveDispatches.after_commit",
     "TakeDuty.before_commit", "TakeDuty.after_commit"],
)  # fmt: skip
def test_a_crash_at_each_boundary_of_a_relay_loses_nothing(tmp_path: Path, point: str) -> None:
    """Those that writes of engines in their own process do not have; others are in tests/campaign/test_workers.py."""
    boundaries.test_a_crash_at_each_boundary_loses_nothing(tmp_path, point)
