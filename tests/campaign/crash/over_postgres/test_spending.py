"""A tree that is killed while it spends over PostgreSQL, by the tests that hold over a file."""

from pathlib import Path

import pytest

from tests.crash.test_spending import (
    test_a_request_that_was_sent_again_after_a_crash_adds_nothing,
    test_the_sum_of_a_killed_tree_is_that_of_its_leaves,
)
from tests.postgres.crash.places import Places

__all__ = [
    "test_a_request_that_was_sent_again_after_a_crash_adds_nothing",
    "test_the_sum_of_a_killed_tree_is_that_of_its_leaves",
]


@pytest.fixture(autouse=True)
def begun(places: Places, tmp_path: Path) -> None:
    """Its program is the first to open it."""
    places.begin(tmp_path)
