"""Export and import: what comes out goes in again, equal; what is not whole, or is another one, changes nothing."""

import asyncio
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.care.import_ import Imported
from runstone.errors import ImportConflict, InvalidExport, InvalidInput, NotFound
from runstone.store.writes.boards import RequestStop
from runstone.store.writes.journal import StartProcess
from tests.care import world

SECRET = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789AA"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with everything in it, and beside it the export of all."""
    folder = tmp_path_factory.mktemp("source")
    world.build(folder)
    with runstone.open(folder) as ledger:
        ledger.care.export(folder / "all.jsonl")
    return folder


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def body(file: Path) -> list[bytes]:
    """The lines but for the header, which says when and where."""
    return file.read_bytes().splitlines()[1:]


def taken(folder: Path, file: Path) -> Imported:
    with runstone.open(folder) as ledger:
        return ledger.care.import_(file)


def everything(folder: Path, name: str = "out.jsonl") -> list[bytes]:
    with runstone.open(folder, readonly=True) as ledger:
        ledger.care.export(folder / name, force=True)
    return body(folder / name)


def content(folder: Path) -> dict[str, Any]:
    """Every row of every table."""
    with runstone.open(folder, readonly=True) as ledger:
        db: Any = ledger.reader.db
        names = [name for (name,) in db.query("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: db.query(f"SELECT * FROM {name}") for name in names if not name.startswith("search")}


def test_what_was_exported_and_imported_is_exported_equal(source: Path, tmp_path: Path) -> None:
    done = taken(tmp_path, source / "all.jsonl")
    assert (done.runs, done.present, done.interrupted) == (23, 0, 0)
    before, after = body(source / "all.jsonl"), everything(tmp_path)
    held = [n for n, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    told = [json.loads(before[n]).get("claimed_by", json.loads(before[n])["record"]) for n in held]
    assert told == ["paused", "end"], "only the claim of a card is not taken over"
    with runstone.open(tmp_path) as ledger, runstone.open(source, readonly=True) as old:
        assert ledger.care.verify() == []
        for run_id in ("job", "own", "own.kid", "fork", "pruned", "crashed", "paused"):
            assert ledger.get_run(run_id) == old.get_run(run_id)
            assert ledger.telemetry(run_id) == old.telemetry(run_id)
            assert ledger.checkpoints.state(run_id) == old.checkpoints.state(run_id)
            assert ledger.input(run_id) == old.input(run_id)
        assert [row.totals for row in ledger.usage()] == [row.totals for row in old.usage()]
        for word in ("walrus", "pangolin", "quokka", "ocelot", "capybara"):
            assert len(ledger.search(word)) == len(old.search(word)) > 0


def test_importing_again_changes_nothing_also_when_the_runs_have_gone_on(
    source: Path, tmp_path: Path
) -> None:
    taken(tmp_path, source / "all.jsonl")
    before = content(tmp_path)
    again = taken(tmp_path, source / "all.jsonl")
    assert (again.runs, again.present, again.messages, again.cards) == (0, 23, 0, 0)
    assert content(tmp_path) == before
    with runstone.open(tmp_path) as ledger:
        with ledger.continue_run("paused") as run:
            run.message("assistant", "here again")
        ledger.boards.update_card("card-2", revision=1, title="Another title")
    assert taken(tmp_path, source / "all.jsonl").present == 23
    with runstone.open(tmp_path) as ledger:
        assert ledger.get_run("paused").status == "completed"
        assert ledger.care.verify() == []


def test_a_workflow_goes_on_where_it_was_taken_and_does_not_repeat_finished_children(tmp_path: Path) -> None:
    made, begun, broken = runstone.Registry(), list[int](), [True]

    @made.agent("worker")
    async def worker(ctx: Any, input: Any) -> Any:
        begun.append(input)
        if broken and input == 3:
            raise ValueError("not yet")
        return input * 10

    @made.workflow("job", version="1")
    async def job(ctx: Any, input: Any) -> Any:
        return [await ctx.child("worker", n) for n in (1, 2, 3)]

    (tmp_path / "a").mkdir()
    with runstone.open(tmp_path / "a") as ledger:
        with pytest.raises(runstone.RunFailed):
            asyncio.run(runstone.run("job", None, ledger=ledger, registry=made, run_id="job"))
        ledger.care.export(tmp_path / "job.jsonl", ["job"])
    broken.clear()
    begun.clear()
    with runstone.open(tmp_path / "b") as ledger:
        ledger.care.import_(tmp_path / "job.jsonl")
        assert asyncio.run(runstone.resume("job", ledger=ledger, registry=made)) == [10, 20, 30]
        assert begun == [3]
        assert ledger.care.verify() == []


def test_a_fork_and_its_source_come_in_apart_and_stay_finished(source: Path, tmp_path: Path) -> None:
    with runstone.open(source, readonly=True) as ledger:
        ledger.care.export(source / "fork.jsonl", ["fork"], force=True)
        known = [(one.key, one.ref) for one in ledger.journal("fork")]
    taken(tmp_path, source / "fork.jsonl")
    with runstone.open(tmp_path) as ledger:
        assert ledger.care.verify() == []
        assert [(one.key, one.ref) for one in ledger.journal("fork")] == known
    assert taken(tmp_path, source / "all.jsonl").present == 1


def test_what_was_running_is_interrupted_and_in_nobodys_hands(tmp_path: Path) -> None:
    with runstone.open(tmp_path / "a") as ledger:
        ledger.boards.create("board")
        ledger.boards.add_card("board", "Card", card_id="card")
        run = ledger.start_run(run_id="live", title="At work")
        ledger.boards.update_card("card", revision=1, run_id="live")
        ledger.core.submit(StartProcess("live", 1, 4_000_000, {"pid": 4_000_000}, ["x"]), []).result()
        kid = ledger.start_run(run_id="kid", parent=run)
        kid.usage(provider="p", model="m", output_tokens=4, request_id="r").result()
        ledger.core.submit(RequestStop("live", "order", {}, by="ana", idempotency_key=None), []).result()
        ledger.care.export(tmp_path / "live.jsonl")
        assert ledger.get_run("live").status == "running"
    done = taken(tmp_path / "b", tmp_path / "live.jsonl")
    assert (done.interrupted, done.rejected, done.disowned) == (2, 1, 1)
    with runstone.open(tmp_path / "b") as ledger:
        assert ledger.get_run("live").status == ledger.get_run("kid").status == "interrupted"
        assert "imported from an export" in str(ledger.get_run("live").status_reason)
        assert ledger.lease("live") is None
        assert ledger.boards.cards("board")[0].status == "todo"
        assert ledger.telemetry("live").subtree.output_tokens == 4
        assert ledger.care.verify() == []
    assert taken(tmp_path / "b", tmp_path / "live.jsonl").present == 2


def test_a_child_comes_before_its_parent_and_counts_once(source: Path, tmp_path: Path) -> None:
    with runstone.open(source, readonly=True) as ledger:
        child = next(run for run in ledger.list_runs(parent_id="job").items if run.agent_id == "lead")
        ledger.care.export(source / "child.jsonl", [child.id], force=True)
        ledger.care.export(source / "own.jsonl", ["job"], subtree=False, force=True)
        wanted = {run: ledger.telemetry(run).subtree for run in ("job", child.id)}
    done = taken(tmp_path, source / "child.jsonl")
    assert done.runs == 3
    with runstone.open(tmp_path) as ledger:
        assert (ledger.get_run(child.id).depth, ledger.get_run(child.id).parent_run_id) == (0, "job")
        assert ledger.care.verify() == []
    assert taken(tmp_path, source / "own.jsonl").runs == 1
    with runstone.open(tmp_path) as ledger:
        assert ledger.get_run(child.id).depth == 1
        assert ledger.care.verify() == []
    taken(tmp_path, source / "all.jsonl")
    with runstone.open(tmp_path) as ledger:
        assert {run: ledger.telemetry(run).subtree for run in wanted} == wanted
        assert {one.child_run_id for one in ledger.journal("job") if one.kind == "child"} >= {child.id}
        assert ledger.care.verify() == []


def test_a_parked_run_without_what_it_waited_for_is_interrupted(source: Path, tmp_path: Path) -> None:
    with runstone.open(source, readonly=True) as ledger:
        ledger.care.export(source / "waiting.jsonl", ["waiting"], subtree=False, force=True)
    assert taken(tmp_path, source / "waiting.jsonl").interrupted == 1
    with runstone.open(tmp_path) as ledger:
        assert ledger.get_run("waiting").status == "interrupted"
        assert ledger.care.verify() == []


def sealed(data: list[bytes]) -> bytes:
    """Lines with an end that fits them, as somebody makes it who wants to deceive."""
    end = json.loads(data[-1])
    end["lines"] = len(data) - 1
    end["sha256"] = hashlib.sha256(b"".join(line + b"\n" for line in data[1:-1])).hexdigest()
    return b"".join(line + b"\n" for line in [*data[:-1], json.dumps(end).encode()])


def find(data: list[bytes], *parts: bytes) -> int:
    return next(n for n, line in enumerate(data) if all(part in line for part in parts))


def swapped(old: bytes, new: bytes, *parts: bytes) -> Callable[[list[bytes]], bytes]:
    """Changes one line, and makes the end fit."""

    def change(data: list[bytes]) -> bytes:
        n = find(data, old, *parts)
        data[n] = data[n].replace(old, new)
        return sealed(data)

    return change


def cut(data: list[bytes], n: int) -> bytes:
    return b"".join(line + b"\n" for line in data[:n])


BROKEN: dict[str, tuple[Callable[[list[bytes]], bytes], str]] = {
    "it is empty": (lambda data: b"", "line 1: the file is no export"),
    "it is another file": (lambda data: b'{"a": 1}\n', "line 1: the file is no export"),
    "it is of a later version": (
        lambda data: cut([data[0].replace(b'export":3', b'export":4'), *data[1:]], len(data)),
        "line 1: the export has version 4"),
    "its end is missing": (lambda data: cut(data, len(data) - 1), "the file was cut off: its last line"),
    "it was cut off in a line": (lambda data: cut(data, 40)[:-9], "line 40: the file was cut off in this line"),
    "something is behind its end": (lambda data: cut(data, len(data)) + b"{}\n", "something behind the end"),
    "a line is missing": (
        lambda data: cut(data[:20] + data[21:], len(data)), "line"),
    "a line was changed": (
        lambda data: cut([line.replace(b"Find the walrus", b"Find the otters") for line in data], len(data)),
        "does not have the digest"),
    "a title was changed": (
        lambda data: cut([line.replace(b"An own loop", b"An old loop") for line in data], len(data)),
        "they were changed"),
    "a row lies about its events": (
        swapped(b'"status":"completed"', b'"status":"cancelled"', b'"record":"run"'), "its events say"),
    "a request has another price": (
        swapped(b'"cost_picousd":125000000000', b'"cost_picousd":1', b'"record":"usage"'), "requests of run own"),
    "an event is missing": (
        lambda data: sealed([line for line in data if b'"note.written"' not in line]), "the file had"),
    "a line is no JSON": (lambda data: sealed([*data[:7], b"{nonsense", *data[7:]]), "line 8: it is no JSON"),
    "a record is unknown": (swapped(b'"record":"usage"', b'"record":"usages"'), "there is no record 'usages'"),
    "a field is unknown": (swapped(b'"seq":1,', b'"seq":1,"extra":2,', b'"event"'), "has no field 'extra'"),
    "a field is missing": (swapped(b'"seq":2,', b"", b'"event"'), "seq is missing"),
    "a field has another type": (swapped(b'"seq":2,', b'"seq":"2",', b'"event"'), "seq is '2', not an integer"),
    "a value is not there": (
        lambda data: sealed([line for line in data if b"Find the walrus" not in line or b'"blob"' not in line]),
        "does not come before it"),
    "a time is no date": (
        lambda data: sealed(
            [re.sub(rb'"created_at":\d+', b'"created_at":-5', line) if b'"thread"' in line else line for line in data]),
        "created_at is no time"),
    "a line is nested too deep": (
        lambda data: sealed([*data[:7], b'{"record":' + b"[" * 90_000 + b"]" * 90_000 + b"}", *data[7:]]),
        "line 8: it is no JSON"),
    "a run is there twice": (
        lambda data: sealed([*data[:-1], *data[1:find(data, b'"tree"', b'"own"')], data[-1]]), "behind the rest"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_not_whole_is_refused_by_its_line_and_changes_nothing(
    source: Path, tmp_path: Path, name: str
) -> None:
    make, told = BROKEN[name]
    (tmp_path / "x.jsonl").write_bytes(make((source / "all.jsonl").read_bytes().splitlines()))
    with runstone.open(tmp_path) as ledger:
        ledger.start_run(run_id="here").complete().result()
    before = content(tmp_path)
    with runstone.open(tmp_path) as ledger, pytest.raises(InvalidExport) as refused:
        ledger.care.import_(tmp_path / "x.jsonl")
    assert told in str(refused.value)
    assert "line" in str(refused.value)
    assert content(tmp_path) == before


def test_a_file_of_an_earlier_version_is_taken(source: Path, tmp_path: Path) -> None:
    data = (source / "all.jsonl").read_bytes().splitlines()
    (tmp_path / "x.jsonl").write_bytes(
        cut([data[0].replace(b'export":2', b'export":1'), *data[1:]], len(data))
    )
    with runstone.open(tmp_path) as ledger:
        assert ledger.care.import_(tmp_path / "x.jsonl").runs > 0


def test_what_no_ledger_takes_is_the_fault_of_the_file(source: Path, tmp_path: Path) -> None:
    data = swapped(b'"status":"todo"', b'"status":"lost"', b'"card"')(
        (source / "all.jsonl").read_bytes().splitlines()
    )
    (tmp_path / "x.jsonl").write_bytes(data)
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(InvalidExport, match="what a ledger refuses"):
            ledger.care.import_(tmp_path / "x.jsonl")
        assert ledger.boards.list() == []
        assert ledger.care.verify() == []


@pytest.mark.parametrize("what", ["run", "behind", "thread", "card"])
def test_what_is_here_with_another_content_is_a_conflict_and_nothing_changes(
    source: Path, tmp_path: Path, what: str
) -> None:
    with runstone.open(tmp_path) as ledger:
        if what == "run":
            ledger.start_run(run_id="own", title="Another").complete().result()
        elif what == "thread":
            with runstone.open(source, readonly=True) as old:
                thread = old.get_run("own").worker_thread_id
            assert thread is not None
            ledger.threads.append(thread, "user", "something else")
        elif what == "card":
            ledger.boards.create("board")
    if what == "behind":
        with runstone.open(tmp_path / "a") as ledger:
            ledger.start_run(run_id="own").pause(reason="later")
            ledger.care.export(tmp_path / "early.jsonl")
            with ledger.continue_run("own"):
                pass
            ledger.care.export(tmp_path / "late.jsonl")
        taken(tmp_path, tmp_path / "early.jsonl")
    before = content(tmp_path)
    file = tmp_path / "late.jsonl" if what == "behind" else source / "all.jsonl"
    with runstone.open(tmp_path) as ledger, pytest.raises(ImportConflict) as refused:
        ledger.care.import_(file)
    assert {"run": "run own", "behind": "run own", "thread": "thread", "card": "board"}[what] in str(
        refused.value
    )
    assert content(tmp_path) == before


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst", ".jsonl.gz", "stream"])
def test_files_and_streams_hold_the_same_lines(source: Path, tmp_path: Path, suffix: str) -> None:
    with runstone.open(source, readonly=True) as ledger:
        if suffix == "stream":
            stream = io.BytesIO()
            done = ledger.care.export(stream)
            assert done.bytes == len(stream.getvalue())
            read: Any = io.BytesIO(stream.getvalue())
        else:
            read = tmp_path / f"x{suffix}"
            ledger.care.export(read)
            assert read.stat().st_mode & 0o077 == 0
    with runstone.open(tmp_path) as ledger:
        assert ledger.care.import_(read).runs == 23
        assert ledger.care.verify() == []


def test_a_packed_file_that_was_cut_off_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress((source / "all.jsonl").read_bytes())[:-400])
    with runstone.open(tmp_path) as ledger, pytest.raises(InvalidExport, match="unpacked"):
        ledger.care.import_(tmp_path / "x.gz")


def test_a_redacted_export_hides_values_and_is_for_reading_only(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        ledger.start_run(run_id="own", input={"api_key": SECRET}).complete(result={"got": SECRET}).result()
        ledger.care.export(tmp_path / "as-it-is.jsonl")
        ledger.care.export(tmp_path / "masked.jsonl", redact=True)
        with pytest.raises(InvalidExport, match="for reading only"):
            ledger.care.import_(tmp_path / "masked.jsonl")
    assert SECRET in (tmp_path / "as-it-is.jsonl").read_text()
    assert SECRET not in (tmp_path / "masked.jsonl").read_text()
    assert [one.get("record") for one in lines(tmp_path / "masked.jsonl")] == [
        one.get("record") for one in lines(tmp_path / "as-it-is.jsonl")
    ]


def test_names_that_cannot_be_taken_are_refused(source: Path, tmp_path: Path) -> None:
    with runstone.open(source, readonly=True) as ledger:
        with pytest.raises(NotFound):
            ledger.care.export(tmp_path / "x", ["nobody"])
        for wrong in (tmp_path, tmp_path / "no" / "x", source / "all.jsonl"):
            with pytest.raises(InvalidInput):
                ledger.care.export(wrong)
        with pytest.raises(InvalidInput):
            ledger.care.export(tmp_path / "x", [])
    with runstone.open(tmp_path) as ledger:
        for wrong in (tmp_path / "x", tmp_path):
            with pytest.raises((NotFound, InvalidInput)):
                ledger.care.import_(wrong)
    assert [one.name for one in tmp_path.iterdir()] == [".runstone"]


def test_others_write_while_runs_come_in(source: Path, tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        run, stop, count = ledger.start_run(run_id="busy"), threading.Event(), [0]

        def work() -> None:
            while not stop.is_set():
                run.emit("work.done", {"n": count[0]}).result()
                count[0] += 1

        thread = threading.Thread(target=work)
        thread.start()
        try:
            with runstone.open(tmp_path) as other:
                assert other.care.import_(source / "all.jsonl").runs == 23
        finally:
            stop.set()
            thread.join(30)
        told = [
            one.payload["n"] for one in ledger.events("busy", limit=10_000).items if one.type == "work.done"
        ]
        assert told[: count[0]] == list(range(len(told[: count[0]])))
        run.complete().result()
        assert ledger.care.verify() == []


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_import_that_is_killed_at_any_write_is_finished_by_doing_it_again(
    source: Path, tmp_path: Path, side: str
) -> None:
    with runstone.open(source, readonly=True) as ledger:
        ledger.care.export(tmp_path / "some.jsonl", ["own", "pruned"])
    whole = tmp_path / "whole"
    taken(whole, tmp_path / "some.jsonl")
    wanted, killed = everything(whole), 0
    empty = tmp_path / "empty"
    runstone.open(empty).close()
    for count in range(1, 60):
        folder = tmp_path / f"{count}"
        shutil.copytree(empty, folder)
        code = _import(folder, tmp_path / "some.jsonl", f"writer.{side}_commit:{count}")
        with runstone.open(folder) as ledger:
            ids = {run.id for run in ledger.list_runs(limit=500).items}
            assert ids in (set(), {"own", "own.kid"}, {"own", "own.kid", "pruned"}), (
                "a tree is there whole or not"
            )
            damage = [
                one for one in ledger.care.verify() if one.code not in ("search_missing", "messages_missing")
            ]
            assert damage == []
            ledger.care.import_(tmp_path / "some.jsonl")
            assert ledger.care.verify() == []
        assert everything(folder) == wanted
        shutil.rmtree(folder)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    assert killed >= 5


def _import(folder: Path, file: Path, crash: str) -> int:
    environment = {**os.environ, "RUNSTONE_CRASH_AT": crash}
    program = (
        "import runstone, sys\nwith runstone.open(sys.argv[1]) as ledger: ledger.care.import_(sys.argv[2])"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(folder), str(file)], env=environment, timeout=60, check=False
    ).returncode
