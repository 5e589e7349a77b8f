"""tests/store/test_retention_policy.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.store import test_retention_policy as over_a_file

globals().update(all_of(over_a_file))
