"""After a kill a new process shows what a program and its worker had shown, by the test of a file."""

from tests.crash.test_restart import test_a_new_process_shows_what_the_killed_one_had_shown

__all__ = ["test_a_new_process_shows_what_the_killed_one_had_shown"]
