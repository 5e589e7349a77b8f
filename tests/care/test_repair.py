"""`verify --repair`: each kind of damage is named, then mended or left as it is; nothing else is touched.

`DAMAGES` reads as the documentation of what can break and what becomes of it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

import runstone
from runstone.care.findings import CODES
from runstone.care.repair import Repair, repair
from runstone.care.run_checks import read_history
from runstone.errors import StoreCorrupt, StoreFull
from runstone.store.writes.repair import RebuildRequests, RebuildRun, RebuildSums
from tests.care import world
from tests.crash.world import Server, require_whole

RUN = "(SELECT id FROM runs WHERE run_id = '{}')"
OWN, JOB, WAITING, HALF = (RUN.format(name) for name in ("own", "job", "waiting", "half"))
GAP = "UPDATE events SET seq = seq + 1 WHERE run = {0} AND seq > 3"


@dataclass
class Damage:
    """One kind of damage: how it is planted, what `verify` calls it, and what a repair leaves."""

    sql: tuple[str, ...]
    named: set[str]
    left: set[str] | None = None
    """What is still named after the repair; None: nothing, and the ledger is as it was before the damage."""
    but: tuple[str, ...] = ()
    """Tables in which a row that was lost comes back under a new number, or with a new revision."""


def mended(*sql: str, named: str | set[str], but: str = "") -> Damage:
    return Damage(sql, {named} if isinstance(named, str) else named, None, tuple(but.split()))


def kept(*sql: str, named: str | set[str]) -> Damage:
    codes = {named} if isinstance(named, str) else named
    return Damage(sql, codes, codes)


DAMAGES: dict[str, Damage] = {
    # --- rows that lie about a run: the events say how it is
    "a completed run is shown as cancelled": mended(
        f"UPDATE runs SET status = 'cancelled' WHERE id = {OWN}", named="run_row"),
    "a completed run is shown as running": mended(
        f"UPDATE runs SET status = 'running', attempt_started_at = 5, completed_at = NULL WHERE id = {OWN}",
        named="run_row"),
    "a row has another kind, title, agent and creation": mended(
        f"UPDATE runs SET kind = 'worker_thread', title = 'x', agent_id = NULL, created_at = 3 WHERE id = {OWN}",
        named="run_row"),
    "a row is longer than 4 KB": mended(
        f"UPDATE runs SET summary = '{'x' * 5000}' WHERE id = {OWN}", named={"run_row", "row_invalid"}),
    "a row lost its result": mended(f"UPDATE runs SET result_ref = NULL WHERE id = {OWN}", named="run_row"),
    "a row is at another attempt": mended(f"UPDATE runs SET attempt = 7 WHERE id = {OWN}", named="run_row"),
    "times of a row end before they begin": mended(
        f"UPDATE runs SET completed_at = 1, started_at = 2 WHERE id = {OWN}", named="run_row"),
    "the row of a root is gone": mended(
        f"DELETE FROM runs WHERE id = {OWN}", named={"run_missing", "reference_missing", "run_lineage"}),
    "the row of a child is gone": mended("DELETE FROM runs WHERE run_id = 'own.kid'", named="run_missing"),
    "a whole tree of rows is gone": mended(f"DELETE FROM runs WHERE root = {JOB}", named="run_missing"),
    "a child hangs on another parent": mended(
        f"UPDATE runs SET parent = {JOB}, root = {JOB} WHERE run_id = 'own.kid'", named="run_lineage"),
    "a child became a root": mended(
        "UPDATE runs SET parent = NULL, root = id, depth = 0 WHERE run_id = 'own.kid'",
        named={"run_lineage", "run_row"}),
    # --- attempts, leases, checkpoints
    "an attempt is gone": mended(f"DELETE FROM attempts WHERE run = {JOB} AND number = 1", named="attempt_rows"),
    "an attempt never ended": mended(
        f"UPDATE attempts SET ended_at = NULL, outcome = NULL WHERE run = {OWN}", named="attempt_rows"),
    "an attempt ended before it began": mended(
        f"UPDATE attempts SET ended_at = 1 WHERE run = {OWN}", named="attempt_rows"),
    "there is an attempt that no event knows": mended(
        f"INSERT INTO attempts SELECT run, 9, owner, 1, 2, 'failed', 'x', 1 FROM attempts WHERE run = {OWN}",
        named="attempt_rows"),
    "a lease of an ended run": mended(
        f"INSERT INTO leases SELECT {OWN}, 1, owner, 5 FROM owners LIMIT 1", named="lease_stray"),
    "the head of a checkpoint is gone": mended(
        f"DELETE FROM checkpoints WHERE run = {OWN} AND number = 2", named="checkpoint_rows", but="checkpoints"),
    # --- what was spent
    "requests are gone": mended(
        f"DELETE FROM usage WHERE run = {OWN}", named={"usage_rows", "own_totals"}, but="usage"),
    "a request has other tokens": mended(
        "UPDATE usage SET input_tokens = 900 WHERE request_id = 'own/2'", named="usage_rows"),
    "a request that no event reports": mended(
        "UPDATE usage SET id = 999, request_id = 'stray' WHERE request_id = 'own/1'",
        named="usage_rows", but="usage"),
    "a request is counted in another tree": mended(
        f"UPDATE usage SET root = {JOB} WHERE request_id = 'kid/1'", named="usage_rows"),
    "own totals are wrong": mended(
        f"UPDATE totals SET cost_picousd = 5 WHERE run = {OWN} AND scope = 0",
        named={"own_totals", "subtree_totals"}),
    "subtree totals are wrong deep in a tree, and all above": mended(
        "UPDATE totals SET output_tokens = output_tokens + 3 WHERE scope = 1", named="subtree_totals"),
    "all totals are gone": mended("DELETE FROM totals", named="own_totals"),
    "totals of a model that nobody used": mended(
        f"INSERT INTO totals SELECT run, scope, 'ghost', 'g', 1, 1, 1, 1, 1, 1, 1, 0, 0 FROM totals WHERE run = {OWN} "
        "GROUP BY scope", named="own_totals"),
    "tool counts are gone": mended("DELETE FROM tools", named="tool_counts"),
    "tool counts are wrong in a subtree": mended(
        f"UPDATE tools SET calls = 99 WHERE run = {JOB} AND scope = 1", named="tool_counts"),
    # --- what lists go by
    "labels are not found, and others are that nobody set": mended(
        f"DELETE FROM labels WHERE run = {JOB}; INSERT INTO labels VALUES ('ghost', 'x', {OWN}), ('ghost', 'x', 999)",
        named="list_rows"),
    "the cost that a run is sorted by is wrong": mended(
        f"UPDATE runs SET cost_picousd = 5 WHERE id = {OWN}", named="list_rows"),
    # --- what hangs on runs
    "an ended run waits": mended(f"INSERT INTO waits VALUES ({OWN}, 0, 'all', {JOB})", named="waits_stray"),
    "a journal forgot a child": mended(
        f"DELETE FROM journal WHERE run = {JOB} AND kind = 'child' AND name = 'lead'", named="journal_lost",
        but="journal"),
    "a journal record leads to no child": mended(
        f"UPDATE journal SET child = NULL WHERE run = {JOB} AND kind = 'child' AND name = 'lead'",
        named={"journal_link", "journal_lost"}),
    "a journal record leads to a run that never was": mended(
        f"UPDATE journal SET child = 9999 WHERE run = {JOB} AND kind = 'child' AND name = 'lead'",
        named={"journal_link", "journal_lost"}),
    "a journal has a child under another key": mended(
        f"UPDATE journal SET key = 'x' WHERE run = {JOB} AND kind = 'child' AND name = 'lead'",
        named="journal_link"),
    "a card is claimed by an ended run": mended(
        f"UPDATE cards SET claimed_by = {RUN.format('failed')}, status = 'in_progress' WHERE card_id = 'card-2'",
        named="card_claim", but="cards"),
    "a card is claimed by a run that never was": mended(
        "UPDATE cards SET claimed_by = 9999, status = 'in_progress' WHERE card_id = 'card-2'",
        named="card_claim", but="cards"),
    # --- threads, search, counters, the file
    "a thread's counter is behind": mended("UPDATE threads SET last_seq = 1", named="thread_numbers"),
    "the search index is empty": mended(
        "INSERT INTO search (search) VALUES ('delete-all')", "DELETE FROM texts",
        named="search_missing", but="texts found"),
    "entries of the search index are gone": mended(
        "DELETE FROM search WHERE rowid IN (SELECT id FROM texts)", named="search_missing"),
    "the search index has texts of nobody": mended(
        "INSERT INTO search (rowid, body) VALUES (900, 'ghost')",
        "INSERT INTO texts VALUES (901, 'message', NULL, 999)", named="search_dead"),
    "numbers would be given again": mended("UPDATE sqlite_sequence SET seq = 1", named="numbers_behind"),
    "a counter is gone": mended("DELETE FROM sqlite_sequence WHERE name = 'events'", named="numbers_behind"),
    "the epoch is gone": mended("DELETE FROM meta WHERE name = 'epoch'", named="meta_wrong", but="meta"),
    "what was removed is unknown": mended(
        "UPDATE meta SET value = 'x' WHERE name = 'removed_up_to'", named="meta_wrong", but="meta"),
    # --- what cannot be known any more: named, and left alone
    "an event is gone": kept(f"DELETE FROM events WHERE run = {OWN} AND seq = 5", named="events_missing"),
    "the first event is gone": kept(f"DELETE FROM events WHERE run = {OWN} AND seq = 1", named="events_missing"),
    "the end of a run is gone, which row and attempt know": kept(
        f"DELETE FROM events WHERE run = {RUN.format('failed')} AND seq = 3", named="events_behind"),
    "all events of a run are gone": kept(
        f"DELETE FROM events WHERE run = {RUN.format('failed')}", named="events_missing"),
    "an event is no JSON": kept(
        f"UPDATE events SET payload = '{{broken' WHERE run = {OWN} AND type = 'run.completed'",
        named="event_unreadable"),
    "an event lacks what it must have": kept(
        f"UPDATE events SET payload = '{{}}' WHERE run = {OWN} AND type = 'run.started'",
        named="event_unreadable"),
    "a move that no run can make": kept(
        f"UPDATE events SET type = 'run.completed' WHERE run = {OWN} AND type = 'checkpoint.saved'",
        named="event_impossible"),
    "an event at no time": kept(
        f"UPDATE events SET at = -5 WHERE run = {OWN} AND type = 'note.written'", named="time_impossible"),
    "the value of a result is gone": kept(
        f"DELETE FROM blobs WHERE digest = (SELECT result_ref FROM runs WHERE id = {OWN})", named="reference_missing"),
    "a value is damaged": kept(
        f"UPDATE blobs SET data = x'00', codec = 0 WHERE digest = (SELECT result_ref FROM runs WHERE id = {OWN})",
        named="blob_damaged"),
    "a place of a checkpoint is gone": kept(
        f"DELETE FROM places WHERE run = {OWN} AND path = 'turns' AND item = 1",
        named="checkpoint_unreadable"),
    "a place of a checkpoint is damaged": kept(
        f"UPDATE places SET value = x'7b', codec = 0 WHERE run = {OWN} AND path = 'goal'",
        named="checkpoint_unreadable"),
    "the result of a step is gone": kept(
        f"UPDATE journal SET value = NULL, value_ref = NULL WHERE run = {JOB} AND kind = 'step'",
        named="journal_value"),
    "a message is gone": kept(
        "DELETE FROM texts WHERE message IN (SELECT id FROM messages WHERE seq = 2)",
        "DELETE FROM search WHERE rowid NOT IN (SELECT id FROM texts)", "DELETE FROM messages WHERE seq = 2",
        named="messages_missing"),
    "an owner is gone": kept("DELETE FROM owners", named="reference_missing"),
    "a parked run forgot what it waits for": kept(f"DELETE FROM waits WHERE run = {WAITING}", named="waits_lost"),
}  # fmt: skip


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repair")
    world.build(folder)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy of a ledger that nobody uses."""
    target = tmp_path / "ledger"
    shutil.copytree(template, target)
    return target


