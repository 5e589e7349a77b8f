"""A database as tests of files reach for the file below the ledger: to look at its rows, and to damage them."""

import re
from typing import Any

import psycopg

_TABLES = """CREATE OR REPLACE VIEW pg_temp.sqlite_schema AS
SELECT relname AS name, 'table' AS type, '' AS sql FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""


class Raw:
    """Takes the place of a connection to a ledger's file. Nothing refers to anything here: rows can be damaged."""

    def __init__(self, dsn: str) -> None:
        self._raw = psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.RawCursor)
        self._raw.execute("SET session_replication_role = replica")
        self._raw.execute(_TABLES)

    def execute(self, text: str, params: Any = ()) -> Any:
        """The rows of a statement in the words of SQLite, as far as the tests' own need them."""
        wanted = ";".join(one for one in text.split(";") if not one.strip().upper().startswith("PRAGMA"))
        if not wanted.strip():
            return iter(())
        wanted, values = _numbered(wanted, params)
        cursor = self._raw.execute(wanted.replace("CAST(? AS BLOB)", "?"), values)
        return cursor.fetchall() if cursor.description is not None else []

    query = execute

    def set_busy_timeout(self, _: int) -> None:
        """A database waits by itself."""

    def __enter__(self) -> "Raw":
        self._raw.execute("BEGIN")
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self._raw.execute("COMMIT" if kind is None else "ROLLBACK")

    def close(self) -> None:
        """Gives the connection back."""
        self._raw.close()


def _numbered(text: str, params: Any) -> tuple[str, list[Any]]:
    """`:name` and `?` as `$1`, and the values in that order."""
    if isinstance(params, dict):
        names: dict[str, int] = {}
        text = re.sub(
            r"(?<!:):([a-z_]+)", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", text
        )
        return text, [params[name] for name in names]
    numbers = iter(range(1, len(params) + 1))
    return re.sub(r"\?", lambda _: f"${next(numbers)}", text) if params else text, list(params)
