"""What a person looks at first: what needs somebody, what went wrong, what works, and what is done, in one answer."""

from collections.abc import Container
from typing import Annotated, Any, Final

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter

from runstone.domain.inputs import InputRequest
from runstone.ledger import Ledger
from runstone.server.parts import LedgerPart, ReadsPart
from runstone.server.shapes.shown import ShownRun, encoded_runs
from runstone.store import lists
from runstone.store.base import Row
from runstone.store.lists.counts import below_by_bucket

_ASKING: Final = 100
"""So many that need somebody are listed, wherever they are in a tree, and so many of their questions."""
_LEVELS: Final = 20
_TOP: Final = {"depth": "0"}
_SECTIONS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "needs_input": ({"bucket": "needs_input"},),
    "failed": ({"bucket": "failed", **_TOP},),
    "stopped": (
        {"status": "interrupted", **_TOP},
        {"status": "cancelled", **_TOP},
        {"status": "moved", **_TOP},
    ),
    "working": ({"bucket": "working", **_TOP},),
    "completed": ({"bucket": "completed", **_TOP},),
}
"""The order in which people ask. An interrupted run comes before one that somebody stopped: it can go on."""

# Columns of `run_columns`.
_PARENT, _DEPTH, _AGENT, _TITLE, _DEFINITION = 2, 4, 7, 9, 34


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of a bucket that changed last, and how many there are."""

    bucket: str
    total: int
    items: list[ShownRun]


class Above(msgspec.Struct, frozen=True, kw_only=True):
    """A run above another one, by what it is called."""

    id: str
    kind: str
    title: str | None
    agent_id: str | None
    definition_id: str | None


class Sections(msgspec.Struct, frozen=True, kw_only=True):
    """Top-level runs by bucket; in `needs_input` those below others, too."""

    sections: list[Section]
    inputs: list[InputRequest]
    """The open questions, those that wait longest first."""
    below: dict[str, dict[str, int]]
    """By top-level run: how many runs below it are in each bucket."""
    above: dict[str, list[Above]]
    """By run that needs somebody: those above it, from the top."""
    as_of: str


@get("/home", summary="What needs somebody, went wrong, works, and is done")
async def get_sections(
    ledger: LedgerPart,
    reads: ReadsPart,
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="So many runs of each bucket.")] = 25,
) -> Sections:
    """The buckets in the order in which people ask, of runs at the top. Interrupted ones come before stopped ones."""
    return await reads(_sections, ledger, limit)


def _sections(ledger: Ledger, limit: int) -> Sections:
    as_of, top = ledger.cursor(), ledger.counts(depth="0", archived=False)
    looks = {bucket: _Look(ledger, bucket, limit) for bucket in _SECTIONS}
    asking = looks["needs_input"]
    for look in looks.values():
        for filters in _SECTIONS[look.bucket]:
            look.add(filters, without=() if look is asking else asking.rows)
    totals = {**top, "needs_input": ledger.counts(archived=False)["needs_input"]}
    at_top = [run_id for look in looks.values() for run_id, row in look.rows.items() if not row[_DEPTH]]
    below = {run_id: row for run_id, row in asking.rows.items() if row[_PARENT]}
    return Sections(
        sections=[Section(bucket=name, total=totals[name], items=look.items) for name, look in looks.items()],
        inputs=ledger.inputs.list(limit=_ASKING).items,
        below=below_by_bucket(ledger.reader, at_top),
        above={run_id: _above(ledger, row[_PARENT]) for run_id, row in below.items()},
        as_of=as_of,
    )


class _Look:
    """The runs of one bucket that changed last."""

    def __init__(self, ledger: Ledger, bucket: str, limit: int) -> None:
        self.bucket = bucket
        self.items: list[Any] = []
        self.rows: dict[str, Row] = {}
        self._ledger = ledger
        self._limit = _ASKING if bucket == "needs_input" else limit

    def add(self, filters: dict[str, Any], *, without: Container[str]) -> None:
        """Those that fit, up to the limit."""
        room = self._limit - len(self.items)
        if room > 0:
            asked = {**filters, "archived": False}
            lists.read_page(self._ledger.reader, asked, lambda rows: self._take(rows, without), limit=room)

    def _take(self, rows: list[Row], without: Container[str]) -> list[Row]:
        found = [row for row in rows if row[0] not in without and row[0] not in self.rows]
        reader = self._ledger.reader
        self.items += encoded_runs(reader, found, since=reader.now()).items
        self.rows |= {row[0]: row for row in found}
        return found


def _above(ledger: Ledger, parent_id: str | None) -> list[Above]:
    """Those above, from the top; as many levels as a person reads."""
    found: list[Above] = []
    while parent_id is not None and len(found) < _LEVELS:
        rows = ledger.reader.runs.rows("r.run_id = :run_id", run_id=parent_id)
        if not rows:  # it is not known yet
            break
        run = rows[0]
        found.append(
            Above(
                id=run[0],
                kind=run[1],
                title=run[_TITLE],
                agent_id=run[_AGENT],
                definition_id=run[_DEFINITION],
            )
        )
        parent_id = run[_PARENT]
    return found[::-1]


router = Router(path="/", route_handlers=[get_sections], tags=["overview"])
