"""tests/server/stream/test_reconnecting.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server.stream import test_reconnecting as over_a_file

globals().update(all_of(over_a_file))
