"""Threads and boards: parts of the ledger beside runs and events."""

import builtins
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from runstone.domain import codec, keys
from runstone.domain.bounds import asked_id, bounded, labels_of, pairs, role_of
from runstone.domain.records import Board, Card, Message, Page, Thread
from runstone.domain.redaction import Redactor
from runstone.errors import InvalidCursor, InvalidInput, NotFound
from runstone.store.base import Row
from runstone.store.blobs import pack
from runstone.store.writes.boards import SaveBoard, SaveCard
from runstone.store.writes.events import AppendMessages, NewMessage, SaveThread

if TYPE_CHECKING:
    from runstone.ledger import Ledger


class Threads:
    """`ledger.threads`: conversations."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def create(self, thread_id: str | None = None, *, title: str | None = None) -> Thread:
        """Makes a thread; one that exists gets the title."""
        core = self._ledger.core
        name = core.new_id() if thread_id is None else keys.check_id(thread_id, "thread_id")
        core.submit(SaveThread(name, None if title is None else core.clean("title", title)), []).result()
        return self.get(name)

    def append(self, thread_id: str, role: str, text: str, *, extra: Any = None) -> str:
        """Adds a message, making the thread on first use; gives the message's id."""
        return self.append_many(thread_id, [(role, text)], extra=extra)

    def append_many(self, thread_id: str, batch: Iterable[tuple[str, str]], *, extra: Any = None) -> str:
        """Adds messages in one write; gives the last one's id."""
        core = self._ledger.core
        clean, now = core.redactor, core.now()
        more = None if extra is None else clean.json(codec.encode(extra))
        new = [
            NewMessage(role_of(role), clean.message(text), now, more)
            for role, text in pairs("role, text", batch)
        ]
        write = AppendMessages(keys.check_id(thread_id, "thread_id"), new)
        return str(core.submit(write, []).result())

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Thread]:
        """Threads from the newest. Raises `InvalidCursor`."""
        found = self._ledger.reader.threads.select(before=_before(cursor), limit=_limit(limit) + 1)
        more = str(found[limit - 1][1]) if len(found) > limit else None
        return Page(items=[thread for thread, _ in found[:limit]], next_cursor=more)

    def get(self, thread_id: str) -> Thread:
        """The thread. Raises `NotFound`."""
        found = self._ledger.reader.threads.select(thread_id=thread_id, limit=1)
        if not found:
            raise NotFound(f"there is no thread {thread_id}", hint="list them: runstone threads list")
        return found[0][0]

    def messages(self, thread_id: str, *, after: int = 0, limit: int = 100) -> Page[Message]:
        """Messages with `seq` above `after`; `next_cursor` is the `after` of the next page."""
        if type(after) is not int or after < 0:
            raise InvalidInput(f"after is a seq from 0, not {after!r:.80}")
        found = self._ledger.reader.threads.messages(thread_id, after=after, limit=_limit(limit) + 1)
        more = found[limit - 1].seq if len(found) > limit else None
        return Page(items=found[:limit], next_cursor=more)

    def last_messages(self, thread_id: str, limit: int = 50) -> builtins.list[Message]:
        """The newest messages, in order."""
        return self._ledger.reader.threads.last_messages(thread_id, _limit(limit))


