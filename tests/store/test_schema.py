"""Files of other versions: an older one is upgraded, a newer one kept whole or left alone, a foreign one refused."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

import runstone
from runstone.errors import RunstoneError, SchemaTooNew, SchemaTooOld, StoreCorrupt, UnknownCodec
from runstone.store.sqlite import migrate
from runstone.store.sqlite.database import SQLiteDatabase

V1 = Path(__file__).parent / "data" / "v1.db"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A workspace whose ledger has schema 1."""
    folder = tmp_path / ".runstone"
    folder.mkdir()
    shutil.copy(V1, folder / "ledger.db")
    return folder / "ledger.db"


def raw(path: Path, sql: str, *params: Any) -> list[Any]:
    connection = apsw.Connection(str(path))
    try:
        return list(connection.execute(sql, params))
    finally:
        connection.close()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def records(path: Path) -> dict[str, Any]:
    names = (
        "runs",
        "events",
        "usage",
        "totals",
        "tools",
        "messages",
        "places",
        "cards",
        "boards",
        "attempts",
        "blobs",
    )
    return {name: raw(path, f"SELECT * FROM {name}") for name in names}


def test_a_version_1_file_is_upgraded_by_opening_it_for_writing(old: Path) -> None:
    assert raw(old, "PRAGMA user_version") == [(1,)]
    before = records(old)
    with runstone.open(old.parent.parent) as ledger:
        assert ledger.care.verify() == []
        words = ("parser", "walrus", "ocelot", "pangolin", "capybara")
        assert {word: [hit.source for hit in ledger.search(word)] for word in words} == {
            "parser": ["title"], "walrus": ["prompt"], "ocelot": ["message", "summary"], "pangolin": ["message"],
            "capybara": ["error"],
        }  # fmt: skip
        assert ledger.checkpoints.state("audit-1") == {"messages": ["a", "b"], "goal": "find"}
        assert ledger.result("audit-1") == {"found": 1}
        assert ledger.telemetry("audit-1").subtree.requests == 2
        assert ledger.boards.card("card-1").body == "b" * 5_000
        with ledger.start_run(parent=ledger.get_run("audit-1").id, title="of the new version"):
            pass
        assert ledger.care.verify() == []
    assert raw(old, "PRAGMA user_version") == [(migrate.migrations()[-1].number,)]
    copies = list(old.parent.glob("ledger-before-*.db"))
    assert [copy.name for copy in copies] == [f"ledger-before-{migrate.migrations()[-1].number:04}.db"]
    assert raw(copies[0], "PRAGMA user_version") == [(1,)]
    assert records(copies[0]) == before


def test_reading_never_upgrades(old: Path) -> None:
    before = digest(old)
    with pytest.raises(SchemaTooOld) as refused:
        runstone.open(old.parent.parent, readonly=True).list_runs()
    assert "once for writing" in refused.value.hint
    assert digest(old) == before
    assert list(old.parent.glob("ledger-before-*")) == []


def test_the_committed_file_has_the_first_migration_as_it_is_now() -> None:
    """A migration that was released is never edited."""
    assert raw(V1, "SELECT number, name, checksum FROM migrations") == [
        (step.number, step.name, step.checksum) for step in migrate.migrations()[:1]
    ]


@pytest.fixture
def current(tmp_path: Path) -> Path:
    """A workspace of this version with a run in it."""
    with runstone.open(tmp_path) as ledger:
        ledger.boards.create("b")
        ledger.boards.add_card("b", "card", card_id="c")
        with ledger.start_run(run_id="r", title="t") as run:
            run.emit("work.done", {"n": 1})
            run.message("user", "hello")
            run.pause(state={"a": 1})
    return tmp_path / ".runstone" / "ledger.db"


NEWER = [
    "ALTER TABLE runs ADD COLUMN mood TEXT",
    "ALTER TABLE events ADD COLUMN mood TEXT",
    "ALTER TABLE cards ADD COLUMN mood TEXT",
    "ALTER TABLE boards ADD COLUMN mood TEXT",
    "ALTER TABLE threads ADD COLUMN mood TEXT",
    "CREATE TABLE moods (id INTEGER PRIMARY KEY, mood TEXT)",
    "INSERT INTO moods VALUES (1, 'calm')",
    "UPDATE runs SET mood = 'calm'",
    "UPDATE events SET mood = 'calm'",
    "UPDATE cards SET mood = 'calm'",
    "UPDATE boards SET mood = 'calm'",
    "UPDATE threads SET mood = 'calm'",
    """UPDATE events SET version = 9, payload = '{"n": 1, "mood": "calm"}' WHERE type = 'work.done'""",
    "PRAGMA user_version = 99",
]


