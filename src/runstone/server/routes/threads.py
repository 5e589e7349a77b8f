"""Conversations and their messages."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from runstone.domain.records import Message, Thread
from runstone.ledger import Ledger
from runstone.server.idempotency import Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, LedgerPart, ReadsPart, WritesPart
from runstone.server.shapes import bodies
from runstone.server.shapes.pages import PageOf
from runstone.store.writes.events import AppendMessages, SaveThread


class Messages(msgspec.Struct, frozen=True, kw_only=True):
    """Messages in order."""

    items: list[Message]
    next_after: int | None
    """The `after` of the next page; null at the end."""


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was added."""

    id: str
    thread_id: str


@get("/", summary="List threads")
async def list_threads(
    ledger: LedgerPart,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, QueryParameter(description="From the page before.")] = None,
) -> PageOf[Thread]:
    """Threads from the newest."""
    as_of = ledger.cursor()
    page = ledger.threads.list(limit=limit, cursor=cursor)
    return PageOf(items=page.items, next_cursor=page.next_cursor, as_of=as_of)


@post("/", summary="Make a thread", status_code=201)
async def make_thread(
    request: Request[Any, Any, Any],
    ledger: LedgerPart,
    writes: WritesPart,
    data: JSONBody[bodies.NewThread],
    key: IdempotencyKey = None,
) -> Response[Thread]:
    """Makes a thread; one that exists gets the title."""
    thread_id = data.id or ledger.core.new_id()
    effect = Effect(
        SaveThread, lambda reader, _: reader.threads.select(thread_id=thread_id, limit=1)[0][0],
        location=lambda _: f"/api/v1/threads/{thread_id}",
    )  # fmt: skip
    return await writes(
        once, request, ledger, data, effect, lambda: ledger.threads.create(thread_id, title=data.title)
    )


@get("/{thread_id:str}", summary="Show a thread")
async def get_thread(ledger: LedgerPart, thread_id: FromPath[str]) -> Thread:
    """The thread."""
    return ledger.threads.get(thread_id)


@get("/{thread_id:str}/messages", summary="The messages of a thread")
async def list_messages(
    ledger: LedgerPart,
    reads: ReadsPart,
    thread_id: FromPath[str],
    after: Annotated[int, QueryParameter(ge=0, le=2**53, description="The seq after which they begin.")] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> Messages:
    """Messages in order."""
    return await reads(_messages, ledger, thread_id, after, limit)


def _messages(ledger: Ledger, thread_id: str, after: int, limit: int) -> Messages:
    ledger.threads.get(thread_id)
    page = ledger.threads.messages(thread_id, after=after, limit=limit)
    return Messages(items=page.items, next_after=page.next_cursor)


@post("/{thread_id:str}/messages", summary="Add a message", status_code=201)
async def add_message(
    request: Request[Any, Any, Any],
    parts: AllParts,
    thread_id: FromPath[str],
    data: JSONBody[bodies.NewMessage],
    key: IdempotencyKey = None,
) -> Response[Appended]:
    """Adds a message, making the thread on first use."""
    effect = Effect(AppendMessages, lambda _, made: Appended(id=str(made), thread_id=thread_id))
    return await parts.writes(
        once, request, parts.ledger, data, effect,
        lambda: parts.ledger.threads.append(thread_id, data.role, data.text, extra=data.extra),
    )  # fmt: skip


router = Router(
    path="/threads",
    route_handlers=[list_threads, make_thread, get_thread, list_messages, add_message],
    tags=["threads"],
)
