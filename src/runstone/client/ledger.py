"""The ledger of a server, as a ledger in this process is used."""

import asyncio
import atexit
import os
import time
import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

from runstone.client import SPOOL_BYTES, connecting, decoding
from runstone.client.addresses import segment
from runstone.client.http import Http
from runstone.client.notebooks import RemoteBoards, RemoteThreads
from runstone.client.nouns import LOOK_S, RemoteCheckpoints, RemoteCommands, RemoteInputs, RemoteOverview
from runstone.client.own_runs import Health, OwnRuns
from runstone.client.views import RemoteViews
from runstone.client.working import RemoteWork
from runstone.domain.clock import Clock
from runstone.domain.inputs import InputRequest
from runstone.domain.records import AgentRun, Command
from runstone.domain.redaction import Hook, Redactor
from runstone.engine.ambient import AMBIENT, Ambient
from runstone.engine.handle import RunHandle
from runstone.errors import Misuse, RunstoneError
from runstone.store.clock import SystemClock

NOT_OVER_A_SERVER: Final = {
    "care": "verify, prune, export and import work on the workspace's files, on the server's machine",
    "core": "a part of a ledger in this process",
    "create_run": "a part of the engine",
    "deliveries": "what is told is in the hand of a process of the ledger's machine; `ledger.wait` waits for runs",
    "end_orphans": "processes are ended on their machine",
    "exec": "a command line never goes over HTTP; start it on the server's machine: runstone exec",
    "ingest": "send batches to /runs/{id}/events; this client's own runs have handles",
    "reader": "a part of a ledger in this process",
    "readonly": "a token has a role instead",
    "reconcile": "the server does it",
    "reprice": "costs are computed anew in the workspace, on the server's machine",
    "resume_exec": "commands are started on their machine",
    "signals": "a part of a ledger in this process",
    "supervisor": "a part of a ledger in this process",
    "workspace": "it is on the server's machine",
}
"""What a ledger in this process has, and a server's has not, and why."""

_EXIT_S = 10.0
"""So long the end of the process waits for writes that nobody waited for; what is left stays in the spool."""

_open: "weakref.WeakSet[RemoteLedger]" = weakref.WeakSet()


class RemoteLedger(RemoteWork):
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
        http = Http(address, connecting.token_of(address, token))
        super().__init__(http)
        self.url = self._http.url
        try:
            connecting.require_let_in(http)
        except BaseException:
            http.close()
            raise
        self.threads = RemoteThreads(http)
        self.boards = RemoteBoards(http)
        self.inputs = RemoteInputs(http, self)
        self.commands = RemoteCommands(http)
        self.views = RemoteViews(http, self)
        self.checkpoints = RemoteCheckpoints(http)
        self.overview = RemoteOverview(http, self)
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

    def update_run(
        self,
        run_id: str,
        *,
        title: str | None = None,
        labels: dict[str, str] | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
    ) -> AgentRun:
        """Edits the title, the labels or the marks (`pinned`, `archived`) of a run."""
        changes = {"title": title, "labels": labels, "pinned": pinned, "archived": archived}
        body = {name: value for name, value in changes.items() if value is not None}
        return decoding.run_of(self._http.patch(f"/runs/{segment(run_id)}", body))

    # --- orders --------------------------------------------------------------------------------------------------

    def answer(self, input_id: str, response: Any, *, by: str | None = None) -> InputRequest:
        """Answers a question of a run; see `ledger.inputs.answer`."""
        return self.inputs.answer(input_id, response, by=by)

    def command(
        self,
        run_id: str,
        verb: str,
        message: str | None = None,
        *,
        scope: str = "subtree",
        by: str | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Command:
        """Orders a run, as `Ledger.command` does; sent again until it is answered, it is given once."""
        return self.commands.give(
            run_id, verb, message, scope=scope, by=by, reason=reason, idempotency_key=idempotency_key
        )

    def wait(self, run_id: str, timeout: float | None = None) -> AgentRun:
        """Waits until the run has ended, is interrupted or waits for a person; after `timeout` seconds as it is."""
        return self.wait_all([run_id], timeout)[0]

    def wait_all(self, run_ids: str | Iterable[str], timeout: float | None = None) -> list[AgentRun]:
        """`wait` for several runs; gives them in the order in which they were named."""
        ids = [run_ids] if isinstance(run_ids, str) else list(run_ids)
        return self._wait(ids, len(set(ids)), timeout)

    def wait_any(self, run_ids: str | Iterable[str], timeout: float | None = None) -> list[AgentRun]:
        """`wait` for the first of several runs; gives all of them as they then are."""
        ids = [run_ids] if isinstance(run_ids, str) else list(run_ids)
        return self._wait(ids, min(1, len(ids)), timeout)

    def _wait(self, ids: list[str], count: int, timeout: float | None) -> list[AgentRun]:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            runs = {run_id: self.get_run(run_id) for run_id in dict.fromkeys(ids)}
            left = LOOK_S if until is None else until - time.monotonic()
            if left <= 0 or sum(map(self.overview.settled, runs.values())) >= count:
                return [runs[run_id] for run_id in ids]
            time.sleep(min(LOOK_S, left))

    def __getattr__(self, name: str) -> Any:
        """Raises `Misuse`, with the reason, for what a ledger in this process has and a server's has not."""
        if name in NOT_OVER_A_SERVER:
            raise Misuse(f"ledger.{name} is not there with a server: {NOT_OVER_A_SERVER[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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
