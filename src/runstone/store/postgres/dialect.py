"""Named statements as PostgreSQL takes them: `:name` and `?` become `$1`, and rows become an array for each column."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from runstone.store.base import Row

Types = Callable[[str], dict[str, str]]
"""The type of each column of a table."""

NO_NUL: Final = "\ufffd"
"""Stands in a row's text for NUL, which PostgreSQL's texts do not have. Messages and values with NUL are blobs."""

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_NAMED = re.compile(r"'(?:[^']|'')*'|::|:([a-z_]\w*)")
_GIVEN = re.compile(r"\?(?:::(\w+))?")
_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\)")
_UPSERT = re.compile(r"ON CONFLICT \(([^)]*)\) DO UPDATE")
_SPECIAL = re.compile(r"[\\\n\r\t]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_NUMBERED = ("id", "position")
"""First columns that hold a number which is never given again."""


class Named(NamedTuple):
    """A statement with the names of its parameters, in their order."""

    text: str
    names: tuple[str, ...]
    lists: frozenset[str]
    """Parameters that are read as JSON."""

    def values(self, params: dict[str, Any]) -> list[Any]:
        """The parameters in their order."""
        lists = self.lists
        return [without_nul(params[name]) if name in lists else params[name] for name in self.names]


class Bulk(NamedTuple):
    """A statement for many rows at once: a parameter for each column."""

    text: str
    types: tuple[str, ...]
    key: tuple[int, ...]
    """Columns by which an upsert finds its row: each row may stand in the statement once. Else empty."""

    renewed: tuple[int, ...]
    """Columns that an upsert renews, where there is the row already."""

    filled: tuple[int, ...]
    """Those that it renews only with a value."""

    added: tuple[int, ...]
    """Those that it adds to what there is."""

    counted: str | None
    """The table whose numbers its first column gives out."""

    copied: str | None
    """The COPY that does the same, where it is nothing but new rows."""

    def values(self, rows: Sequence[Row]) -> list[Any]:
        """The rows as arrays; of an upsert those with the same key as the one row that they add up to."""
        if self.key and len(rows) > 1:
            rows = self._merged(rows)
        return [array(column, kind) for column, kind in zip(zip(*rows, strict=True), self.types, strict=True)]

    def _merged(self, rows: Sequence[Row]) -> Sequence[Row]:
        merged: dict[tuple[Any, ...], Row] = {}
        for row in rows:
            key = tuple([row[at] for at in self.key])
            before = merged.get(key)
            if before is not None:
                changed = list(before)
                for at in self.renewed:
                    if at in self.added:
                        changed[at] += row[at]
                    elif row[at] is not None or at not in self.filled:
                        changed[at] = row[at]
                row = tuple(changed)  # noqa: PLW2901
            merged[key] = row
        return list(merged.values())


def named(text: str) -> Named:
    """A statement with `:name` parameters."""
    names: dict[str, int] = {}
    lists = frozenset(re.findall(r":([a-z_]\w*)::jsonb?\b", text))

    def numbered(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        return f"${names.setdefault(found[1], len(names) + 1)}"

    return Named(_NAMED.sub(numbered, text), tuple(names), lists)


def estimated(condition: str) -> str:
    """A condition of the shared code without the signs that keep SQLite from an index: this planner goes by how many
    rows it expects, and of `+column` it knows nothing. It would then sort all that fits instead of walking an index."""
    return condition.replace("+r.", "r.")


def without_nul(text: str | None) -> str | None:
    """JSON text as PostgreSQL can read it: with the sign that stands for NUL in rows' texts."""
    if text is None or "\\u0000" not in text:
        return text
    return _NUL.sub(r"\1" + NO_NUL, text)


def positional(text: str) -> str:
    """A statement for one row at a time: `?` become `$1`, `$2` and so on."""
    first, *rest = text.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


