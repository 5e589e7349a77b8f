"""Who is told of ends over PostgreSQL, whoever is killed, by the tests that hold over a file."""

from tests.crash.test_delivery_kills import (
    server,
    test_a_parent_that_is_killed_at_any_write_takes_each_end_in_once,
    test_of_two_processes_of_a_listener_one_gets_each_end_and_another_listener_gets_all,
    test_what_a_killed_listener_had_in_hand_is_told_to_the_next_one,
)

__all__ = [
    "server",
    "test_a_parent_that_is_killed_at_any_write_takes_each_end_in_once",
    "test_of_two_processes_of_a_listener_one_gets_each_end_and_another_listener_gets_all",
    "test_what_a_killed_listener_had_in_hand_is_told_to_the_next_one",
]
