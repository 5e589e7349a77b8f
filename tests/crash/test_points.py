"""Every boundary of every kind of write, crashed at on purpose: all acknowledged is there, and the work goes on."""

import asyncio
import importlib
import pkgutil
from pathlib import Path

import pytest

import runstone
from runstone.store import writes
from runstone.store.base import Write
from tests.crash.programs import everything_registry
from tests.crash.world import Server, pause, require_whole, tools_alive

DRIVEN = (
    "Acknowledge", "DeleteView", "MarkSeen", "ObserveRun", "Release", "Reported", "ReportStatus", "SaveView",
    "TakeEnds",
    "AnswerInput", "AskAndPark", "AskInput", "ContinueRun", "ExpireInputs", "TakeAnswer",
    "Append", "AppendMessages", "CarryOutStop", "ClaimRun", "CollectBlobs", "CreateRun", "DropRecords", "EndProcess",
    "EndRun", "GiveBack", "GiveOrders", "MoveCommand", "OpenRun", "ParkRun", "PruneRun", "RecordEvents",
    "RecordHandled", "RecordReuse", "RecordStep", "RemoveCheckpoints", "RemoveRun", "RenewLeases", "ReportUsage",
    "ResumeRun", "SaveBoard", "SaveCard", "SaveCheckpoint", "StartChildren", "StartProcess", "ThinPlaces",
    "TakeSteering", "TidySearch", "UpdateRun", "YieldRun",
)  # fmt: skip
NOT_DRIVEN = {
    "SealTrees",
    "UnsealTrees",
    "MakeBulk",
    "SettleBulkRun",
    "CancelBulk",
    "ImportSpent",
    "MoveDispatches",
    "ReturnDispatch",
    "TakeDuty",
    "GiveOrder",
    "RequestStop",
    "KeepAlive",
    "Once",
    "OpenHandle",
    "TakeOver",
    "ImportViews",
    "AskBudget",
    "ContinueChild",
    "TellRun",
    "WithdrawInputs",
    "BeginEpoch",
    "CloseThread",
    "DisownProcess",
    "EndCommand",
    "ForkRun",
    "ImportBoards",
    "ImportMessages",
    "ImportTree",
    "InterruptRun",
    "NoteCommandEnd",
    "PauseParked",
    "RepriceRequests",
    "SaveThread",
    "SetSuperseded",
    "StoreBlobs",
    "TakeOutput",
}
"""Single orders are parts of `GiveOrders`, and what the engine tells the children of a run that it ends. Those of
budgets and continued children are crashed at in test_asking_kills.py, those of the reconciler are crashed at by the
campaign, those of `restore` in tests/care/test_restore.py, those of `import` in tests/care/test_export.py, those of a
move in tests/care/test_sealing.py, that of `reprice` in tests/test_reports.py, those of clients and their spools in
tests/client, that of a request's key in tests/server, those of background commands in test_background_kills.py, those
of workers in tests/postgres/test_workers.py and by the campaign; a server is killed as it carries out orders for many
runs in tests/e2e/web/test_looking.py; the others change one row more than those above."""

REPAIRS = {
    "DropEntries", "EmptySearch", "IndexTexts", "LinkChild", "RebuildIndexes", "RebuildListing", "RebuildRequests",
    "RebuildRun", "RebuildSums", "ReleaseClaim", "RestoreNumbers", "RestoreThread", "SettleWaits",
}  # fmt: skip
"""Crashed at in tests/care/test_repair.py."""

OTHER = ("migrate.before_commit", "migrate.after_commit", "writer.after_begin")
POINTS = [f"{name}.{side}_commit" for name in DRIVEN for side in ("before", "after")] + list(OTHER)
FEW = (
    [f"{name}.after_commit" for name in DRIVEN]
    + [f"{name}.before_commit" for name in DRIVEN[::3]]
    + list(OTHER)
)
"""What is crashed at each time. A kill before a commit leaves what the write before it had left, so that of these a
third will do; the campaign takes all."""

SLICES = 6


def kinds(base: type = Write) -> set[str]:
    """The kinds of write that there are."""
    for module in pkgutil.iter_modules(writes.__path__):
        importlib.import_module(f"{writes.__name__}.{module.name}")
    found = set()
    for kind in base.__subclasses__():
        found |= {kind.__name__} if kind.__module__.startswith(writes.__name__) else set()
    return found


def test_every_kind_of_write_passes_its_points(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    with Server() as server:
        victim = server.start(tmp_path, "points", str(tmp_path))
        assert victim.wait_gone(60)
    passed = victim.said()[-1]["points"]
    missing = [point for point in POINTS if point not in passed]
    assert not missing, f"not driven any more: {missing}"
    left = sorted(kinds() - set(DRIVEN) - NOT_DRIVEN - REPAIRS)
    assert not left, f"kinds of write that nobody crashes: {left}"
    record_property("told", f"{len(passed)} crash points, passed {sum(passed.values())} times")


@pytest.mark.parametrize("number", range(SLICES))
def test_a_crash_at_each_boundary_loses_nothing(tmp_path: Path, number: int) -> None:
    with Server() as server:
        for index, point in enumerate(FEW):
            if index % SLICES == number:
                crash_at(server, tmp_path / f"{index}", point)


def crash_at(server: Server, folder: Path, point: str) -> None:
    folder.mkdir()
    victim = server.start(folder, "everything", str(folder), crash=(point, 1))
    assert victim.wait_gone(60)
    said = victim.said()
    assert not any("done" in line for line in said), f"{point} was not passed"
    with runstone.open(folder) as ledger:
        require_whole(ledger, victim.acknowledged())
        require_going_on(ledger, folder)


def require_going_on(ledger: runstone.Ledger, folder: Path) -> None:
    """What the crash cut off is finished by a new process: the workflow, a run of one's own, a removal."""
    made = everything_registry(str(folder))
    ids = {run.id: run for run in ledger.list_runs(limit=500).items}
    if "all" in ids:
        for _ in range(4):
            if ledger.get_run("all").status == "completed":
                break
            try:
                asyncio.run(runstone.resume("all", ledger=ledger, registry=made))
            except runstone.RunFailed:
                pause(0)
        assert ledger.result("all") == "all"
    own = ids.get("own")
    if own is not None and own.status in ("interrupted", "paused"):
        ledger.continue_run("own").complete().result()
    if "old" in ids and ledger.get_run("old").status == "completed":
        ledger.care.remove("old")
    if "asks" in ids and ledger.get_run("asks").status != "completed":
        for asked in ledger.inputs.list(run_id="asks"):
            ledger.answer(asked.id, "yes")
        with ledger.continue_run("asks") as run:
            assert run.answer in (None, "yes", "main", "no")
    assert ledger.care.verify() == []
    assert list(tools_alive(folder)) == []
