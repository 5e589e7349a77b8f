"""Named SQL: files in `queries/` hold each statement under `-- name: NAME`; comments below it say what it is for.

What several of them share has a name, too, and stands in them as `{NAME}`.
What every backend says alike stands in `store/queries/`, the rest in the backend's own `queries/`.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)

_SHARED = "runstone.store"
_PART = re.compile(r"\{(\w+)\}")


@cache
def load(package: str) -> dict[str, str]:
    """Statement text by name, from the shared files and the backend's; comments left out.

    Raises ValueError for a name that stands twice.
    """
    statements: dict[str, str] = {}
    for place in (_SHARED, package):
        for file in sorted((resources.files(place) / "queries").iterdir(), key=lambda file: file.name):
            if not file.name.endswith(".sql"):
                continue
            for name, text in _statements(file.read_text(encoding="utf-8")):
                if name in statements:
                    raise ValueError(f"{place}/queries/{file.name} names {name} a second time")
                statements[name] = text
    return {name: filled(text, statements) for name, text in statements.items()}


def _statements(text: str) -> Iterator[tuple[str, str]]:
    parts = _NAME.split(text)
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
        yield name, "\n".join(lines).strip().rstrip(";")


def filled(text: str, named: dict[str, str]) -> str:
    """A text with its `{name}` parts; in conditions of the shared code each backend says them in its own words."""
    return _PART.sub(lambda part: named[part[1]], text)


def many_rows(statement: str, count: int) -> str:
    """A one-row INSERT made into one for `count` rows, by repeating its `VALUES (...)` group."""
    start = statement.index("VALUES") + len("VALUES")
    opening = statement.index("(", start)
    closing = statement.index(")", opening)
    group = statement[opening : closing + 1]
    return statement[:opening] + ",".join([group] * count) + statement[closing + 1 :]
