"""tests/server/test_values.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server import test_values as over_a_file

globals().update(all_of(over_a_file))
