"""tests/lists/test_filters.py over PostgreSQL."""

from tests.lists import test_filters as over_a_file
from tests.postgres.over.folders import all_of

globals().update(all_of(over_a_file))
