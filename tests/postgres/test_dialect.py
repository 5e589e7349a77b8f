"""Statements as PostgreSQL takes them."""

import pytest

from runstone.store.postgres import dialect

TYPES = {"t": {"id": "bigint", "name": "text", "data": "bytea"}}


def test_names_become_numbers_and_casts_and_literals_stay() -> None:
    made = dialect.named("SELECT ':no' WHERE a = :a AND b = :b::text AND c <> :a")
    assert made.text == "SELECT ':no' WHERE a = $1 AND b = $2::text AND c <> $1"
    assert made.values({"b": 2, "a": 1, "unused": 3}) == [1, 2]


def test_an_insert_of_one_row_becomes_one_of_many() -> None:
    made = dialect.bulk("INSERT INTO t (id, name, data) VALUES (?, 'fixed', ?)", TYPES.__getitem__)
    assert made is not None
    assert made.text == (
        "INSERT INTO t (id, name, data) SELECT given_1 AS column1, 'fixed' AS column2, given_2 AS column3 "
        "FROM unnest($1::bigint[], $2::bytea[]) AS given (given_1, given_2)"
    )
    assert made.counted == "t"
    assert made.values([(1, b"x"), (2, None)]) == ["{1,2}", [b"x", None]]


def test_an_update_says_its_types() -> None:
    made = dialect.bulk(
        "UPDATE t SET name = given.column2 FROM (VALUES (?::bigint, lower(?::text))) AS given", {}.__getitem__
    )
    assert made is not None
    assert (
        "FROM (SELECT given_1 AS column1, lower(given_2) AS column2 FROM unnest($1::bigint[], $2::text[])"
        in made.text
    )


def test_rows_with_the_same_key_become_one() -> None:
    made = dialect.bulk(
        "INSERT INTO t (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = coalesce(excluded.name, t.name)",
        TYPES.__getitem__,
    )
    assert made is not None
    assert made.values([(1, "a"), (2, "b"), (1, None)]) == ["{1,2}", '{"a","b"}']


def test_what_has_no_values_is_run_row_by_row() -> None:
    assert dialect.bulk("DELETE FROM t WHERE id < ?", TYPES.__getitem__) is None
    assert (
        dialect.positional("DELETE FROM t WHERE id < ? AND name = ?")
        == "DELETE FROM t WHERE id < $1 AND name = $2"
    )


@pytest.mark.parametrize(("values", "text"), [([None, 1], "{NULL,1}"), ([True, -5], "{1,-5}")])
def test_an_array_of_numbers_is_its_text(values: list[int | None], text: str) -> None:
    assert dialect.array(values, "bigint") == text