def found(folder: Path) -> list[Any]:
    with runstone.open(folder, readonly=True) as ledger:
        return list(ledger.care.verify())


def mend(folder: Path, *, backup: bool = False) -> Repair:
    return repair(world.workspace(folder), backup=backup)


def without_traces(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without what a repair adds: its own events, and the numbers that they took."""
    kept = {name: rows for name, rows in tables.items() if name != "sqlite_sequence"}
    kept["events"] = [row for row in tables["events"] if '"run.repaired"' not in row]
    return kept


def without_numbers(table: str, rows: list[str]) -> list[str]:
    """Rows that came back: without number, revision, time of change, and a journal's hint that no event has."""
    fields = [json.loads(row)[1:6] if table == "journal" else json.loads(row)[1:] for row in rows]
    return sorted(json.dumps([one for one in row if not isinstance(one, int)]) for row in fields)


def test_a_sound_ledger_is_not_touched(folder: Path) -> None:
    before = world.dump(folder)
    done = mend(folder, backup=True)
    assert (done.findings, done.writes, done.backup) == ([], 0, None)
    assert world.dump(folder) == before


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_mended_or_left_alone(folder: Path, name: str) -> None:
    damage, sound = DAMAGES[name], without_traces(world.dump(folder))
    world.damage(folder, *damage.sql)
    broken = world.dump(folder)
    named = {one.code for one in found(folder)}
    assert damage.named <= named, named

    done = mend(folder)
    left = {one.code for one in found(folder)}
    assert left == (damage.left or set()), [str(one) for one in done.left]
    assert left == {one.code for one in done.left}
    after = without_traces(world.dump(folder))
    if damage.left:
        assert after == without_traces(broken)
    else:
        for table, rows in sound.items():
            if table not in damage.but:
                assert after[table] == rows, table
            elif table == "found":
                assert len(after[table]) == len(rows)
            elif table != "meta":
                assert without_numbers(table, after[table]) == without_numbers(table, rows), table

    again = world.dump(folder)
    assert mend(folder).writes == 0
    assert world.dump(folder) == again


def test_every_kind_of_finding_is_planted() -> None:
    planted = {code for damage in DAMAGES.values() for code in damage.named}
    elsewhere = {
        "file_damaged",
        "index_damaged",
        "search_damaged",
        "wake_missed",
        "child_stranded",
        "question_wrong",
        "migration_changed",
    }
    assert planted | elsewhere == CODES.keys()


def test_a_ledger_with_another_migration_is_not_written_to(folder: Path) -> None:
    world.damage(folder, "UPDATE migrations SET checksum = 'x' WHERE number = 1")
    assert [one.code for one in found(folder)] == ["migration_changed"]
    before = world.dump(folder)
    with pytest.raises(StoreCorrupt):
        mend(folder)
    assert world.dump(folder) == before


def test_a_missed_wake_is_made_up_for(folder: Path) -> None:
    world.damage(folder, f"UPDATE waits SET mode = 'any' WHERE run = {HALF}")
    assert [one.code for one in found(folder)] == ["wake_missed"]
    assert mend(folder).left == []
    with runstone.open(folder, readonly=True) as ledger:
        assert ledger.get_run("half").status == "pending"


def test_a_child_that_nobody_will_begin_is_named_with_what_to_type(folder: Path) -> None:
    with runstone.open(folder) as ledger:
        parent = ledger.start_run(run_id="over")
        ledger.create_run(kind="subagent", run_id="over.kid", parent=parent, child_key="k" * 32)
        parent.complete().result()
    named = [one for one in found(folder) if one.code == "child_stranded"]
    assert [one.subject for one in named] == ["over.kid"]
    assert "runstone runs stop over.kid" in named[0].text
    assert not named[0].repairable


def test_what_is_found_again_can_be_searched(folder: Path) -> None:
    world.damage(folder, "INSERT INTO search (search) VALUES ('delete-all')", "DELETE FROM texts")
    mend(folder)
    with runstone.open(folder, readonly=True) as ledger:
        for words in ("own loop", "walrus", "capybara", "quokka", "pangolin 2", "ocelot"):
            assert ledger.search(words), words


# --- the file ------------------------------------------------------------------------------------------------


def corrupt(folder: Path, table: str, value: bytes, *, back: int = 1) -> None:
    """Overwrites bytes in the middle of a page of a b-tree."""
    file = folder / ".runstone" / "ledger.db"
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).get
    size = connection.execute("PRAGMA page_size").get
    connection.close()
    with file.open("r+b") as stream:
        stream.seek(page * size - back * len(value))
        stream.write(value)


