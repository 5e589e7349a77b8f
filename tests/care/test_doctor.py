"""Each planted condition has its finding, with a command that is true; a healthy workspace has none."""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

import runstone
from runstone import config
from runstone.care import backup as backups
from runstone.care.doctor import (
    Check,
    examine,
    file,
    ghosts,
    locks,
    machine,
    place,
    rights,
    settings,
    versions,
)
from runstone.care.parts import writing
from runstone.testing.clock import FakeClock
from runstone.workspace import Workspace
from tests.care.copying import end, holder, kill, runstone_command, start, wait_until

HOLD = """
import apsw, sys
db = apsw.Connection(sys.argv[1])
db.execute(sys.argv[2]).fetchall()
if len(sys.argv) > 3:
    db.execute(sys.argv[3]).fetchall()
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "w"
    with runstone.open(root) as ledger, ledger.start_run(run_id="r") as run:
        run.emit("work.done", {"n": 1})
    return Workspace(root)


def found(workspace: Workspace | None, name: str, root: Path | None = None) -> list[Check]:
    checks = examine(workspace, root or workspace.root)  # type: ignore[union-attr]
    return [check for check in checks if check.name == name]


def one(workspace: Workspace, name: str) -> Check:
    checks = found(workspace, name)
    assert len(checks) == 1, checks
    return checks[0]


def type_(check: Check, workspace: Workspace) -> None:
    """Types the finding's command; it must work."""
    assert check.command is not None
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        check.command, shell=True, cwd=workspace.root, env={**os.environ, "PATH": path}, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"{check.command}\n{done.stdout}\n{done.stderr}"


# --- healthy, missing, damaged ---------------------------------------------------------------------------


def test_a_healthy_fresh_workspace_has_no_warnings(workspace: Workspace) -> None:
    bad = [check for check in examine(workspace, workspace.root) if check.severity in ("warning", "problem")]
    # What is under the temporary folder, and who may write it, is not ours.
    assert [check for check in bad if check.name not in ("place.kind", "rights.parent", "place.room")] == []


def test_it_changes_nothing_and_reads_what_cannot_be_written(workspace: Workspace) -> None:
    before = {
        p.name: p.read_bytes() for p in workspace.folder.iterdir() if p.name in ("ledger.db", ".gitignore")
    }
    names = {p.name for p in workspace.folder.iterdir()}
    examine(workspace, workspace.root)
    assert {p.name for p in workspace.folder.iterdir()} - names <= {"ledger.db-wal", "ledger.db-shm"}
    assert all((workspace.folder / name).read_bytes() == data for name, data in before.items())


