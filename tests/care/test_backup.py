"""A backup is the ledger as of one moment, whole or not there at all, and does not stop those who write."""

import os
import resource
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

import runstone
from runstone.care import backup as backups
from runstone.care import parts
from runstone.care.restore import restore
from runstone.care.verify import verify
from runstone.errors import InvalidInput, StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreReadOnly
from runstone.store.sqlite import copy
from runstone.testing.crash import crash_environment
from runstone.workspace import Workspace, locate
from tests.care.copying import (
    WRITER,
    acknowledged,
    end,
    kill,
    require_prefix,
    runstone_command,
    start,
    wait_until,
)

WRITERS, RATE = 4, 600

EVENTS = 60_000
"""A file of some 20 MB: the writers have hundreds of turns while it is copied."""


def filled(folder: Path, events: int = 2_000) -> Workspace:
    with runstone.open(folder) as ledger, ledger.start_run(run_id="r") as run:
        run.emit_many([("work.done", {"n": n, "text": "x" * 200}) for n in range(events)])
    return Workspace(folder)


def test_a_backup_under_writes_is_a_prefix_of_the_ledger(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    workspace = filled(tmp_path / "w", EVENTS)
    said = [tmp_path / f"said-{number}" for number in range(WRITERS)]
    for file in said:
        file.touch()
    writers = [start(WRITER, workspace.root, f"w{n}", RATE, said[n]) for n in range(WRITERS)]
    try:
        wait_until(lambda: all(len(acknowledged(file)) > 20 for file in said))
        before = {f"w{n}": acknowledged(file)[-1]["n"] for n, file in enumerate(said)}
        began = time.monotonic()
        taken = backups.backup(workspace)
        ended = time.monotonic()
        wait_until(lambda: all(acknowledged(file)[-1]["at"] > ended + 0.2 for file in said))
    finally:
        codes = [end(writer) for writer in writers]
    assert codes == [0] * WRITERS
    lines = [line for file in said for line in acknowledged(file) if began <= line["at"] <= ended + 0.2]
    rate = sum(10 for line in lines if line["at"] <= ended) / (ended - began)
    longest = max(line["took"] for line in lines)
    record_property(
        "told",
        f"{taken.bytes >> 20} MB in {ended - began:.2f} s beside {rate:.0f} appends/s; the longest wait "
        f"{longest * 1000:.0f} ms; log {taken.log_bytes >> 20} MB",
    )
    assert ended - began < 30
    assert longest < 5
    restore(taken.file, tmp_path / "copy")
    with runstone.open(tmp_path / "copy", readonly=True) as ledger:
        assert require_prefix(ledger) >= taken.last_position == taken.events
        for run_id, number in before.items():
            events = ledger.events(run_id, limit=10_000).items
            numbers = [event.payload["n"] for event in events if event.type == "work.done"]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= number, "acknowledged before the backup began, and not in it"
        assert verify(ledger) == []


def test_a_backup_is_one_file_for_its_owner(tmp_path: Path) -> None:
    workspace = filled(tmp_path)
    (tmp_path / "runstone.toml").write_text("")
    (workspace.folder / "exec").mkdir()
    taken = backups.backup(workspace, full=True)
    assert stat.S_IMODE(taken.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(taken.file.parent.stat().st_mode) == 0o700
    assert [file.name for file in taken.file.parent.iterdir()] == [taken.file.name]
    assert (taken.runs, taken.checked) == (1, "full")
    assert {path.name for path in taken.left_out} == {"exec", "runstone.toml"}


def test_a_backup_never_overwrites_unasked(tmp_path: Path) -> None:
    workspace, other = filled(tmp_path), tmp_path / "other.db"
    other.write_text("mine")
    for target in (other, tmp_path, tmp_path / "nowhere" / "x.db", workspace.folder / "ledger.db-wal"):
        with pytest.raises(InvalidInput):
            backups.backup(workspace, target)
    assert other.read_text() == "mine"
    assert backups.backup(workspace, other, force=True).file == other
    assert other.read_bytes().startswith(b"SQLite format 3")


def test_keep_removes_the_oldest_of_its_own_only(tmp_path: Path) -> None:
    workspace = filled(tmp_path)
    mine = workspace.folder / "backups" / "ledger-before-the-move.db"
    taken = [backups.backup(workspace).file for _ in range(4)]
    mine.write_text("named by hand")
    assert len(set(taken)) == 4
    last = backups.backup(workspace, keep=2)
    assert last.removed == tuple(taken[:3])
    assert backups.listed(workspace) == [taken[3], last.file]
    assert mine.exists()


@pytest.mark.parametrize("point", ["backup.copied", "backup.published"])
def test_a_killed_backup_leaves_no_half_file_and_the_next_one_cleans_up(tmp_path: Path, point: str) -> None:
    workspace = filled(tmp_path)
    env = {**os.environ, **crash_environment(point)}
    command = runstone_command("--workspace", str(tmp_path), "backup")
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    published = backups.listed(workspace)
    assert len(published) == (point == "backup.published")
    (part,) = (workspace.folder / "backups").glob("*.part")
    part.rename(part.with_name("ledger-20200101T000000Z.db.part"))  # not the one that is written next
    last = backups.backup(workspace).file
    assert sorted((workspace.folder / "backups").iterdir()) == sorted({*published, last})
    for file in (*published, last):
        restore(file, tmp_path / f"copy-{file.name}")


def test_a_killed_copy_under_way_is_cleaned_up(tmp_path: Path) -> None:
    workspace = filled(tmp_path, 60_000)
    process = subprocess.Popen(runstone_command("--workspace", str(tmp_path), "backup"), text=True)
    folder = workspace.folder / "backups"
    wait_until(
        lambda: any(part.stat().st_size for part in folder.glob("*.part")) or process.poll() is not None
    )
    kill(process)
    for part in folder.glob("*.part"):
        part.rename(folder / "ledger-20200101T000000Z.db.part")  # not the one that is written next
    whole = backups.listed(workspace)
    last = backups.backup(workspace)
    assert sorted(folder.iterdir()) == sorted({*whole, last.file})


def test_two_backups_do_not_write_one_file(tmp_path: Path) -> None:
    workspace = filled(tmp_path)
    with parts.writing(tmp_path / "x.db"), pytest.raises(StoreBusy):
        backups.backup(workspace, tmp_path / "x.db")
    assert parts.sweep(tmp_path) == []
    backups.backup(workspace, tmp_path / "x.db")


def test_a_full_disk_is_a_typed_error_and_leaves_nothing(tmp_path: Path) -> None:
    workspace, target = filled(tmp_path, 20_000), tmp_path / "out"
    target.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(StoreError) as found:
            backups.backup(workspace, target / "x.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found.value.code in ("store_full", "store_io")
    assert list(target.iterdir()) == []


def test_a_small_disk_is_seen_before_it_is_full(tmp_path: Path) -> None:
    workspace, disk = filled(tmp_path, 20_000), tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(StoreFull, match="free"):
            backups.backup(workspace, disk / "x.db")
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True, timeout=30)


def test_a_damaged_ledger_is_not_passed_off_as_a_backup(tmp_path: Path) -> None:
    workspace = filled(tmp_path, 5_000)
    with workspace.database.open("r+b") as file:
        file.seek(40 * 4096)
        file.write(os.urandom(4096))
    with pytest.raises(StoreCorrupt):
        backups.backup(workspace)
    assert list((workspace.folder / "backups").iterdir()) == []


def test_who_may_only_read_the_folder_can_back_it_up_and_who_may_not_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:  # not pytest's folder, which is nobody else's
        root, folder = Path(name), Path(name, ".runstone")
        with runstone.open(root) as ledger:
            ledger.start_run(run_id="r").complete().result()
        for path in (root, folder, *folder.iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)

        def readable() -> None:
            with closing(copy.open_file(folder / "ledger.db")) as db:
                assert copy.facts(db).runs == 1

        def forbidden() -> None:
            with pytest.raises(StoreReadOnly, match="belongs to somebody else"):
                locate(root, create=False)

        try:
            assert as_another_user(readable)
            folder.chmod(0o000)
            assert as_another_user(forbidden)
        finally:
            for path in (root, folder):
                path.chmod(0o700)


def as_another_user(look: Callable[[], None]) -> bool:
    """Whether `look` succeeds in a process that may do no more than others may; root may read and write anything."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            if not os.geteuid():
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            look()
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def test_a_backup_of_an_older_schema_is_taken_as_it_is(tmp_path: Path) -> None:
    from runstone.store.sqlite import migrate
    from runstone.store.sqlite.database import SQLiteDatabase

    workspace = Workspace(tmp_path)
    workspace.folder.mkdir()
    db = SQLiteDatabase(workspace.database, create=True)
    migrate.upgrade(db, up_to=2)
    db.close()
    taken = backups.backup(workspace)
    assert taken.schema == 2
    restored = restore(taken.file, tmp_path / "copy")
    assert (restored.from_schema, restored.schema) == (2, migrate.migrations()[-1].number)
    assert sorted(file.name for file in (tmp_path / "copy" / ".runstone").iterdir()) == [
        ".gitignore",
        "ledger.db",
    ]
