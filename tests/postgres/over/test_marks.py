"""Pins, the archive and labels over PostgreSQL, by the tests that they have over a file."""

from tests.lists.test_marks import (  # noqa: F401
    clock,
    ledger,
    test_a_mark_is_an_event_that_leaves_the_last_change_as_it_was,
    test_labels_are_found_as_they_are_now,
    test_marks_go_with_an_export_and_older_exports_have_none,
    test_what_was_put_away_is_out_of_lists_and_counts_and_can_be_reached,
)
