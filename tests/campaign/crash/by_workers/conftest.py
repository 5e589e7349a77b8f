"""The crash suite, with its workflows executed by workers over PostgreSQL, in the test and in the programs it kills.

Who holds a run of its own, listens, prunes, thins or watches a command has no engine: that is tested in
`over_postgres`.
"""

from tests.postgres.conftest import _drop_databases
from tests.postgres.crash.by_workers import by_workers
from tests.postgres.crash.places import given_back, places

__all__ = ["_drop_databases", "by_workers", "given_back", "places"]
