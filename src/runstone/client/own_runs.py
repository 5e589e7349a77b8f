"""Runs of loops in this process whose ledger is on a server: starting them, going on with them, and keeping them."""

import os
import threading
import weakref
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone.client import connecting, spool
from runstone.client.addresses import segment
from runstone.client.http import Http
from runstone.client.leases import RemoteLeases
from runstone.client.parts import RemoteParts, saved_of
from runstone.client.queue import Queue
from runstone.client.reading import new_key
from runstone.client.sending import Sender
from runstone.continuing import Continuation, handed_over, working_folder
from runstone.domain.bounds import checked_message
from runstone.domain.clock import Clock
from runstone.domain.inputs import InputRequest
from runstone.domain.records import Record
from runstone.domain.redaction import Redactor
from runstone.engine.handle import RunHandle
from runstone.engine.wire import OpenRunOperation
from runstone.errors import ForkedLedger, LedgerClosed, NotFound, ServerUnreachable
from runstone.ledger import check_own_kind, new_run
from runstone.store.writer import Receipt, Unseen

FIRST_ATTEMPT: Final = 1
"""What a run that starts while the server is away is taken to be at; the server refuses it where it is not."""


class Health(Record, frozen=True, kw_only=True):
    """How a client stands with its server."""

    url: str
    reachable: bool
    """The last request of the sender was answered."""
    trouble: str | None
    waiting: int
    """Writes of this process that the server has not answered."""
    refused: int
    """Writes that the server or the spool refused; each is raised at its handle's next call."""
    adopted: int
    """Writes of killed processes that were delivered."""
    adopted_refused: int
    spools: int
    """Spools for this server on this machine, with this process's own."""
    spooled_bytes: int
    folder: str


