"""What is wrong with a database is said with a code and a hint, and nothing in it is half changed."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from runstone import errors
from runstone.store.clock import SystemClock
from runstone.store.postgres import connect, migrate
from runstone.store.postgres import open as postgres
from runstone.store.postgres.database import PostgresDatabase
from runstone.store.writer import Writer
from runstone.store.writes.lifecycle import CreateRun
from runstone.testing.contract import new_run
from tests.postgres import server
from tests.postgres.proxy import Proxy


@pytest.fixture
def empty() -> Iterator[str]:
    """A database without a ledger."""
    with server.database(migrated=False) as dsn:
        yield dsn


@pytest.fixture
def dsn() -> Iterator[str]:
    """One of its own, as its schema is changed."""
    with server.database() as dsn:
        yield dsn


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        rows = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        return {name for (name,) in rows}


def run(dsn: str, text: Any) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(text)


def test_a_dsn_that_cannot_be_read_is_the_callers_mistake() -> None:
    with pytest.raises(errors.InvalidInput, match="DSN"):
        postgres.prepare("postgresql://a:b:c@/x?nonsense=1")


@pytest.mark.parametrize("wrong", [{"dbname": "nowhere"}, {"user": "nobody_knows"}])
def test_a_server_that_does_not_let_us_in_says_so(empty: str, wrong: dict[str, str]) -> None:
    with pytest.raises(errors.DatabaseRefused) as refused:
        postgres.prepare(make_conninfo(empty, **wrong))
    assert "psql" in refused.value.hint


def test_a_server_that_is_not_there_is_not_waited_for_when_a_ledger_is_opened() -> None:
    with pytest.raises(errors.StoreUnreachable) as away:
        postgres.prepare(f"host=127.0.0.1 port={server.free_port()} user=postgres dbname=x")
    assert "pg_isready" in away.value.hint


def test_a_server_that_is_too_old_is_refused(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "OLDEST_SERVER", 990_000)
    with pytest.raises(errors.DatabaseTooOld):
        postgres.prepare(empty)
    assert tables(empty) == set()


def test_a_database_of_another_encoding_is_refused() -> None:
    with psycopg.connect(server.server(), autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS latin")
        admin.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    dsn = server.dsn_of("latin")
    with pytest.raises(errors.DatabaseTooOld, match="LATIN1"):
        postgres.prepare(dsn)
    server.drop(dsn)


@pytest.fixture
def limited(empty: str) -> Iterator[str]:
    """The database as a user sees it who may do nothing in it."""
    run(empty, "DROP ROLE IF EXISTS limited")
    run(empty, "CREATE ROLE limited LOGIN")
    run(empty, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield make_conninfo(empty, user="limited")
    run(empty, "DROP OWNED BY limited")
    run(empty, "DROP ROLE limited")


def test_without_the_right_to_create_nothing_is_created(empty: str, limited: str) -> None:
    with pytest.raises(errors.RightsMissing):
        postgres.prepare(limited)
    assert tables(empty) == set()


def test_without_rights_on_the_tables_neither_reads_nor_writes_are_taken(empty: str, limited: str) -> None:
    postgres.prepare(empty)
    with pytest.raises(errors.RightsMissing):
        postgres.reader(limited, check=True)()
    run(empty, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited")
    db = postgres.reader(limited, check=True)()
    assert db.rows("sequences")
    db.close()
    writer = Writer(postgres.writer(limited), SystemClock())
    with pytest.raises(errors.RightsMissing):
        writer.submit(CreateRun(new_run("r")), []).result()
    writer.close()


def test_tables_of_another_program_are_left_alone(empty: str) -> None:
    run(empty, "CREATE TABLE runs (distance bigint)")
    with pytest.raises(errors.StoreCorrupt, match="another program"):
        postgres.prepare(empty)
    assert tables(empty) == {"runs"}


def test_a_migration_that_fails_leaves_nothing_behind(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = migrate.migrations()
    broken = migrate.Migration(99, "broken", "CREATE TABLE half (x bigint); SELECT * FROM nowhere")
    monkeypatch.setattr(migrate, "migrations", lambda: [*steps, broken])
    with pytest.raises(errors.StoreError, match="nowhere"):
        postgres.prepare(empty)
    db = PostgresDatabase(empty)
    assert migrate.version(db) == steps[-1].number
    assert "half" not in tables(empty)
    db.close()


def test_an_older_schema_is_upgraded_by_who_writes_and_refused_by_who_reads(empty: str) -> None:
    db = PostgresDatabase(empty)
    migrate.upgrade(db, up_to=1)
    with pytest.raises(errors.SchemaTooOld) as old:
        postgres.reader(empty, check=True)()
    assert "pg_dump" in old.value.hint
    postgres.prepare(empty)
    assert migrate.version(db) == migrate.migrations()[-1].number
    db.close()


def test_an_empty_database_is_no_ledger_for_who_reads(empty: str) -> None:
    with pytest.raises(errors.WorkspaceNotFound):
        postgres.reader(empty, check=True)()


def newer(dsn: str, usable_from: int) -> None:
    run(dsn, "INSERT INTO migrations VALUES (1000, 'of tomorrow', 'x')")
    run(dsn, f"UPDATE meta SET value = '{usable_from}' WHERE name = 'usable_from'")


def test_a_newer_schema_is_refused_by_who_opens_and_by_who_has_it_open(dsn: str) -> None:
    writer = Writer(postgres.writer(dsn), SystemClock())
    writer.submit(CreateRun(new_run("before")), []).result()
    newer(dsn, usable_from=1_000)
    for number in range(2):
        with pytest.raises(errors.SchemaTooNew):
            writer.submit(CreateRun(new_run(f"after-{number}")), []).result()
    writer.close()
    for opened in (lambda: postgres.prepare(dsn), postgres.reader(dsn, check=True)):
        with pytest.raises(errors.SchemaTooNew):
            opened()


def test_a_newer_schema_that_says_so_is_used(dsn: str) -> None:
    newer(dsn, usable_from=1)
    postgres.prepare(dsn)
    writer = Writer(postgres.writer(dsn), SystemClock())
    assert writer.submit(CreateRun(new_run("r")), []).result().created
    writer.close()


def test_a_migration_that_was_edited_since_is_named(dsn: str) -> None:
    run(dsn, "UPDATE migrations SET checksum = 'other' WHERE number = 1")
    with pytest.raises(errors.StoreCorrupt, match="migration 1 was applied with another content"):
        postgres.prepare(dsn)


def test_each_migration_has_a_number_of_its_own() -> None:
    numbers = [step.number for step in migrate.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_many_that_open_an_empty_database_at_once_make_one_ledger(empty: str) -> None:
    import threading

    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            postgres.prepare(empty)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    db = PostgresDatabase(empty)
    assert [m.number for m in migrate.migrations()] == [
        n for (n,) in db.query("SELECT number FROM migrations ORDER BY number")
    ]
    db.close()


def test_a_pooler_that_shares_connections_by_statement_is_named(dsn: str) -> None:
    proxy = Proxy(dsn)
    db = postgres.writer(proxy.dsn)()
    proxy.statement_pooling = True
    with pytest.raises(errors.PoolerMode) as refused:
        db.begin()
    assert "pool_mode" in refused.value.hint
    db.close()
    proxy.close()


def test_behind_a_pooler_nothing_is_kept_prepared(dsn: str) -> None:
    """One that answers in the server's place gives a process number of its own."""
    proxy = Proxy(dsn)
    proxy.own_pid = True
    db = postgres.writer(proxy.dsn)()
    for number in range(6):
        db.begin()
        db.insert("insert_blob", [(f"{number}" * 64, 0, 1, b"x")])
        db.commit()
    assert db.query("SELECT count(*) FROM pg_prepared_statements") == [(0,)]
    db.close()
    proxy.close()