def bulk(text: str, types: Types) -> Bulk | None:
    """A one-row statement made into one for many; None if it has no VALUES to be repeated."""
    start = text.find("VALUES (")
    if start < 0:
        return None
    end = _closing(text, start + len("VALUES "))
    items = _items(text[start + len("VALUES (") : end])
    insert = _INSERT.match(text)
    columns = [name.strip().strip('"') for name in insert[2].split(",")] if insert else []
    known = types(insert[1]) if insert else {}
    kinds: list[str] = []
    chosen: list[str] = []
    given: list[int] = []  # the places of the columns that are parameters
    for number, item in enumerate(items, 1):
        found = _GIVEN.search(item)
        if found is not None:
            kinds.append(found[1] or known[columns[number - 1]])
            given.append(number - 1)
            item = _GIVEN.sub(f"given_{len(kinds)}", item)  # noqa: PLW2901
        chosen.append(f"{item} AS column{number}")
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
    names = ", ".join(f"given_{number}" for number in range(1, len(kinds) + 1))
    # Names of columns and types, and the statement's own text: nothing of a caller's is in it.
    made = f"SELECT {', '.join(chosen)} FROM unnest({arrays}) AS given ({names})"  # noqa: S608
    upsert = _UPSERT.search(text)
    renewed = text[upsert.end() :] if upsert else ""
    changing = _mentioned(r"excluded\.{}\b", renewed, columns, given)
    keys = _keys(upsert[1], columns, [given[at] for at in changing]) if upsert else []
    return Bulk(
        text=text[:start] + made + text[end + 1 :],
        types=tuple(kinds),
        key=tuple(given.index(place) for place in keys if place in given),
        renewed=changing,
        added=_mentioned(r"\+ excluded\.{}\b", renewed, columns, given),
        filled=_mentioned(r"coalesce\(excluded\.{}\b", renewed, columns, given),
        counted=insert[1] if insert and columns[0] in _NUMBERED and 0 in given else None,
        copied=_copy_of(insert, items, text[end + 1 :], kinds) if insert else None,
    )


def _keys(found_by: str, columns: list[str], renewed: Sequence[int]) -> list[int]:
    """The columns by which an upsert finds its row. One that is made of the others stands for all that it leaves."""
    names = [name.strip().strip('"') for name in found_by.split(",")]
    if all(name in columns for name in names):
        return [columns.index(name) for name in names]
    return [place for place in range(len(columns)) if place not in renewed]


def _copy_of(insert: re.Match[str], items: list[str], rest: str, kinds: list[str]) -> str | None:
    """COPY takes values only as they are, knows no conflicts, and would need bytes in another form."""
    if rest.strip() or "bytea" in kinds or any(item != "?" for item in items):
        return None
    return f"COPY {insert[1]} ({insert[2]}) FROM STDIN"


def lines(rows: Iterable[Row]) -> bytes:
    """Rows as COPY takes them: a line each, with tabs between the values."""
    text = "".join(["\t".join([_field(value) for value in row]) + "\n" for row in rows])
    return text.replace("\0", NO_NUL).encode()


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    if value.__class__ is not str:
        return f"{value:d}"
    return value.translate(_ESCAPES) if _SPECIAL.search(value) else value


def _mentioned(pattern: str, text: str, columns: Sequence[str], given: Sequence[int]) -> tuple[int, ...]:
    """Which of the given columns the text names in such a way."""
    if not text:
        return ()
    quoted = ['"?' + re.escape(columns[place]) + '"?' for place in given]
    return tuple(at for at, name in enumerate(quoted) if re.search(pattern.format(name), text))


def _closing(text: str, opening: int) -> int:
    """Where the parenthesis closes that opens there."""
    depth = 0
    for place in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    raise ValueError(f"a parenthesis is open in: {text}")


def _items(group: str) -> list[str]:
    """The items of a list, split at its own commas only."""
    items, depth = [""], 0
    for character in group:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def array(values: Iterable[Any], kind: str) -> Any:
    """A column as one parameter: the text of an array, which costs less than a parameter for each value."""
    if kind == "bytea":
        return list(values)  # the driver sends bytes as they are
    if kind == "bigint":
        return "{" + ",".join(["NULL" if value is None else f"{value:d}" for value in values]) + "}"
    text = ",".join(["NULL" if value is None else _quoted(value) for value in values])
    return "{" + text.replace("\0", NO_NUL) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
