"""A restored ledger is a new one with an old content: it owns nothing of the original's, and takes its place whole."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import apsw
import pytest

import runstone
from runstone.care import backup as backups
from runstone.care.restore import restore
from runstone.care.verify import verify
from runstone.engine.background.folder import ExecFolder
from runstone.errors import (
    Fenced,
    InvalidInput,
    LedgerInUse,
    NotFound,
    Refused,
    SchemaTooNew,
    StoreCorrupt,
    StoreError,
)
from runstone.store.writes.lifecycle import RecordEvents
from runstone.testing.crash import crash_environment
from runstone.workspace import Workspace
from tests.care.copying import end, holder, kill, runstone_command, start

OPENED = """
import runstone, sys
ledger = runstone.open(sys.argv[1], readonly={readonly})
ledger.cursor()
print(flush=True)
sys.stdin.read()
"""

KILLED = """
import os, runstone, signal, sys
ledger = runstone.open(sys.argv[1])
run = ledger.start_run(run_id="x")
os.kill(os.getpid(), signal.SIGKILL)
"""


def filled(folder: Path, run_id: str = "r") -> Workspace:
    with runstone.open(folder) as ledger, ledger.start_run(run_id=run_id) as run:
        run.emit("work.done", {"n": 1})
    return Workspace(folder)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")


# --- an epoch of its own ---------------------------------------------------------------------------------


def test_cursors_of_the_original_begin_anew_in_the_copy(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "w")
    with runstone.open(workspace.root) as ledger:
        cursor = ledger.cursor()
    taken = backups.backup(workspace)
    done = restore(taken.file, tmp_path / "copy")
    assert done.epoch != done.from_epoch == taken.epoch
    with runstone.open(tmp_path / "copy", readonly=True) as ledger:
        told = list(ledger.tail(after=cursor, timeout=0.0))
        assert [event.type for event in told[:2]] == ["ledger.reset", "run.created"]
        assert verify(ledger) == []


# --- what the original still works on --------------------------------------------------------------------


def test_the_copy_takes_everything_out_of_the_originals_hands_and_leaves_its_processes_alone(
    tmp_path: Path,
) -> None:
    with holder(tmp_path / "w") as (owner, tool):
        with runstone.open(tmp_path / "w") as ledger:
            attempt = ledger.get_run("held").attempt
        taken = backups.backup(Workspace(tmp_path / "w"))
        done = restore(taken.file, tmp_path / "copy")
        assert (done.interrupted, done.disowned) == (("held",), 1)
        with runstone.open(tmp_path / "copy") as ledger:
            run = ledger.get_run("held")
            assert run.status == "interrupted"
            assert "restored from" in (run.status_reason or "")
            assert ledger.reader.attempts.leases() == []
            assert ledger.reader.attempts.unended_processes() == []
            assert ledger.boards.card("card").claimed_by is None
            assert verify(ledger) == []
            types = [event.type for event in ledger.events("held").items]
            assert types.count("run.interrupted") == types.count("process.disowned") == 1
            # Neither going on with the run nor stopping it touches what the original started.
            with ledger.continue_run("held") as again:
                assert again.attempt == attempt + 1
                again.complete()
            with pytest.raises(Fenced):
                ledger.core.submit(RecordEvents("held", attempt, []), []).result()
            assert verify(ledger) == []
        assert alive(tool)
        assert owner.poll() is None
        with runstone.open(tmp_path / "w", readonly=True) as ledger:
            assert ledger.get_run("held").status == "running"
            assert len(ledger.reader.attempts.unended_processes()) == 1


def test_a_stop_in_the_copy_does_not_reach_the_original(tmp_path: Path) -> None:
    with holder(tmp_path / "w") as (_, tool):
        restore(backups.backup(Workspace(tmp_path / "w")).file, tmp_path / "copy")
        with runstone.open(tmp_path / "copy") as ledger:
            ledger.command("held", "stop")
            ledger.end_orphans("held")
            assert ledger.get_run("held").status == "cancelled"
        assert alive(tool)


def test_open_orders_are_rejected(tmp_path: Path) -> None:
    with runstone.open(tmp_path / "w") as ledger:
        run = ledger.start_run(run_id="r")
        ledger.supervisor.release(ledger.supervisor.hold("r", 1))  # nobody looks for orders
        ordered = ledger.command("r", "stop")
        assert ordered.status == "requested"
        taken = backups.backup(Workspace(tmp_path / "w"))
        run.complete().result()
    done = restore(taken.file, tmp_path / "copy")
    assert (done.rejected, done.interrupted) == (1, ("r",))
    with runstone.open(tmp_path / "copy") as ledger:
        assert [command.status for command in ledger.commands.list("r")] == ["rejected"]
        assert "command.rejected" in [event.type for event in ledger.events("r").items]
        assert verify(ledger) == []


def test_a_restored_workflow_reuses_what_had_finished(tmp_path: Path) -> None:
    registry, calls = runstone.Registry(), []

    @runstone.agent("leaf", version="1", registry=registry)
    async def leaf(ctx: Any, item: int) -> int:
        calls.append(item)
        if item == 3 and len(calls) == 3:
            taken.append(await asyncio.to_thread(backups.backup, Workspace(tmp_path / "w")))
        return item * 10

    @runstone.workflow("all", version="1", registry=registry)
    async def everything(ctx: Any, input: Any) -> list[int]:
        return [await ctx.child("leaf", item) for item in (1, 2, 3)]

    taken: list[Any] = []
    with runstone.open(tmp_path / "w") as ledger:
        asyncio.run(runstone.run("all", None, ledger=ledger, run_id="wf", registry=registry))
    done = restore(taken[0].file, tmp_path / "copy")
    assert "wf" in done.interrupted
    calls.clear()
    with runstone.open(tmp_path / "copy") as ledger:
        assert asyncio.run(runstone.resume("wf", ledger=ledger, registry=registry)) == [10, 20, 30]
        assert verify(ledger) == []
    assert calls == [3]


# --- the place -------------------------------------------------------------------------------------------


def test_a_ledger_is_replaced_only_when_that_is_said_and_is_kept_aside(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "w")
    taken = backups.backup(workspace)
    filled(tmp_path / "w", "later")
    with pytest.raises(Refused):
        restore(taken.file, workspace.root)
    with pytest.raises(InvalidInput):
        restore(workspace.database, workspace.root, over=True)
    done = restore(taken.file, workspace.root, over=True)
    with runstone.open(workspace.root) as ledger:
        assert [run.id for run in ledger.list_runs().items] == ["r"]
        assert ledger.reader.events.epoch() == done.epoch
        assert verify(ledger) == []
    assert done.replaced is not None
    back = restore(done.replaced, tmp_path / "back")
    with runstone.open(back.workspace, readonly=True) as ledger:
        assert {run.id for run in ledger.list_runs().items} == {"r", "later"}


@pytest.mark.parametrize("there", ["ledger", "nothing", "garbage"])
def test_what_commands_of_the_replaced_ledger_left_is_not_taken_over(tmp_path: Path, there: str) -> None:
    workspace = filled(tmp_path / "w")
    taken = backups.backup(workspace, tmp_path / "b.db")
    with runstone.open(workspace.root) as ledger:
        ledger.create_run(kind="background_agent", run_id="nightly")
    spools = ExecFolder(workspace.folder, "nightly")
    spools.create()
    spools.spool(1, "stdout").write_text("of another run\n")
    if there == "nothing":
        workspace.database.unlink()
    elif there == "garbage":
        workspace.database.write_bytes(b"no ledger" * 1_000)
    done = restore(taken.file, workspace.root, over=True)
    assert not spools.path.exists()
    assert done.commands is not None
    assert (done.commands / "nightly" / "1.stdout").read_text() == "of another run\n"
    assert (done.replaced is None) == (there == "nothing")


def test_ledgers_that_are_replaced_in_the_same_second_are_all_kept(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "w")
    taken = backups.backup(workspace, tmp_path / "b.db")
    kept = {restore(taken.file, workspace.root, over=True).replaced for _ in range(3)}
    assert len(kept) == len(list(workspace.folder.glob("ledger-replaced-*.db"))) == 3


@pytest.mark.parametrize("readonly", [True, False])
def test_a_ledger_that_is_open_is_not_replaced(tmp_path: Path, readonly: bool) -> None:
    workspace = filled(tmp_path / "w")
    taken = backups.backup(workspace)
    program = OPENED.format(readonly=readonly)
    process = start(program, workspace.root)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LedgerInUse, match=f"process {process.pid}"):
            restore(taken.file, workspace.root, over=True)
    finally:
        end(process)
    restore(taken.file, workspace.root, over=True)


def test_a_ledger_whose_runs_still_have_processes_is_not_replaced(tmp_path: Path) -> None:
    with holder(tmp_path / "w") as (owner, tool):
        workspace = Workspace(tmp_path / "w")
        taken = backups.backup(workspace)
        kill(owner)
        with pytest.raises(LedgerInUse, match=f"process group {tool} of run held"):
            restore(taken.file, workspace.root, over=True)
        os.kill(tool, signal.SIGKILL)


def test_a_live_lease_keeps_a_ledger_from_being_replaced(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "w")
    taken = backups.backup(workspace)
    filled(tmp_path / "w", "far")
    connection = apsw.Connection(str(workspace.database))
    connection.execute(
        "UPDATE owners SET identity_json = json_set(identity_json, '$.host', 'elsewhere')"
    ).fetchall()
    far = connection.execute("SELECT run, number, owner FROM attempts ORDER BY run DESC LIMIT 1").fetchall()[
        0
    ]
    connection.execute("INSERT INTO leases VALUES (?, ?, ?, ?)", (*far, 4_000_000_000_000_000)).fetchall()
    connection.close()
    with pytest.raises(LedgerInUse, match=r"run far is held by process \d+ on elsewhere"):
        restore(taken.file, workspace.root, over=True)
    with runstone.open(workspace.root, readonly=True) as ledger:
        assert {run.id for run in ledger.list_runs().items} == {"r", "far"}


def test_a_damaged_ledger_can_be_replaced_and_is_kept(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "w")
    taken = backups.backup(workspace)
    for damage in (b"no ledger any more" * 100, workspace.database.read_bytes()[:20_000], b""):
        workspace.database.write_bytes(damage)
        done = restore(taken.file, workspace.root, over=True)
        assert done.replaced is not None
        kept = done.replaced.rename(tmp_path / f"kept-{len(damage)}")
        assert kept.read_bytes() == damage or not damage
        with runstone.open(workspace.root) as ledger:
            assert verify(ledger) == []


def test_a_log_without_its_ledger_is_not_taken_for_the_restored_ones(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "w")
    taken = backups.backup(workspace)
    end(start(KILLED, workspace.root))
    log = workspace.database.with_name("ledger.db-wal")
    assert log.stat().st_size
    workspace.database.unlink()
    restore(taken.file, workspace.root)
    with runstone.open(workspace.root, readonly=True) as ledger:
        assert [run.id for run in ledger.list_runs().items] == ["r"]


@pytest.mark.parametrize("fresh", [True, False])
def test_killed_at_any_point_the_place_has_the_old_or_the_new_ledger(tmp_path: Path, fresh: bool) -> None:
    with holder(tmp_path / "source") as (_, _):
        file = backups.backup(Workspace(tmp_path / "source")).file
    staged = [
        f"{kind}.{side}_commit"
        for kind in ("BeginEpoch", "DisownProcess", "InterruptRun")
        for side in ("before", "after")
    ]
    # Until the copy is ready nothing has come near the place: whether a ledger is there matters afterwards only.
    points = [*([] if fresh else [*staged, "restore.kept"]), "restore.prepared", "restore.replaced"]
    for number, point in enumerate(points):
        root = tmp_path / f"{number}"
        if not fresh:
            filled(root, "old")
        command = runstone_command("restore", str(file), "--to", str(root), *([] if fresh else ["--replace"]))
        env = {**os.environ, **crash_environment(point)}
        done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
        assert done.returncode == -signal.SIGKILL, (point, done.stderr)
        there = Workspace(root).database.exists()
        assert there == (not fresh or point == "restore.replaced"), point
        if there:
            with runstone.open(root) as ledger:
                runs = {run.id: run.status for run in ledger.list_runs().items}
                assert runs == (
                    {"held": "interrupted"} if point == "restore.replaced" else {"old": "completed"}
                ), point
                assert verify(ledger) == []
        restore(file, root, over=True)
        left = {
            path.name
            for path in Workspace(root).folder.iterdir()
            if "restoring" in path.name or ".part" in path.name
        }
        assert left == set(), point


# --- what is no backup -----------------------------------------------------------------------------------


def test_what_is_no_ledger_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "w")
    whole = backups.backup(workspace).file
    foreign = tmp_path / "foreign.db"
    apsw.Connection(str(foreign)).execute("CREATE TABLE t (x)").fetchall()
    newer = tmp_path / "newer.db"
    newer.write_bytes(whole.read_bytes())
    connection = apsw.Connection(str(newer))
    connection.execute("PRAGMA user_version = 999").fetchall()
    connection.execute("UPDATE meta SET value = '999' WHERE name = 'usable_from'").fetchall()
    connection.close()
    truncated, empty, text, damaged = (
        tmp_path / name for name in ("truncated.db", "empty.db", "text.db", "damaged.db")
    )
    truncated.write_bytes(whole.read_bytes()[:-4096])
    empty.touch()
    text.write_text("hello " * 1_000)
    pages = bytearray(whole.read_bytes())
    pages[5 * 4096 : 6 * 4096] = b"\x5a" * 4096
    damaged.write_bytes(pages)
    cases: list[tuple[Path, type[Exception]]] = [
        (foreign, StoreCorrupt), (newer, SchemaTooNew), (truncated, StoreCorrupt), (empty, StoreCorrupt),
        (text, StoreCorrupt), (damaged, StoreCorrupt), (tmp_path / "nothing.db", NotFound), (tmp_path, InvalidInput),
    ]  # fmt: skip
    for file, error in cases:
        with pytest.raises(error) as found:
            restore(file, tmp_path / "new" / "copy")
        assert isinstance(found.value, StoreError | InvalidInput | NotFound), file
        assert not (tmp_path / "new" / "copy").exists(), file
        with pytest.raises(error):
            restore(file, workspace.root, over=True)
    with runstone.open(workspace.root) as ledger:
        assert verify(ledger) == []
    assert [p for p in workspace.folder.iterdir() if "restoring" in p.name or "replaced" in p.name] == []
