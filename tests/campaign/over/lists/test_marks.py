"""tests/lists/test_marks.py over PostgreSQL."""

from tests.lists import test_marks as over_a_file
from tests.postgres.over.folders import all_of

OF_A_FILE = {
    "test_verify_sees_marks_labels_and_costs_that_the_events_do_not_bear_out": "only a file is repaired here",
}

globals().update(all_of(over_a_file, without=OF_A_FILE))
