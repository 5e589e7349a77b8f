"""What the routes work with. A handler names what it needs, and is given it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from runstone.ledger import Ledger
from runstone.server.bulks import Bulks
from runstone.server.kept import KeptPages
from runstone.server.running import Engine
from runstone.server.security.sessions import Codes
from runstone.server.security.tokens import Tokens
from runstone.server.settings import Settings
from runstone.server.stream.hub import Hub

_T = TypeVar("_T")
THREADS: Final = 4
"""Threads for what may take long, of each kind. More would only wait for the same interpreter and disk."""


class Aside:
    """Runs what may take long in a few threads, so that the event loop stays free for the others."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix=name)

    async def __call__(self, function: Callable[..., _T], *args: Any, **named: Any) -> _T:
        """What the function gives. Reads of a row or two are not worth the hop: call them as they are."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **named))

    def close(self) -> None:
        """Takes no more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one server."""

    ledger: Ledger
    settings: Settings
    tokens: Tokens
    codes: Codes
    port: int
    engine: Engine
    bulks: Bulks
    reads: Aside
    writes: Aside
    """Of their own, so that a ledger that another process holds keeps no reader waiting."""
    hub: Hub
    """Reads the ledger for all who follow it."""
    pages: KeptPages
    stopping: asyncio.Event
    """Set when the server is about to end; streams end then."""


LedgerPart = NamedDependency[SkipValidation[Ledger]]
ReadsPart = NamedDependency[SkipValidation[Aside]]
WritesPart = NamedDependency[SkipValidation[Aside]]
EnginePart = NamedDependency[SkipValidation[Engine]]
AllParts = NamedDependency[SkipValidation[Parts]]


def provided(parts: Parts) -> dict[str, Provide]:
    """The parts by the names that handlers give them: `ledger`, `reads`, `writes`, `engine`; `parts` has all."""

    def give(part: Any) -> Provide:
        return Provide(lambda: part, sync_to_thread=False, use_cache=True)

    named = {name: give(getattr(parts, name)) for name in ("ledger", "reads", "writes", "engine")}
    return {**named, "parts": give(parts)}