def test_a_damaged_index_is_built_again(folder: Path) -> None:
    before = world.dump(folder)
    corrupt(folder, "runs_by_agent", b"\0" * 12)
    named = found(folder)
    assert {one.code for one in named} == {"index_damaged"}, named
    assert mend(folder).left == []
    assert without_traces(world.dump(folder)) == without_traces(before)


def test_a_damaged_full_text_index_is_built_again(folder: Path) -> None:
    world.damage(folder, "UPDATE search_data SET block = x'00' WHERE id > 10")
    assert "search_damaged" in {one.code for one in found(folder)}
    assert mend(folder).left == []
    with runstone.open(folder, readonly=True) as ledger:
        assert ledger.search("walrus")


def test_a_damaged_page_is_named_and_the_file_is_left_alone(folder: Path) -> None:
    file = folder / ".runstone" / "ledger.db"
    corrupt(folder, "places", b"\xff" * 2000)
    before = file.read_bytes()
    done = mend(folder)
    assert {one.code for one in done.left} == {"file_damaged"}
    assert file.read_bytes() == before


# --- the copy ------------------------------------------------------------------------------------------------


def test_the_first_change_comes_after_a_whole_copy(folder: Path) -> None:
    world.damage(folder, f"UPDATE runs SET title = 'x' WHERE id = {OWN}")
    done = mend(folder, backup=True)
    assert done.backup is not None
    assert done.backup.stat().st_mode & 0o777 == 0o600
    connection = apsw.Connection(str(done.backup), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("SELECT title FROM runs WHERE run_id = 'own'").get == "x"
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    connection.close()


def test_without_room_for_the_copy_nothing_is_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.damage(folder, f"UPDATE runs SET title = 'x' WHERE id = {OWN}")
    before = world.dump(folder)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(StoreFull) as refused:
        mend(folder, backup=True)
    assert "--no-backup" in refused.value.hint
    assert world.dump(folder) == before
    assert not list((folder / ".runstone").glob("*repair*"))


# --- cut off, and beside others ------------------------------------------------------------------------------

TOGETHER = (
    "a completed run is shown as cancelled", "the row of a child is gone", "an attempt is gone", "requests are gone",
    "all totals are gone", "tool counts are gone", "an ended run waits", "a journal forgot a child",
    "a card is claimed by an ended run", "a thread's counter is behind", "the search index is empty",
    "the search index has texts of nobody", "numbers would be given again", "the head of a checkpoint is gone",
)  # fmt: skip
"""Damage of all sorts at once, so that a repair has many boundaries."""

PROGRAM = """
import sys
from pathlib import Path
from runstone.care.repair import repair
from tests.care.world import workspace
print(len(repair(workspace(Path(sys.argv[1]))).left))
"""


def run_repair(folder: Path, crash: str | None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | ({"RUNSTONE_CRASH_AT": crash} if crash else {})
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def ends_at(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    """What two repairs of the same damage must agree on."""
    numbered = {"usage", "texts", "journal", "cards", "checkpoints", "found"}
    same = {name: rows for name, rows in without_traces(tables).items() if name not in numbered}
    same |= {name: without_numbers(name, tables[name]) for name in numbered - {"found"}}
    traces = [json.loads(row) for row in tables["events"] if '"run.repaired"' in row]
    changed = {(row[1], name) for row in traces for name in json.loads(row[8])["changed"]}
    same["traces"] = sorted(map(str, changed))
    return same | {"findable": [str(len(tables["found"]))]}


@pytest.mark.parametrize("side", ["writer.before_commit", "writer.after_commit", "repair.before_backup"])
def test_a_repair_killed_at_any_boundary_and_run_again_ends_the_same(
    folder: Path, tmp_path: Path, side: str
) -> None:
    for name in TOGETHER:
        world.damage(folder, *DAMAGES[name].sql)
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    assert run_repair(whole, None).stdout == "0\n"
    expected = ends_at(world.dump(whole))
    # A kill before a commit leaves what the write before it had left: of these some will do.
    for count in range(1, 100, 4 if side == "writer.before_commit" else 1):
        cut = tmp_path / f"cut-{count}"
        shutil.copytree(folder, cut)
        killed = run_repair(cut, f"{side}:{count}")
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert mend(cut).left == []
        assert ends_at(world.dump(cut)) == expected, count
        shutil.rmtree(cut)
    assert killed.returncode == 0
    assert count > (1 if "backup" in side else 5)


def test_a_repair_beside_writers_loses_nothing_of_theirs(folder: Path) -> None:
    with Server() as server:
        writer = server.start(folder, "append", str(folder), "beside", "2")
        assert writer.wait_said("ready")
        for name in TOGETHER:
            if name not in (
                "numbers would be given again",
                "the search index is empty",
            ):  # the writer has its own numbers
                world.damage(folder, *DAMAGES[name].sql)
        assert writer.wait_lines(200, 30)
        done = mend(folder)
        assert writer.wait_lines(400, 30)
        (folder / "stop").touch()
        assert writer.wait_gone(60)
        said = writer.acknowledged()
    assert done.writes
    with runstone.open(folder) as ledger:
        require_whole(ledger, said)


def test_sums_of_a_deep_tree_are_added_up_from_its_leaves(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        runs: list[Any] = []
        for n in range(15):
            runs.append(ledger.start_run(run_id=f"r{n}", parent=runs[-1] if runs else None))
            runs[-1].usage(provider="p", model="m", input_tokens=n, request_id=f"q{n}")
        for run in reversed(runs):
            run.complete().result()
    before = without_traces(world.dump(tmp_path))
    world.damage(tmp_path, "UPDATE totals SET input_tokens = input_tokens + 1 + run WHERE scope = 1")
    assert mend(tmp_path).left == []
    assert without_traces(world.dump(tmp_path)) == before


def test_what_was_written_since_the_history_was_added_up_counts(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r", title="before")
        run.usage(provider="p", model="m", input_tokens=1, request_id="q1").result()
        history = read_history(ledger.reader, ledger.reader.runs.pk("r"), "r")
        ledger.update_run("r", title="since")
        run.usage(provider="p", model="n", input_tokens=2, request_id="q2").result()
        for write in (RebuildRun(history), RebuildRequests(history, ["q1", "q2"]), RebuildSums(history)):
            assert not ledger.core.submit(write, []).result()
        assert (ledger.get_run("r").title, ledger.telemetry("r").model) == ("since", "n")
        run.complete().result()
        assert ledger.care.verify() == []


def test_whatever_page_is_overwritten_it_is_named_and_not_made_worse(folder: Path) -> None:
    file = folder / ".runstone" / "ledger.db"
    world.damage(folder)  # nothing but taking the log over
    whole = file.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    unnamed = 0
    for page in range(1, len(whole) // size, 2):
        broken = whole[: page * size] + b"\xff" * size + whole[(page + 1) * size :]
        for beside in folder.glob(".runstone/ledger.db-*"):
            beside.unlink()
        file.write_bytes(broken)
        try:
            done = mend(folder)
        except StoreCorrupt:
            continue  # what every command is told, too
        unnamed += not done.findings
        if any(one.code == "file_damaged" for one in done.left):
            assert file.read_bytes() == broken, page
    assert unnamed <= 1  # a page that nothing uses
