"""tests/test_views.py over PostgreSQL."""

from tests import test_views as over_a_file
from tests.postgres.over.folders import all_of

globals().update(all_of(over_a_file))