def test_it_runs_without_a_workspace(tmp_path: Path) -> None:
    command = [*runstone_command("doctor", "--json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"workspace": null' in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["text", "truncated", "page", "empty", "foreign"])
def test_a_damaged_ledger_is_a_problem_and_not_a_crash(workspace: Workspace, damage: str) -> None:
    taken = backups.backup(workspace).file
    data = workspace.database.read_bytes()
    ruined = bytearray(data)
    ruined[5 * 4096 : 6 * 4096] = b"\x5a" * 4096
    for suffix in ("-wal", "-shm"):
        workspace.database.with_name(f"ledger.db{suffix}").unlink(missing_ok=True)
    workspace.database.write_bytes(
        {
            "text": b"hello " * 2_000,
            "truncated": data[:-8192],
            "page": bytes(ruined),
            "empty": b"",
            "foreign": b"",
        }[damage]
    )
    if damage == "foreign":
        apsw.Connection(str(workspace.database)).execute("CREATE TABLE t (x)").fetchall()
    checks = examine(workspace, workspace.root)
    problems = [check for check in checks if check.severity == "problem"]
    assert problems or damage == "empty"
    assert all(check.command for check in problems)
    if damage in ("text", "truncated"):
        opening = one(workspace, "file.open")
        assert opening.command == f"runstone restore {shlex.quote(str(taken))} --replace"
        type_(opening, workspace)
        assert found(workspace, "file.open") == []


def test_the_exit_code_says_whether_there_is_a_problem(workspace: Workspace) -> None:
    def code() -> int:
        command = runstone_command("--workspace", str(workspace.root), "doctor", "--json")
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode

    assert code() == 0
    (workspace.root / "runstone.toml").write_text("modules = [")
    assert code() == 1


def test_a_look_that_fails_is_a_finding(workspace: Workspace, tmp_path: Path) -> None:
    gone = Workspace(tmp_path / "nowhere")
    checks = examine(gone, gone.root)
    assert {check.name for check in checks if check.severity == "problem"} >= {"place", "file.open"}


# --- versions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "sound"),
    [("3.40.1", False), ("3.44.5", False), ("3.44.6", True), ("3.45.0", False), ("3.50.6", False), ("3.50.7", True),
     ("3.51.2", False), ("3.51.3", True), ("3.53.0", True), ("3.6.23", True), ("3.7.0", False), ("4.0.0", True)],
)  # fmt: skip
def test_an_sqlite_that_can_damage_the_log_is_a_problem(version: str, sound: bool) -> None:
    assert (versions.check_sqlite(version).severity == "ok") is sound


def test_an_sqlite_without_what_is_needed_is_a_problem() -> None:
    assert "ENABLE_FTS5" in versions.check_options(["THREADSAFE=1"]).text
    assert versions.check_options(["THREADSAFE=0", "ENABLE_FTS5"]).severity == "problem"
    assert versions.check_extra("server", installed=False).command == "pip install 'runstone[server]'"


# --- the file system -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("ext4", "ok"), ("xfs", "ok"), ("nfs4", "problem"), ("cifs", "problem"), ("fuse.sshfs", "problem"),
     ("fuse.rclone", "warning"), ("9p", "warning"), ("overlay", "warning"), ("tmpfs", "warning")],
)  # fmt: skip
def test_the_kind_of_file_system_is_judged(tmp_path: Path, kind: str, severity: str) -> None:
    mounts = (
        f"/dev/a / ext4 rw 0 0\nhost:/b {tmp_path} {kind} rw,nobarrier 0 0\nx {tmp_path}/other tmpfs rw 0 0\n"
    )
    mount = place.mount_of(tmp_path / "w", mounts)
    assert mount is not None
    assert place.check_kind(mount, tmp_path).severity == severity
    assert place.check_barriers(mount, "").severity == "problem"
    assert place.check_barriers(None, "libeatmydata.so").severity == "problem"


def test_a_mount_point_with_a_space_is_understood() -> None:
    mount = place.mount_of(Path("/my disk/w"), "/dev/a / ext4 rw 0 0\n/dev/b /my\\040disk nfs rw 0 0\n")
    assert mount is not None
    assert mount.kind == "nfs"


def test_room_is_measured_against_the_ledger() -> None:
    folder = Path("/w")
    assert place.check_room(10 << 20, 1 << 20, folder).severity == "problem"
    assert place.check_room(1 << 30, 2 << 30, folder).severity == "warning"
    assert place.check_room(4 << 30, 2 << 30, folder).severity == "ok"
    assert place.check_inodes(10, folder).severity == "warning"
    assert place.check_inodes(None, folder).severity == "ok"


# --- the file --------------------------------------------------------------------------------------------


def test_an_older_schema_is_upgraded_by_the_command(tmp_path: Path) -> None:
    from runstone.store.sqlite import migrate
    from runstone.store.sqlite.database import SQLiteDatabase

    workspace = Workspace(tmp_path)
    workspace.folder.mkdir()
    db = SQLiteDatabase(workspace.database, create=True)
    migrate.upgrade(db, up_to=2)
    db.close()
    check = one(workspace, "file.schema")
    assert check.severity == "note"
    type_(check, workspace)
    assert one(workspace, "file.schema").severity == "ok"
    kept = one(workspace, "backups.kept")
    type_(kept, workspace)
    assert found(workspace, "backups.kept") == []


def test_a_newer_schema_is_a_problem(workspace: Workspace) -> None:
    connection = apsw.Connection(str(workspace.database))
    connection.execute("PRAGMA user_version = 999").fetchall()
    connection.execute("UPDATE meta SET value = '999' WHERE name = 'usable_from'").fetchall()
    connection.close()
    assert one(workspace, "file.schema").severity == "problem"


def test_a_missing_backup_is_noted_until_there_is_one(workspace: Workspace) -> None:
    check = one(workspace, "backups.last")
    assert check.severity == "note"
    type_(check, workspace)
    assert one(workspace, "backups.last").severity == "ok"
    old = backups.listed(workspace)[0]
    os.utime(old, (1_000_000_000, 1_000_000_000))
    check = one(workspace, "backups.last")
    assert check.severity == "note"
    type_(check, workspace)
    assert one(workspace, "backups.last").severity == "ok"


