"""tests/server/test_runs.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server import test_runs as over_a_file

globals().update(all_of(over_a_file))
