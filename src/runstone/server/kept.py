"""Pages of runs that were made and are given again, while nothing has changed: neither in the ledger nor by the clock.

A page follows from what is asked, from what is committed, from which owners are dead, and from the time: leases end,
questions expire, and owners fall silent. Each time all four are looked at, so what is given is what would be made.
"""

from typing import Any, Final

import msgspec
from litestar import Request, Response

from runstone.server.bodies import JSON
from runstone.store.reads import Reader

_PAGES: Final = 64
_PAGE_BYTES: Final = 131_072
"""At most 8 MB in all."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A page as JSON, and the moment (microseconds) from which on it would be another one; None: only by a commit."""

    body: bytes
    until: int | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand: which commit is the last, and who is dead."""

    commit: int
    dead: str


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    made: Made
    standing: Standing
    at: int


class KeptPages:
    """The pages of one server. Use in its event loop's thread: the last commit is the one that its connection saw."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._pages: dict[bytes, _Kept] = {}
        self._commit = 0

    def standing(self) -> Standing:
        """How things stand. Look before a page is made: a commit while it is made leaves it unused, and never wrong."""
        if self._reader.db.changed_elsewhere():
            self._commit += 1
            self._pages.clear()
        return Standing(commit=self._commit, dead=self._reader.liveness()["dead"])

    def keep(self, query: bytes, standing: Standing, made: Made) -> None:
        """Keeps what was made of a query that is taken, since things stood so."""
        if len(made.body) > _PAGE_BYTES:
            return
        if len(self._pages) >= _PAGES:
            del self._pages[next(iter(self._pages))]
        self._pages[query] = _Kept(made=made, standing=standing, at=self._reader.now())

    def given_again(self, query: bytes) -> bytes | None:
        """The page of that query, if it would be made like that now."""
        standing, now = self.standing(), self._reader.now()
        kept = self._pages.get(query)
        if kept is None or kept.standing != standing or now < kept.at:
            return None
        return kept.made.body if kept.made.until is None or now < kept.made.until else None


def answer(body: bytes) -> Response[Any]:
    """A page as an answer."""
    return Response(body, media_type=JSON)


async def again(request: Request[Any, Any, Any]) -> Response[Any] | None:
    """Answers before the query is read a second time; None where the page must be made."""
    pages: KeptPages = request.app.state.pages
    body = pages.given_again(request.scope["query_string"])
    return None if body is None else answer(body)
