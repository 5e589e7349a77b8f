"""The store's contract suite: what every backend must do, so that the ledger decides alike over each of them.

class TestMyStore(StoreContract):
    @pytest.fixture
    def connect(self, tmp_path):
        return lambda: MyDatabase(...)      # each call opens a connection to the same, empty, current ledger
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runstone.domain import codec, runs
from runstone.domain.telemetry import Usage
from runstone.errors import (
    Fenced,
    IllegalTransition,
    InvalidInput,
    NotFound,
    RevisionConflict,
    RunIsLive,
    RunMismatch,
    StoreError,
)
from runstone.store.base import Database, Write
from runstone.store.batch import Batch, Cache
from runstone.store.blobs import pack
from runstone.store.reads import Reader
from runstone.store.writer import Writer
from runstone.store.writes.boards import SaveBoard, SaveCard
from runstone.store.writes.checkpoints import SaveCheckpoint
from runstone.store.writes.events import Append, AppendMessages, NewEvent, NewMessage, ReportUsage
from runstone.store.writes.lifecycle import (
    ClaimRun,
    CreateRun,
    EndRun,
    InterruptRun,
    NewRun,
    OpenRun,
    Owner,
    ResumeRun,
)
from runstone.store.writes.removal import PruneRun, RemoveRun
from runstone.testing.clock import FakeClock

OWNER = Owner("owner-1", '{"host": "a"}', 30_000_000)
OTHER = Owner("owner-2", '{"host": "b"}', 30_000_000)

Connect = Callable[[], Database]


def new_run(run_id: str, *, kind: str = "subagent", at: int | None = None, **identity: Any) -> NewRun:
    """A run on its way in."""
    fields = {name: value for name, value in identity.items() if value is not None}
    return NewRun(run_id=run_id, kind=kind, identity=fields, at=at)


def event(number: int = 0, *, at: int = 0, key: str | None = None, text: str = "") -> NewEvent:
    """An event on its way in."""
    return NewEvent("work.done", codec.encode({"n": number, "text": text}), 1, at, key)


def usage(request_id: str, tokens: int = 10, cost: int | None = 7, *, at: int = 0) -> Usage:
    """A report of one provider request."""
    return Usage(
        request_id=request_id, provider="p", model="m", at=at, input_tokens=tokens, output_tokens=tokens,
        cost_picousd=cost, cost_source="unknown" if cost is None else "reported",
    )  # fmt: skip


class Store:
    """A backend under test: its writer, its reader and a clock that is moved by hand."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.clock = FakeClock()
        self.writer = Writer(connect, self.clock)
        self.reader = Reader(connect, self.clock)

    def do(self, write: Write) -> Any:
        """The value of one committed write."""
        return self.writer.submit(write, []).result()

    def start(self, run_id: str, **identity: Any) -> int:
        """Starts a run; gives its attempt."""
        return int(self.do(OpenRun(new_run(run_id, **identity), OWNER)).head.attempt)

    def close(self) -> None:
        """Closes both sides."""
        self.writer.close()
        self.reader.close()


