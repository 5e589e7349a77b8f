"""The crash suite, run over PostgreSQL: each folder that a test opens is a ledger in a database there."""

from tests.postgres.conftest import _drop_databases
from tests.postgres.crash.places import given_back, places

__all__ = ["_drop_databases", "given_back", "places"]
