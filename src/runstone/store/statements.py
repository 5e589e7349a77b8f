"""Named SQL: files in `queries/` hold each statement under `-- name: NAME`; comments below it say what it is for."""

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)

_PART = re.compile(r"\{(\w+)\}")


@cache
def load(package: str) -> dict[str, str]:
    """Statement text by name, from all files; comments left out. Raises ValueError for a name that stands twice."""
    statements: dict[str, str] = {}
    for file in sorted((resources.files(package) / "queries").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in statements:
                raise ValueError(f"{package}/queries/{file.name} names {name} a second time")
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
            statements[name] = "\n".join(lines).strip().rstrip(";")
    return statements


def filled(text: str, named: dict[str, str]) -> str:
    """A condition of the shared code with its `{name}` parts, which each backend says in its own words."""
    return _PART.sub(lambda part: named[part[1]], text)


def many_rows(statement: str, count: int) -> str:
    """A one-row INSERT made into one for `count` rows, by repeating its `VALUES (...)` group."""
    start = statement.index("VALUES") + len("VALUES")
    opening = statement.index("(", start)
    closing = statement.index(")", opening)
    group = statement[opening : closing + 1]
    return statement[:opening] + ",".join([group] * count) + statement[closing + 1 :]
