"""The ledger: the facade over one workspace, and the only place where its parts are put together."""

import asyncio
import atexit
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from runstone import continuing, reports
from runstone import workspace as places
from runstone.caring import Care
from runstone.checkpoints import Checkpoints
from runstone.commands import Commands
from runstone.domain import codec, keys
from runstone.domain.bounds import asked_id, checked_mark, options_of
from runstone.domain.clock import Clock
from runstone.domain.inputs import InputRequest
from runstone.domain.records import (
    AgentRun,
    Attempt,
    Command,
    Counts,
    Ingested,
    JournalEntry,
    Lease,
    Page,
    PhaseState,
    ProcessRecord,
    Repriced,
    RunEvent,
    RunTelemetry,
    SearchHit,
    Timeline,
    TreeNode,
    TreeRow,
    UsageRow,
)
from runstone.domain.redaction import Hook, Redactor
from runstone.domain.runs import RUN_KINDS
from runstone.domain.secrets import Source
from runstone.engine.ambient import AMBIENT, Ambient, ambient_parent
from runstone.engine.core import Core, Desk, Signals, Watch
from runstone.engine.handle import RunHandle
from runstone.engine.liveness import DeadOwners
from runstone.engine.supervisor import HEARTBEAT_S, LEASE_S, Supervisor
from runstone.errors import ForkedLedger, InvalidInput, RunstoneError, StoreReadOnly
from runstone.feeds import Tail, Waiter
from runstone.inputs import Inputs
from runstone.notebooks import Boards, Threads
from runstone.overview import Overview
from runstone.redacting import redactor_of
from runstone.retention import default_of
from runstone.store import backends, lists
from runstone.store.blobs import pack, pack_value
from runstone.store.reads import Reader
from runstone.store.writer import Writer
from runstone.store.writes.lifecycle import CreateRun, NewRun, OpenRun, UpdateRun
from runstone.views import Views

if TYPE_CHECKING:
    from runstone.care.retaining import Retainer
    from runstone.domain.comparison import Comparison
    from runstone.engine.deliveries import Delivery

_EXIT_S = 10.0
"""So long the end of the process waits for writes that nobody waited for."""

_open_ledgers: "set[Ledger]" = set()
"""Ledgers live until they are closed: handles may outlast the name that a caller gave to the ledger."""

_inherited: set[tuple[int, int]] = set()
"""Files whose ledgers were open when this process was forked. SQLite's memory of their locks was copied, the locks were
not: a second connection here would take itself for locked, and could destroy what the parent writes."""

_OWN_KINDS = RUN_KINDS - {"workflow", "workflow_child"}
"""Kinds of a loop of one's own; the engine makes the others."""


