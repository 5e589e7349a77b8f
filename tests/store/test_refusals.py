"""A refused write leaves nothing behind: no row, no sum, and no change of the heads that are kept in memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstone.domain import codec, inputs
from runstone.domain.history import History
from runstone.domain.runs import Head
from runstone.domain.state import Saved
from runstone.errors import InvalidInput, RunstoneError
from runstone.store.base import Write
from runstone.store.batch import Batch, Cache
from runstone.store.blobs import pack
from runstone.store.clock import SystemClock
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.store.writes import journal
from runstone.store.writes.asking import AskAndPark
from runstone.store.writes.boards import CarryOutStop, MoveCommand, RequestStop, SaveBoard, SaveCard
from runstone.store.writes.budgets import AskBudget
from runstone.store.writes.bulks import CancelBulk, MakeBulk, SettleBulkRun
from runstone.store.writes.checkpoints import SaveCheckpoint
from runstone.store.writes.continuing import ContinueChild, ContinueRun, QueueContinuation, TellRun
from runstone.store.writes.deliveries import Acknowledge, End, Release, TakeEnds
from runstone.store.writes.events import Append, AppendMessages, NewEvent, NewMessage, ReportUsage, SaveThread
from runstone.store.writes.fork import ForkRun
from runstone.store.writes.importing import (
    CloseThread,
    ImportBoards,
    ImportMessages,
    ImportTree,
    RunRows,
    StoreBlobs,
)
from runstone.store.writes.inputs import AnswerInput, AskInput, ExpireInputs, TakeAnswer, WithdrawInputs
from runstone.store.writes.journal import (
    DropRecords,
    Hint,
    RecordHandled,
    RecordReuse,
    RecordStep,
    StartChildren,
    StartProcess,
)
from runstone.store.writes.lifecycle import (
    ClaimRun,
    CreateRun,
    EndRun,
    OpenRun,
    ParkRun,
    QueueRun,
    RecordEvents,
    ResumeRun,
    UpdateRun,
    YieldRun,
)
from runstone.store.writes.moves import UnsealTrees
from runstone.store.writes.observed import ObserveRun, Reported, ReportEvents, ReportStatus
from runstone.store.writes.once import Once
from runstone.store.writes.outputs import CommandEnd, EndCommand, NoteCommandEnd, Taken, TakeOutput
from runstone.store.writes.removal import PruneRun, RemoveRun
from runstone.store.writes.repair import RebuildRequests, RebuildRun
from runstone.store.writes.repricing import NewCost, RepriceRequests
from runstone.store.writes.restoring import BeginEpoch, DisownProcess
from runstone.store.writes.spooled import OpenHandle, TakeOver
from runstone.store.writes.thinning import RemoveCheckpoints, ThinPlaces
from runstone.store.writes.verbs import GiveOrder, GiveOrders, TakeSteering
from runstone.store.writes.views import DeleteView, ImportViews, MarkSeen, NewView, SaveView
from runstone.testing.contract import OTHER, Store, event, new_run, usage

QUESTION = inputs.question("Late?", now=0, choices=["late", "never"])
OPEN = inputs.question("Which?", now=0)
SEEN = partial(new_run, options={"observed": {"silent_after_s": 9}})
TOOL = NewEvent("tool.completed", b'{"call_id":"c"}', 1, 0, "key", ("search", True))


def accepted() -> list[Write]:
    """Writes of every kind that stage something, all of them taken."""
    return [
        Append("live", 1, [event(1), TOOL]),
        ReportUsage("live", 1, usage("r1")),
        AppendMessages("talk", [NewMessage("user", "hello", 0)], run_id="live", attempt=1),
        SaveCheckpoint("live", 1, Saved().changes({"m": [1]})[0], label=None, after=0),
        RecordStep("live", 1, Hint("k" * 32, "step"), b"1", 0),
        UpdateRun("live", {"title": "new title"}),
        SaveBoard("board", "b", None, None),
        SaveCard("card", "board", {"title": "c", "run_id": "live"}, None),
        StartChildren("live", 1, [(new_run("kid", parent_run_id="live"), Hint("c" * 32, "agent"))]),
    ]


class Late(Write):
    """Stages all that another write does, and is refused after that: the worst that a bug could do."""

    def __init__(self, inner: Write) -> None:
        self.inner = inner

    def decide(self, batch: Batch) -> Any:
        self.inner.decide(batch)
        raise InvalidInput("refused at last")


def doubted(run_id: str) -> History:
    """A history that a repair must not rely on."""
    history = History(1, run_id)
    history.add(1, "run.started", {"attempt": 1}, 5, 1)
    return history


def view(name: str, *, view_id: str = "late") -> NewView:
    return NewView(
        view_id=view_id, name=name, filters_json="{}", sort="updated", order="desc", grouping=None, default=False
    )  # fmt: skip


PRINTED = Taken(stream="stdout", expected=0, offset=9, lines=1, broken=0, cut=False)

REFUSED: list[tuple[str, Callable[[], Write]]] = [
    *((f"late {type(write).__name__}", lambda write=write: Late(write)) for write in [
        Append("live", 1, [event(7, key="late")]),
        Append("live", 1, [NewEvent("tool.completed", b"{}", 1, 5_000_000_000_000_000, "late", ("search", False))]),
        ReportUsage("live", 1, usage("late", cost=None)),
        ReportUsage("live.kid", 1, usage("late too")),
        AppendMessages("talk", [NewMessage("user", "late", 0)], run_id="live", attempt=1, worker=True),
        SaveThread("talk", "late"),
        SaveThread("unheard", "late"),
        AppendMessages("unheard", [NewMessage("user", "late", 0)]),
        SaveCheckpoint("live", 1, Saved().changes({"m": ["x" * 9_000]})[0], label="late", after=0),
        RemoveCheckpoints("old", [1]),
        ThinPlaces("old"),
        RecordStep("live", 1, Hint("l" * 32, "late"), b'"' + b"x" * 9_000 + b'"', 0),
        UpdateRun("live", {"title": "late title"}),
        SaveBoard("late", "b", None, None),
        StartChildren("live", 1, [(new_run("late", parent_run_id="live"), Hint("d" * 32, "agent"))]),
        ForkRun(new_run("late"), []),
        CreateRun(new_run("late")),
        CreateRun(new_run("unknown")),
        OpenRun(new_run("late"), OTHER),
        ClaimRun("waiting", OTHER, expect=frozenset({"paused"})),
        ResumeRun("waiting", "late"),
        EndRun("live", 1, "run.completed", {"summary": "late"}, blob=None),
        ParkRun("live", 1, "run.paused", {"reason": "late"}),
        YieldRun("live", 1, "late"),
        RequestStop("waiting", "late", {}, by="ana", idempotency_key="late"),
        RequestStop("live", "late", {}, by="ana", idempotency_key=None),
        CarryOutStop("halted"),
        MakeBulk("late", "stop", ["live", "waiting"], by="ana"),
        GiveOrder("live", "late", "pause", {"scope": "run"}, by="ana", idempotency_key="late"),
        GiveOrder("pending", "late", "pause", {}, by="ana"),
        GiveOrder("waiting", "late", "resume", {}, by="ana"),
        GiveOrder("halted", "late", "retry", {}, by="ana"),
        GiveOrder("live", "late", "steer", {"message": "late"}, by="ana"),
        TakeSteering("live", 1, "live.thread"),
        RecordEvents("live", 1, [("phase.started", {"phase": "late"}, 1)]),
        RecordReuse("live", 1, [{"child_run_id": "live.kid", "tokens": 1}]),
        RecordHandled("live", 1, [2]),
        DropRecords("live", 1, [1]),
        StartProcess("live", 1, 77, {"pid": 77}, ["late"]),
        journal.EndProcess("live", 1, 76, 0, None),
        journal.SetSuperseded("live.kid", True),
        PruneRun("ended"),
        AskInput("live", 1, QUESTION, "late"),
        AskInput("live", None, inputs.question("w" * 9_000, now=0), "late"),
        AskAndPark(AskInput("live", 1, QUESTION, "late"), None),
        AskAndPark(
            AskInput("live", 1, inputs.question("x" * 9_000, now=0), "late"),
            SaveCheckpoint("live", 1, Saved().changes({"m": ["x" * 9_000]})[0], label="late", after=1),
        ),
        ContinueRun("waiting", OTHER, message=None, saved=0, now=5),
        ContinueRun("asking", OTHER, message="late", saved=0, now=5),
        ContinueChild("live", 1, "live.done", Hint("e" * 32, "late"), message="late", agent_id=None, now=5),
        TellRun("waiting", "late", 5),
        QueueRun(new_run("late"), "late", "ana"),
        QueueContinuation("waiting", "late", 5, command_id="late", by="ana"),
        TakeEnds("late", range(9), holder="{}", hold_us=5, dead=()),
        Acknowledge("late", [End("ended", 1, 0)], write=Append("live", 1, [event(7, key="late")])),
        Release("late", End("ended", 1, 0), holder="{}"),
        AskBudget("live", QUESTION, "late", {}),
        SaveView(view("late"), None),
        SaveView(view("seen first", view_id="first"), 1),
        DeleteView("first", 1),
        MarkSeen("late", "e", 7),
        ImportViews([("late", "late", "{}", "updated", "desc", None, 0, 1, 5, 5)]),
        AnswerInput("open", b'"late"', "ana"),
        AnswerInput("parked", b'"' + b"x" * 9_000 + b'"', "ana"),
        WithdrawInputs("live", 1, ["open"]),
        TakeAnswer("open", 7),
        ExpireInputs(),
        EndRun("live", 1, "run.failed", {"error": {"message": "late"}}),
        RequestStop("asking", "late", {}, by="ana", idempotency_key=None),
        BeginEpoch("late", {}),
        StoreBlobs([pack(b"late" * 3_000)]),
        ImportMessages(("late", None, "live", 1, 2, 1), [("late", 1, "user", "live", 1, 2, "late", None, None, None)],
                       [("late", [])]),
        CloseThread("talk", 99),
        ImportBoards([("late", None, "Late", 1, 1, 1)],
                     [("late", "late", "Late", "todo", 0, None, None, None, "{}", None, 1, 1, 1)], []),
        DisownProcess("live", 1, 76, "late"),
        RepriceRequests([NewCost(1, 5), NewCost(2, 5)], "late"),
        TakeOutput("live", 1, 1, [PRINTED], [AppendMessages("talk", [NewMessage("output", "late", 0)], run_id="live")]),
        ObserveRun(SEEN("late"), frozenset()),
        ReportStatus(ObserveRun(SEEN("seen"), frozenset()), "completed", 2, {"summary": "late"}),
        ReportStatus(ObserveRun(SEEN("named"), frozenset()), "running", 2, {}),
        ReportEvents("seen", [event(7, key="late")]),
        Reported(ReportUsage("seen", None, usage("late")), "seen", 2),
        NoteCommandEnd("live", CommandEnd(launch=1, pgid=76, exit_code=0)),
        EndCommand("live", 1, "run.failed", {"error": {"message": "late"}}, CommandEnd(launch=1, pgid=76, signal=9)),
        TakeOver(Append("live", 1, [TOOL]), OTHER, spool="late", number=7),
        OpenHandle(new_run("late"), OTHER, 1),
    ]),
    *((f"fenced {type(write).__name__}", lambda write=write: write) for write in [
        Append("live", 9, [event()]),
        SaveCheckpoint("live", 1, [], label=None, after=9),
        RemoveCheckpoints("old", [2]),
        RemoveCheckpoints("nobody", [1]),
        ThinPlaces("nobody"),
        AppendMessages("talk", [NewMessage("user", "x", 0)], run_id="live", attempt=9),
        RecordStep("live", 9, Hint("k" * 32, "step"), b"1", 0),
        StartChildren("live", 9, [(new_run("never", parent_run_id="live"), Hint("c" * 32, "agent"))]),
        EndRun("live", 9, "run.completed", {}),
        EndRun("ended", None, "run.failed", {}),
        ParkRun("live", 9, "run.paused", {}),
        YieldRun("live", 9, "x"),
        UnsealTrees(["nobody"]),
        RecordEvents("live", 9, []),
        RecordReuse("live", 9, []),
        RecordHandled("live", 9, []),
        DropRecords("live", 9, []),
        StartProcess("live", 9, 1, {}, []),
        ClaimRun("ended", OTHER),
        OpenRun(new_run("live"), OTHER),
        CreateRun(new_run("live", agent_id="other")),
        UpdateRun("nobody", {}),
        UpdateRun("live", {"labels": {"a": "x" * 5_000}}),
        CreateRun(new_run("late", options={"a": "x" * 5_000})),
        CreateRun(new_run("unknown", parent_run_id="orphan")),
        ResumeRun("nobody", None),
        SaveBoard("nowhere", "b", None, 3),
        SaveCard("nowhere", None, {}, 3),
        SaveCard("late", "nowhere", {"title": "x"}, None),
        RequestStop("ended", "late", {}, by=None, idempotency_key=None),
        GiveOrders(
            RequestStop("ended", "late", {}, by=None, idempotency_key=None),
            [GiveOrder("live", "below", "pause", {}, by="ana")],
        ),
        MoveCommand("nothing", "applied"),
        CarryOutStop("nobody"),
        SettleBulkRun("nothing", 0, "live", None),
        CancelBulk("nothing"),
        GiveOrder("waiting", "late", "pause", {}, by="ana"),
        GiveOrder("live", "late", "resume", {}, by="ana"),
        GiveOrder("ended", "late", "retry", {}, by="ana"),
        GiveOrder("ended", "late", "steer", {"message": "late"}, by="ana"),
        GiveOrder("live", "late", "steer", {"message": "late"}, by="ana", idempotency_key="told"),
        TakeSteering("live", 9, "live.thread"),
        PruneRun("live"),
        RemoveRun("live"),
        RebuildRun(doubted("live")),
        RebuildRequests(doubted("live"), ["late"]),
        AskInput("live", 9, QUESTION, "late"),
        AskInput("live", 1, OPEN, "late"),
        AskInput("ended", None, QUESTION, "late"),
        AskAndPark(AskInput("live", 9, QUESTION, "late"), None),
        AskAndPark(
            AskInput("live", 1, QUESTION, "late"), SaveCheckpoint("live", 1, [], label=None, after=9)
        ),
        ContinueRun("asking", OTHER, message=None, saved=0, now=5),
        ContinueRun("asking", OTHER, message="late", saved=7, now=5),
        ContinueRun("live", OTHER, message="late", saved=0, now=5),
        ContinueChild("live", 1, "live.kid", Hint("e" * 32, "late"), message="late", agent_id=None, now=5),
        TellRun("live", "late", 5),
        QueueRun(new_run("live", agent_id="other"), "late", "ana"),
        QueueContinuation("live", "late", 5, command_id="late", by="ana"),
        Acknowledge("late", [End("nothing", 1, 0)]),
        Acknowledge("late", [End("ended", 1, 0)], write=Append("live", 9, [event(7)])),
        Release("late", End("nothing", 1, 0), holder="{}"),
        Once(Append("live", 9, [event(7)]), None, lambda reader, value: value, clock=SystemClock()),
        SaveView(view("late"), 1),
        SaveView(view("first"), None),
        DeleteView("first", 7),
        DeleteView("nothing", None),
        AnswerInput("nothing", b"1", None),
        AnswerInput("due", b"1", None),
        WithdrawInputs("live", 9, ["open"]),
        TakeAnswer("nothing", 1),
        DisownProcess("nobody", 1, 76, "late"),
        ImportTree([RunRows(head=Head(pk=0, run_id="live", kind="subagent"), rows={})], [], present=frozenset(),
                   reason="late"),
        ObserveRun(new_run("live", agent_id="other"), frozenset({"agent_id"})),
        ReportStatus(ObserveRun(new_run("live"), frozenset()), "failed", 2, {}),
        ReportEvents("nobody", [event(7)]),
        Reported(ReportUsage("nobody", None, usage("late")), "nobody", 2),
        TakeOutput("live", 9, 1, [PRINTED], []),
        TakeOutput("live", None, 1, [PRINTED], []),
        TakeOutput("live", 1, 1, [msgspec.structs.replace(PRINTED, expected=5)], []),
        EndCommand("live", 9, "run.completed", {}, CommandEnd(launch=1, pgid=76)),
        TakeOver(Append("live", 9, [event()]), OTHER, spool="late", number=1),
        TakeOver(OpenHandle(new_run("live"), OTHER, 1), OTHER, spool="late", number=1),
        OpenHandle(new_run("pending"), OTHER, 2),
    ]),
]  # fmt: skip


def lay_out(store: Store) -> None:
    """Runs in each state, with children, waits for a parent that is unknown, and something spent below it."""
    store.start("live")
    store.start("live.kid", parent_run_id="live")
    store.start("live.done", parent_run_id="live")
    store.do(EndRun("live.done", 1, "run.completed", {}))
    store.start("ended")
    store.do(EndRun("ended", 1, "run.completed", {}))
    store.start("waiting")
    store.do(ParkRun("waiting", 1, "run.paused", {"reason": "x"}))
    store.do(AskInput("live", 1, OPEN, "open"))
    store.do(AskInput("live", 1, inputs.question("Due?", now=1, expires_s=0, default="no"), "due"))
    store.start("asking")
    store.do(AskAndPark(AskInput("asking", 1, OPEN, "parked"), None))
    store.start("halted")
    store.do(RequestStop("halted", "halt", {}, by="ana", idempotency_key=None))
    store.do(YieldRun("halted", 1, "lost"))
    store.do(GiveOrder("live", "told", "steer", {"message": "told"}, by="ana", idempotency_key="told"))
    store.do(CreateRun(new_run("pending")))
    store.start("old")
    first, saved = Saved().changes({"n": 1})
    store.do(SaveCheckpoint("old", 1, first, label=None, after=0))
    store.do(SaveCheckpoint("old", 1, saved.changes({"n": 2})[0], label=None, after=1))
    store.do(ObserveRun(SEEN("seen"), frozenset()))
    store.do(ReportStatus(ObserveRun(SEEN("seen"), frozenset()), "running", 1, {}))
    store.do(ObserveRun(SEEN("named"), frozenset()))
    store.do(SaveView(view("first", view_id="first"), None))
    store.start("orphan", parent_run_id="unknown")
    store.do(ReportUsage("orphan", 1, usage("far")))
    store.do(ReportUsage("live.kid", 1, usage("unpriced", cost=None)))


def content(db: SQLiteDatabase) -> dict[str, list[Any]]:
    """Every row of every table."""
    names = [
        row[0]
        for row in db.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'search%'")
    ]
    tables = {name: db.query(f"SELECT * FROM {name}") for name in names if name != "sqlite_sequence"}
    return {name: sorted(rows, key=repr) for name, rows in tables.items()} | {
        "found": db.query("SELECT rowid FROM search ORDER BY 1")
    }


def heads(cache: Cache, db: SQLiteDatabase) -> None:
    """The heads in memory are those of the file."""
    fresh = Batch(db, Cache(), 0)
    for run_id, head in cache.heads.items():
        assert msgspec.structs.asdict(head) == msgspec.structs.asdict(fresh.head(run_id)), run_id
    for thread_id, known in cache.threads.items():
        assert fresh.thread(thread_id) == known, thread_id


def commit(db: SQLiteDatabase, cache: Cache, writes: list[Write], now: int) -> list[BaseException | None]:
    """One transaction, as the writer makes it."""
    db.begin()
    batch = Batch(db, cache, now)
    errors = [batch.decide(write).error for write in writes]
    batch.flush()
    db.commit()
    return errors


@pytest.mark.parametrize("refused", [make for _, make in REFUSED], ids=[name for name, _ in REFUSED])
def test_a_refused_write_leaves_nothing_behind(
    path: Path, tmp_path: Path, store: Store, refused: Callable[[], Write]
) -> None:
    lay_out(store)
    store.close()
    twin = tmp_path / "twin.db"
    copy = SQLiteDatabase(path)
    copy.query("VACUUM INTO ?", (str(twin),))
    copy.close()
    now = store.clock.now() + 5_000_000
    results = []
    for file, extra in ((path, True), (twin, False)):
        db, cache = SQLiteDatabase(file), Cache()
        before = accepted()
        writes = [*before[:5], *([refused()] if extra else []), *before[5:], *([refused()] if extra else [])]
        errors = commit(db, cache, writes, now)
        if extra:
            assert isinstance(errors[5], RunstoneError)
            assert isinstance(errors[-1], RunstoneError)
            errors = [error for index, error in enumerate(errors[:-1]) if index != 5]
        assert errors == [None] * len(before)
        heads(cache, db)
        commit(db, cache, [Append("live", 1, [event(2)]), ReportUsage("live.kid", 1, usage("r2"))], now + 1)
        heads(cache, db)
        results.append(_without_numbers(content(db)))
        db.close()
    assert results[0] == results[1]


def _without_numbers(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Integer keys may have gaps where writes were refused; all else must be the same."""
    numbered = {"events", "runs", "journal", "texts", "messages", "threads", "cards", "boards", "usage"}
    kept = {
        name: rows
        for name, rows in tables.items()
        if name not in {*numbered, "found", "waits", "tools", "totals", "attempts", "leases"}
    }
    kept |= {name: sorted(repr(row[1:]) for row in rows) for name, rows in tables.items() if name == "boards"}
    kept["counts"] = [(name, len(rows)) for name, rows in sorted(tables.items())]
    kept["seqs"] = sorted(repr((row[2:6], row[8:])) for row in tables["events"])
    kept["sums"] = sorted(repr(row[1:]) for name in ("totals", "tools") for row in tables[name])
    kept["rows"] = sorted(
        repr([row[index] for index in (1, 3, 13, 16, 25, 29, 32)]) for row in tables["runs"]
    )
    return kept


