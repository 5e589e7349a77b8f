"""PostgreSQL's statements: each of SQLite's has one there, with the same parameters, and the server takes each."""

import re

import pytest

from runstone.store import statements
from runstone.store.postgres import dialect
from runstone.store.postgres.database import PostgresDatabase

SHARED = statements.load("runstone.store.postgres")
OURS = statements.load("runstone.store.sqlite")
WHOLE = re.compile(r"(SELECT|WITH|INSERT|UPDATE|DELETE)\b")


@pytest.mark.parametrize("name", sorted(set(SHARED) & set(OURS)))
def test_both_take_the_same_parameters(name: str) -> None:
    ours, shared = dialect.named(OURS[name]), dialect.named(SHARED[name])
    assert set(ours.names) == set(shared.names)
    assert OURS[name].count("?") == SHARED[name].count("?")


def test_the_server_takes_each_statement(dsn: str) -> None:
    db = PostgresDatabase(dsn)
    taken = 0
    for name, text in SHARED.items():
        if WHOLE.match(text) is None:
            continue  # a part, which is proven with the lists that it is in
        many = dialect.bulk(text, db._types_of) if "?" in text else None
        made = many.text if many else dialect.positional(text) if "?" in text else dialect.named(text).text
        try:
            db.run(f"PREPARE one AS {made}")
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error
        db.run("DEALLOCATE one")
        taken += 1
    db.close()
    assert taken > 300
