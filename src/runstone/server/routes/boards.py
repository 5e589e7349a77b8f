"""Task boards and their cards. A change names the revision that it was made against."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from runstone.domain.records import Board, Card
from runstone.ledger import Ledger
from runstone.server.idempotency import Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, LedgerPart, ReadsPart, WritesPart
from runstone.server.shapes import bodies
from runstone.store.writes.boards import SaveBoard, SaveCard


class Boards(msgspec.Struct, frozen=True, kw_only=True):
    """Boards, from the first."""

    items: list[Board]


class Cards(msgspec.Struct, frozen=True, kw_only=True):
    """The cards of a board, by position."""

    items: list[Card]


@get("/boards", summary="List boards")
async def list_boards(
    ledger: LedgerPart,
    thread_id: Annotated[str | None, QueryParameter(description="Only those of this thread.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> Boards:
    """Boards, from the first."""
    return Boards(items=ledger.boards.list(thread_id=thread_id, limit=limit))


@post("/boards", summary="Make a board", status_code=201)
async def make_board(
    request: Request[Any, Any, Any],
    ledger: LedgerPart,
    writes: WritesPart,
    data: JSONBody[bodies.NewBoard],
    key: IdempotencyKey = None,
) -> Response[Board]:
    """Makes a board; again under the same id it is the same board."""
    board_id = data.id or ledger.core.new_id()
    effect = Effect(
        SaveBoard, lambda reader, _: reader.boards.select(board_id=board_id, limit=1)[0],
        location=lambda _: f"/api/v1/boards/{board_id}",
    )  # fmt: skip
    return await writes(
        once, request, ledger, data, effect,
        lambda: ledger.boards.create(board_id, title=data.title, thread_id=data.thread_id),
    )  # fmt: skip


@get("/boards/{board_id:str}", summary="Show a board")
async def get_board(ledger: LedgerPart, board_id: FromPath[str]) -> Board:
    """The board."""
    return ledger.boards.get(board_id)


@patch("/boards/{board_id:str}", summary="Change a board")
async def change_board(
    request: Request[Any, Any, Any],
    ledger: LedgerPart,
    writes: WritesPart,
    board_id: FromPath[str],
    data: JSONBody[bodies.ChangeBoard],
) -> Response[Board]:
    """Changes the title; refused (409) where the board has another revision by now."""
    effect = Effect(
        SaveBoard, lambda reader, _: reader.boards.select(board_id=board_id, limit=1)[0], status=200
    )
    return await writes(
        once, request, ledger, data, effect,
        lambda: ledger.boards.update(board_id, title=data.title, revision=data.revision),
    )  # fmt: skip


@get("/boards/{board_id:str}/cards", summary="The cards of a board")
async def list_cards(
    ledger: LedgerPart,
    reads: ReadsPart,
    board_id: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 500,
) -> Cards:
    """The cards, by position."""
    return await reads(_cards, ledger, board_id, limit)


def _cards(ledger: Ledger, board_id: str, limit: int) -> Cards:
    ledger.boards.get(board_id)
    return Cards(items=ledger.boards.cards(board_id, limit=limit))


@post("/boards/{board_id:str}/cards", summary="Add a card", status_code=201)
async def add_card(
    request: Request[Any, Any, Any],
    parts: AllParts,
    board_id: FromPath[str],
    data: JSONBody[bodies.NewCard],
    key: IdempotencyKey = None,
) -> Response[Card]:
    """Adds a card to the board."""
    card_id = data.id or parts.ledger.core.new_id()
    effect = Effect(
        SaveCard, lambda reader, _: reader.boards.cards(card_id=card_id, limit=1)[0],
        location=lambda _: f"/api/v1/cards/{card_id}",
    )  # fmt: skip
    return await parts.writes(
        once, request, parts.ledger, data, effect,
        lambda: parts.ledger.boards.add_card(board_id, card_id=card_id, **bodies.given(data, "id")),
    )  # fmt: skip


@get("/cards/{card_id:str}", summary="Show a card")
async def get_card(ledger: LedgerPart, card_id: FromPath[str]) -> Card:
    """The card, with the runs that refer to it."""
    return ledger.boards.card(card_id)


@patch("/cards/{card_id:str}", summary="Change a card")
async def change_card(
    request: Request[Any, Any, Any],
    ledger: LedgerPart,
    writes: WritesPart,
    card_id: FromPath[str],
    data: JSONBody[bodies.ChangeCard],
) -> Response[Card]:
    """Changes fields of a card; refused (409) where it has another revision by now."""
    effect = Effect(SaveCard, lambda reader, _: reader.boards.cards(card_id=card_id, limit=1)[0], status=200)
    changes = bodies.given(data, "revision")
    return await writes(
        once, request, ledger, data, effect,
        lambda: ledger.boards.update_card(card_id, revision=data.revision, **changes),
    )  # fmt: skip


router = Router(
    path="/",
    route_handlers=[
        list_boards,
        make_board,
        get_board,
        change_board,
        list_cards,
        add_card,
        get_card,
        change_card,
    ],
    tags=["boards"],
)
