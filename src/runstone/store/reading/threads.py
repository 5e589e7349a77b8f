"""Reading threads and their messages."""

from typing import TYPE_CHECKING

from runstone.domain.bounds import asked_id
from runstone.domain.records import Message, Thread, at
from runstone.store import rows
from runstone.store.base import Row

if TYPE_CHECKING:
    from runstone.store.reads import Reader

_NO_LIMIT = 2**62


class Threads:
    """Threads and messages."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def select(
        self, *, thread_id: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[tuple[Thread, int]]:
        """Threads from the newest, each with its integer key; or the one of that id."""
        if thread_id is not None:
            found = self._reader.rows("one_thread", thread_id=asked_id("a thread's id", thread_id))
        else:
            found = self._reader.rows(
                "threads_list", before=_NO_LIMIT if before is None else before, limit=limit
            )
        return [
            (Thread(id=i, title=t, run_id=r, messages=n, created_at=at(c), updated_at=at(u)), pk)
            for i, t, r, n, c, u, pk in found
        ]

    def messages(self, thread_id: str, *, after: int = 0, limit: int = 100) -> list[Message]:
        """Messages of a thread with `seq` above `after`."""
        asked_id("a thread's id", thread_id)
        found = self._reader.rows(
            "messages_after", thread_id=thread_id, after=min(after, _NO_LIMIT), limit=limit
        )
        return [self._message(thread_id, row) for row in found]

    def last_messages(self, thread_id: str, limit: int) -> list[Message]:
        """The newest messages of a thread, in order."""
        asked_id("a thread's id", thread_id)
        return [
            self._message(thread_id, row)
            for row in self._reader.rows("messages_last", thread_id=thread_id, limit=limit)
        ]

    def _message(self, thread_id: str, row: Row) -> Message:
        seq, role, text, ref, run_id, attempt, when, extra, extra_ref = row
        return Message(
            id=f"{thread_id}#{seq}", thread_id=thread_id, seq=seq, role=role, text=self._reader.values.text(text, ref),
            run_id=run_id, attempt=attempt, timestamp=at(when),
            extra=self._reader.values.json(extra_ref) if extra_ref is not None else rows.json_or_none(extra),
        )  # fmt: skip
