"""Reading task boards and their cards."""

from typing import TYPE_CHECKING

from runstone.domain.bounds import asked_id
from runstone.domain.records import Board, Card, at
from runstone.store import rows

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Boards:
    """Boards and cards."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def select(
        self, *, board_id: str | None = None, thread_id: str | None = None, limit: int = 100
    ) -> list[Board]:
        """Boards, from the first; or the one of that id."""
        for what, one in (("a board's id", board_id), ("a thread's id", thread_id)):
            if one is not None:
                asked_id(what, one)
        if board_id is not None:
            found = [row[1:] for row in self._reader.rows("board_by_id", board_id=board_id)]
        else:
            found = self._reader.rows("boards_list", thread_id=thread_id, limit=limit)
        return [
            Board(id=i, thread_id=thread, title=t, revision=n, created_at=at(c), updated_at=at(u))
            for i, thread, t, n, c, u in found
        ]

    def cards(
        self, *, board_id: str | None = None, card_id: str | None = None, limit: int = 500
    ) -> list[Card]:
        """The cards of a board by their position; or the one of that id."""
        if card_id is not None:
            found = self._reader.rows("one_card", card_id=asked_id("a card's id", card_id))
        else:
            if board_id is not None:
                asked_id("a board's id", board_id)
            found = self._reader.rows("cards_of_board", board_id=board_id, limit=limit)
        return [rows.card(row, self._reader.values.text(row[5], row[6])) for row in found]
