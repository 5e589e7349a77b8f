"""A retention of checkpoints over PostgreSQL that is killed at each of its writes, by the tests over a file."""

from tests.crash.test_thin_kills import (
    server,
    template,
    test_a_kill_at_any_write_leaves_every_kept_state_whole,
    test_saves_that_race_with_retention_and_collection_are_never_hurt,
)

__all__ = [
    "server",
    "template",
    "test_a_kill_at_any_write_leaves_every_kept_state_whole",
    "test_saves_that_race_with_retention_and_collection_are_never_hurt",
]
