"""Durable calls: what `ctx.child`, `ctx.step` and the others give back.

A call is a future whose record was claimed when it was called, not when it is awaited. `gather`, `asyncio.wait`,
`shield` and `ensure_future` take it as it is; `create_task` does, too, as the engine's task factory wraps it.
"""

import asyncio
from collections.abc import Callable
from typing import Any


class Call(asyncio.Future[Any]):
    """A durable call under way. `on_cancel` is told when the code stops awaiting it."""

    def __init__(self, kind: str, name: str, key: str, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.kind = kind
        self.name = name
        self.key = key
        self.detached = False
        self.waits = False
        """Nothing is left to do for it but to wait for children or for its time."""
        self.away = False
        """The run gave its slot up for it."""
        self.run_id: str | None = None
        """The only child's id, known once it exists: `ctx.continue_child` takes it."""
        self.child_ids: list[str] = []
        """The children that it waits for, known once they exist."""
        self.open_ids: set[str] = set()
        """Those of them that have not ended."""
        self.wake_at: int | None = None
        """When a timer fires or a question expires, microseconds UTC."""
        self.input_id: str | None = None
        """The question whose answer it waits for."""
        self.blocked: str | None = None
        """Why nothing in this process can end it: budget, paused, awaiting_user."""
        self.live = 0
        """Children that something in this process brings on."""
        self.failure_pks: list[int] = []
        """Failed children that it raises for."""
        self.on_cancel: Callable[[], object] | None = None
        # A failure that nobody awaits is the parent's business at its end, not a warning of the loop.
        self.add_done_callback(_retrieve)

    def cancel(self, msg: Any | None = None) -> bool:
        cancelled = super().cancel(msg)
        if cancelled and self.on_cancel is not None:
            self.on_cancel()
        return cancelled


async def awaited(call: Call) -> Any:
    """The call as a coroutine, for `create_task`."""
    return await call


def _retrieve(call: "asyncio.Future[Any]") -> None:
    if not call.cancelled():
        call.exception()
