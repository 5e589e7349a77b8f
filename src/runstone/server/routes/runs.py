"""`/runs`: lists of runs, and each by itself."""

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath, QueryParameter

from runstone.server.bodies import tagged
from runstone.server.parts import LedgerPart
from runstone.server.shapes.pages import PageOf
from runstone.server.shapes.runs import Run, run_of


@get("/", summary="List runs")
async def list_runs(
    ledger: LedgerPart,
    status: Annotated[list[str] | None, QueryParameter(description="One status or several.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, QueryParameter(description="From the page before.")] = None,
) -> PageOf[Run]:
    """A page of runs, those that changed last first."""
    as_of = ledger.cursor()
    found = ledger.list_runs(status=status, limit=limit, cursor=cursor)
    return PageOf(items=[run_of(run) for run in found], next_cursor=found.next_cursor, as_of=as_of)


@get("/{run_id:str}", summary="Show a run")
async def get_run(
    request: Request[Any, Any, Any], ledger: LedgerPart, run_id: FromPath[str]
) -> Response[Run]:
    """The run. With the ETag of an earlier answer in If-None-Match, 304 while it is the same."""
    return tagged(request, run_of(ledger.get_run(run_id)))


router = Router(path="/runs", route_handlers=[list_runs, get_run], tags=["runs"])
