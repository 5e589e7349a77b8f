"""A prune over PostgreSQL that is killed at each of its writes, by the tests that hold over a file."""

from tests.campaign.test_boundaries import test_a_prune_killed_before_any_commit_leaves_what_lives
from tests.crash.test_prune_kills import (
    server,
    template,
    test_a_kill_at_any_write_leaves_what_lives_and_counts_what_was_spent_once,
    test_a_value_that_is_written_again_while_it_is_collected_is_never_lost,
)

__all__ = [
    "server",
    "template",
    "test_a_kill_at_any_write_leaves_what_lives_and_counts_what_was_spent_once",
    "test_a_prune_killed_before_any_commit_leaves_what_lives",
    "test_a_value_that_is_written_again_while_it_is_collected_is_never_lost",
]
