"""`/runs`: lists of runs, each by itself, and what belongs to it."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, Router, get, patch
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from runstone.domain.records import Attempt, JournalEntry, Message, TreeNode
from runstone.errors import InvalidInput
from runstone.ledger import Ledger
from runstone.server.bodies import encode, tagged
from runstone.server.etags import require_match
from runstone.server.guards import ALSO
from runstone.server.idempotency import Effect, once
from runstone.server.kept import Made, again, answer
from runstone.server.parts import AllParts, LedgerPart, ReadsPart
from runstone.server.routes.asked import FILTERS, LABELLED, FiltersPart
from runstone.server.shapes import bodies
from runstone.server.shapes.pages import PageOf
from runstone.server.shapes.phases import Phase, phases_of
from runstone.server.shapes.runs import Run, run_of
from runstone.server.shapes.shown import ShownRun, encoded_runs, etag_of_shown, shown_run
from runstone.server.shapes.totals import TelemetryShape, TotalsShape, telemetry_of, totals_of
from runstone.store import lists
from runstone.store.base import Row
from runstone.store.reads import Reader
from runstone.store.writes.lifecycle import UpdateRun


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a tree. The nodes come parents first, siblings in the order in which they were created."""

    run: Run
    own: TotalsShape
    subtree: TotalsShape
    reused: bool
    """The parent's current attempt used its stored result."""


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A run with all below it, flat: `run.parent_run_id` says where each belongs."""

    items: list[Node]
    as_of: str


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """All of what belongs to a run."""

    items: list[Any]


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """The attempts of a run, from the first."""

    items: list[Attempt]


class Phases(msgspec.Struct, frozen=True, kw_only=True):
    """The phases of a workflow run."""

    items: list[Phase]


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """What a run knows: its finished steps, its children and its answers."""

    items: list[JournalEntry]


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What a run said and printed."""

    items: list[Message]
    next_after: int | None
    """The `after` of the next page; null at the end."""


@get("/", summary="List runs", dependencies=FILTERS, opt=LABELLED, before_request=again)
async def list_runs(
    *,
    request: Request[Any, Any, Any],
    parts: AllParts,
    filters: FiltersPart,
    sort: Annotated[Literal["updated", "created", "ended", "duration", "cost"], QueryParameter()] = "updated",
    order: Annotated[Literal["desc", "asc"], QueryParameter()] = "desc",
    superseded: Annotated[
        bool, QueryParameter(description="Children that nobody asks for any more, too.")
    ] = True,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, QueryParameter(description="From the page before.")] = None,
) -> Response[PageOf[ShownRun]]:
    """A page of runs, those that changed last first. Unknown ends, durations and costs come last in both orders."""
    more = {"sort": sort, "order": order, "superseded": superseded, "limit": limit, "cursor": cursor}
    standing = parts.pages.standing()
    made = await parts.reads(page_of, parts.ledger.reader, filters, more)
    parts.pages.keep(request.scope["query_string"], standing, made)
    return answer(made.body)


def page_of(reader: Reader, filters: dict[str, Any], more: dict[str, Any]) -> Made:
    """A page as JSON, of one moment, and until when it stands if nothing is written."""
    now, moments = reader.now(), list[int]()

    def make(rows: list[Row]) -> list[msgspec.Raw]:
        items, until = encoded_runs(reader, rows, since=now)
        moments.extend(() if until is None else (until,))
        return items

    found = lists.read_page(reader, filters, make, **more)
    body = encode(PageOf(items=found.items, next_cursor=found.next_cursor, as_of=str(found.as_of)))
    return Made(body=body, until=min(moments, default=None))


class BucketCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs are in each bucket."""

    counts: dict[str, int]
    complete: bool
    """Else there may be more: a count stops after 100,000 runs, and after 20,000 texts that hold the words of `q`."""
    as_of: str


@get("/counts", summary="Count runs", dependencies=FILTERS, opt=LABELLED)
async def count_runs(ledger: LedgerPart, reads: ReadsPart, filters: FiltersPart) -> BucketCounts:
    """How many runs are in each bucket, by the filters of lists; those by status and bucket are passed over."""
    found = await reads(ledger.counts, **filters)
    return BucketCounts(counts=dict(found), complete=found.complete, as_of=str(found.as_of))


@get("/groups", summary="Group runs", dependencies=FILTERS, opt=LABELLED)
async def group_runs(
    *,
    ledger: LedgerPart,
    reads: ReadsPart,
    filters: FiltersPart,
    by: Annotated[Literal["bucket", "agent_id", "definition_id", "thread_id", "day"], QueryParameter()],
    offset_minutes: Annotated[
        int, QueryParameter(ge=-1080, le=1080, description="How far the reader's clock is ahead of UTC.")
    ] = 0,
) -> lists.Groups:
    """The groups of a list, by its filters: what they have in common, and how many runs each has."""
    return await reads(lists.group, ledger.reader, filters, by=by, offset_minutes=offset_minutes)


@get("/{run_id:str}", summary="Show a run", opt={ALSO: {304: None}})
async def get_run(
    request: Request[Any, Any, Any],
    ledger: LedgerPart,
    run_id: FromPath[str],
    if_none_match: Annotated[
        str | None, HeaderParameter(name="If-None-Match", description="ETags that the reader has.")
    ] = None,
) -> Response[ShownRun]:
    """The run. With the ETag of an earlier answer in If-None-Match, 304 while it is the same."""
    run = shown_run(ledger.reader, run_id)
    return tagged(request, run, etag_of_shown(run))


@patch("/{run_id:str}", summary="Change a run")
async def change_run(
    request: Request[Any, Any, Any],
    parts: AllParts,
    run_id: FromPath[str],
    data: JSONBody[bodies.ChangeRun],
    if_match: Annotated[
        str | None, HeaderParameter(name="If-Match", description="The ETag of the run that was changed.")
    ] = None,
) -> Response[Run]:
    """Changes what people give a run. With If-Match it is refused (412) where the run is not that one any more."""
    changes = bodies.given(data)
    if not changes:
        raise InvalidInput("there is nothing to change in the body")
    effect = Effect(
        UpdateRun, lambda reader, _: run_of(reader.runs.get(run_id)), status=200,
        require=lambda reader: require_match(request, etag_of_shown(shown_run(reader, run_id))),
    )  # fmt: skip
    ledger = parts.ledger
    return await parts.writes(
        once, request, ledger, data, effect, lambda: ledger.update_run(run_id, **changes)
    )


@get("/{run_id:str}/tree", summary="Show a run and all below it")
async def get_tree(ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str]) -> Tree:
    """The run with all below it, with own and subtree sums."""
    return await reads(_tree, ledger, run_id)


def _tree(ledger: Ledger, run_id: str) -> Tree:
    as_of = ledger.cursor()
    return Tree(items=[_node(node) for node in ledger.tree(run_id).walk()], as_of=as_of)


def _node(node: TreeNode) -> Node:
    return Node(
        run=run_of(node.run), own=totals_of(node.own), subtree=totals_of(node.subtree), reused=node.reused
    )


@get("/{run_id:str}/telemetry", summary="What a run cost")
async def get_telemetry(ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str]) -> TelemetryShape:
    """Tokens, costs, times and tool counts, of the run itself and with all below it."""
    return telemetry_of(await reads(ledger.telemetry, run_id))


@get("/{run_id:str}/phases", summary="The phases of a workflow run")
async def get_phases(ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str]) -> Phases:
    """The phases, planned ones before they start."""
    return Phases(items=await reads(phases_of, ledger, run_id))


@get("/{run_id:str}/attempts", summary="The attempts of a run")
async def get_attempts(ledger: LedgerPart, run_id: FromPath[str]) -> Attempts:
    """Who tried the run, when, and how it ended."""
    ledger.get_run(run_id)
    return Attempts(items=ledger.attempts(run_id))


@get("/{run_id:str}/journal", summary="What a run knows")
async def get_journal(ledger: LedgerPart, reads: ReadsPart, run_id: FromPath[str]) -> Journal:
    """Finished steps, children and answers, by which a resume does nothing twice."""
    ledger.get_run(run_id)
    return Journal(items=await reads(ledger.journal, run_id))


@get("/{run_id:str}/logs", summary="What a run said and printed")
async def get_logs(
    ledger: LedgerPart,
    reads: ReadsPart,
    run_id: FromPath[str],
    after: Annotated[int, QueryParameter(ge=0, le=2**53, description="The seq after which it begins.")] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> Log:
    """The messages of the run's own thread; lines of a command are among them."""
    run = ledger.get_run(run_id)
    if run.worker_thread_id is None:
        return Log(items=[], next_after=None)
    page = await reads(ledger.threads.messages, run.worker_thread_id, after=after, limit=limit)
    return Log(items=page.items, next_after=page.next_cursor)


router = Router(
    path="/runs",
    route_handlers=[
        list_runs, count_runs, group_runs, get_run, change_run, get_tree, get_telemetry, get_phases, get_attempts,
        get_journal, get_logs,
    ],
    tags=["runs"],
)  # fmt: skip
