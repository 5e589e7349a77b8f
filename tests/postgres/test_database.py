"""One connection: transactions under one lock, numbers, and rows for many at once."""

from typing import Any

import psycopg
import pytest

from runstone.errors import StoreError, StoreReadOnly
from runstone.store.postgres import database
from runstone.store.postgres import open as postgres
from runstone.store.postgres.database import COPIED_ROWS, PostgresDatabase

BLOB = ("a" * 64, 0, 1, b"x")


@pytest.fixture
def db(dsn: str) -> Any:
    db = postgres.writer(dsn)()
    yield db
    db.close()


def blobs(db: PostgresDatabase) -> list[Any]:
    return db.query("SELECT digest, codec, size, data FROM blobs ORDER BY id")


def test_a_transaction_is_seen_whole_or_not_at_all(db: PostgresDatabase, dsn: str) -> None:
    other = postgres.reader(dsn)()
    db.begin()
    db.insert("insert_blob", [BLOB, ("b" * 64, 1, 2, b"\x00\\\xff")])
    assert blobs(other) == []
    assert len(blobs(db)) == 2
    db.rollback()
    assert blobs(db) == []
    db.begin()
    db.insert("insert_blob", [BLOB, BLOB])
    db.commit()
    assert blobs(other) == [BLOB]
    other.close()


def test_a_connection_is_told_of_the_commits_of_others_only(db: PostgresDatabase, dsn: str) -> None:
    other = postgres.writer(dsn)()
    for number, (writes, told) in enumerate([(db, False), (other, True), (db, False)]):
        writes.begin()
        writes.changed_elsewhere()
        writes.insert("insert_blob", [(f"{number}" * 64, 0, 1, b"x")])
        writes.commit()
        db.begin()
        assert db.changed_elsewhere() is told
        db.rollback()
    other.close()


def test_a_number_that_was_given_out_is_not_given_again(db: PostgresDatabase) -> None:
    def given() -> dict[str, int]:
        return dict(db.rows("sequences"))

    assert given()["events"] == 0
    event = (7, 1, 1, 1, 0, "work.done", 1, 1, "{}", None, None)
    db.begin()
    db.insert("insert_event", [event, (8, 1, 2, *event[3:])])
    db.rollback()
    assert given()["events"] == 0
    db.begin()
    db.insert("insert_event", [event, (8, 1, 2, *event[3:])])
    db.commit()
    db.run("DELETE FROM events")
    assert given()["events"] == 8
    db.begin()
    db.insert("insert_event", [event])
    db.commit()
    assert given()["events"] == 8


def test_a_row_that_breaks_the_schema_is_a_typed_error(db: PostgresDatabase) -> None:
    db.begin()
    db.insert("insert_blob", [("short", 0, 1, b"x")])
    with pytest.raises(StoreError, match="refused the statement"):
        db.commit()
    assert db.in_transaction
    db.rollback()
    assert not db.in_transaction


def test_a_connection_for_reading_writes_nothing(dsn: str) -> None:
    db = postgres.reader(dsn)()
    with pytest.raises(StoreReadOnly):
        db.begin()
    db.close()


TEXTS = ["", "NULL", '"', "\\", "a,b}{", "ä\n\t", "\\N", "\r", "\\n", None]


@pytest.mark.parametrize("count", [1, 2, COPIED_ROWS])
def test_a_text_comes_back_as_it_went_in_however_many_rows_there_are(
    db: PostgresDatabase, count: int
) -> None:
    rows = [
        (number * count + part + 1, 1, number * count + part + 1, 1, -5, "t", 1, 0, text, None, None)
        for number, text in enumerate(TEXTS)
        for part in range(count)
    ]
    for start in range(0, len(rows), count):
        db.begin()
        db.insert("insert_event", rows[start : start + count])
        db.commit()
    found = db.query(
        "SELECT position, run, seq, attempt, at, type, version, importance, payload, payload_ref, event_key "
        "FROM events ORDER BY position"
    )
    assert found == rows


def test_of_rows_for_one_key_the_last_counts_and_the_first_brought_what_stays(db: PostgresDatabase) -> None:
    db.begin()
    db.insert("save_thread", [(1, "t", "title", None, 5, 5, 1), (1, "t", None, None, 6, 6, 2)])
    db.commit()
    thread = "SELECT title, created_at, updated_at, last_seq FROM threads"
    assert db.query(thread) == [("title", 5, 6, 2)]
    db.begin()
    db.insert("save_thread", [(1, "t", "other", None, 7, 7, 3), (1, "t", None, None, 8, 8, 4)])
    db.commit()
    assert db.query(thread) == [("other", 5, 8, 4)]


def test_what_is_acknowledged_is_on_the_disk_whatever_the_settings_say(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        db = postgres.writer(dsn)()
        assert db.query("SHOW synchronous_commit") == [("off",)]
        db.begin()
        assert db.query("SHOW synchronous_commit") == [("on",)]
        db.rollback()
        db.close()
        connection.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')


def test_writers_that_are_long_gone_are_forgotten(
    db: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "FORGET_EVERY", 2)
    db.run(
        "INSERT INTO writers SELECT gen_random_uuid(), gen_random_uuid(), now() - d * interval '1 day' "
        "FROM unnest(ARRAY[1, 29, 31, 400]) d"
    )
    for count in (5, 3, 3):
        db.begin()
        db.commit()
        assert db.query("SELECT count(*) FROM writers") == [(count,)]