def test_what_a_killed_backup_left_is_removed_by_the_command(workspace: Workspace) -> None:
    folder = backups.folder_of(workspace)
    folder.mkdir()
    parts = [folder / "ledger-x.db.part", workspace.folder / "restoring-ab.db.part"]
    for part in parts:
        part.touch()
    with writing(folder / "alive.db"):
        check = one(workspace, "backups.parts")
        assert check.text.startswith("2 files")
        type_(check, workspace)
        assert found(workspace, "backups.parts") == []
    assert not any(part.exists() for part in parts)


def test_a_log_that_a_reader_keeps_is_a_warning_that_names_him() -> None:
    check = file.check_log(file.LOG_LARGE, [os.getpid()])
    assert check.severity == "warning"
    assert str(os.getpid()) in check.text
    assert check.command is not None
    subprocess.run(shlex.split(check.command), check=True, capture_output=True, timeout=30)
    assert file.check_log(file.LOG_LARGE, []).command == "runstone verify --upgrade"
    assert file.check_free(30_000, 40_000, 4096, shrinks=True).severity == "note"


# --- locks -----------------------------------------------------------------------------------------------


def test_who_holds_the_write_lock_is_named(workspace: Workspace) -> None:
    process = start(HOLD, workspace.database, "BEGIN IMMEDIATE")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        check = one(workspace, "locks.writer")
        assert check.severity == "warning"
        assert f"process {process.pid} " in check.text
        type_(check, workspace)
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: locks.stopped(process.pid))
        check = one(workspace, "locks.writer")
        assert check.severity == "problem"
        type_(check, workspace)
        wait_until(lambda: not locks.stopped(process.pid))
    finally:
        end(process)
    assert one(workspace, "locks.writer").severity == "ok"


def test_who_reads_the_log_is_seen(workspace: Workspace) -> None:
    process = start(HOLD, workspace.database, "BEGIN", "SELECT count(*) FROM runs")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        shared = workspace.database.with_name("ledger.db-shm").stat().st_ino
        held = [lock for lock in locks.parse(Path("/proc/locks").read_text()) if lock.inode == shared]
        assert process.pid in {lock.pid for lock in held if 123 <= lock.first <= 127}
    finally:
        end(process)


def test_who_waits_for_the_queue_is_named(workspace: Workspace) -> None:
    with workspace.database.with_name("ledger.db-queue").open("w") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        assert str(os.getpid()) in one(workspace, "locks.queue").text
    assert found(workspace, "locks.queue") == []


# --- ghosts ----------------------------------------------------------------------------------------------


def test_a_process_of_a_run_that_does_not_run_is_ended_by_the_command(tmp_path: Path) -> None:
    with holder(tmp_path / "w") as (owner, tool):
        workspace = Workspace(tmp_path / "w")
        kill(owner)
        check = one(workspace, "ghosts.leases")
        assert check.severity == "note"
        assert "held" in check.text
        type_(check, workspace)
        assert one(workspace, "ghosts.leases").severity == "ok"
        check = one(workspace, "ghosts.processes")
        assert check.severity == "warning"
        assert f"process group {tool}" in check.text
        type_(check, workspace)
        assert one(workspace, "ghosts.processes").severity == "ok"


def test_processes_that_ended_unseen_are_noted(tmp_path: Path) -> None:
    with holder(tmp_path / "w") as (owner, tool):
        workspace = Workspace(tmp_path / "w")
        os.kill(tool, signal.SIGKILL)
        kill(owner)
        runstone.open(tmp_path / "w").close()
        check = one(workspace, "ghosts.processes")
        assert check.severity == "note"
        type_(check, workspace)


def test_folders_of_commands_without_a_run_are_noted(workspace: Workspace) -> None:
    left = workspace.folder / "exec" / "nobody"
    left.mkdir(parents=True, mode=0o700)
    check = one(workspace, "ghosts.folders")
    assert check.severity == "note"
    type_(check, workspace)
    assert not left.exists()
    assert [one.severity for one in ghosts.check_folders(workspace, lambda run_id: "running")] == ["ok"]


