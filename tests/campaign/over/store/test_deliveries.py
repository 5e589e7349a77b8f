"""tests/store/test_deliveries.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.store import test_deliveries as over_a_file

globals().update(all_of(over_a_file))
