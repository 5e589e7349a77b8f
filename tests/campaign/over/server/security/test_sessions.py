"""tests/server/security/test_sessions.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server.security import test_sessions as over_a_file

globals().update(all_of(over_a_file))
