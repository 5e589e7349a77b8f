"""tests/store/test_boards.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.store import test_boards as over_a_file

globals().update(all_of(over_a_file))
