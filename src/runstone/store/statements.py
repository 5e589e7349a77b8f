"""Named SQL: a `queries.sql` holds each statement under `-- name: NAME`; comments below it say what it is for."""

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load(package: str, file: str = "queries.sql") -> dict[str, str]:
    """Statement text by name, comments left out. Raises ValueError for a name that stands twice."""
    parts = _NAME.split((resources.files(package) / file).read_text(encoding="utf-8"))
    statements: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        if name in statements:
            raise ValueError(f"{package}/{file} names {name} twice")
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
        statements[name] = "\n".join(lines).strip().rstrip(";")
    return statements


def many_rows(statement: str, count: int) -> str:
    """A one-row INSERT made into one for `count` rows, by repeating its `VALUES (...)` group."""
    start = statement.index("VALUES") + len("VALUES")
    opening = statement.index("(", start)
    closing = statement.index(")", opening)
    group = statement[opening : closing + 1]
    return statement[:opening] + ",".join([group] * count) + statement[closing + 1 :]