class OwnRuns:
    """The runs of this process on one server. Its spool and its threads begin with the first of them."""

    def __init__(
        self,
        http: Http,
        clock: Clock,
        redactor: Redactor,
        base: Path,
        *,
        spool_bytes: int,
        ambient_url: str | None,
    ) -> None:
        self._http = http
        self._clock = clock
        self._redactor = redactor
        self._base = base
        self._spool_bytes = spool_bytes
        self._ambient_url = ambient_url
        self._lock = threading.Lock()
        self._sender: Sender | None = None
        self._queue: Queue | None = None
        self._leases: RemoteLeases | None = None
        self._parts: RemoteParts | None = None
        self._closed = False
        self._forked = False
        _all.add(self)

    def parts(self) -> RemoteParts:
        """The parts, made when they are first needed. Raises `StoreIO`, `LedgerClosed`, `ForkedLedger`."""
        with self._lock:
            if self._forked:
                raise ForkedLedger
            if self._closed:
                raise LedgerClosed
            if self._parts is None:
                self._open()
            assert self._parts is not None
            return self._parts

    def _open(self) -> None:
        name = self._new_id()
        owner = connecting.owner_of(name)
        own = spool.create(connecting.made(self._base), name, self._spool_bytes)
        own.set_owner(msgspec.json.encode(owner))
        self._sender = Sender(self._http, owner, name, self._base, limit_bytes=self._spool_bytes)
        self._queue = Queue(own, self._sender)
        self._leases = RemoteLeases(self._http, owner, self._queue.submit)
        self._parts = RemoteParts(self._http, self._queue, self._leases, self._clock, self._redactor)

    def _new_id(self) -> str:
        from runstone.domain import keys

        return keys.time_ordered_id(self._clock.now(), os.urandom(10))

    def start(self, *, run_id: str | None, parent: Any, cwd: Any, **fields: Any) -> RunHandle:
        """See `Ledger.start_run`. With the server away the run begins here, and is told when it is back."""
        parts = self.parts()
        kind, place = check_own_kind(fields.pop("kind")), working_folder(cwd)
        parent_id = self._parent(parent, run_id)
        new = new_run(parts, kind=kind, run_id=run_id, parent=parent_id, **fields)  # checks, and cleans
        told = {
            **new.identity,
            "kind": kind,
            "parent": parent_id,
            "thread_id": new.identity.get("parent_thread_id"),
        }
        for name in ("parent_run_id", "parent_thread_id", "prompt_ref", "input_ref"):
            told.pop(name, None)
        told |= {"prompt": new.prompt, "input": fields["input"], "cwd": place or None}
        told = {name: value for name, value in told.items() if value is not None}
        attempt = FIRST_ATTEMPT if run_id is None else self._coming(run_id)
        operation = OpenRunOperation(
            run_id=new.run_id, attempt=attempt, fields=told, at=new.at or self._clock.now()
        )
        unseen: list[Receipt] = Unseen()
        parts.queue.submit_operation(operation, unseen).result()
        assert self._leases is not None
        thread_id = fields.get("worker_thread_id") or f"{new.run_id}.thread"
        return RunHandle(parts, self._leases, new.run_id, attempt, unseen=unseen, worker_thread_id=thread_id)

    def _coming(self, run_id: str) -> int:
        """The attempt that a run of the caller's own id would begin, as far as it is known."""
        try:
            run = self._http.request("GET", f"/runs/{segment(run_id)}", tries=1, timeout_s=3.0).json()
        except (NotFound, ServerUnreachable):
            return FIRST_ATTEMPT
        return int(run["attempt"]) + 1

    def _parent(self, parent: Any, run_id: str | None) -> str | None:
        """The id of the parent; the ambient one is the run that this process was started for by the same server."""
        from runstone.engine.ambient import RUN_ID, Ambient

        if not isinstance(parent, Ambient):
            found = parent if isinstance(parent, str) else getattr(parent, "id", parent)
            return None if found is None else str(found)
        ambient = os.environ.get(RUN_ID)
        here = self._ambient_url == self._http.url
        return ambient if here and ambient and ambient != run_id else None

    def go_on(self, run_id: str, message: str | None, agent_id: str | None) -> RunHandle:
        """See `Ledger.continue_run`. The server is needed: it has the state."""
        told = None if message is None else self._redactor.message(checked_message(message))
        parts = self.parts()
        assert self._leases is not None
        body = {"owner": self._leases.owner, "agent_id": agent_id, "message": told}
        path = f"/handles/{segment(run_id)}/continue"
        answer: dict[str, Any] = self._http.post(path, body, key=new_key(), timeout_s=60.0)
        saved = saved_of(answer["state"], answer["checkpoint"])
        handle = RunHandle(
            parts, self._leases, run_id, answer["attempt"], state=answer["state"], saved=saved,
            worker_thread_id=answer["run"].get("worker_thread_id"),
        )  # fmt: skip
        answers, unanswered = (
            tuple(msgspec.convert(answer[name], list[InputRequest])) for name in ("answers", "unanswered")
        )
        found = Continuation(
            attempt=answer["attempt"], state=answer["state"], saved=saved, cwd=answer["cwd"], answers=answers,
            unanswered=unanswered, message_in=answer["message_in"],
        )  # fmt: skip
        return handed_over(handle, found)

    # --- ends ----------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """How it stands."""
        standing = spool.standing(self._base)
        sender, queue = self._sender, self._queue
        return Health(
            url=self._http.url, reachable=sender is None or not sender.away,
            trouble=None if sender is None or sender.trouble is None else str(sender.trouble),
            waiting=0 if queue is None else queue.waiting, refused=0 if queue is None else queue.refused,
            adopted=0 if sender is None else sender.adopted,
            adopted_refused=0 if sender is None else sender.adopted_refused,
            spools=standing.spools, spooled_bytes=standing.bytes, folder=standing.folder,
        )  # fmt: skip

    def flush(self, timeout: float | None) -> None:
        """Waits until every write so far is durable, there or in the spool; raises the first that failed unseen."""
        if self._queue is not None:
            self._queue.flush(timeout)

    def close(self, timeout: float | None) -> None:
        """Leaves open runs interrupted, and closes. What the server has not answered stays in the spool."""
        with self._lock:
            if self._closed or self._forked:
                return
            self._closed = True
        _all.discard(self)
        if self._queue is None or self._leases is None:
            return
        self._leases.close()
        try:
            self._queue.close(timeout)
        finally:
            self._leases.join()

    def forked(self) -> None:
        """Called in a forked child: the spool and the leases are the parent's."""
        self._lock, self._forked = threading.Lock(), True
        if self._queue is not None and self._leases is not None:
            self._queue.forked()
            self._leases.forked()


_all: "weakref.WeakSet[OwnRuns]" = weakref.WeakSet()


def _in_child() -> None:
    for one in list(_all):
        one.forked()


os.register_at_fork(after_in_child=_in_child)
