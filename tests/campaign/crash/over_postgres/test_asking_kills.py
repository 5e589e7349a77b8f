"""Kills of asking, answering and continuing over PostgreSQL, alone and raced, by the tests that hold over a file."""

from tests.campaign.test_asking import test_a_kill_beside_a_process_that_does_the_same_loses_nothing
from tests.crash.test_asking_kills import (
    server,
    test_a_command_is_told_its_message_once_however_who_tells_it_is_killed,
    test_a_kill_at_any_point_loses_no_question_and_applies_each_answer_once,
    test_a_message_of_a_killed_continuation_is_there_once_and_is_given_again,
    test_a_paused_worker_is_continued_after_its_process_was_killed,
)

__all__ = [
    "server",
    "test_a_command_is_told_its_message_once_however_who_tells_it_is_killed",
    "test_a_kill_at_any_point_loses_no_question_and_applies_each_answer_once",
    "test_a_kill_beside_a_process_that_does_the_same_loses_nothing",
    "test_a_message_of_a_killed_continuation_is_there_once_and_is_given_again",
    "test_a_paused_worker_is_continued_after_its_process_was_killed",
]
