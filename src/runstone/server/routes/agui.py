"""`/runs/{id}/ag-ui`: a run for front ends that speak AG-UI."""

from functools import partial
from typing import Any

from litestar import Request, Router, get
from litestar.params import FromPath

from runstone.server.agui.replay import Replay
from runstone.server.parts import AllParts
from runstone.server.stream.response import EventStream


@get("/runs/{run_id:str}/ag-ui", summary="Follow a run as AG-UI events", media_type="text/event-stream")
async def follow_run(request: Request[Any, Any, Any], parts: AllParts, run_id: FromPath[str]) -> EventStream:
    """Server-sent events of the AG-UI protocol, 1.0. A past run is replayed; a live one is followed until it ends or
    waits for a person. Each attempt is one RUN_STARTED with its end."""
    run = parts.ledger.get_run(run_id)
    events = Replay(parts.ledger, parts.hub, parts.reads, run).frames()
    return EventStream(events, partial(parts.tokens.holds, request.user.token_id))


router = Router(path="/", route_handlers=[follow_run], tags=["stream"])
