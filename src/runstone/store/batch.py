"""One transaction of many writes: heads are read once, decisions are pure, rows go out in few statements.

A refused write leaves nothing behind and does not take its batch-mates with it. Heads stay cached between batches as
long as no other process has committed.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.events import CATALOGUE
from runstone.domain.runs import Head
from runstone.errors import NotFound, StoreError
from runstone.store.base import Database, Row, Write
from runstone.store.writes import dispatching

HEADS_KEPT = 20_000
"""Cached heads; about 1 KB each. Beyond it the cache starts anew."""

FEW = {"few": 1_000}
"""As many runs with something are kept in mind; where there are more, each is asked for."""

AHEAD: Sequence[tuple[str, dict[str, Any]]] = (
    ("sequences", {}), ("waited_children", FEW), ("asking_runs", FEW), ("ordered_runs", FEW),
)  # fmt: skip
"""What a batch asks for first where others have committed: a store that is far away may give it with the lock."""

_HEAD_FIELDS = tuple(name for name in Head.__struct_fields__ if name != "last_seq")
_COPY = msgspec.structs.replace

# Parents before children, so that foreign keys hold at every statement.
_ORDER = (
    "insert_owner",
    "insert_blob",
    "save_run",
    "save_thread",
    "insert_message",
    "insert_event",
    "rewrite_attempt",
    "insert_attempt",
    "end_attempt",
    "insert_lease",
    "delete_lease",
    "insert_process",
    "end_process",
    "save_output",
    "keep_result",  # of the records so far
    "insert_journal",
    "insert_known",
    "save_input",
    "insert_wait",
    "delete_waits",
    "insert_dispatch",
    "take_dispatches",
    "end_dispatches",
    "release_dispatches",
    "insert_usage",
    "rewrite_totals",
    "rewrite_tool",
    "add_totals",
    "add_tools",
    "insert_checkpoint",
    "insert_place",
    "save_board",
    "save_card",
    "save_command",
    "save_spool",
    "delete_text",
    "insert_text",
    "insert_search",
)

_PLACES = {statement: place for place, statement in enumerate(_ORDER)}

_TOLD = frozenset(
    {"command.requested", "input.requested", "input.answered", "input.expired", "input.withdrawn"}
)
"""Events besides those of the status that other threads and processes wait for."""


class Few:
    """Runs that have something, which few runs of a ledger have: kept in mind, so that most writes need no query.

    Some of them had it and have it no more. Of many, those are asked for one by one that nobody has marked.
    """

    __slots__ = ("_all", "_known", "_many", "_one", "_runs")

    def __init__(self, all_of_them: str, one: str) -> None:
        self._all = all_of_them
        self._one = one
        self.clear()

    def clear(self) -> None:
        self._runs: set[int] = set()
        self._known = self._many = False

    def add(self, pk: int) -> None:
        """A run has it from now on."""
        self._runs.add(pk)

    def has(self, db: Database, pk: int) -> bool:
        """Whether the run has it, or did. Reads, and sends nothing that is staged."""
        if not self._known:
            found = db.rows(self._all, FEW)
            self._known, self._many = True, len(found) == FEW["few"]
            if not self._many:
                self._runs |= {pk for (pk,) in found}
        return pk in self._runs or (self._many and bool(db.rows(self._one, {"run": pk})))


class Cache:
    """What the writer remembers between batches: heads and the next numbers."""

    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self.by_pk: dict[int, Head] = {}
        self.threads: dict[str, tuple[int, int]] = {}
        self.next: dict[str, int] = {}
        self.marks: dict[str, int] = {}
        """How far each client's spool was taken over."""
        self.awaited = Few("waited_children", "is_waited")
        """Children that some parked run waits for."""
        self.asking = Few("asking_runs", "is_asking")
        """Runs that have an open question."""
        self.ordered = Few("ordered_runs", "is_ordered")
        """Runs that have an open order."""

    def clear(self) -> None:
        self.heads.clear()
        self.by_pk.clear()
        self.threads.clear()
        self.next.clear()
        self.marks.clear()
        self.awaited.clear()
        self.asking.clear()
        self.ordered.clear()

    def keep(self, head: Head) -> Head:
        self.heads[head.run_id] = head
        self.by_pk[head.pk] = head
        return head