def test_every_write_class_has_its_refusal() -> None:
    made = {type(make()).__name__ for _, make in REFUSED} | {
        type(make().inner).__name__ for _, make in REFUSED if isinstance(make(), Late)
    }
    known = {one.__name__ for one in _subclasses(Write)} - {"Late"}
    # These refuse nothing: they leave alone what they may not change, or change nothing that is said. The last two of
    # the first line are parts of others.
    harmless = {
        "AskBudget",
        "ImportSpent",
        "ImportViews",
        "MarkSeen",
        "InterruptRun",
        "RenewLeases",
        "KeepAlive",
        "PauseParked",
        "SaveCard",
        "ReturnDispatch",
        "MoveDispatches",
        "TakeDuty",
        "SealTrees",
    }
    assert known - made <= harmless | {"CollectBlobs", "GiveBack", "TidySearch"} | REPAIRS | _others()


REPAIRS = {
    "DropEntries", "EmptySearch", "IndexTexts", "LinkChild", "RebuildIndexes", "RebuildListing", "RebuildSums",
    "ReleaseClaim",
    "RestoreNumbers", "RestoreThread", "SettleWaits",
}  # fmt: skip
"""They change what is wrong, and refuse nothing."""


def _others() -> set[str]:
    return {one.__name__ for one in _subclasses(Write) if not one.__module__.startswith("runstone.store")}


def _subclasses(kind: type) -> set[type]:
    return {one for sub in kind.__subclasses__() for one in (sub, *_subclasses(sub))}


def test_a_long_payload_is_packed_before_it_is_queued() -> None:
    write = Append("r", 1, [NewEvent("a.b", codec.encode({"x": "y" * 9_000}), 1, 0)])
    assert write.events[0].blob is not None
    assert write.events[0].payload == b""
    assert write.light  # nothing can refuse it once it has begun
