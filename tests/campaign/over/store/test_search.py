"""tests/store/test_search.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.store import test_search as over_a_file

globals().update(all_of(over_a_file))