class Ledger:
    """One workspace, open in this process. Thread-safe. Close it, or use it as a context manager."""

    def __init__(
        self,
        workspace: places.Workspace,
        *,
        readonly: bool = False,
        clock: Clock | None = None,
        lease_s: float = LEASE_S,
        heartbeat_s: float = HEARTBEAT_S,
        redact: bool | Hook = True,
        secrets: Source | None = None,
    ) -> None:
        self.workspace = workspace
        self.readonly = readonly
        self._closed = False
        self._forked = False
        self._retainer: Retainer | None = None
        place = workspace.dsn or workspace.database
        if _inherited and _file(place) in _inherited:
            raise ForkedLedger(f"{place} was open when this process was forked from its parent")
        backend = backends.of(place)
        self._clock = clock or backend.clock(place)
        redactor = Redactor() if readonly else redactor_of(workspace.root, redact)
        for password in places.passwords_of(workspace.dsn or ""):  # commands that it starts have it
            redactor.know(places.DSN, password)
        if not readonly:
            backend.prepare(place, create=workspace.may_begin)
            places.protect(workspace)
        self._identity = _file(place)
        connect = backend.reader(place, check=readonly)
        self._reader = Reader(connect, self._clock, dead=DeadOwners(self._clock))
        signals = Signals(Watch(backend.reader(place)))
        self._signals = signals
        self._writer: Writer | None = None
        self._supervisor: Supervisor | None = None
        if not readonly:
            self._writer = Writer(backend.writer(place), self._clock, on_commit=signals.committed)
            self._core = Core(
                self._writer, self._reader, self._clock, signals, workspace.folder, redactor=redactor
            )
            self._core.secrets = secrets
            self._core.root, self._core.dsn = workspace.root, workspace.dsn
            self._core.retain = self._retain
            self._retention = default_of(workspace.root)
            self._supervisor = Supervisor(self._core, lease_s=lease_s, heartbeat_s=heartbeat_s)
        self.threads = Threads(self)
        self.boards = Boards(self)
        self.inputs = Inputs(self)
        self.commands = Commands(self)
        self.views = Views(self)
        self.checkpoints = Checkpoints(self)
        self.overview = Overview(self)
        self.care = Care(self)
        _open_ledgers.add(self)
        if self._supervisor is not None:
            try:
                self._supervisor.reconcile()
            except BaseException:
                self.close()
                raise

    # --- parts, for the engine -----------------------------------------------------------------------------------

    @property
    def core(self) -> Core:
        """Writer, reader, clock and signals. Raises `StoreReadOnly` for a ledger that was opened for reading."""
        if self._writer is None:
            raise StoreReadOnly("this ledger was opened for reading", hint="open it without readonly=True")
        return self._core

    def _retain(self, run_id: str) -> None:
        if self._retainer is None:
            from runstone.care.retaining import Retainer

            self._retainer = Retainer(self, self._retention)
        self._retainer.ask(run_id)

    @property
    def supervisor(self) -> Supervisor:
        """Leases of this process."""
        if self._supervisor is None:
            raise StoreReadOnly("this ledger was opened for reading", hint="open it without readonly=True")
        return self._supervisor

    @property
    def reader(self) -> Reader:
        """The reading half."""
        return self._reader

    @property
    def signals(self) -> Signals:
        """Who is told of changes."""
        return self._signals

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
        cwd: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
    ) -> RunHandle:
        """Starts a run and gives its handle; row and lease are durable when this returns.

        `parent` may be a handle, a run or an id, also one that the ledger does not know yet; None makes a root. Without
        it the run is a child of the one that this process was started for (`$RUNSTONE_RUN_ID`). With your own `run_id`,
        creation is idempotent. `cwd` is the folder that it works in, for who continues it; by default the current one.
        Raises `RunIsLive` if that run is running, `RunMismatch` if it is another one.
        """
        new = new_run(
            self.core, kind=check_own_kind(kind), run_id=run_id, parent=parent, agent_id=agent_id,
            agent_version=agent_version, title=title, prompt=prompt, input=input, thread_id=thread_id,
            worker_thread_id=worker_thread_id, task_board_id=task_board_id, task_card_id=task_card_id, labels=labels,
            options=options,
        )  # fmt: skip
        place = continuing.working_folder(cwd)
        head = self.core.submit(OpenRun(new, self.supervisor.owner, place), []).result().head
        handle = RunHandle(self.core, self.supervisor, head.run_id, head.attempt)
        handle.cwd = place or None
        return handle

    def exec(
        self,
        command: Sequence[str],
        *,
        agent_id: str | None = None,
        title: str | None = None,
        labels: dict[str, str] | None = None,
        parent: "RunHandle | AgentRun | str | Ambient | None" = AMBIENT,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        facts: dict[str, Any] | None = None,
        thread_id: str | None = None,
        task_board_id: str | None = None,
        task_card_id: str | None = None,
        restart: dict[str, Any] | None = None,
        resume_command: Sequence[str] | None = None,
        timeout_s: float | None = None,
        run_id: str | None = None,
        wait_s: float = 10,
    ) -> AgentRun:
        """Starts a command as a durable background agent, and gives its run once it runs. It outlives this process.

        What it prints goes line by line into the run's worker thread. `env` is its whole environment, by default that
        of this process; `facts` is kept in the run's input. `restart` is {"on": "failure", "max": 3, "delay_s": 1}.
        With your own `run_id` it is started once. Raises `CommandNotFound`, `CommandNotExecutable`,
        `CommandInputRefused` if it cannot run (then the run has failed with that error), and `RunMismatch`.
        """
        from runstone import background

        return background.start(
            self, command, agent_id=agent_id, title=title, labels=labels, parent=parent, cwd=cwd, env=env, stdin=stdin,
            facts=facts, thread_id=thread_id, task_board_id=task_board_id, task_card_id=task_card_id, restart=restart,
            timeout_s=timeout_s, run_id=run_id, wait_s=wait_s, resume_command=resume_command,
        )  # fmt: skip

    def resume_exec(self, run_id: str, *, message: str | None = None, wait_s: float = 10) -> AgentRun:
        """Goes on with a command of `exec`: one that still runs is watched again, any other is started again.

        With a `message` it is started again with that, in `$RUNSTONE_RESUME`; a question that it asks is withdrawn.
        Gives the run once its command runs; a completed or running one as it is. Raises as `exec` does.
        """
        from runstone import background

        return background.resume(self, run_id, wait_s=wait_s, message=message)

    def continue_run(
        self, run_id: str, message: str | None = None, *, agent_id: str | None = None
    ) -> RunHandle:
        """Opens the next attempt of a paused, answered, failed or interrupted run of your own. Of two calls one wins.

        The handle has the last checkpoint's `state`, the `answers` that came, the `cwd`, and the `message_in`, which is
        in the worker thread. With a message a run goes on without an answer: its questions are withdrawn, and are in
        `unanswered`. Raises `AwaitingInput`, `RunIsLive` (it says who), `RunMismatch`, `IllegalTransition`, and
        `StoreCorrupt` for a checkpoint that is damaged or missing.
        """
        return continuing.continue_run(self, run_id, message, agent_id)

    def create_run(self, *, kind: str, **fields: Any) -> AgentRun:
        """Creates a run that nobody works on yet (`pending`). Fields are those of `start_run`; the engine uses it."""
        new = new_run(self.core, kind=kind, **fields)
        self.core.submit(CreateRun(new), []).result()
        return self.get_run(new.run_id)

    def ingest(self, items: Iterable[dict[str, Any]], *, run_id: str | None = None) -> list[Ingested]:
        """Takes in what was seen elsewhere: runs, events, usage and messages; gives what became of each.

        Each is an object with "item" (run, event, usage, message), "run_id" and the fields of that item. Keys and
        request ids make repeats harmless, the order does not matter where `at` is given, and one that is refused takes
        none of the others along. With `run_id` all are of that run. Durable when this returns.
        """
        from runstone import ingesting

        return ingesting.take(self.core, items, run_id)

    def update_run(
        self,
        run_id: str,
        *,
        title: str | None = None,
        labels: dict[str, str] | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
    ) -> AgentRun:
        """Edits the title or the labels of a run, pins it, or puts it into the archive, out of lists and counts.

        Marks of a run leave its `updated_at` as it is.
        """
        marks = {"pinned": pinned, "archived": archived}
        changes: dict[str, Any] = {
            name: checked_mark(name, value) for name, value in marks.items() if value is not None
        }
        if title is not None:
            changes["title"] = self.core.clean("title", title)
        if labels is not None:
            changes["labels"] = self.core.clean_labels(labels)
        self.core.submit(UpdateRun(asked_id("a run's id", run_id), changes), []).result()
        return self.get_run(run_id)

    def end_orphans(self, run_id: str) -> None:
        """Ends process groups that earlier attempts of the run left on this machine, and records it."""
        from runstone.engine.orphans import end_orphans

        end_orphans(self.core, self.supervisor, run_id)

    # --- reading -------------------------------------------------------------------------------------------------

    def resolve(self, text: str) -> str:
        """The run id that has `text` in it. Raises `NotFound` or `AmbiguousId`."""
        return self._reader.runs.resolve(text)

    def get_run(self, run_id: str) -> AgentRun:
        """The run; a `WorkflowRun` for a workflow. Raises `NotFound`."""
        return self._reader.runs.get(run_id)

    def list_runs(
        self,
        *,
        status: lists.Filter = None,
        bucket: lists.Filter = None,
        kind: lists.Filter = None,
        agent_id: lists.Filter = None,
        parent_id: lists.Filter = None,
        root_id: lists.Filter = None,
        thread_id: lists.Filter = None,
        labels: Mapping[str, lists.Filter] | None = None,
        q: str | None = None,
        archived: bool | None = False,
        limit: int = 50,
        cursor: str | None = None,
        sort: str = "updated",
        order: str = "desc",
        superseded: bool = True,
        **more: Any,
    ) -> Page[AgentRun]:
        """A page of runs; each filter takes one value or several. `sort` is updated, created, ended, duration or cost.

        `q` is for words in titles, prompts, summaries, errors and messages. The archive is left out; `archived` takes
        True for it alone, None for all. More filters: worker_thread_id, board_id, card_id, phase, definition_id, depth,
        forked_from, pinned, and times: created_from, created_to (not included), and so for updated and ended. Unknown
        ends, durations and costs come last. Raises `InvalidInput`, `InvalidCursor`.
        """
        filters = {
            "status": status, "bucket": bucket, "kind": kind, "agent_id": agent_id, "parent_id": parent_id,
            "root_id": root_id, "thread_id": thread_id, "labels": labels, "q": q, "archived": archived, **more,
        }  # fmt: skip
        return lists.list_runs(
            self._reader, filters, sort=sort, order=order, limit=limit, cursor=cursor, superseded=superseded
        )

    def counts(self, **filters: Any) -> Counts:
        """How many runs are in each bucket (needs_input, working, completed, failed, stopped), by the same filters.

        Filters by status and bucket are passed over. `complete` is False where it stopped counting.
        """
        return lists.count_by_bucket(self._reader, {"archived": False, **filters})

    def events(
        self,
        run_id: str,
        *,
        after: int = 0,
        before: int | None = None,
        order: str = "asc",
        types: lists.Filter = None,
        min_importance: int | None = None,
        limit: int = 100,
        max_bytes: int | None = None,
    ) -> Page[RunEvent]:
        """Events of a run with `seq` above `after` and below `before`, from the oldest or, `order="desc"`, the newest.

        `types` are types or beginnings such as `tool.`. `next_cursor` is the `after` of the next page, or its `before`.
        A payload in a blob of more than `max_bytes` is left out: `payload_ref` and `payload_bytes` tell of it.
        """
        from runstone.store import event_pages

        return event_pages.page(
            self._reader, run_id, after=after, before=before, order=order, types=types,
            min_importance=min_importance, limit=limit, max_bytes=max_bytes,
        )  # fmt: skip

    def tail(
        self, after: str | None = None, *, timeout: float | None = None, run_id: str | None = None
    ) -> Tail:
        """Events of the workspace in commit order from the cursor on, then as they come; `for` and `async for`.

        Without `after` it begins now; `timeout` seconds without an event end it. A foreign cursor gives one event
        `ledger.reset` and begins at the oldest; where events after the cursor were removed, `ledger.gap` says so.
        """
        return Tail(self._reader, self._signals, after=after, timeout=timeout, run_id=run_id)

    def tree(self, run_id: str) -> TreeNode:
        """The run with all below it, with own and subtree totals."""
        return self._reader.runs.tree(run_id)

    def tree_page(
        self, run_id: str, *, depth: int | None = None, limit: int = 200, cursor: str | None = None
    ) -> Page[TreeRow]:
        """The run and those below it by pages: level by level, siblings as they were created; `depth` levels at most.

        Raises `NotFound`, `InvalidInput`, `InvalidCursor`.
        """
        from runstone.store import trees

        return trees.page(self._reader, run_id, depth=depth, limit=limit, cursor=cursor)

    def timeline(
        self,
        run_id: str,
        *,
        depth: int | None = None,
        limit: int = 200,
        cursor: str | None = None,
        buckets: int = 20,
        since: str | None = None,
    ) -> Timeline:
        """What a timeline draws of the run and those below it, by pages as `tree_page` has them.

        Of each run its attempts, the times between them, and tool calls and steps in at most `buckets` parts of its
        time. Of very many attempts and events the newest are drawn, and `partial` says so. `since` is the `as_of` of
        an earlier look: only what has events since then is told, or all of it where that is long ago.
        """
        from runstone.store import timelines

        return timelines.page(
            self._reader, run_id, depth=depth, limit=limit, cursor=cursor, buckets=buckets, since=since
        )

    def telemetry(self, run_id: str) -> RunTelemetry:
        """Tokens, cost, times and tool counts, own and subtree."""
        return self._reader.usage.of(run_id)

    def usage(
        self,
        by: Sequence[str] | str = ("model",),
        *,
        since: reports.Moment = None,
        until: reports.Moment = None,
        run_id: str | None = None,
        labels: dict[str, str] | None = None,
        **filters: reports.Filter,
    ) -> list[UsageRow]:
        """What was spent, summed by day or hour (UTC), model, provider, agent, workflow, thread, run or label:NAME.

        From `since` on, to before `until` (naive times and dates are UTC); of a run with all below it, or of all. More
        filters, each a value or several: provider, model, agent, workflow, thread. Removed runs are in it.
        """
        return reports.usage(
            self._reader, by, since=since, until=until, run_id=run_id, labels=labels, **filters
        )

    def reprice(
        self,
        *,
        dry_run: bool = False,
        since: reports.Moment = None,
        until: reports.Moment = None,
        provider: reports.Filter = None,
        model: reports.Filter = None,
    ) -> list[Repriced]:
        """Computes costs anew that no report told, and moves all sums; gives what changed, or would, by model.

        Each request at the prices of its time. Raises `PricesMissing` without the extra `prices`.
        """
        from runstone.repricing import reprice

        core = None if dry_run else self.core
        return reprice(self._reader, core, since=since, until=until, provider=provider, model=model)

    def phases(self, run_id: str) -> list[PhaseState]:
        """The phases of a workflow run, from its events and children; planned ones are shown before they start."""
        from runstone.engine.phase_states import phase_states

        return phase_states(self._reader, self.get_run(run_id))

    def compare(self, a: str, b: str | None = None) -> "Comparison":
        """How two runs differ, as wholes, by phase and by child; with one id, a fork and its source.

        Raises `NotFound`, and `InvalidInput` for one id that is no fork and has none.
        """
        from runstone.comparing import compare

        return compare(self, a, b)

    def attempts(self, run_id: str) -> list[Attempt]:
        """The attempts of a run, from the first."""
        return self._reader.attempts.of(run_id)

    def lease(self, run_id: str) -> Lease | None:
        """The lease of the open attempt."""
        return self._reader.attempts.lease(run_id)

    def processes(self, run_id: str) -> list[ProcessRecord]:
        """The process groups that a run started."""
        return self._reader.attempts.processes(run_id)

    def journal(self, run_id: str) -> list[JournalEntry]:
        """What a run knows: its finished steps and its children."""
        return self._reader.journal.of(run_id)

    def input(self, run_id: str) -> Any:
        """The run's input, as it was given."""
        return self._reader.values.json(self.get_run(run_id).input_ref)

    def prompt(self, run_id: str) -> str | None:
        """The run's prompt."""
        ref = self.get_run(run_id).prompt_ref
        return None if ref is None else self._reader.values.blob(ref).decode()

    def result(self, run_id: str) -> Any:
        """The run's result; None if it has none."""
        return self._reader.values.json(self.get_run(run_id).result_ref)

    def blob(self, digest: str) -> bytes:
        """The raw bytes behind a reference, checked against it."""
        return self._reader.values.blob(digest)

    def search(self, text: str, *, limit: int = 20) -> list[SearchHit]:
        """Titles, prompts, summaries, errors and messages that hold all words of `text`, newest first."""
        return self._reader.search.texts(text, limit)

    def cursor(self) -> str:
        """The cursor of the newest event, for `tail(after=...)`."""
        return f"{self._reader.events.epoch()}-{self._reader.events.last_position()}"

    # --- orders and care -----------------------------------------------------------------------------------------

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
        """Orders a run to `stop`, `pause`, `resume`, `retry`, or to hear a `message` (`steer`); gives the order.

        Its status says what became of it: `applied` at once where nobody has to see it, else `requested`. `scope` is
        run or subtree, for stop, pause and resume. The same `idempotency_key` gives the same order back, another one
        under it raises `CommandConflict`. Raises `IllegalTransition`, with a hint, for a run that takes no such order.
        """
        return self.commands.give(
            run_id, verb, message, scope=scope, by=by, reason=reason, idempotency_key=idempotency_key
        )

    def wait(self, run_id: str, timeout: float | None = None) -> AgentRun:
        """Waits until the run has ended, is interrupted or waits for a person; after `timeout` seconds as it is."""
        return Waiter(self._reader, self._signals, self.workspace.folder).wait(run_id, timeout)

    def wait_all(self, run_ids: str | Iterable[str], timeout: float | None = None) -> list[AgentRun]:
        """`wait` for several runs; gives them in the order in which they were named."""
        ids = [run_ids] if isinstance(run_ids, str) else list(run_ids)
        return Waiter(self._reader, self._signals, self.workspace.folder).wait_for(
            ids, len(set(ids)), timeout
        )

    def wait_any(self, run_ids: str | Iterable[str], timeout: float | None = None) -> list[AgentRun]:
        """`wait` for the first of several runs; gives all of them as they then are."""
        ids = [run_ids] if isinstance(run_ids, str) else list(run_ids)
        return Waiter(self._reader, self._signals, self.workspace.folder).wait_for(
            ids, min(1, len(ids)), timeout
        )

    def deliveries(
        self,
        listener: str,
        *,
        run_id: str | Iterable[str] | None = None,
        parent: str | None = None,
        root: str | None = None,
        thread_id: str | None = None,
        limit: int = 100,
        hold_s: float = 60.0,
        timeout: float | None = 0.0,
    ) -> "list[Delivery]":
        """Ends that a listener has not acknowledged, each with its run and `result`: of runs, of all children of a run,
        of a tree, or of those started from a thread. Waits up to `timeout` seconds for the first one.

        Each is told until `ack()`, and never after; a run that was resumed and ended again is told again. For `hold_s`
        no other process of the same listener is given it, unless this one is gone.
        """
        from runstone.engine.deliveries import meant, take_ends

        runs = meant(self._reader, run_id=run_id, parent=parent, root=root, thread_id=thread_id)
        return take_ends(self.core, listener, runs, limit=limit, hold_s=hold_s, timeout=timeout)

    def reconcile(self) -> list[str]:
        """Marks runs of dead owners interrupted; gives the ids that changed."""
        return self.supervisor.reconcile()

    def flush(self, timeout: float | None = 60.0) -> None:
        """Waits until every write so far is durable; raises the first that failed unseen."""
        self.core.writer.flush(timeout)

    def close(self, timeout: float | None = 60.0) -> None:
        """Leaves open runs interrupted, flushes and closes. Raises the first write that failed unseen."""
        if self._closed or self._forked:
            return
        self._closed = True
        _open_ledgers.discard(self)
        self._signals.close()
        try:
            if self._retainer is not None:
                self._retainer.close(timeout)
            if self._supervisor is not None:
                self._supervisor.close(timeout=timeout)
        finally:
            # Readers first: SQLite empties its log as the last connection goes, if that one may write.
            self._reader.close()
            if self._writer is not None:
                self._writer.close(timeout)

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

    def _before_fork(self) -> "_Fork":
        still = self._writer is not None and self._writer.before_fork()
        return _Fork(self, self._reader.connections(), still)

    def _in_child(self) -> None:
        self._forked = True
        if self._identity is not None:
            _inherited.add(self._identity)
        self._signals.forked()
        self._reader.forked()
        if self._writer is not None and self._supervisor is not None:
            self._supervisor.forked()
            self._writer.forked()


