"""Orders to runs of other processes over PostgreSQL, by the tests that hold over a file."""

from tests.crash.test_stop_many import (
    server,
    test_a_stop_of_fifty_processes_leaves_none_alive_and_every_row_says_why,
    test_whoever_dies_as_he_stops_a_tree_has_stopped_all_of_it_or_nothing,
)

__all__ = [
    "server",
    "test_a_stop_of_fifty_processes_leaves_none_alive_and_every_row_says_why",
    "test_whoever_dies_as_he_stops_a_tree_has_stopped_all_of_it_or_nothing",
]
