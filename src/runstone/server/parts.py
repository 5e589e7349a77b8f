"""What the routes work with. A handler names what it needs, and is given it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from runstone.ledger import Ledger
from runstone.server.security.sessions import Codes
from runstone.server.security.tokens import Tokens
from runstone.server.settings import Settings
from runstone.server.stream.hub import Hub

_T = TypeVar("_T")
READERS: Final = 4
"""Threads for reads that may take long. More would only wait for the same interpreter and disk."""


class Reads:
    """Runs reads that may take long in a few threads, so that the event loop stays free for the others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="runstone-read")

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
    reads: Reads
    hub: Hub
    """Reads the ledger for all who follow it."""
    stopping: asyncio.Event
    """Set when the server is about to end; streams end then."""


LedgerPart = NamedDependency[SkipValidation[Ledger]]
ReadsPart = NamedDependency[SkipValidation[Reads]]
AllParts = NamedDependency[SkipValidation[Parts]]


def provided(parts: Parts) -> dict[str, Provide]:
    """The parts under the names by which handlers ask for them: `ledger`, `reads`, and `parts` for all."""

    def give(part: Any) -> Provide:
        return Provide(lambda: part, sync_to_thread=False, use_cache=True)

    return {"ledger": give(parts.ledger), "reads": give(parts.reads), "parts": give(parts)}