class Boards:
    """`ledger.boards`: task boards and cards. A change names the revision that it was made against."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def create(
        self, board_id: str | None = None, *, title: str | None = None, thread_id: str | None = None
    ) -> Board:
        """Creates a board; again under the same id it is the same board."""
        core = self._ledger.core
        name = core.new_id() if board_id is None else keys.check_id(board_id, "board_id")
        title = None if title is None else core.clean("title", title)
        if thread_id is not None:
            keys.check_id(thread_id, "thread_id")
        core.submit(SaveBoard(name, title, thread_id, None), []).result()
        return self.get(name)

    def update(self, board_id: str, *, title: str, revision: int) -> Board:
        """Changes the title. Raises `RevisionConflict`."""
        asked_id("a board's id", board_id)
        core = self._ledger.core
        core.submit(SaveBoard(board_id, core.clean("title", title), None, revision), []).result()
        return self.get(board_id)

    def list(self, *, thread_id: str | None = None, limit: int = 100) -> builtins.list[Board]:
        """Boards, from the first."""
        return self._ledger.reader.boards.select(thread_id=thread_id, limit=_limit(limit))

    def get(self, board_id: str) -> Board:
        """The board. Raises `NotFound`."""
        found = self._ledger.reader.boards.select(board_id=board_id, limit=1)
        if not found:
            raise NotFound(f"there is no board {board_id}", hint="list them: runstone boards list")
        return found[0]

    def add_card(self, board_id: str, title: str, *, card_id: str | None = None, **fields: Any) -> Card:
        """Adds a card. Fields: body, status, position, assignee, labels, run_id."""
        core = self._ledger.core
        name = core.new_id() if card_id is None else keys.check_id(card_id, "card_id")
        self._save(name, board_id, {"title": title, **fields}, None)
        return self.card(name)

    def update_card(self, card_id: str, *, revision: int, **fields: Any) -> Card:
        """Changes fields of a card; `run_id` claims it for a run, None gives it back. Raises `RevisionConflict`."""
        self._save(card_id, None, fields, revision)
        return self.card(card_id)

    def _save(self, card_id: str, board_id: str | None, fields: dict[str, Any], revision: int | None) -> None:
        asked_id("a card's id", card_id)
        if board_id is not None:
            asked_id("a board's id", board_id)
        changes, blob = _card_changes(self._ledger.core.redactor, fields)
        write = SaveCard(card_id, board_id, changes, revision, blob)
        self._ledger.core.submit(write, []).result()

    def cards(self, board_id: str, *, limit: int = 500) -> builtins.list[Card]:
        """The cards of a board, by position."""
        return self._ledger.reader.boards.cards(board_id=board_id, limit=_limit(limit))

    def card(self, card_id: str) -> Card:
        """The card, with the runs that refer to it. Raises `NotFound`."""
        found = self._ledger.reader.boards.cards(card_id=card_id, limit=1)
        if not found:
            raise NotFound(f"there is no card {card_id}", hint="list them: runstone boards show BOARD")
        return found[0]


_CARD_FIELDS = {"title": str, "body": str, "status": str, "position": int, "assignee": str, "run_id": str}
_MAY_BE_NONE = ("body", "assignee", "run_id")


def _card_changes(clean: Redactor, fields: dict[str, Any]) -> tuple[dict[str, Any], Row | None]:
    """Checked changes of a card as its row has them, and the blob of a long body."""
    known = {*_CARD_FIELDS, "labels"}
    if unknown := fields.keys() - known:
        raise InvalidInput(f"a card has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    for name, kind in _CARD_FIELDS.items():
        value = fields.get(name)
        if name in fields and type(value) is not kind and not (value is None and name in _MAY_BE_NONE):
            raise InvalidInput(f"{name} of a card must be {kind.__name__}, not {value!r:.80}")
    for name, limit in (("title", codec.ROW_TEXT_BYTES), ("assignee", 200)):
        if fields.get(name) is not None:
            text = clean.text(bounded(name, fields[name], limit))
            fields = {**fields, name: codec.clip(text, limit)}
    if not -(2**53) < fields.get("position", 0) < 2**53:
        raise InvalidInput(f"position of a card is out of range: {fields['position']}")
    if fields.get("run_id") is not None:
        asked_id("a run's id", fields["run_id"])
    changes = dict(fields)
    if "labels" in changes:
        changes["labels_json"] = codec.encode(
            labels_of(clean.value(labels_of(changes.pop("labels"))))
        ).decode()
    if "body" not in changes:
        return changes, None
    if changes["body"] is not None:
        changes["body"] = clean.message(changes["body"])
    body = codec.utf8(changes["body"], "a card's body") if changes["body"] is not None else b""
    if not codec.fits_a_row(body):
        del changes["body"]
        return changes, pack(body)
    return {**changes, "body_ref": None}, None


def _limit(limit: int) -> int:
    if type(limit) is not int or not 1 <= limit <= 10_000:
        raise InvalidInput(f"limit is a whole number from 1 to 10000, not {limit!r:.80}")
    return limit


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not isinstance(cursor, str) or not cursor.isdecimal() or len(cursor) > 18:
        raise InvalidCursor(f"{cursor!r:.80} is no cursor of a list of threads")
    return int(cursor)
