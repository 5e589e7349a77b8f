"""tests/engine/test_handle.py over PostgreSQL."""

from tests.engine import test_handle as over_a_file
from tests.postgres.over.folders import all_of

globals().update(all_of(over_a_file))
