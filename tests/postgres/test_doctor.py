"""What doctor says of a shared ledger: of what its server promises, and of what this user may."""

from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runstone.care.doctor import Check, database, examine
from runstone.store.postgres import roles
from runstone.store.postgres.inspect import Server
from runstone.workspace import Workspace
from tests.postgres import server

SOUND = Server(
    version="17.2", user="ana", synchronous_commit="on", fsync="on", full_page_writes="on", autovacuum="on",
    standby_names="b", max_connections=100, connections=5, sync_standbys=1, standbys=1, schema=3, known_schema=3,
    pooled=False, round_trip_ms=0.2,
)  # fmt: skip


def looked(dsn: str, root: Path) -> dict[str, Check]:
    return {check.name: check for check in examine(Workspace(root, dsn=dsn), root)}


def test_a_servers_promises_are_looked_at(dsn: str, tmp_path: Path) -> None:
    found = looked(dsn, tmp_path)
    assert found["database.schema"].severity == "ok"
    assert found["database.rights"].text.startswith("this user reads, writes and removes; it owns")
    assert found["database.disk"].severity == "problem"  # the tests' own server has no fsync
    assert found["ghosts.leases"].severity == "ok"
    with psycopg.connect(dsn, autocommit=True) as admin:
        name = conninfo_to_dict(dsn)["dbname"]
        admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    weak = looked(dsn, tmp_path)["database.commit"]
    assert weak.severity == "problem"
    assert "ALTER ROLE" in str(weak.command)


@pytest.mark.parametrize(
    ("changed", "name", "severity"),
    [
        ({}, "database.commit", "ok"),
        ({}, "database.standby", "ok"),
        ({"synchronous_commit": "local"}, "database.commit", "warning"),
        ({"synchronous_commit": "local", "standby_names": ""}, "database.commit", "ok"),
        ({"standby_names": ""}, "database.standby", "note"),
        ({"sync_standbys": 0}, "database.standby", "warning"),
        ({"fsync": "off"}, "database.disk", "problem"),
        ({"full_page_writes": "off"}, "database.disk", "problem"),
        ({"autovacuum": "off"}, "database.autovacuum", "warning"),
        ({"connections": 90}, "database.connections", "warning"),
        ({"schema": 2}, "database.schema", "note"),
        ({"schema": 4}, "database.schema", "warning"),
        ({"schema": 0}, "database.schema", "note"),
        ({"pooled": True}, "database.pooler", "note"),
        ({"round_trip_ms": 80.0}, "database.distance", "note"),
    ],
)
def test_each_promise_that_is_not_kept_is_told(changed: dict[str, object], name: str, severity: str) -> None:
    checks = {check.name: check for check in database.check_server(msgspec.structs.replace(SOUND, **changed))}
    assert checks[name].severity == severity
    assert severity in ("ok", "note") or checks[name].command is not None


def test_a_readers_rights_are_told_as_what_they_are(dsn: str, tmp_path: Path) -> None:
    roles.make(dsn)
    user = f"{conninfo_to_dict(dsn)['dbname']}_looking"
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f'CREATE ROLE "{user}" LOGIN')
        given = make_conninfo(dsn, user=user)
        assert looked(given, tmp_path)["database.opening"].severity == "problem"
        admin.execute(f'GRANT runstone_reader TO "{user}"')
        assert looked(given, tmp_path)["database.rights"].severity == "note"
        admin.execute(f'REVOKE runstone_reader FROM "{user}"; GRANT runstone_worker TO "{user}"')
        worker = looked(given, tmp_path)["database.rights"]
        assert (
            worker.text == "this user reads and writes, and removes no run; their owner upgrades the tables"
        )
        admin.execute(f'DROP ROLE "{user}"')


def test_a_database_that_is_away_is_a_problem_with_what_helps(tmp_path: Path) -> None:
    found = looked("postgresql://localhost:1/x", tmp_path)["database.opening"]
    assert found.severity == "problem"
    assert "pg_isready" in str(found.command)
    with server.database(migrated=False) as empty:
        assert looked(empty, tmp_path)["database.schema"].severity == "note"
