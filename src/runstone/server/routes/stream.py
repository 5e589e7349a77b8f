"""`/stream`: the ledger as it goes on, for any number of views over one connection."""

from functools import partial
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import HeaderParameter, QueryParameter

from runstone.server.parts import AllParts
from runstone.server.stream import frames
from runstone.server.stream.follower import Follower
from runstone.server.stream.response import EventStream
from runstone.server.stream.topics import wanted

_Topics = Annotated[
    list[str] | None,
    QueryParameter(
        description="`run:ID`, `subtree:ID` (it and all below, also what is created later) or `bucket:NAME`; several"
        " with commas or repeated, of which one has to fit. Without it everything."
    ),
]


@get("/stream", summary="Follow the ledger", media_type="text/event-stream")
async def follow(
    request: Request[Any, Any, Any],
    parts: AllParts,
    *,
    topics: _Topics = None,
    types: Annotated[
        list[str] | None, QueryParameter(description="Event types, such as `tool.started` or `tool.*`.")
    ] = None,
    importance: Annotated[int, QueryParameter(ge=0, le=2, description="At least that important.")] = 0,
    after: Annotated[
        str | None,
        QueryParameter(max_length=200, description="A cursor: what came behind it is given first."),
    ] = None,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(name="Last-Event-ID", max_length=200, description="As `after`, and wins over it."),
    ] = None,
) -> EventStream:
    """Server-sent events. Each has as `id` the cursor behind it, and as data a `StreamEvent`.

    Connect again with the last id, and what was missed comes first. Frames with a name are about the stream:
    `reset` (the cursor belongs to another ledger; all events follow), `gap` (events behind the cursor were removed)
    and `reconnect` (come again, now)."""
    chosen = wanted(topics or (), types or (), importance)
    cursor = last_event_id or after
    at = None if cursor is None else frames.cursor_of(cursor)
    frames_of = Follower(parts.hub, parts.reads, chosen, at).frames()
    return EventStream(frames_of, partial(parts.tokens.holds, request.user.token_id))


router = Router(path="/", route_handlers=[follow], tags=["stream"])
