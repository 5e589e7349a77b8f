"""tests/engine/background/test_restarts.py over PostgreSQL."""

from tests.engine.background import test_restarts as over_a_file
from tests.postgres.over.folders import all_of

globals().update(all_of(over_a_file))
