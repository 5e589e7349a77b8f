"""The ledger of a server, as a ledger in this process is used."""

import asyncio
import atexit
import os
import weakref
from types import TracebackType
from typing import Any, Self

from runstone.client import SPOOL_BYTES, connecting
from runstone.client.http import Http
from runstone.client.own_runs import Health, OwnRuns
from runstone.domain.clock import Clock
from runstone.domain.records import AgentRun
from runstone.domain.redaction import Hook, Redactor
from runstone.engine.ambient import AMBIENT, Ambient
from runstone.engine.handle import RunHandle
from runstone.errors import RunstoneError
from runstone.store.clock import SystemClock

_EXIT_S = 10.0
"""So long the end of the process waits for writes that nobody waited for; what is left stays in the spool."""

_open: "weakref.WeakSet[RemoteLedger]" = weakref.WeakSet()


class RemoteLedger:
    """A server's ledger. Thread-safe. Close it, or use it as a context manager."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        *,
        spool_bytes: int = SPOOL_BYTES,
        redact: bool | Hook = True,
        clock: Clock | None = None,
    ) -> None:
        address = connecting.url_of(url)
        self._http = Http(address, connecting.token_of(address, token))
        self.url = self._http.url
        connecting.require_let_in(self._http)
        self._own = OwnRuns(
            self._http, clock or SystemClock(), _redactor(redact), connecting.spool_folder(self.url, spool),
            spool_bytes=spool_bytes, ambient_url=os.environ.get(connecting.URL),
        )  # fmt: skip
        _open.add(self)

    # --- loops of one's own --------------------------------------------------------------------------------------

    def start_run(
        self,
        *,
        kind: str = "subagent",
        agent_id: str | None = None,
        agent_version: str | None = None,
        parent: "RunHandle | AgentRun | str | Ambient | None" = AMBIENT,
        title: str | None = None,
        prompt: str | None = None,
        input: Any = None,
        thread_id: str | None = None,
        worker_thread_id: str | None = None,
        task_board_id: str | None = None,
        task_card_id: str | None = None,
        labels: dict[str, str] | None = None,
        options: dict[str, Any] | None = None,
        cwd: "str | os.PathLike[str] | None" = None,
        run_id: str | None = None,
    ) -> RunHandle:
        """Starts a run and gives its handle, as `Ledger.start_run` does.

        While the server is away the run begins in the spool, and is told to the server with what follows.
        """
        return self._own.start(
            kind=kind, agent_id=agent_id, agent_version=agent_version, parent=parent, title=title, prompt=prompt,
            input=input, thread_id=thread_id, worker_thread_id=worker_thread_id, task_board_id=task_board_id,
            task_card_id=task_card_id, labels=labels, options=options, cwd=cwd, run_id=run_id,
        )  # fmt: skip

    def continue_run(
        self, run_id: str, message: str | None = None, *, agent_id: str | None = None
    ) -> RunHandle:
        """Opens the next attempt of a run of your own loop, as `Ledger.continue_run` does. The server is needed."""
        return self._own.go_on(run_id, message, agent_id)

    # --- care ----------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """How this client stands with the server: what waits, what was refused, what lies in the spool."""
        return self._own.health()

    def flush(self, timeout: float | None = 60.0) -> None:
        """Waits until every write so far is durable, there or in the spool; raises the first that failed unseen."""
        self._own.flush(timeout)

    def close(self, timeout: float | None = 60.0) -> None:
        """Leaves open runs interrupted, flushes and closes. Raises the first write that failed unseen."""
        _open.discard(self)
        try:
            self._own.close(timeout)
        finally:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)


def _redactor(redact: bool | Hook) -> Redactor:
    """The usual redactor; the server cleans with the workspace's own rules again."""
    if redact is False:
        return Redactor(enabled=False)
    return Redactor(hook=None if redact is True else redact)


def _close_all() -> None:
    failed: RunstoneError | None = None
    for ledger in list(_open):
        try:
            ledger.close(_EXIT_S)
        except RunstoneError as error:
            failed = failed or error
    if failed is not None:
        raise failed


atexit.register(_close_all)