class _Fork(NamedTuple):
    """A ledger in a fork: connections that must not be collected in the child, and whether its writer stands still."""

    ledger: Ledger
    connections: list[Any]
    still: bool


def new_run(
    core: Desk,
    *,
    kind: str,
    run_id: str | None = None,
    parent: "RunHandle | AgentRun | str | Ambient | None" = None,
    title: str | None = None,
    prompt: str | None = None,
    input: Any = None,
    thread_id: str | None = None,
    labels: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
    **identity: Any,
) -> NewRun:
    """A run on its way in, from a caller's arguments. Raises `InvalidInput` and its subclasses."""
    if isinstance(parent, Ambient):
        parent = ambient_parent(core.reader, core.root) if isinstance(core, Core) else None
        parent = None if parent == run_id else parent
    parent_id: Any = parent if isinstance(parent, str) else getattr(parent, "id", parent)
    fields: dict[str, Any] = {
        "parent_run_id": None if parent_id is None else keys.check_id(parent_id, "parent"),
        "parent_thread_id": thread_id,
        "title": None if title is None else core.clean("title", title),
        **identity,
    }
    for name in (
        "agent_id",
        "agent_version",
        "parent_thread_id",
        "worker_thread_id",
        "task_board_id",
        "task_card_id",
    ):
        if fields.get(name) is not None:
            keys.check_id(fields[name], name)
    blobs = []
    if prompt is not None:
        prompt = core.redactor.message(prompt)
        blobs.append(pack(codec.utf8(prompt, "prompt")))
        fields["prompt_ref"] = blobs[-1][0]
    if input is not None:
        blobs.append(pack_value(input))
        fields["input_ref"] = blobs[-1][0]
    fields = {name: value for name, value in fields.items() if value is not None}
    if labels is not None and (clean := core.clean_labels(labels)):
        fields["labels"] = clean
    if options is not None and options_of(options):
        fields["options"] = options_of(core.redactor.value(options))
    own_id = core.new_id() if run_id is None else keys.check_id(run_id, "run_id")
    return NewRun(run_id=own_id, kind=kind, identity=fields, blobs=list(blobs), prompt=prompt, at=core.now())