class StoreContract:
    """The suite. A subclass gives the fixture `connect`."""

    @pytest.fixture
    def connect(self) -> Connect:
        """Opens a connection to one empty ledger of the current schema."""
        raise NotImplementedError("a subclass of StoreContract names its backend")

    @pytest.fixture
    def store(self, connect: Connect) -> Iterator[Store]:
        """The backend with writer and reader."""
        store = Store(connect)
        yield store
        store.close()

    # --- transactions --------------------------------------------------------------------------------------------

    def test_what_was_committed_is_seen_by_others_and_what_was_not_is_not(self, connect: Connect) -> None:
        one, other = connect(), connect()
        rows: list[tuple[Any, ...]] = [("a" * 64, 0, 1, b"x")]
        one.begin()
        one.insert("insert_blob", rows)
        one.rollback()
        one.begin()
        one.insert("insert_blob", [("b" * 64, 0, 1, b"y")])
        assert other.rows("blob", digest="b" * 64) == []
        one.commit()
        assert other.rows("blob", digest="a" * 64) == []
        assert other.rows("blob", digest="b" * 64) == [(0, b"y", 1)]
        one.close()
        other.close()

    def test_a_connection_is_told_of_others_commits_only(self, connect: Connect) -> None:
        one, other = connect(), connect()
        for number, (writes, told) in enumerate([(one, False), (other, True), (one, False)]):
            writes.begin()
            writes.changed_elsewhere()
            writes.insert("insert_blob", [(f"{number}" * 64, 0, 1, b"x")])
            writes.commit()
            one.begin()
            assert one.changed_elsewhere() is told
            one.rollback()
        one.close()
        other.close()

    @pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1_000])
    def test_all_rows_of_an_insert_arrive_once(self, connect: Connect, count: int) -> None:
        db = connect()
        db.begin()
        db.insert("insert_blob", [(f"{number:064}", 0, number, b"x") for number in range(count)])
        db.commit()
        assert [row[1] for row in db.rows("blob_page", after=0, limit=2_000)] == [
            f"{n:064}" for n in range(count)
        ]
        db.close()

    def test_a_row_that_breaks_the_schema_is_a_typed_error_before_anything_is_stored(
        self, connect: Connect
    ) -> None:
        db = connect()
        db.begin()
        db.insert("insert_blob", [("d" * 64, 0, 1, b"x")])
        with pytest.raises(StoreError):
            _insert_and_commit(db, "insert_blob", ("short", 0, 1, b"x"))
        db.rollback()
        assert not db.in_transaction
        assert db.rows("blob_size", digest="d" * 64) == []
        db.close()

    # --- runs ----------------------------------------------------------------------------------------------------

    def test_creation_under_an_id_is_idempotent(self, store: Store) -> None:
        assert store.do(CreateRun(new_run("r", agent_id="a"))).created is True
        assert store.do(CreateRun(new_run("r", agent_id="a"))).created is False
        with pytest.raises(RunMismatch):
            store.do(CreateRun(new_run("r", agent_id="b")))
        with pytest.raises(RunMismatch):
            store.do(CreateRun(new_run("r", agent_id="a", kind="team_member")))
        assert len(store.reader.events.after("r")) == 1

    def test_of_two_claims_one_wins(self, store: Store) -> None:
        store.do(CreateRun(new_run("r")))
        outcomes: list[Any] = []

        def claim(owner: Owner) -> None:
            receipt = store.writer.submit(ClaimRun("r", owner), [])
            try:
                outcomes.append(receipt.result())
            except RunIsLive as error:
                outcomes.append(error)

        threads = [threading.Thread(target=claim, args=(owner,)) for owner in (OWNER, OTHER)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(isinstance(outcome, RunIsLive) for outcome in outcomes) == [False, True]
        assert len(store.reader.attempts.of("r")) == 1

    def test_a_fenced_owner_changes_nothing_but_its_spending_counts(self, store: Store) -> None:
        store.start("r")
        store.do(InterruptRun("r", 1, "gone"))
        store.do(ClaimRun("r", OTHER, expect=frozenset({"interrupted"})))
        before = store.reader.runs.get("r")
        for write in (
            Append("r", 1, [event()]),
            EndRun("r", 1, "run.completed", {}),
            SaveCheckpoint("r", 1, [], label=None, after=0),
            AppendMessages("t", [NewMessage("user", "x", 0)], run_id="r", attempt=1),
        ):
            with pytest.raises(Fenced):
                store.do(write)
        assert store.do(ReportUsage("r", 1, usage("late"))) is True
        after = store.reader.runs.get("r")
        assert (after.status, after.attempt, after.result_ref) == (before.status, 2, None)
        assert store.reader.usage.of("r").own.requests == 1
        assert [e.attempt for e in store.reader.events.after("r") if e.type == "usage.reported"] == [1]

    def test_an_ended_run_is_final_but_for_a_new_attempt(self, store: Store) -> None:
        store.start("r")
        store.do(EndRun("r", 1, "run.failed", {"error": {"message": "no"}}))
        for write in (EndRun("r", None, "run.completed", {}), EndRun("r", None, "run.cancelled", {})):
            with pytest.raises(IllegalTransition):
                store.do(write)
        store.do(ResumeRun("r", "again"))
        assert store.do(ClaimRun("r", OTHER)).head.attempt == 2
        store.do(EndRun("r", 2, "run.completed", {"summary": "done"}))
        with pytest.raises(IllegalTransition):
            store.do(ClaimRun("r", OTHER))
        assert [(a.number, a.outcome) for a in store.reader.attempts.of("r")] == [
            (1, "failed"),
            (2, "completed"),
        ]
        assert store.reader.attempts.lease("r") is None

    def test_every_move_of_the_table_and_no_other_is_taken(self, connect: Connect) -> None:
        db, cache = connect(), Cache()
        db.begin()
        batch = Batch(db, cache, 1)
        for event_type, (origins, _) in runs.MOVES.items():
            for status in runs.STATUSES:
                head = runs.Head(pk=1, run_id="r", kind="subagent", status=status)
                if event_type != "run.created" and status not in origins:
                    with pytest.raises(IllegalTransition):
                        batch.record(head, event_type, {})
        assert not batch.staged
        db.rollback()
        db.close()

    # --- events --------------------------------------------------------------------------------------------------

    def test_seq_has_no_gaps_and_positions_rise_whatever_was_refused(self, store: Store) -> None:
        store.start("a")
        store.start("b")
        receipts = []
        for number in range(60):
            receipts.append(store.writer.submit(Append("ab"[number % 2], 1, [event(number)]), []))
            receipts.append(store.writer.submit(Append("a", 9, [event()]), []))
            receipts.append(store.writer.submit(Append("nobody", 1, [event()]), []))
        refused = [r for r in receipts if _fails(r.result)]
        assert len(refused) == 120
        everything = [*store.reader.events.after("a", limit=500), *store.reader.events.after("b", limit=500)]
        for run_id in "ab":
            events = [e for e in everything if e.run_id == run_id]
            assert [e.seq for e in events] == list(range(1, len(events) + 1))
            assert [e.position for e in events] == sorted(e.position for e in events)
        assert len({e.position for e in everything}) == len(everything)

    def test_an_event_key_makes_repeats_harmless(self, store: Store) -> None:
        store.start("r")
        first = store.do(Append("r", 1, [event(1, key="k")]))
        again = store.do(Append("r", 1, [event(2, key="k"), event(3), event(4, key="l"), event(5, key="l")]))
        assert first < again
        assert [e.payload["n"] for e in store.reader.events.after("r") if e.type == "work.done"] == [1, 3, 4]

    def test_numbers_are_not_given_again_after_a_removal(self, store: Store) -> None:
        store.start("r")
        store.do(AppendMessages("r.thread", [NewMessage("user", "x", 0)], run_id="r", attempt=1, worker=True))
        store.do(EndRun("r", 1, "run.completed", {}))
        last = store.reader.events.after("r")[-1]
        while store.do(PruneRun("r")):
            continue
        tombstone = store.reader.events.after("r")
        assert [(e.type, e.seq) for e in tombstone] == [("run.pruned", last.seq + 1)]
        assert store.do(AppendMessages("r.thread", [NewMessage("user", "y", 0)])) == "r.thread#2"
        store.do(RemoveRun("r"))
        with pytest.raises(NotFound):
            store.reader.runs.get("r")
        newest = store.reader.events.last_position()
        store.start("r")
        assert [e.seq for e in store.reader.events.after("r")] == [1, 2]
        assert store.reader.events.after("r")[0].position > newest >= tombstone[0].position
        assert store.reader.events.removed_up_to() == newest

    # --- values --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [1, 4_096, 4_097, 300_000])
    def test_a_value_comes_back_as_it_went_in_whatever_its_size(self, store: Store, size: int) -> None:
        text = "ä" * size
        store.start("r")
        store.do(Append("r", 1, [event(text=text)]))
        store.do(AppendMessages("t", [NewMessage("user", text, 0, codec.encode({"more": text}))]))
        store.do(EndRun("r", 1, "run.completed", {}, blob=pack(codec.encode([text]))))
        assert store.reader.events.after("r")[2].payload["text"] == text
        message = store.reader.threads.messages("t")[0]
        assert (message.text, message.extra) == (text, {"more": text})
        assert store.reader.values.json(store.reader.runs.get("r").result_ref) == [text]

    @pytest.mark.parametrize(
        "text", ["a\0b", "\0", '\\u0000"', "\t\n\r\\", "\ufeff\u2028😀", "NULL", "\\N", "{}", "%s :x $1 ?"]
    )
    def test_a_text_comes_back_as_it_went_in_whatever_is_in_it(self, store: Store, text: str) -> None:
        store.start("r", title=f"title {text}", labels={"label": text})
        store.do(Append("r", 1, [event(number, text=text, key=f"{text}{number}") for number in range(100)]))
        store.do(AppendMessages("t", [NewMessage("user", text, 0, codec.encode({"more": text}))]))
        store.do(EndRun("r", 1, "run.completed", {"summary": "done"}, blob=pack(codec.encode([text]))))
        assert {
            e.payload["text"] for e in store.reader.events.after("r", limit=200) if e.type == "work.done"
        } == {text}
        message = store.reader.threads.messages("t")[0]
        assert (message.text, message.extra) == (text, {"more": text})
        assert store.reader.values.json(store.reader.runs.get("r").result_ref) == [text]
        assert store.reader.runs.get("r").labels == {"label": text}

    def test_a_request_counts_once_in_its_tree(self, store: Store) -> None:
        store.start("top")
        store.start("below", parent_run_id="top")
        reports = [("top", "x"), ("below", "x"), ("below", "y"), ("below", "y"), ("top", "y")]
        receipts = [store.writer.submit(ReportUsage(run, 1, usage(request)), []) for run, request in reports]
        assert [receipt.result() for receipt in receipts] == [True, False, True, False, False]
        top, below = store.reader.usage.of("top"), store.reader.usage.of("below")
        assert (top.own.requests, top.subtree.requests, below.subtree.requests) == (1, 2, 1)
        assert top.subtree.cost_picousd == 14

    # --- boards --------------------------------------------------------------------------------------------------

    def test_a_card_changes_only_at_the_revision_that_was_read(self, store: Store) -> None:
        store.do(SaveBoard("b", "board", None, None))
        assert store.do(SaveCard("c", "b", {"title": "card"}, None)) == 1
        assert store.do(SaveCard("c", None, {"title": "other"}, 1)) == 2
        with pytest.raises(RevisionConflict):
            store.do(SaveCard("c", None, {"title": "lost"}, 1))
        with pytest.raises(InvalidInput):
            store.do(SaveCard("c", None, {"status": "nowhere"}, 2))
        assert (
            store.reader.boards.cards(card_id="c")[0].title,
            store.reader.boards.cards(card_id="c")[0].revision,
        ) == (
            "other",
            2,
        )


def _insert_and_commit(db: Database, statement: str, row: tuple[Any, ...]) -> None:
    db.insert(statement, [row])
    db.commit()


def _fails(call: Callable[[], Any]) -> bool:
    try:
        call()
    except (Fenced, NotFound):
        return True
    return False
