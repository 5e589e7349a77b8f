"""tests/server/security/test_tokens.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server.security import test_tokens as over_a_file

globals().update(all_of(over_a_file))
