"""What happened in a run: its events in both directions, its timeline, and the runs below it by pages."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, get
from litestar.params import FromPath, QueryParameter

from runstone.domain.records import RunEvent, Timeline
from runstone.ledger import Ledger
from runstone.server.parts import LedgerPart, ReadsPart
from runstone.server.shapes.pages import PageOf
from runstone.server.shapes.runs import Run, run_of
from runstone.server.shapes.totals import TotalsShape, totals_of

Depth = Annotated[int | None, QueryParameter(ge=0, le=10_000, description="So many levels below the run.")]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
Cursor = Annotated[str | None, QueryParameter(description="From the page before.")]


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a run, in the order that was asked for."""

    items: list[RunEvent]
    next_seq: int | None
    """The `after` of the next page, or with the newest first its `before`; null at the end."""


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A run on a page of a tree."""

    run: Run
    own: TotalsShape
    subtree: TotalsShape
    reused: bool
    children: int
    """How many it has, on this page or not."""


@get("/{run_id:str}/events", summary="The events of a run")
async def get_events(
    *,
    ledger: LedgerPart,
    reads: ReadsPart,
    run_id: FromPath[str],
    after: Annotated[int, QueryParameter(ge=0, le=2**53, description="Behind this seq.")] = 0,
    before: Annotated[int | None, QueryParameter(ge=0, le=2**53, description="Before this seq.")] = None,
    order: Annotated[Literal["asc", "desc"], QueryParameter()] = "asc",
    type: Annotated[
        list[str] | None, QueryParameter(description="Types, or beginnings such as `tool.`; may be repeated.")
    ] = None,
    min_importance: Annotated[int | None, QueryParameter(ge=0, le=2)] = None,
    limit: Limit = 100,
    max_bytes: Annotated[
        int | None,
        QueryParameter(ge=0, le=2**53, description="Longer payloads are told by `payload_ref` alone."),
    ] = None,
) -> Events:
    """Events by `seq`, from the oldest or from the newest."""
    page = await reads(
        ledger.events, run_id, after=after, before=before, order=order, types=type, min_importance=min_importance,
        limit=limit, max_bytes=max_bytes,
    )  # fmt: skip
    return Events(items=page.items, next_seq=page.next_cursor)


@get("/{run_id:str}/timeline", summary="The timeline of a run")
async def get_timeline(
    *,
    ledger: LedgerPart,
    reads: ReadsPart,
    run_id: FromPath[str],
    depth: Depth = None,
    limit: Limit = 200,
    cursor: Cursor = None,
    buckets: Annotated[int, QueryParameter(ge=0, le=100, description="Parts of each run's time.")] = 20,
    since: Annotated[
        str | None,
        QueryParameter(description="The `as_of` of an earlier look: only what changed since then."),
    ] = None,
) -> Timeline:
    """What is drawn of the run and those below it, level by level, before any event is read."""
    found: Timeline = await reads(
        ledger.timeline, run_id, depth=depth, limit=limit, cursor=cursor, buckets=buckets, since=since
    )
    return found


@get("/{run_id:str}/branches", summary="A run and those below it, by pages")
async def get_branches(
    *,
    ledger: LedgerPart,
    reads: ReadsPart,
    run_id: FromPath[str],
    depth: Depth = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> PageOf[Branch]:
    """The tree level by level, parents before children, for trees of any size."""
    return await reads(_branches, ledger, run_id, {"depth": depth, "limit": limit, "cursor": cursor})


def _branches(ledger: Ledger, run_id: str, asked: dict[str, Any]) -> PageOf[Branch]:
    page = ledger.tree_page(run_id, **asked)
    items = [
        Branch(
            run=run_of(row.run), own=totals_of(row.own), subtree=totals_of(row.subtree), reused=row.reused,
            children=row.children,
        )
        for row in page
    ]  # fmt: skip
    return PageOf(items=items, next_cursor=page.next_cursor, as_of=str(page.as_of))


router = Router(path="/runs", route_handlers=[get_events, get_timeline, get_branches], tags=["runs"])
