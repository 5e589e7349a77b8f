"""Some of the crash suite, run over PostgreSQL: each folder that a test opens is a ledger in a database there."""

from tests.postgres.crash.places import given_back, places

__all__ = ["given_back", "places"]
