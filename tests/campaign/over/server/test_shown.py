"""tests/server/test_shown.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server import test_shown as over_a_file

globals().update(all_of(over_a_file))
