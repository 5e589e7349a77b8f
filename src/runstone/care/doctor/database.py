"""A shared ledger's database: what its server promises, what this user may, and whether this version fits it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from runstone.care.doctor.check import Check, note, ok, problem, warning
from runstone.errors import StoreError

if TYPE_CHECKING:
    from runstone.store.postgres.inspect import Rights, Server

_FULL: Final = 0.8
_FAR_MS: Final = 20.0
_PSQL: Final = 'psql "$RUNSTONE_DSN" -c'


def check_opening(error: StoreError) -> Check:
    """That the database cannot be used, with what helps."""
    return problem("database.opening", f"{error}", error.hint or "runstone doctor --all")


def check_server(server: "Server") -> Iterator[Check]:
    """Version and schema, what is acknowledged, and what is left of its connections."""
    yield ok("database.server", f"PostgreSQL {server.version}, as user {server.user}")
    yield check_schema(server)
    yield check_commit(server)
    yield check_disk(server)
    yield check_standby(server)
    yield check_connections(server)
    if server.pooled:
        yield note(
            "database.pooler", "a pooler is in between: nothing is kept prepared, which costs a little"
        )
    else:
        yield ok("database.pooler", "no pooler is in between")
    if server.autovacuum != "on":
        told = "autovacuum is off: what was removed is never used again, and reads become slow"
        yield warning("database.autovacuum", told, f'{_PSQL} "ALTER SYSTEM SET autovacuum = on"')
    far = f"a question takes {server.round_trip_ms:.1f} ms to the server and back"
    if server.round_trip_ms > _FAR_MS:
        yield note("database.distance", f"{far}; each batch takes several")
    else:
        yield ok("database.distance", far)


def check_schema(server: "Server") -> Check:
    """Whether the ledger's schema is the one of this version."""
    if server.schema == 0:
        return note("database.schema", "there is no ledger in this database yet", "runstone migrate")
    if server.schema < server.known_schema:
        told = (
            f"the schema is {server.schema}; this version upgrades it to {server.known_schema} when it writes"
        )
        return note("database.schema", told, "runstone migrate")
    if server.schema > server.known_schema:
        told = f"the schema is {server.schema}; this version knows up to {server.known_schema}"
        return warning("database.schema", told, "pip install --upgrade runstone")
    return ok("database.schema", f"the schema is {server.schema}")


def check_commit(server: "Server") -> Check:
    """What is acknowledged must be on the disk, and on the standby where one is waited for."""
    set_it = f'{_PSQL} "ALTER ROLE {server.user} SET synchronous_commit = on"'
    if server.synchronous_commit == "off":
        told = "synchronous_commit is off: what was acknowledged is lost when the server crashes"
        return problem("database.commit", told, set_it)
    if server.synchronous_commit in ("local", "remote_write") and server.standby_names:
        told = f"synchronous_commit is {server.synchronous_commit}: a failover may lose what was acknowledged"
        return warning("database.commit", told, set_it)
    return ok("database.commit", f"synchronous_commit is {server.synchronous_commit}")


def check_disk(server: "Server") -> Check:
    """Without fsync or whole pages in the log a power loss damages the database."""
    wrong = [name for name in ("fsync", "full_page_writes") if getattr(server, name) != "on"]
    if wrong:
        told = f"{' and '.join(wrong)} off: a power loss may damage the database"
        return problem("database.disk", told, f'{_PSQL} "ALTER SYSTEM SET {wrong[0]} = on"')
    return ok("database.disk", "writes reach the disk before they are acknowledged")


def check_standby(server: "Server") -> Check:
    """A failover keeps what was acknowledged only where a standby is waited for."""
    if not server.standby_names:
        told = "no standby is waited for: a failover may lose what was acknowledged just before"
        return note("database.standby", told, "see docs/scale.md")
    if not server.sync_standbys:
        told = f"commits wait for a standby ({server.standby_names}), and none is connected that this user can see"
        return warning("database.standby", told, f'{_PSQL} "TABLE pg_stat_replication"')
    return ok("database.standby", f"commits wait for {server.standby_names}")


def check_connections(server: "Server") -> Check:
    """How many of the server's connections are taken."""
    told = f"{server.connections} of {server.max_connections} connections are taken"
    if server.connections > _FULL * server.max_connections:
        return warning(
            "database.connections",
            f"{told}; put a pooler in between, see docs/scale.md",
            f'{_PSQL} "SHOW max_connections"',
        )
    return ok("database.connections", told)


def check_rights(rights: "Rights") -> Check:
    """What this user may do with the ledger."""
    grant = f'{_PSQL} "GRANT runstone_worker TO somebody"'
    if not rights.reads:
        return problem("database.rights", "this user may not even read the ledger", grant)
    if not rights.writes:
        return note("database.rights", "this user may read the ledger, and not write it", grant)
    may = "reads, writes and removes" if rights.removes else "reads and writes, and removes no run"
    owner = "; it owns the tables, and upgrades them" if rights.owns else "; their owner upgrades the tables"
    return ok("database.rights", f"this user {may}{owner}")
