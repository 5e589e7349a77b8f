"""tests/engine/test_children.py over PostgreSQL."""

from tests.engine import test_children as over_a_file
from tests.postgres.over.folders import all_of

globals().update(all_of(over_a_file))
