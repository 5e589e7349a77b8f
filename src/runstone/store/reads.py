"""Reading: each thread on its own connection, no transaction held open, no effects."""

import re
import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from runstone.domain import codec, state
from runstone.domain.bounds import asked_id
from runstone.domain.clock import Clock
from runstone.domain.records import (
    AgentRun,
    Attempt,
    Board,
    Card,
    Checkpoint,
    Command,
    JournalEntry,
    Lease,
    Message,
    ModelTotals,
    Output,
    ProcessRecord,
    RunEvent,
    RunTelemetry,
    SearchHit,
    Thread,
    Totals,
    TreeNode,
    at,
)
from runstone.domain.state import Saved
from runstone.domain.telemetry import to_usd
from runstone.errors import (
    AmbiguousId,
    ForkedLedger,
    InvalidInput,
    LedgerClosed,
    NotFound,
    StoreCorrupt,
    StoreError,
)
from runstone.store import rows
from runstone.store.base import Database, Row
from runstone.store.blobs import decompress, unpack

_NO_LIMIT = 2**62
_MAX_WORDS = 32
_UNSEARCHABLE = re.compile('["\\x00\\ud800-\\udfff]')


class Reader:
    """Reads records. Thread-safe; a connection per thread, closed with the thread or the reader."""

    def __init__(
        self,
        connect: Callable[[], Database],
        clock: Clock,
        *,
        dead: Callable[["Reader"], list[str]] | None = None,
    ) -> None:
        """`dead` tells which owners of leases are proven dead on this machine."""
        self._connect = connect
        self._dead = dead
        self._clock = clock
        self._local = threading.local()
        self._all: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False
        self._forked = False

    @property
    def db(self) -> Database:
        """This thread's connection."""
        if self._forked:
            raise ForkedLedger
        if self._closed:
            raise LedgerClosed
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
            self._all.add(db)
        return db

    def close(self) -> None:
        """Closes the connections of all threads; one that is in use at this moment goes with its thread."""
        if self._forked:
            return
        self._closed = True
        for db in list(self._all):
            with suppress(StoreError):
                db.close()

    def renew(self) -> None:
        """Gives this thread a new connection."""
        db: Database | None = getattr(self._local, "db", None)
        if db is not None:
            del self._local.db
            self._all.discard(db)
            db.close()

    def connections(self) -> list[Database]:
        """The connections of all threads. Who forks holds them: the child would close those of other threads."""
        return list(self._all)

    def forked(self) -> None:
        """Called in a forked child: the parent's connections are not touched, not even closed."""
        self._forked = True
        for db in list(self._all):
            db.abandon()

    def now(self) -> int:
        """Microseconds UTC, by the ledger's clock."""
        return self._clock.now()

    def rows(self, name: str, /, **params: Any) -> list[Row]:
        """Rows of a named statement."""
        return self.db.rows(name, params)

    def _liveness(self) -> dict[str, Any]:
        """What decides which leases are live: the time, and the owners that are proven dead."""
        return {
            "now": self._clock.now(),
            "dead": codec.encode(self._dead(self) if self._dead else []).decode(),
        }

    # --- runs ----------------------------------------------------------------------------------------------------

    def resolve(self, text: str) -> str:
        """The run id that a person means: the whole of it, or any part that only one run has."""
        if self.rows("pk_of", run_id=asked_id("a run's id", text)):
            return text
        found = [row[0] for row in self.rows("run_ids_with", part=text)] if text else []
        if not found:
            raise NotFound(f"there is no run {text}", run_id=text)
        if len(found) > 1:
            raise AmbiguousId(f"{text} fits {found[0]}, {found[1]} and perhaps more")
        return str(found[0])

    def pk(self, run_id: str) -> int:
        """The integer key of a run. Raises `NotFound`."""
        found = self.rows("pk_of", run_id=asked_id("a run's id", run_id))
        if not found:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return int(found[0][0])

    def run_rows(self, where: str, tail: str = "", /, **params: Any) -> list[Row]:
        """Rows of run columns; `where` and `tail` are put together from named parts by `store/lists.py`."""
        return self.db.select("run_columns", "run_tables", where, tail, {**self._liveness(), **params})

    def count_runs(
        self, where: str, params: dict[str, Any], *, stored: bool = False
    ) -> list[tuple[str, int]]:
        """(shown status, count) of the runs that fit; `stored` takes the status as it was written."""
        columns, tables = ("stored_status", "runs_alone") if stored else ("shown_status", "run_tables")
        found = self.db.select(columns, tables, where, "GROUP BY 1", {**self._liveness(), **params})
        return [(status, count) for status, count in found]

    def run(self, run_id: str) -> AgentRun:
        """The run. Raises `NotFound`."""
        found = self.run_rows("r.run_id = :run_id", run_id=asked_id("a run's id", run_id))
        if not found:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return rows.run(found[0])

    def children(self, run_id: str) -> list[AgentRun]:
        """The children of a run, in the order in which they were created."""
        return [rows.run(row) for row in self.run_rows("r.parent = :pk", "ORDER BY r.id", pk=self.pk(run_id))]

    def tree(self, run_id: str) -> TreeNode:
        """The run with all below it."""
        top = self.pk(run_id)
        keys = [row[0] for row in self.rows("tree_of", run=top)]
        chosen = codec.encode(keys).decode()
        found = self.run_rows("r.id IN (SELECT value FROM json_each(:runs))", "ORDER BY r.id", runs=chosen)
        sums = self.totals_of(keys)
        reused = {child for row in found if row[41] for child in self._reused(row)}
        nodes: dict[str, TreeNode] = {}
        below: dict[str | None, list[TreeNode]] = {}
        for row in sorted(found, key=lambda row: (-row[4], row[36])):
            record = rows.run(row)
            own, subtree = sums.get((row[36], 0), Totals()), sums.get((row[36], 1), Totals())
            children = tuple(below.get(record.id, ()))
            node = TreeNode(
                run=record, own=own, subtree=subtree, reused=record.id in reused, children=children
            )
            nodes[record.id] = node
            below.setdefault(record.parent_run_id, []).append(node)
        return nodes[run_id]

    def _reused(self, row: Row) -> list[str]:
        return [child for (child,) in self.rows("reused_by", run=row[36], attempt=row[22])]

    def totals_of(self, keys: Iterable[int]) -> dict[tuple[int, int], Totals]:
        """Sums by (integer key, scope 0 own or 1 subtree)."""
        found = self.rows("totals_of_many", runs=codec.encode(list(keys)).decode())
        return {(run, scope): rows.totals(tuple(counts)) for run, scope, *counts in found}

    def telemetry(self, run_id: str) -> RunTelemetry:
        """What the run cost, own and subtree."""
        row = self.run_rows("r.run_id = :run_id", run_id=asked_id("a run's id", run_id))
        if not row:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        record, (pk, active_ms, attempt_at, model, provider, reused) = rows.run(row[0]), row[0][36:42]
        models: dict[tuple[str, str], list[Totals]] = {}
        for name, version, scope, *counts in self.rows("totals_of", run=pk):
            models.setdefault((name, version), [Totals(), Totals()])[scope] = rows.totals(tuple(counts))
        tools = self.rows("tools_of", run=pk)
        until = self._until(record, row[0][27], pk)
        reuse = codec.decode(reused) if reused else {"children": 0, "tokens": 0, "cost_picousd": 0}
        if attempt_at is not None:
            active_ms += max(0, until - attempt_at) // 1000
        return RunTelemetry(
            run_id=run_id,
            own=sum((own for own, _ in models.values()), Totals()),
            subtree=sum((subtree for _, subtree in models.values()), Totals()),
            models=tuple(
                ModelTotals(provider=p, model=m, own=o, subtree=s) for (p, m), (o, s) in models.items()
            ),
            tool_counts={tool: calls for tool, scope, calls, _ in tools if scope == 0},
            tool_failures={tool: failed for tool, scope, _, failed in tools if scope == 0 and failed},
            subtree_tool_counts={tool: calls for tool, scope, calls, _ in tools if scope == 1},
            elapsed_ms=max(active_ms, (until - row[0][25]) // 1000) if row[0][25] is not None else 0,
            active_ms=active_ms,
            model=model,
            provider=provider,
            error=record.error,
            reused={
                "children": reuse["children"],
                "tokens": reuse["tokens"],
                "cost_usd": to_usd(reuse["cost_picousd"]),
            },
        )

    def _until(self, record: AgentRun, completed_at: int | None, pk: int) -> int:
        """To when time counts: the end, now, or the last that is known of a run that nobody holds."""
        if completed_at is not None:
            return completed_at
        if record.status in ("interrupted", "paused"):
            last = self.rows("last_sign", run=pk)
            return int(last[0][0]) if last else self._clock.now()
        return self._clock.now()

    def attempts(self, run_id: str) -> list[Attempt]:
        """The attempts of a run, from the first."""
        return [rows.attempt(run_id, row) for row in self.rows("attempts_of", run=self.pk(run_id))]

    def lease(self, run_id: str) -> Lease | None:
        """The lease of the open attempt, also where it has expired."""
        found = self.rows("lease_of_run", run=self.pk(run_id))
        return rows.lease(run_id, found[0]) if found else None

    def leases(self) -> list[Lease]:
        """All leases of the workspace."""
        return [rows.lease(row[0], row[1:]) for row in self.rows("all_leases")]

    def processes(self, run_id: str) -> list[ProcessRecord]:
        """The process groups that a run started."""
        return [rows.process(run_id, row) for row in self.rows("processes_of", run=self.pk(run_id))]

    def outputs(self, run_id: str) -> list[Output]:
        """How far the output of a run's commands was taken over."""
        return [rows.output(run_id, row) for row in self.rows("outputs_of", run=self.pk(run_id))]

    def last_event(self, run_id: str, event_type: str, attempt: int) -> dict[str, Any] | None:
        """The payload of the last event of a type since an attempt began; it looks through that run's events."""
        found = self.rows("last_event", run=self.pk(run_id), type=event_type, attempt=attempt)
        if not found:
            return None
        payload, ref = found[0]
        told: dict[str, Any] = self.value(ref) if payload is None else codec.decode(payload)
        return told

    def unended_processes(self) -> list[tuple[ProcessRecord, str]]:
        """Process groups that are not known to have ended, with the status of their run."""
        return [(rows.process(row[0], row[1:10]), row[10]) for row in self.rows("all_unended_processes")]

    def journal(self, run_id: str) -> list[JournalEntry]:
        """What a run knows, with how its children stand."""
        return [rows.journal(row) for row in self.rows("journal_of", run=self.pk(run_id), **self._liveness())]

    def heard_in_try(self, run_id: str) -> frozenset[str]:
        """Children that ended, or whose result was used again, since the run's current try began."""
        return frozenset(child for (child,) in self.rows("heard_in_try", run=self.pk(run_id)))

    def progressed_since(self, run_id: str, since: int) -> bool:
        """Whether the run or anything below it recorded since then (microseconds UTC) what a later try can build on."""
        return bool(self.rows("progressed_since", run=self.pk(run_id), since=since)[0][0])

    # --- values --------------------------------------------------------------------------------------------------

    def blob(self, digest: str) -> bytes:
        """The raw bytes of a blob, checked against its digest."""
        found = self.rows("blob", digest=asked_id("a blob's digest", digest))
        if not found:
            raise NotFound(f"there is no blob {digest}")
        number, data, _ = found[0]
        return unpack(digest, number, data)

    def value(self, digest: str | None) -> Any:
        """The JSON value of a blob; None for no reference."""
        return None if digest is None else codec.decode(self.blob(digest))

    def text(self, text: str | None, ref: str | None) -> str:
        """Text of a row, or of the blob that the row refers to."""
        return text if text is not None or ref is None else self.blob(ref).decode()  # type: ignore[return-value]

    # --- events --------------------------------------------------------------------------------------------------

    def events(self, run_id: str, *, after: int = 0, limit: int = 100) -> list[RunEvent]:
        """Events of a run with `seq` above `after`, by `seq`."""
        found = self.rows("events_after", run=self.pk(run_id), after=min(after, _NO_LIMIT), limit=limit)
        return [self._event(run_id, row) for row in found]

    def events_before(self, run_id: str, *, before: int | None = None, limit: int = 100) -> list[RunEvent]:
        """The last events of a run with `seq` below `before`, by `seq`."""
        found = self.rows(
            "events_before", run=self.pk(run_id), before=_NO_LIMIT if before is None else before, limit=limit
        )
        return [self._event(run_id, row) for row in reversed(found)]

    def events_from(self, position: int, limit: int) -> list[RunEvent]:
        """Events of the workspace above a position, in commit order."""
        return [
            self._event(row[10], row)
            for row in self.rows("events_from_position", after=position, limit=limit)
        ]

    def last_position(self) -> int:
        """The newest position that was ever given."""
        return int(self.rows("last_position")[0][0])

    def removed_up_to(self) -> int:
        """The newest position whose event was ever removed; 0 if none was."""
        found = self.rows("meta", name="removed_up_to")
        return int(found[0][0]) if found else 0

    def epoch(self) -> str:
        """The ledger's epoch, part of every cursor."""
        return str(self.rows("meta", name="epoch")[0][0])

    def _event(self, run_id: str, row: Row) -> RunEvent:
        seq, position, kind, version, text, ref, importance, when, attempt, key = row[:10]
        payload = codec.upcast(kind, version, codec.decode(self.text(text, ref)))
        return RunEvent(
            run_id=run_id, seq=seq, position=position, type=kind, payload=payload, importance=importance,
            timestamp=at(when), attempt=attempt, event_key=key,
        )  # fmt: skip

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """The checkpoints of a run, from the first."""
        pk = self.pk(run_id)
        with self.db.snapshot():
            found = self.rows("checkpoints_of", run=pk)
            sizes = _sizes([row[0] for row in found], self.rows("checkpoint_sizes", run=pk))
        return [
            Checkpoint(
                run_id=run_id, number=number, attempt=attempt, label=label, state_ref=f"{run_id}@{number}",
                definition_hash=hash_, parent=parent, created_at=at(created), stored_bytes=sizes.get(number, 0),
            )
            for number, attempt, label, hash_, parent, created in found
        ]  # fmt: skip

    def state(self, run_id: str, number: int | None = None) -> tuple[Any, Saved]:
        """The state of a checkpoint (the last one without `number`), and what the next save compares with.

        Raises `NotFound`, and `StoreCorrupt` naming the run, the checkpoint and what is damaged.
        """
        number, places = self._places(run_id, number)
        if number is None:
            return None, Saved()
        try:
            value, saved = state.assemble(places)
        except (KeyError, ValueError) as error:  # a part is missing, or is no JSON
            raise _damaged(run_id, number, error) from error
        saved.number = number
        return value, saved

    def newest_checkpoint(self, run_id: str) -> int:
        """The number of the newest checkpoint. Raises `NotFound` for a run that has none."""
        numbers = self.rows("kept_numbers", run=self.pk(run_id))
        if not numbers:
            raise NotFound(
                f"run {run_id} has no checkpoint",
                hint="an agent saves one: run.checkpoint(state)",
                run_id=run_id,
            )
        return int(numbers[-1][0])

    def state_value(self, run_id: str, number: int | None = None) -> Any:
        """The state alone, for those who save nothing on top of it: its parts need no names."""
        number, places = self._places(run_id, number)
        if number is None:
            return None
        try:
            return state.assemble(places, named=False)[0]
        except (KeyError, ValueError) as error:
            raise _damaged(run_id, number, error) from error

    def _places(
        self, run_id: str, number: int | None
    ) -> tuple[int | None, list[tuple[str, int, bytes | None]]]:
        """The checkpoint's number, and its places; no number if the run has none and the last is asked for."""
        pk = self.pk(run_id)
        if number is not None and type(number) is not int:
            raise InvalidInput(f"a checkpoint's number is a whole number, not {codec.shown(number)}")
        with self.db.snapshot():  # a retention may take checkpoints away meanwhile
            numbers = [one for (one,) in self.rows("kept_numbers", run=pk)]
            if not numbers and number is None:
                return None, []
            number = numbers[-1] if number is None else number
            if number not in numbers:
                raise NotFound(
                    f"run {run_id} has no checkpoint {number}",
                    hint=f"list them: runstone runs checkpoints {run_id}",
                    run_id=run_id,
                )
            found = self.rows("state_at", run=pk, number=number)
        return number, [(row[0], row[1], _place(run_id, number, row)) for row in found]

    # --- threads, boards, commands -------------------------------------------------------------------------------

    def threads(
        self, *, thread_id: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[tuple[Thread, int]]:
        """Threads from the newest, each with its integer key; or the one of that id."""
        if thread_id is not None:
            found = self.rows("one_thread", thread_id=asked_id("a thread's id", thread_id))
        else:
            found = self.rows("threads_list", before=_NO_LIMIT if before is None else before, limit=limit)
        return [
            (Thread(id=i, title=t, run_id=r, messages=n, created_at=at(c), updated_at=at(u)), pk)
            for i, t, r, n, c, u, pk in found
        ]

    def messages(self, thread_id: str, *, after: int = 0, limit: int = 100) -> list[Message]:
        """Messages of a thread with `seq` above `after`."""
        asked_id("a thread's id", thread_id)
        found = self.rows("messages_after", thread_id=thread_id, after=min(after, _NO_LIMIT), limit=limit)
        return [self._message(thread_id, row) for row in found]

    def last_messages(self, thread_id: str, limit: int) -> list[Message]:
        """The newest messages of a thread, in order."""
        asked_id("a thread's id", thread_id)
        return [
            self._message(thread_id, row)
            for row in self.rows("messages_last", thread_id=thread_id, limit=limit)
        ]

    def _message(self, thread_id: str, row: Row) -> Message:
        seq, role, text, ref, run_id, attempt, when, extra, extra_ref = row
        return Message(
            id=f"{thread_id}#{seq}", thread_id=thread_id, seq=seq, role=role, text=self.text(text, ref), run_id=run_id,
            attempt=attempt, timestamp=at(when),
            extra=self.value(extra_ref) if extra_ref is not None else rows.json_or_none(extra),
        )  # fmt: skip

    def boards(
        self, *, board_id: str | None = None, thread_id: str | None = None, limit: int = 100
    ) -> list[Board]:
        """Boards, from the first; or the one of that id."""
        for what, one in (("a board's id", board_id), ("a thread's id", thread_id)):
            if one is not None:
                asked_id(what, one)
        if board_id is not None:
            found = [row[1:] for row in self.rows("board_by_id", board_id=board_id)]
        else:
            found = self.rows("boards_list", thread_id=thread_id, limit=limit)
        return [
            Board(id=i, thread_id=thread, title=t, revision=n, created_at=at(c), updated_at=at(u))
            for i, thread, t, n, c, u in found
        ]

    def cards(
        self, *, board_id: str | None = None, card_id: str | None = None, limit: int = 500
    ) -> list[Card]:
        """The cards of a board by their position; or the one of that id."""
        if card_id is not None:
            found = self.rows("one_card", card_id=asked_id("a card's id", card_id))
        else:
            if board_id is not None:
                asked_id("a board's id", board_id)
            found = self.rows("cards_of_board", board_id=board_id, limit=limit)
        return [rows.card(row, self.text(row[5], row[6])) for row in found]

    def commands(self, run_id: str) -> list[Command]:
        """Orders to a run, from the first."""
        return [rows.command(row) for row in self.rows("commands_of", run=self.pk(run_id))]

    def open_commands(self) -> list[Command]:
        """Orders that are not carried out yet."""
        return [rows.command(row) for row in self.rows("open_commands")]

    # --- search --------------------------------------------------------------------------------------------------

    def search(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Titles, prompts, summaries, errors and messages that hold all words of `query`, newest first."""
        if not isinstance(query, str) or type(limit) is not int or limit < 1:
            raise InvalidInput(
                f"search takes a text and a limit from 1, not {codec.shown(query)} and {codec.shown(limit)}"
            )
        # Each word is quoted, so that nothing in it is an operator; what holds no letter or digit finds nothing anyway.
        words = [word for word in _UNSEARCHABLE.sub(" ", query).split() if any(map(str.isalnum, word))]
        if not words:
            return []
        quoted = " ".join(f'"{word}"' for word in words[:_MAX_WORDS])
        return [
            self._hit(row) for row in self.rows("search_texts", query=quoted, limit=min(limit, _NO_LIMIT))
        ]

    def _hit(self, row: Row) -> SearchHit:
        source, run_id, thread_id, seq, text, text_ref, title, summary, error, prompt_ref = row
        if source == "message":
            excerpt = self.text(text, text_ref)
        elif source == "prompt":
            excerpt = self.text(None, prompt_ref)
        else:
            excerpt = {"title": title, "summary": summary, "error": _message_of(error)}.get(source) or title
        message_id = f"{thread_id}#{seq}" if thread_id is not None else None
        return SearchHit(
            source=source, run_id=run_id, message_id=message_id, excerpt=codec.clip(excerpt or "", 300)
        )


def _place(run_id: str, number: int, row: Row) -> bytes | None:
    """The value of a row of `state_at`. Raises `StoreCorrupt` where it is damaged."""
    path, item, codec_, value, ref, blob_codec, data = row
    try:
        if ref is None:
            return None if value is None else decompress(codec_, value)
        if data is None:
            raise NotFound("it is not there")
        return unpack(ref, blob_codec, data)
    except (StoreCorrupt, NotFound) as error:
        place = f"{path}[{item}]" if item >= 0 else path
        raise _damaged(run_id, number, error, place=place, ref=ref) from error


def _damaged(
    run_id: str, number: int, error: Exception, *, place: str | None = None, ref: str | None = None
) -> StoreCorrupt:
    """Says of what was found damaged to which checkpoint it belongs."""
    where = ("" if place is None else f" at {place}") + ("" if ref is None else f", blob {ref}")
    return StoreCorrupt(
        f"checkpoint {number} of run {run_id} cannot be read{where}: {error}",
        hint=f"others may be whole: runstone runs checkpoints {run_id}; what else is damaged: runstone verify",
        run_id=run_id, number=number, place=place, blob=ref,
    )  # fmt: skip


def _sizes(numbers: list[int], rows: list[Row]) -> dict[int, int]:
    """What each checkpoint added, by its number; the rows of a removed one belong to the next that is there."""
    sizes: dict[int, int] = {}
    for since, size in rows:
        index = bisect_left(numbers, since)
        if index < len(numbers):
            sizes[numbers[index]] = sizes.get(numbers[index], 0) + size
    return sizes


def _message_of(error: str | None) -> str:
    """The message of a stored error."""
    return "" if error is None else str(codec.decode(error).get("message", ""))