def test_rows_and_payloads_of_a_newer_minor_version_keep_what_we_do_not_know(current: Path) -> None:
    for statement in NEWER:
        raw(current, statement)
    with runstone.open(current.parent.parent) as ledger:
        run = ledger.continue_run("r")
        run.emit("work.done", {"n": 2})
        run.message("user", "more")
        run.update(title="new title")
        run.complete(summary="done").result()
        ledger.boards.update("b", title="new", revision=1)
        ledger.boards.update_card("c", revision=1, title="new")
        assert ledger.events("r", after=2).items[0].payload == {"n": 1, "mood": "calm"}
        assert ledger.care.verify() == []
    for table in ("runs", "cards", "boards", "threads", "moods"):
        assert raw(current, f"SELECT DISTINCT mood FROM {table}") == [("calm",)], table
    assert raw(current, "SELECT title FROM runs") == [("new title",)]
    assert raw(current, "SELECT count(*) FROM events WHERE mood = 'calm' AND version = 9") == [(1,)]
    assert raw(current, "PRAGMA user_version") == [(99,)]


def test_an_unknown_status_or_kind_is_shown_as_it_is(current: Path) -> None:
    raw(current, "UPDATE runs SET status = 'hibernating', kind = 'daemon'")
    with runstone.open(current.parent.parent) as ledger:
        run = ledger.get_run("r")
        assert (run.status, run.kind) == ("hibernating", "daemon")
        assert [r.status for r in ledger.list_runs()] == ["hibernating"]
        assert ledger.counts()["hibernating"] == 1
        assert sum(ledger.counts().values()) == 1
        assert ledger.tree("r").run.status == "hibernating"
        assert ledger.reconcile() == []
        for call in (
            lambda: ledger.continue_run("r"),
            lambda: ledger.command("r", "stop"),
            lambda: ledger.care.prune("r"),
        ):
            with pytest.raises(RunstoneError):
                call()
        assert ledger.get_run("r").status == "hibernating"


def test_an_unknown_codec_is_a_typed_error(current: Path) -> None:
    raw(current, "UPDATE places SET codec = 9")
    with runstone.open(current.parent.parent) as ledger, pytest.raises(UnknownCodec):
        ledger.checkpoints.state("r")


def newer(path: Path) -> None:
    raw(path, "PRAGMA user_version = 99")
    raw(path, "UPDATE meta SET value = '99' WHERE name = 'usable_from'")


def foreign(path: Path) -> None:
    path.unlink()
    raw(path, "CREATE TABLE bookmarks (url TEXT)")


def not_sqlite(path: Path) -> None:
    path.write_bytes(b"once upon a time " * 500)


def torn(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:4_000] = b"\xff" * 3_900
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [(newer, SchemaTooNew), (foreign, StoreCorrupt), (not_sqlite, StoreCorrupt), (torn, StoreCorrupt)],
)
@pytest.mark.parametrize("readonly", [False, True])
def test_a_file_that_is_not_ours_to_use_is_refused_and_not_touched(
    current: Path, spoil: Callable[[Path], None], error: type[Exception], readonly: bool
) -> None:
    raw(current, "PRAGMA journal_mode = DELETE")
    spoil(current)
    before, names = digest(current), sorted(p.name for p in current.parent.iterdir())
    with pytest.raises(error) as refused:
        runstone.open(current.parent.parent, readonly=readonly).list_runs()
    assert getattr(refused.value, "hint", "")
    assert digest(current) == before
    assert sorted(p.name for p in current.parent.iterdir() if not p.name.endswith(("-wal", "-shm"))) == names


def test_a_damaged_blob_is_named_and_never_given_out(current: Path) -> None:
    with runstone.open(current.parent.parent) as ledger:
        with ledger.start_run(run_id="big") as run:
            run.complete(result="x" * 9_000)
        ref = ledger.get_run("big").result_ref
    raw(current, "UPDATE blobs SET data = x'00', codec = 0 WHERE digest = ?", ref)
    with runstone.open(current.parent.parent) as ledger:
        with pytest.raises(StoreCorrupt):
            ledger.result("big")
        assert any(str(ref)[:12] in found.text for found in ledger.care.verify())


def test_of_two_processes_that_upgrade_one_does_it(old: Path) -> None:
    first, second = SQLiteDatabase(old), SQLiteDatabase(old)
    migrate.upgrade(first)
    migrate.upgrade(second)
    assert len(second.query("SELECT * FROM migrations")) == len(migrate.migrations())
    first.close()
    second.close()
