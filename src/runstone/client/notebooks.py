"""Threads and boards of a server's ledger."""

import builtins
from collections.abc import Iterable
from typing import Any

import msgspec

from runstone.client import decoding
from runstone.client.addresses import segment
from runstone.client.http import Http
from runstone.client.reading import new_key
from runstone.domain.bounds import pairs
from runstone.domain.records import Board, Card, Message, Page, Thread
from runstone.errors import InvalidInput


class RemoteThreads:
    """`ledger.threads`: conversations."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, thread_id: str | None = None, *, title: str | None = None) -> Thread:
        """Makes a thread; one that exists gets the title."""
        body = {"id": thread_id, "title": title}
        return msgspec.convert(self._http.post("/threads", body, key=new_key()), Thread)

    def append(self, thread_id: str, role: str, text: str, *, extra: Any = None) -> str:
        """Adds a message, making the thread on first use; gives the message's id."""
        body = {"role": role, "text": text, "extra": extra}
        found = self._http.post(f"/threads/{segment(thread_id)}/messages", body, key=new_key())
        return str(found["id"])

    def append_many(self, thread_id: str, batch: Iterable[tuple[str, str]], *, extra: Any = None) -> str:
        """Adds messages one after the other; gives the last one's id."""
        last = None
        for role, text in pairs("role, text", batch):
            last = self.append(thread_id, role, text, extra=extra)
        if last is None:
            raise InvalidInput("there is no message to append")
        return last

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Thread]:
        """Threads from the newest. Raises `InvalidCursor`."""
        found = self._http.get("/threads", {"limit": limit, "cursor": cursor})
        return Page(items=decoding.records(found["items"], Thread), next_cursor=found["next_cursor"])

    def get(self, thread_id: str) -> Thread:
        """The thread. Raises `NotFound`."""
        return msgspec.convert(self._http.get(f"/threads/{segment(thread_id)}"), Thread)

    def messages(self, thread_id: str, *, after: int = 0, limit: int = 100) -> Page[Message]:
        """Messages with `seq` above `after`; `next_cursor` is the `after` of the next page."""
        params = {"after": after, "limit": min(limit, 1_000)}
        found = self._http.get(f"/threads/{segment(thread_id)}/messages", params)
        return Page(items=decoding.records(found["items"], Message), next_cursor=found["next_after"])

    def last_messages(self, thread_id: str, limit: int = 50) -> builtins.list[Message]:
        """The newest messages, in order."""
        seen = self.get(thread_id).messages
        return self.messages(thread_id, after=max(0, seen - limit), limit=limit).items


class RemoteBoards:
    """`ledger.boards`: task boards and cards."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self, board_id: str | None = None, *, title: str | None = None, thread_id: str | None = None
    ) -> Board:
        """Creates a board; again under the same id it is the same board."""
        body = {"id": board_id, "title": title, "thread_id": thread_id}
        return msgspec.convert(self._http.post("/boards", body, key=new_key()), Board)

    def update(self, board_id: str, *, title: str, revision: int) -> Board:
        """Changes the title. Raises `RevisionConflict`."""
        found = self._http.patch(f"/boards/{segment(board_id)}", {"title": title, "revision": revision})
        return msgspec.convert(found, Board)

    def list(self, *, thread_id: str | None = None, limit: int = 100) -> builtins.list[Board]:
        """Boards, from the first."""
        found = self._http.get("/boards", {"thread_id": thread_id, "limit": min(limit, 1_000)})
        return decoding.records(found["items"], Board)

    def get(self, board_id: str) -> Board:
        """The board. Raises `NotFound`."""
        return msgspec.convert(self._http.get(f"/boards/{segment(board_id)}"), Board)

    def add_card(self, board_id: str, title: str, *, card_id: str | None = None, **fields: Any) -> Card:
        """Adds a card. Fields: body, status, position, assignee, labels, run_id."""
        body = {"title": title, "id": card_id, **fields}
        return msgspec.convert(
            self._http.post(f"/boards/{segment(board_id)}/cards", body, key=new_key()), Card
        )

    def update_card(self, card_id: str, *, revision: int, **fields: Any) -> Card:
        """Changes fields of a card; `run_id` claims it for a run, None gives it back. Raises `RevisionConflict`."""
        return msgspec.convert(
            self._http.patch(f"/cards/{segment(card_id)}", {"revision": revision, **fields}), Card
        )

    def cards(self, board_id: str, *, limit: int = 500) -> builtins.list[Card]:
        """The cards of a board, by position."""
        found = self._http.get(f"/boards/{segment(board_id)}/cards", {"limit": min(limit, 1_000)})
        return decoding.records(found["items"], Card)

    def card(self, card_id: str) -> Card:
        """The card, with the runs that refer to it. Raises `NotFound`."""
        return msgspec.convert(self._http.get(f"/cards/{segment(card_id)}"), Card)
