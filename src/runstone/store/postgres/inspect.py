"""Looks at a shared ledger's server for `doctor`: what it promises, and what this user may. Nothing is changed."""

import time
from typing import Any, Final

import msgspec

from runstone.store.postgres import migrate
from runstone.store.postgres.database import PostgresDatabase

_SETTINGS: Final = """SELECT current_setting('server_version'), current_user, current_setting('synchronous_commit'),
  current_setting('fsync'), current_setting('full_page_writes'), current_setting('autovacuum'),
  current_setting('synchronous_standby_names'), current_setting('max_connections')::bigint,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
  (SELECT count(*) FROM pg_stat_replication)"""

_RIGHTS: Final = """SELECT has_table_privilege('runs', 'SELECT'), has_table_privilege('runs', 'INSERT'),
  has_table_privilege('runs', 'DELETE'), pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'runs'::regclass"""

_ROUNDS: Final = 5


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of itself, and of this user."""

    version: str
    user: str
    synchronous_commit: str
    fsync: str
    full_page_writes: str
    autovacuum: str
    standby_names: str
    max_connections: int
    connections: int
    sync_standbys: int
    standbys: int
    schema: int
    known_schema: int
    pooled: bool
    round_trip_ms: float


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What this user may do with the ledger's tables."""

    reads: bool
    writes: bool
    removes: bool
    owns: bool


def server(db: PostgresDatabase) -> Server:
    """What the server says. Raises `StoreError` subclasses."""
    row: tuple[Any, ...] = db.query(_SETTINGS)[0]
    trips = []
    for _ in range(_ROUNDS):
        began = time.monotonic()
        db.query("SELECT 1")
        trips.append(time.monotonic() - began)
    return Server(
        version=row[0].split()[0], user=row[1], synchronous_commit=row[2], fsync=row[3], full_page_writes=row[4],
        autovacuum=row[5], standby_names=row[6], max_connections=row[7], connections=row[8], sync_standbys=row[9],
        standbys=row[10], schema=migrate.version(db), known_schema=migrate.migrations()[-1].number,
        pooled=db.raw.prepare_threshold is None, round_trip_ms=min(trips) * 1000,
    )  # fmt: skip


def rights(db: PostgresDatabase) -> Rights:
    """What this user may; of a database that has a ledger. Raises `StoreError` subclasses."""
    reads, writes, removes, owns = map(bool, db.query(_RIGHTS)[0])
    return Rights(reads=reads, writes=writes, removes=removes, owns=owns)
