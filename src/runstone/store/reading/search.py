"""Searching texts."""

import re
from typing import TYPE_CHECKING

from runstone.domain import codec
from runstone.domain.records import SearchHit
from runstone.errors import InvalidInput
from runstone.store.base import Row

if TYPE_CHECKING:
    from runstone.store.reads import Reader

_MAX_WORDS = 32
_UNSEARCHABLE = re.compile('["\\x00\\ud800-\\udfff]')

_NO_LIMIT = 2**62


class Search:
    """The full-text index."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def texts(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Titles, prompts, summaries, errors and messages that hold all words of `query`, newest first."""
        if not isinstance(query, str) or type(limit) is not int or limit < 1:
            raise InvalidInput(
                f"search takes a text and a limit from 1, not {codec.shown(query)} and {codec.shown(limit)}"
            )
        words = quoted(query)
        if words is None:
            return []
        return [
            self._hit(row)
            for row in self._reader.rows("search_texts", query=words, limit=min(limit, _NO_LIMIT))
        ]

    def _hit(self, row: Row) -> SearchHit:
        source, run_id, thread_id, seq, text, text_ref, title, summary, error, prompt_ref = row
        if source == "message":
            excerpt = self._reader.values.text(text, text_ref)
        elif source == "prompt":
            excerpt = self._reader.values.text(None, prompt_ref)
        else:
            excerpt = {"title": title, "summary": summary, "error": _message_of(error)}.get(source) or title
        message_id = f"{thread_id}#{seq}" if thread_id is not None else None
        return SearchHit(
            source=source, run_id=run_id, message_id=message_id, excerpt=codec.clip(excerpt or "", 300)
        )


def quoted(query: str) -> str | None:
    """The words of a text as the index is asked for them; None without a word. Raises `InvalidInput`."""
    if not isinstance(query, str):
        raise InvalidInput(f"a search takes a text, not {codec.shown(query)}")
    # Each word is quoted, so that nothing in it is an operator; what holds no letter or digit finds nothing anyway.
    words = [word for word in _UNSEARCHABLE.sub(" ", query).split() if any(map(str.isalnum, word))]
    return " ".join(f'"{word}"' for word in words[:_MAX_WORDS]) or None


def _message_of(error: str | None) -> str:
    """The message of a stored error."""
    return "" if error is None else str(codec.decode(error).get("message", ""))
