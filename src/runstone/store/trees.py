"""Trees of runs by pages: level by level, parents before children, so that a tree of any size begins at once."""

import base64
import binascii
from collections.abc import Iterable
from typing import Final

from runstone.domain import codec
from runstone.domain.records import Page, Totals, TreeRow
from runstone.errors import InvalidCursor, InvalidInput
from runstone.store import rows
from runstone.store.base import Row
from runstone.store.reads import Reader

MAX_PAGE: Final = 1_000
_DEEP: Final = 1_000_000
_PK, _DEPTH, _RUN_ID, _PARENT, _REUSED = 36, 4, 0, 2, 41


def page(
    reader: Reader, run_id: str, *, depth: int | None = None, limit: int = 200, cursor: str | None = None
) -> Page[TreeRow]:
    """Runs of a tree; see `Ledger.tree_page`. Raises `NotFound`, `InvalidInput`, `InvalidCursor`."""
    with reader.db.snapshot():
        as_of = reader.events.cursor()
        found, following = level_order(reader, run_id, depth=depth, limit=limit, cursor=cursor)
        keys = [row[_PK] for row in found]
        sums = reader.usage.sums(keys)
        children = counted(reader, keys)
        reused = _reused(reader, found)
    items = [
        TreeRow(
            run=rows.run(row), own=sums.get((row[_PK], 0), Totals()), subtree=sums.get((row[_PK], 1), Totals()),
            reused=row[_RUN_ID] in reused, children=children.get(row[_PK], 0),
        )
        for row in found
    ]  # fmt: skip
    return Page(items=items, next_cursor=following, as_of=as_of)


def level_order(
    reader: Reader,
    run_id: str,
    *,
    depth: int | None,
    limit: int,
    cursor: str | None,
    since: int | None = None,
) -> tuple[list[Row], str | None]:
    """Rows of the run and those below it, and the cursor behind them. `depth` is how many levels below it.

    With `since` those alone that have events behind that position.
    """
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit is a whole number from 1 to {MAX_PAGE}, not {codec.shown(limit)}")
    if depth is not None and (type(depth) is not int or depth < 0):
        raise InvalidInput(f"depth is a number of levels from 0, not {codec.shown(depth)}")
    top = reader.runs.pk(run_id)
    form = f"{top}/{depth}" if since is None else f"{top}/{depth}/{since}"
    level, pk = (-1, 0) if cursor is None else _read(cursor, form)
    place = {
        "depth": _DEEP if depth is None else min(depth, _DEEP),
        "level": level,
        "pk": pk,
        "limit": limit + 1,
    }
    if since is None:
        keys = reader.rows("level_order", run=top, **place)
    else:
        keys = reader.rows("changed_below", run=top, since=since, **place)
    chosen = codec.encode([one for one, _ in keys[:limit]]).decode()
    found = reader.runs.rows("r.id IN {given_keys}", keys=chosen)
    ranks = {one: rank for rank, (one, _) in enumerate(keys)}
    following = _write(form, keys[limit - 1]) if len(keys) > limit else None
    return sorted(found, key=lambda row: ranks[row[_PK]]), following


def counted(reader: Reader, keys: Iterable[int]) -> dict[int, int]:
    """How many children each run has, by key; those without any are left out."""
    return dict(reader.rows("children_by_key", runs=codec.encode(list(keys)).decode()))


def _reused(reader: Reader, found: list[Row]) -> set[str]:
    """Which of these runs their parent's current attempt used again."""
    parents = {row[_PARENT] for row in found if row[_PARENT] is not None}
    chosen = codec.encode(sorted(parents)).decode()
    told = reader.runs.rows("r.run_id IN {given_ids}", ids=chosen)
    return {child for row in told if row[_REUSED] for (child,) in reader.rows("reused_by", run=row[_PK])}


def _write(form: str, place: Row) -> str:
    text = f"{form}.{place[1]}.{place[0]}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, form: str) -> tuple[int, int]:
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        given, level, pk = text.split(".")
        place = int(level), int(pk)
    except (AttributeError, ValueError, binascii.Error) as error:
        raise InvalidCursor(f"{cursor!r:.80} is no cursor of a tree") from error
    if given != form or not all(0 <= number < 2**63 for number in place):
        raise InvalidCursor("the cursor belongs to another tree, or to another depth")
    return place