# --- rights, settings, machine ---------------------------------------------------------------------------


def test_rights_of_others_are_a_warning_and_taken_by_the_command(workspace: Workspace) -> None:
    backups.backup(workspace).file.chmod(0o644)
    workspace.folder.chmod(0o755)
    check = one(workspace, "rights.private")
    assert check.severity == "warning"
    type_(check, workspace)
    assert one(workspace, "rights.private").severity == "ok"


def test_what_others_could_put_in_the_place_is_a_warning(workspace: Workspace) -> None:
    for mode, severity in ((0o777, "warning"), (0o775, "note")):
        workspace.root.chmod(mode)
        check = rights.check_parent(workspace.root)
        assert check.severity == severity
        type_(check, workspace)
    assert rights.check_parent(workspace.root).severity == "ok"


def test_a_ledger_that_cannot_be_written_is_a_warning(workspace: Workspace) -> None:
    workspace.database.chmod(0o400)
    check = one(workspace, "rights.writable")
    assert check.severity == "warning"
    type_(check, workspace)
    assert one(workspace, "rights.writable").severity == "ok"


def test_a_ledger_that_git_would_take_is_a_warning(workspace: Workspace) -> None:
    (workspace.folder / ".gitignore").unlink()
    check = one(workspace, "rights.git")
    assert check.severity == "warning"
    type_(check, workspace)
    assert one(workspace, "rights.git").severity == "ok"


def test_settings_are_read_and_not_run(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(tmp_path / "state"))
    toml = workspace.root / "runstone.toml"
    toml.write_text('modules = ["nothing_such"]')
    toml.chmod(0o644)
    assert one(workspace, "settings.trust").severity == "note"
    mode = one(workspace, "settings.mode")
    type_(mode, workspace)
    assert found(workspace, "settings.mode") == []
    toml.write_text("")
    type_(one(workspace, "settings.trust"), workspace)
    assert one(workspace, "settings.trust").severity == "ok"
    toml.chmod(0o666)
    assert one(workspace, "settings.owner").severity == "problem"
    toml.chmod(0o600)
    toml.write_text("modules = [")
    assert one(workspace, "settings.file").severity == "problem"


def test_redaction_that_is_off_weakened_or_broken_is_said(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(tmp_path / "state"))
    assert one(workspace, "settings.redaction").severity == "ok"
    toml = workspace.root / "runstone.toml"
    told = {}
    for trusted in (False, True):
        for table in ("enabled = false", 'allow = ["x+"]', 'names = ["pin"]', 'allow = ["("]'):
            toml.write_text(f"[redaction]\n{table}\n")
            toml.chmod(0o600)
            if trusted:
                config.trust(workspace.root)
            told[table, trusted] = one(workspace, "settings.redaction")
    assert [check.severity for check in told.values()] == [
        "note", "note", "ok", "problem", "warning", "note", "ok", "problem",
    ]  # fmt: skip
    assert "not heeded" in told["enabled = false", False].text
    assert "as they are" in told["enabled = false", True].text


def test_texts_that_a_failing_hook_replaced_are_counted(workspace: Workspace) -> None:
    assert found(workspace, "settings.hook") == []
    with runstone.open(workspace.root, redact=lambda text: text[9:1:0]) as ledger:
        ledger.threads.append("private", "user", "said")
    check = one(workspace, "settings.hook")
    assert (check.severity, check.command) == ("warning", "runstone threads show private")


def test_variables_that_matter_are_said() -> None:
    told: dict[str, Any] = {
        "RUNSTONE_CRASH_AT": "x",
        "RUNSTONE_WORKSPACE": "/nowhere/at/all",
        "RUNSTONE_WORKSPCE": "y",
        "HOME": "z",
    }
    checks = list(settings.check_environment(told))
    assert [check.severity for check in checks] == ["problem", "warning", "note"]
    assert [check.command for check in checks] == [f"unset {name}" for name in sorted(told) if name != "HOME"]


def test_events_from_the_future_are_a_warning(workspace: Workspace) -> None:
    early = FakeClock(start=1_000_000_000)
    checks = examine(workspace, workspace.root, early)
    assert [check.severity for check in checks if check.name == "machine.clock"] == ["warning"]
    assert machine.check_clock(10, None).severity == "ok"
    assert machine.check_boot("unknown").severity == "warning"
