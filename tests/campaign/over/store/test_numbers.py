"""tests/store/test_numbers.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.store import test_numbers as over_a_file

globals().update(all_of(over_a_file))