def check_own_kind(kind: Any) -> str:
    """The kind of a loop of one's own. Raises `InvalidInput` for another one."""
    if not isinstance(kind, str) or kind not in _OWN_KINDS:
        raise InvalidInput(f"kind {codec.shown(kind)} is none of {', '.join(sorted(_OWN_KINDS))}")
    return kind


def open(
    path: str | os.PathLike[str] | None = None,
    *,
    readonly: bool = False,
    create: bool = True,
    clock: Clock | None = None,
    lease_s: float = LEASE_S,
    heartbeat_s: float = HEARTBEAT_S,
    redact: bool | Hook = True,
    secrets: Source | None = None,
) -> Ledger:
    """Opens the workspace at `path`; else `$RUNSTONE_WORKSPACE`, else the nearest upwards, else a new one here.

    `readonly` never creates, upgrades or changes anything. `redact` is a function of a text that takes out more than
    the usual secrets, or False for no redaction; `secrets` gives values to `Secret`s: texts by name, or a function of
    a name. Raises `WorkspaceNotFound`, `StoreError` subclasses, and `InvalidDefinition` for a wrong `[redaction]`.
    """
    workspace = places.locate(path, create=create and not readonly)
    return Ledger(
        workspace, readonly=readonly, clock=clock, lease_s=lease_s, heartbeat_s=heartbeat_s, redact=redact,
        secrets=secrets,
    )  # fmt: skip


def _file(path: Path | str) -> tuple[int, int] | None:
    """What names the file whatever path leads to it; None if there is none."""
    if isinstance(path, str):
        return None  # a database: a forked child opens connections of its own
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _close_all() -> None:
    failed: RunstoneError | None = None
    for ledger in list(_open_ledgers):
        try:
            ledger.close(_EXIT_S)
        except RunstoneError as error:
            failed = failed or error
    if failed is not None:
        raise failed


_forks: list[_Fork] = []


def _before_fork() -> None:
    _forks.extend(ledger._before_fork() for ledger in list(_open_ledgers))


def _in_parent() -> None:
    for fork in _forks:
        if fork.still and fork.ledger._writer is not None:
            fork.ledger._writer.after_fork()
    _forks.clear()


def _in_child() -> None:
    for fork in _forks:
        fork.ledger._in_child()
    _forks.clear()
    _open_ledgers.clear()


atexit.register(_close_all)
os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
