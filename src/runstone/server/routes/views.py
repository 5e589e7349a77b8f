"""Saved views of lists, and how far each viewer has seen."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from runstone.domain.records import Seen, View
from runstone.server.guards import ROLE
from runstone.server.idempotency import Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, LedgerPart
from runstone.server.shapes import bodies
from runstone.store.writes.views import SaveView


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """The saved views, from the first that was made."""

    items: list[View]


class SeenUpTo(msgspec.Struct, frozen=True, kw_only=True):
    """How far a viewer has seen; nulls for one that never said so."""

    viewer: str
    seen: Seen | None


@get("/views", summary="List saved views")
async def list_views(ledger: LedgerPart) -> Views:
    """All of them, at most 200."""
    return Views(items=ledger.views.list())


@get("/views/{view_id:str}", summary="Show a saved view")
async def get_view(ledger: LedgerPart, view_id: FromPath[str]) -> View:
    """The view."""
    return ledger.views.get(view_id)


@post("/views", summary="Save a view", status_code=201)
async def make_view(
    request: Request[Any, Any, Any],
    parts: AllParts,
    data: JSONBody[bodies.PutView],
    key: IdempotencyKey = None,
) -> Response[View]:
    """Saves a new view."""
    return await _put(request, parts, parts.ledger.core.new_id(), data, 201)


@put("/views/{view_id:str}", summary="Change a saved view")
async def put_view(
    request: Request[Any, Any, Any], parts: AllParts, view_id: FromPath[str], data: JSONBody[bodies.PutView]
) -> Response[View]:
    """Changes the view, or saves one of that id; refused (409) where it has another revision by now."""
    return await _put(request, parts, view_id, data, 200)


async def _put(
    request: Request[Any, Any, Any], parts: AllParts, view_id: str, data: bodies.PutView, status: int
) -> Response[View]:
    effect = Effect(
        SaveView, lambda reader, _: reader.views.get(view_id), status=status,
        location=None if status == 200 else lambda _: f"/api/v1/views/{view_id}",
    )  # fmt: skip
    asked = msgspec.structs.asdict(data)
    name, filters = asked.pop("name"), asked.pop("filters")
    return await parts.writes(
        once, request, parts.ledger, data, effect,
        lambda: parts.ledger.views.put(name, filters, view_id=view_id, **asked),
    )  # fmt: skip


@delete("/views/{view_id:str}", summary="Delete a saved view")
async def delete_view(
    parts: AllParts,
    view_id: FromPath[str],
    revision: Annotated[int | None, QueryParameter(ge=1, description="Only at this revision.")] = None,
) -> None:
    """Deletes the view; refused (409) where it has another revision than the one that is named."""
    await parts.writes(parts.ledger.views.delete, view_id, revision=revision)


@get("/viewers/{viewer:str}/seen", summary="How far a viewer has seen")
async def get_seen(request: Request[Any, Any, Any], ledger: LedgerPart, viewer: FromPath[str]) -> SeenUpTo:
    """The position up to which the viewer knows what happened; `me` is who asks."""
    name = _named(request, viewer)
    return SeenUpTo(viewer=name, seen=ledger.views.seen(name))


@put("/viewers/{viewer:str}/seen", summary="Note how far a viewer has seen", opt={ROLE: "read"})
async def mark_seen(
    request: Request[Any, Any, Any],
    parts: AllParts,
    viewer: FromPath[str],
    data: JSONBody[bodies.MarkSeen],
) -> SeenUpTo:
    """Notes that all up to a position was seen; it never goes back. `me` is who asks; others take control."""
    name = _named(request, viewer)
    if name != request.user.name:
        request.user.require("control")
    return SeenUpTo(viewer=name, seen=await parts.writes(parts.ledger.views.mark_seen, name, data.cursor))


def _named(request: Request[Any, Any, Any], viewer: str) -> str:
    return str(request.user.name) if viewer == "me" else viewer


router = Router(
    path="/",
    route_handlers=[list_views, get_view, make_view, put_view, delete_view, get_seen, mark_seen],
    tags=["views"],
)