class Outcome:
    """What became of one write: a value, or the error that refused it."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error


class Batch:
    """The view that a write decides in. Lives for one transaction."""

    def __init__(self, db: Database, cache: Cache, now: int) -> None:
        self.db = db
        self.cache = cache
        self.now = now
        self.staged: dict[str, list[Row]] = {}
        self.dirty: dict[int, Head] = {}
        self.changed: set[str] = set()
        self._totals: dict[tuple[Any, ...], list[int]] = {}
        self._tools: dict[tuple[Any, ...], list[int]] = {}
        self._undo: list[Callable[[], None]] | None = None
        self._sending = False
        self._torn = False
        self._touched: dict[int, Head] = {}
        self._marks: dict[str, int] = {}
        self._dirtied: list[int] = []
        self._requests: set[tuple[int, str]] = set()
        if (
            not cache.next
            or len(cache.heads) > HEADS_KEPT
            or len(cache.threads) > HEADS_KEPT
            or len(cache.marks) > HEADS_KEPT
        ):
            cache.clear()
            cache.next = {table: number + 1 for table, number in db.rows("sequences")}

    # --- reading -------------------------------------------------------------------------------------------------

    def head(self, run_id: str) -> Head:
        """The run's head. Raises `NotFound`."""
        head = self.cache.heads.get(run_id) or self._load("head_by_id", run_id)
        if head is None:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return head

    def find(self, run_id: str) -> Head | None:
        """The run's head, or None."""
        return self.cache.heads.get(run_id) or self._load("head_by_id", run_id)

    def head_at(self, pk: int) -> Head:
        """The head of the run with that integer key."""
        head = self.cache.by_pk.get(pk) or self._load("head_by_pk", pk)
        if head is None:
            raise NotFound(f"there is no run with key {pk}")
        return head

    def _load(self, query: str, value: Any) -> Head | None:
        if "delete_run" in self.staged:
            self.flush()  # a run that was removed in this batch must not be found again
        rows = self.db.rows(query, {"value": value})
        if not rows:
            return None
        *fields, last_seq = rows[0]
        head = Head(**dict(zip(_HEAD_FIELDS, fields, strict=True)), last_seq=last_seq or 0)
        return self.cache.keep(head)

    def read(self, query: str, /, **params: Any) -> list[Row]:
        """Rows as of this point of the batch. A write reads before it stages anything."""
        if self.staged or self.dirty or self._totals or self._tools:
            self.flush()
        return self.db.rows(query, params)

    def thread(self, thread_id: str) -> tuple[int, int] | None:
        """(integer key, seq of the last message) of a thread, or None."""
        known = self.cache.threads.get(thread_id)
        if known is None and (rows := self.read("thread_by_id", thread_id=thread_id)):
            known = self.cache.threads[thread_id] = rows[0]
        return known

    def request_known(self, root: int, request_id: str) -> bool:
        """Whether the tree has accounted for the request. A look-up, without sending what is staged."""
        if "move_usage" in self.staged:
            self.flush()
        if (root, request_id) in self._requests:
            return True
        return bool(self.db.rows("request_known", {"root": root, "request_id": request_id}))

    def ancestors(self, head: Head) -> list[Head]:
        """The run and its ancestors, from the run to the root."""
        line = [head]
        while line[-1].parent is not None:
            line.append(self.head_at(line[-1].parent))
        return line

    # --- staging -------------------------------------------------------------------------------------------------

    def number(self, table: str) -> int:
        """The next integer key of a table; numbers are never given twice."""
        number = self.cache.next.get(table, 1)
        self.cache.next[table] = number + 1
        return number

    def last_number(self, table: str) -> int:
        """The newest integer key of a table; 0 if there never was one."""
        return self.cache.next.get(table, 1) - 1

    def stage(self, statement: str, *row: Any) -> None:
        """Adds a row for the statement."""
        self.staged.setdefault(statement, []).append(row)

    def new_head(self, **fields: Any) -> Head:
        """A head for a run that does not exist yet."""
        head = Head(pk=self.number("runs"), **fields)
        self._touched[head.pk] = head
        if self._undo is not None:
            self._undo.append(lambda: self._forget(head))
        return self.cache.keep(head)

    def adopt(self, head: Head) -> Head:
        """A head for a run whose row was lost, and whose number is known."""
        self._touched[head.pk] = head
        self._on_refusal(lambda: self._forget(head))
        return self.cache.keep(head)

    def _forget(self, head: Head) -> None:
        self.cache.heads.pop(head.run_id, None)
        self.cache.by_pk.pop(head.pk, None)
        self.dirty.pop(head.pk, None)

    def touch(self, head: Head) -> None:
        """Marks the head as changed; called before the change, so that a refused write can be taken back."""
        if self._undo is not None and head.pk not in self._touched:
            self._touched[head.pk] = before = _COPY(head)
            self._undo.append(lambda: self._restore(head, before))
        if head.pk not in self.dirty:
            self.dirty[head.pk] = head
            self._dirtied.append(head.pk)

    @staticmethod
    def _restore(head: Head, before: Head) -> None:
        for name in Head.__struct_fields__:
            setattr(head, name, getattr(before, name))

    def record(
        self,
        head: Head,
        event_type: str,
        payload: dict[str, Any],
        *,
        at: int | None = None,
        attempt: int | None = None,
        importance: int | None = None,
        event_key: str | None = None,
    ) -> tuple[int, int]:
        """Stages an event of Runstone's own and folds it into the head. Gives (seq, position).

        It is as important as the catalogue says, unless the caller knows better.
        """
        if importance is None:
            importance = CATALOGUE[event_type].importance
        if event_type in runs.MOVES and event_type != "run.created":
            runs.check_move(head, event_type)
        elif event_type not in runs.OF_MOVED:
            runs.check_here(head)
        at = self.now if at is None else at
        if runs.touches(
            head, event_type, at
        ):  # else the row and its entries in eight indexes stay as they are
            self.touch(head)
            runs.apply(head, event_type, payload, at)
        if event_type in runs.MOVES or event_type in _TOLD:
            self.changed.add(head.run_id)
        body = self.text_or_blob(codec.encode(payload))
        given = self.event_row(head, at, event_type, importance, body, attempt=attempt, event_key=event_key)
        if event_type in runs.MOVES and '"dispatch"' in head.options_json:
            dispatching.follow(self, head, payload)
        return given

    def event_row(
        self,
        head: Head,
        at: int,
        event_type: str,
        importance: int,
        body: tuple[str | None, str | None],
        *,
        attempt: int | None = None,
        event_key: str | None = None,
    ) -> tuple[int, int]:
        """Stages the event's row under the next seq and position; `body` is its payload, or the reference to it."""
        if self._undo is not None and head.pk not in self._touched:
            before = head.last_seq
            self._undo.append(lambda: setattr(head, "last_seq", before))
        next_ = self.cache.next
        position = next_.get("events", 1)
        next_["events"] = position + 1
        seq = head.last_seq = head.last_seq + 1
        attempt = head.attempt if attempt is None else attempt
        row = (position, head.pk, seq, attempt, at, event_type, 1, importance, *body, event_key)
        self.staged.setdefault("insert_event", []).append(row)
        return seq, position

    def text_or_blob(self, data: bytes) -> tuple[str | None, str | None]:
        """Short JSON as text for the row; long JSON as a blob's digest."""
        if len(data) <= codec.ROW_TEXT_BYTES:
            return data.decode(), None
        from runstone.store.blobs import pack

        return None, self.put_blob(pack(data))

    def put_blob(self, blob: Row) -> str:
        """Stages a packed blob (digest, codec, size, data); equal content is stored once. Gives the digest."""
        self.staged.setdefault("insert_blob", []).append(blob)
        return str(blob[0])

    def mark(self, spool: str) -> int:
        """The number of the last operation of a client's spool that was taken over. Sends nothing that is staged."""
        known = self.cache.marks.get(spool)
        if known is None:
            found = self.db.rows("taken_over_up_to", {"spool": spool})
            known = self.cache.marks[spool] = found[0][0] if found else 0
        return known

    def set_mark(self, spool: str, number: int) -> None:
        """Stages how far the spool is taken over, and notes it for the writes that follow."""
        before = self.cache.marks.get(spool, 0)
        self.stage("save_spool", spool, number, self.now)
        self.cache.marks[spool] = number
        self._on_refusal(lambda: self.cache.marks.__setitem__(spool, before))

    def set_thread(self, thread_id: str, pk: int, last_seq: int) -> None:
        """Notes a thread's last seq for the writes that follow."""
        before = self.cache.threads.get(thread_id)
        self.cache.threads[thread_id] = (pk, last_seq)
        self._on_refusal(lambda: _put_back(self.cache.threads, thread_id, before))

    def note_request(self, root: int, request_id: str) -> None:
        """Notes a provider request for the reports that follow in this batch."""
        key = (root, request_id)
        self._requests.add(key)
        self._on_refusal(lambda: self._requests.discard(key))

    def _on_refusal(self, undo: Callable[[], None]) -> None:
        if self._undo is not None:
            self._undo.append(undo)

    def add_totals(self, head: Head, provider: str, model: str, counts: Iterable[int]) -> None:
        """Adds one request's counts to the run (own and subtree) and to the subtree of every ancestor."""
        counts = list(counts)
        self._sum(self._totals, (head.pk, 0, provider, model), counts)
        self.raise_totals(head, provider, model, counts)

    def raise_totals(self, head: Head, provider: str, model: str, counts: Iterable[int]) -> None:
        """Adds counts to the subtree of the run and of every ancestor: work in proportion to the depth."""
        counts = list(counts)
        for ancestor in self.ancestors(head):
            self._sum(self._totals, (ancestor.pk, 1, provider, model), counts)

    def add_tool(self, head: Head, tool: str, failed: bool) -> None:
        """Adds one tool call to the run and to the subtree of every ancestor."""
        self._sum(self._tools, (head.pk, 0, tool), [1, int(failed)])
        self.raise_tools(head, tool, [1, int(failed)])

    def raise_tools(self, head: Head, tool: str, counts: Iterable[int]) -> None:
        """Adds tool calls to the subtree of the run and of every ancestor."""
        counts = list(counts)
        for ancestor in self.ancestors(head):
            self._sum(self._tools, (ancestor.pk, 1, tool), counts)

    def _sum(self, sums: dict[tuple[Any, ...], list[int]], key: tuple[Any, ...], counts: list[int]) -> None:
        _add(sums, key, counts)
        self._on_refusal(lambda: _add(sums, key, [-count for count in counts]))

    # --- running -------------------------------------------------------------------------------------------------

    def decide(self, write: Write) -> Outcome:
        """Lets one write decide. A refusal takes back what it staged."""
        if write.light:
            try:
                return Outcome(write.decide(self))
            except StoreError:
                raise  # the ledger itself failed: the whole batch is taken back
            except Exception as error:
                return Outcome(error=error)
        self._marks = {name: len(rows) for name, rows in self.staged.items()}
        self._dirtied = []
        self._undo, self._touched, self._torn = [], {}, False
        try:
            return Outcome(write.decide(self))
        except Exception as error:
            if self._sending or self._torn or isinstance(error, StoreError):
                raise  # not this write's refusal: rows of the whole batch may be lost, so all of it is taken back
            for undo in reversed(self._undo):
                undo()
            for name, rows in self.staged.items():
                del rows[self._marks.get(name, 0) :]
            for pk in self._dirtied:
                self.dirty.pop(pk, None)
            return Outcome(error=error)
        finally:
            self._undo, self._touched = None, {}

    def flush(self) -> None:
        """Sends the staged rows, parents first. What it raises spoils the batch."""
        if self._undo is not None:
            # Part of the write that decides now is among them: if it is refused after this, all is taken back.
            self._torn = bool(self._undo or self._dirtied) or any(
                len(rows) > self._marks.get(name, 0) for name, rows in self.staged.items()
            )
        self._sending = True
        if self.dirty:
            self.staged["save_run"] = [_head_row(head) for head in self.dirty.values()]
            self.dirty = {}
        if self._totals:
            self.staged["add_totals"] = [(*key, *sums) for key, sums in self._totals.items() if any(sums)]
            self._totals = {}
        if self._tools:
            self.staged["add_tools"] = [(*key, *sums) for key, sums in self._tools.items() if any(sums)]
            self._tools = {}
        staged, self.staged = self.staged, {}
        self._marks, self._dirtied, self._requests = {}, [], set()  # what was sent belongs to accepted writes
        for statement in sorted(staged, key=_place):
            if rows := staged[statement]:
                self.db.insert(statement, rows)
        self._sending = False


def _place(statement: str) -> int:
    return _PLACES.get(statement, len(_ORDER))


_head_values = tuple(_HEAD_FIELDS)


def _head_row(head: Head) -> Row:
    return tuple([getattr(head, name) for name in _head_values])


def _add(sums: dict[tuple[Any, ...], list[int]], key: tuple[Any, ...], counts: list[int]) -> None:
    have = sums.get(key)
    if have is None:
        sums[key] = list(counts)
    else:
        for index, count in enumerate(counts):
            have[index] += count


def _put_back(kept: dict[str, tuple[int, int]], name: str, value: tuple[int, int] | None) -> None:
    if value is None:
        kept.pop(name, None)
    else:
        kept[name] = value
