"""The group-commit writer: a settled receipt is durable, a failed one is never lost, and nobody waits for long."""

import asyncio
import os
import resource
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.errors import (
    Fenced,
    InvalidInput,
    LedgerClosed,
    SchemaTooNew,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreIO,
    StoreReadOnly,
    WriteUncertain,
)
from runstone.ledger import Ledger
from runstone.store import crashpoints, writer
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.sqlite import migrate
from runstone.store.writer import Receipt


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = runstone.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def hook() -> Iterator[None]:
    yield
    crashpoints.arm(None)


class Noted(Write):
    """A write that stores nothing but a row of `meta`, or does what a test wants in the transaction."""

    __slots__ = ("act", "size")

    def __init__(self, act: object = None, size: int = 256) -> None:
        self.act = act
        self.size = size

    def decide(self, batch: Batch) -> object:
        return self.act(batch) if callable(self.act) else self.act


class Held:
    """Holds the writer inside a transaction until `let_go`."""

    def __init__(self, ledger: Ledger) -> None:
        self._inside, self._go = threading.Event(), threading.Event()
        self.receipt = ledger.core.submit(Noted(self._wait), [])
        assert self._inside.wait(10)

    def _wait(self, _: Batch) -> None:
        self._inside.set()
        assert self._go.wait(30)

    def let_go(self) -> None:
        self._go.set()
        self.receipt.result()


def seqs(ledger: Ledger, run_id: str) -> list[int]:
    return [event.seq for event in ledger.events(run_id, limit=10_000).items]


# --- receipts --------------------------------------------------------------------------------------------


def test_a_receipt_is_settled_after_its_commit(
    ledger: Ledger, hook: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ledger.start_run()
    early: list[bool] = []
    receipts: list[Receipt] = []
    writer, writing = ledger.core.writer, set()
    attempt = writer._attempt

    def noting(writes: Any, changed: Any) -> Any:
        writing.clear()
        writing.update(writes)  # of this transaction: earlier ones may be settled by now
        return attempt(writes, changed)

    def look(name: str) -> None:
        if name == "writer.before_commit":
            early.append(any(receipt.done for receipt in receipts if receipt.write in writing))

    monkeypatch.setattr(writer, "_attempt", noting)
    crashpoints.arm(look)
    held = Held(ledger)
    receipts += [run.emit("note.written", {"n": n}) for n in range(50)]
    held.let_go()
    assert [receipt.result()[0] for receipt in receipts] == list(range(3, 53))
    assert early
    assert not any(early)


def test_durable_settings_of_the_write_connection(ledger: Ledger) -> None:
    pragma = ledger.core.writer._db.raw.pragma  # type: ignore[attr-defined]
    values = {
        name: pragma(name)
        for name in ("journal_mode", "synchronous", "fullfsync", "foreign_keys", "mmap_size")
    }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "foreign_keys": 1,
        "mmap_size": 0,
    }


def test_receipts_of_several_loops_and_threads(ledger: Ledger) -> None:
    run = ledger.start_run()

    async def emit(count: int) -> list[int]:
        return [(await run.emit("note.written", {"n": n}))[0] for n in range(count)]

    async def several() -> list[int]:
        return [seq for part in await asyncio.gather(*(emit(20) for _ in range(5))) for seq in part]

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.extend(asyncio.run(several()))) for _ in range(3)]
    threads += [
        threading.Thread(
            target=lambda: found.extend(run.emit("note.written", {}).result()[0] for _ in range(100))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == list(range(3, 603))
    assert seqs(ledger, run.id) == list(range(1, 603))


def test_a_receipt_outlives_the_loop_that_awaited_it(ledger: Ledger) -> None:
    run = ledger.start_run()
    kept: list[Receipt] = []

    async def leave() -> None:
        held = Held(ledger)
        kept.extend(run.emit("note.written", {"n": n}) for n in range(3))
        waiting = asyncio.ensure_future(asyncio.wait_for(kept[0], None))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
        leave.held, leave.waiting = held, waiting  # type: ignore[attr-defined]

    loop = asyncio.new_event_loop()
    leaving = loop.create_task(leave())
    loop.run_forever()
    leave.waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    assert leaving.done()
    loop.close()
    leave.held.let_go()  # type: ignore[attr-defined]
    assert [receipt.result(10)[0] for receipt in kept] == [3, 4, 5]
    assert run.emit("note.written", {}).result(10)[0] == 6, "the writer goes on"

    async def elsewhere() -> int:
        return int((await kept[1])[0])

    assert asyncio.run(elsewhere()) == 4


def test_cancelling_an_await_undoes_nothing_and_cancels_nobody_else(ledger: Ledger) -> None:
    run = ledger.start_run()

    async def main() -> None:
        held = Held(ledger)
        receipts = [run.emit("note.written", {"n": n}) for n in range(3)]
        tasks = [asyncio.ensure_future(asyncio.wait_for(receipt, None)) for receipt in receipts]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        threading.Thread(target=held.let_go).start()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert (done[0], done[2]) == (receipts[0].result(), receipts[2].result())
        assert receipts[1].result()[0] == 4

    asyncio.run(main())
    assert seqs(ledger, run.id) == [1, 2, 3, 4, 5]


def test_a_group_too_large_for_one_transaction_is_split_and_all_are_told(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GROUP_WRITES", 7)
    run = ledger.start_run()

    async def main() -> list[int]:
        held = Held(ledger)
        receipts = [run.emit("note.written", {"n": n}) for n in range(40)]
        tasks = [asyncio.ensure_future(asyncio.wait_for(receipt, 20)) for receipt in receipts]
        waited: list[tuple[int, int]] = []
        thread = threading.Thread(target=lambda: waited.append(receipts[-1].result()))
        thread.start()
        await asyncio.sleep(0)
        held.let_go()
        found = [seq for seq, _ in await asyncio.gather(*tasks)]
        await asyncio.to_thread(thread.join, 10)
        assert waited[0][0] == 42
        return found

    assert asyncio.run(main()) == list(range(3, 43))
    assert len(seqs(ledger, run.id)) == 42


def test_a_large_group_is_split_by_bytes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, hook: None) -> None:
    monkeypatch.setattr(writer, "GROUP_BYTES", 10_000)
    commits: list[str] = []
    held = Held(ledger)
    receipts = [ledger.core.submit(Noted(n, size=4_000), []) for n in range(10)]
    crashpoints.arm(lambda name: commits.append(name) if name == "writer.after_commit" else None)
    held.let_go()
    assert [receipt.result() for receipt in receipts] == list(range(10))
    assert len(commits) >= 5


def test_the_queue_is_bounded_and_emit_then_blocks(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        ledger.core.writer._queue_bytes = 5_000
        held = Held(ledger)
        submitted: list[Receipt] = []

        def fill() -> None:
            submitted.extend(ledger.core.submit(Noted(n, size=1_000), []) for n in range(10))

        thread = threading.Thread(target=fill)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "more than the bound was taken"
        assert len(submitted) == 5
        held.let_go()
        thread.join(10)
        assert [receipt.result() for receipt in submitted] == list(range(10))


def test_waiting_is_bounded_and_says_that_the_outcome_is_unknown(ledger: Ledger) -> None:
    run = ledger.start_run()
    held = Held(ledger)
    receipt = run.emit("note.written", {})
    with pytest.raises(WriteUncertain):
        receipt.result(timeout=0.05)
    held.let_go()
    assert receipt.result()[0] == 3


def test_a_loop_that_never_rests_still_gets_its_commits(ledger: Ledger) -> None:
    """Callbacks of 1 ms without pause: without the guard this waits for seconds, or gets 25 events a second."""
    run = ledger.start_run()
    waits: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        over = False

        def burn() -> None:
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            if not over:
                loop.call_soon(burn)

        async def append() -> None:
            while not over:
                started = time.perf_counter()
                await run.emit("note.written", {})
                waits.append(time.perf_counter() - started)

        burn()
        tasks = [asyncio.ensure_future(append()) for _ in range(20)]
        await asyncio.sleep(1.5)
        over = True
        await asyncio.gather(*tasks)

    asyncio.run(main())
    waits.sort()
    assert len(waits) > 300, f"only {len(waits)} appends"
    assert waits[len(waits) // 2] < 0.1, f"half of the appends waited for {waits[len(waits) // 2]:.3f} s"


# --- failures --------------------------------------------------------------------------------------------


def taken_over(ledger: Ledger) -> runstone.RunHandle:
    """A handle whose run ended behind its back: each of its writes is refused."""
    run = ledger.start_run()
    ledger.supervisor.release(run._held)
    from runstone.store.writes.lifecycle import InterruptRun

    assert ledger.core.submit(InterruptRun(run.id, run.attempt, "taken"), []).result() == [run.id]
    return run


def test_a_failure_nobody_looked_at_raises_at_the_next_call(ledger: Ledger) -> None:
    run = taken_over(ledger)
    receipt = run.emit("note.written", {})
    with pytest.raises(WriteUncertain):  # only waits: `result` would look at it
        wait_done(receipt)
    with pytest.raises(Fenced):
        run.message("assistant", "hello")
    ledger.flush()


def wait_done(receipt: Receipt) -> None:
    deadline = time.monotonic() + 10
    while not receipt.done and time.monotonic() < deadline:
        threading.Event().wait(0.002)
    raise WriteUncertain if receipt.done else AssertionError("not settled")


def test_a_failure_nobody_looked_at_raises_at_flush_once(ledger: Ledger) -> None:
    run = taken_over(ledger)
    run.emit("note.written", {})
    with pytest.raises(Fenced):
        ledger.flush()
    ledger.flush()


def test_a_failure_that_was_seen_is_not_raised_again(ledger: Ledger) -> None:
    run = taken_over(ledger)
    with pytest.raises(Fenced):
        run.emit("note.written", {}).result()
    ledger.flush()


def test_a_failure_nobody_looked_at_raises_at_exit(tmp_path: Path) -> None:
    done = python(
        """
        import runstone
        from runstone.store.writes.lifecycle import InterruptRun
        ledger = runstone.open(FOLDER)
        run = ledger.start_run()
        ledger.supervisor.release(run._held)
        ledger.core.submit(InterruptRun(run.id, run.attempt, "taken"), []).result()
        run.emit("note.written", {})
        """,
        tmp_path,
    )
    assert "Fenced" in done.stderr


def test_what_nobody_waited_for_is_durable_after_exit(tmp_path: Path) -> None:
    done = python(
        """
        import runstone
        run = runstone.open(FOLDER).start_run()
        print(run.id)
        for n in range(2_000):
            run.emit("note.written", {"n": n})
        """,
        tmp_path,
    )
    assert done.stderr == ""
    with runstone.open(tmp_path) as ledger:
        run_id = done.stdout.strip()
        events = ledger.events(run_id, limit=10_000).items
        assert [event.payload["n"] for event in events if event.type == "note.written"] == list(range(2_000))
        run = ledger.get_run(run_id)
        assert (run.status, run.status_reason) == ("interrupted", "the ledger was closed")


def test_one_bad_write_takes_no_other_with_it(ledger: Ledger) -> None:
    """An SQL error shows only when rows are sent: the batch is taken back and replayed one by one."""

    def broken(batch: Batch) -> None:
        batch.stage("insert_checkpoint", 999_999, 1, 1, None, None, None, 0, 0)  # no such run: a foreign key

    def unusable(batch: Batch) -> None:
        batch.stage("insert_checkpoint", object(), 1, 1, None, None, None, 0, 0)  # no type of SQLite

    run = ledger.start_run()
    held = Held(ledger)
    before = run.emit("note.written", {"n": 1})
    bad = [ledger.core.submit(Noted(broken), []), ledger.core.submit(Noted(unusable), [])]
    after = run.message("assistant", "reads before it stages, so it sends the rows of those before")
    last = run.emit("note.written", {"n": 2})
    held.let_go()
    with pytest.raises(StoreError):
        bad[0].result()
    with pytest.raises(TypeError):
        bad[1].result()
    assert before.result()[0] == 3
    assert after.result()
    assert last.result()[0] == 6  # the message is an event, and makes the worker thread known
    assert seqs(ledger, run.id) == list(range(1, 7))
    assert ledger.care.verify() == []


@pytest.mark.parametrize("error", [StoreFull, StoreIO])
def test_a_full_or_broken_disk_is_never_tried_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: type[StoreError]
) -> None:
    run = ledger.start_run()
    writer = ledger.core.writer
    attempt, tried = writer._attempt, []

    def refuse() -> None:
        raise error

    def noting(writes: Any, changed: Any) -> Any:
        tried.extend(writes)
        return attempt(writes, changed)

    held = Held(ledger)
    receipts = [run.emit("note.written", {"n": n}) for n in range(5)]
    with monkeypatch.context() as patched:
        patched.setattr(writer, "_attempt", noting)
        patched.setattr(writer._db, "commit", refuse)
        held._go.set()
        for receipt in receipts:
            with pytest.raises(error):
                receipt.result()
    assert [tried.count(receipt.write) for receipt in receipts] == [1] * 5
    assert run.emit("note.written", {}).result()[0] == 3, "what failed left nothing behind"


def test_a_full_file_is_a_typed_error_and_what_was_there_stays(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run()
        raw = ledger.core.writer._db.raw  # type: ignore[attr-defined]
        with ledger.core.writer._commit_lock:
            raw.pragma("max_page_count", raw.pragma("page_count") + 4)
        with pytest.raises(StoreFull) as caught:
            run.emit_many([("note.written", {"text": "x" * 3000})] * 2000).result()
        assert "disk" in caught.value.hint
        with ledger.core.writer._commit_lock:
            raw.pragma("max_page_count", 2**30)
        assert run.emit("note.written", {}).result()
        assert ledger.care.verify() == []
        assert seqs(ledger, run.id) == list(range(1, len(seqs(ledger, run.id)) + 1))


def test_a_file_size_limit_is_a_typed_error(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes real writes of the operating system fail in the middle of a commit."""
    done = python(
        """
        import resource, signal, runstone
        from runstone.errors import StoreFull, StoreIO
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ledger = runstone.open(FOLDER)
        run = ledger.start_run()
        kept = 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        try:
            for n in range(500):
                run.emit_many([("note.written", {"n": n, "text": "x" * 3000})] * 5).result()
                kept = n + 1
        except (StoreFull, StoreIO) as error:
            print(run.id, kept, error.code)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        """,
        tmp_path,
    )
    run_id, kept, code = done.stdout.split()
    assert code in ("store_full", "store_io")
    with runstone.open(tmp_path) as ledger:
        numbers = [
            e.payload["n"] for e in ledger.events(run_id, limit=10_000).items if e.type == "note.written"
        ]
        assert numbers[: int(kept) * 5] == [n for n in range(int(kept)) for _ in range(5)]
        assert ledger.care.verify() == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_ledger_is_verified_again_and_again_while_it_changes(ledger: Ledger) -> None:
    """A connection that had checked the full-text index once took what others changed since for damage."""
    for number in range(5):
        run = ledger.start_run(title=f"title {number}", prompt="words " * number)
        run.message("assistant", f"message {number}")
        run.complete(summary="done").result()
        assert ledger.care.verify() == []
        ledger.care.remove(run.id)
        assert ledger.care.verify() == []


# --- Ctrl-C and ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["writer.before_commit", "writer.after_commit"])
def test_ctrl_c_in_a_commit_is_the_callers_alone(ledger: Ledger, hook: None, point: str) -> None:
    run = ledger.start_run()
    raised: list[str] = []

    def interrupt(name: str) -> None:
        if name == point and threading.current_thread() is threading.main_thread() and not raised:
            raised.append(name)
            raise KeyboardInterrupt

    crashpoints.arm(interrupt)
    receipts: list[Receipt] = []

    def append_until_raised() -> None:
        while not raised:
            receipts.append(run.emit("note.written", {}))
            receipts[-1].result()

    with pytest.raises(KeyboardInterrupt):
        append_until_raised()
    assert raised == [point]
    found = [receipt.result(10)[0] for receipt in receipts]
    assert found == list(range(3, 3 + len(found))), "written once, and all of them"
    assert seqs(ledger, run.id) == list(range(1, 3 + len(found)))


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    ledger = runstone.open(tmp_path)
    run = ledger.start_run()
    ledger.close()
    with pytest.raises(LedgerClosed):
        run.emit("note.written", {})
    with pytest.raises(LedgerClosed):
        ledger.get_run(run.id)
    with runstone.open(tmp_path) as again:
        assert again.get_run(run.id).status_reason == "the ledger was closed"


# --- files that cannot be used ---------------------------------------------------------------------------


def test_a_damaged_file_is_refused_untouched(tmp_path: Path) -> None:
    file = tmp_path / ".runstone" / "ledger.db"
    file.parent.mkdir()
    file.write_bytes(b"this is no database, whatever its name says\n" * 100)
    before = file.read_bytes()
    for readonly in (False, True):
        with pytest.raises(StoreCorrupt) as caught, runstone.open(tmp_path, readonly=readonly) as ledger:
            ledger.list_runs()
        assert caught.value.hint
    assert file.read_bytes() == before


def test_a_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    import apsw

    file = tmp_path / ".runstone" / "ledger.db"
    file.parent.mkdir()
    other = apsw.Connection(str(file))
    other.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
    other.close()
    before = file.read_bytes()
    with pytest.raises(StoreCorrupt, match="another program"):
        runstone.open(tmp_path)
    assert file.read_bytes() == before


def test_a_newer_schema_is_refused_untouched_even_under_way(tmp_path: Path) -> None:
    import apsw

    ledger = runstone.open(tmp_path)
    run = ledger.start_run()
    run.emit("note.written", {}).result()
    newer = apsw.Connection(str(ledger.workspace.database))
    newer.set_busy_timeout(5_000)
    newer.execute(
        "BEGIN IMMEDIATE; PRAGMA user_version = 999; UPDATE meta SET value = '999' WHERE name = 'usable_from'; COMMIT"
    )
    for _ in range(3):
        with pytest.raises(SchemaTooNew):
            run.emit("note.written", {}).result()
    assert migrate.migrations()[-1].number < 999
    count = newer.execute("SELECT count(*) FROM events").get
    with pytest.raises(SchemaTooNew) as caught:
        runstone.open(tmp_path)
    assert "pip install --upgrade" in caught.value.hint
    assert newer.execute("SELECT count(*) FROM events").get == count
    newer.execute("PRAGMA user_version = " + str(migrate.migrations()[-1].number))
    ledger.close()
    newer.close()


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    """As a user without rights; root may write everywhere."""
    with runstone.open(tmp_path) as ledger:
        ledger.start_run().complete().result()
    folder = tmp_path / ".runstone"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    try:
        with pytest.raises(StoreReadOnly) as caught:
            runstone.open(tmp_path)
        assert "write access" in caught.value.hint
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    finally:
        folder.chmod(0o700)


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    text = f"FOLDER = {str(folder)!r}\n" + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )


class Torn(Write):
    """Refuses after a part of it was sent to the database: a read in the middle sends what is staged."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        batch.record(head, "note.written", {"torn": True}, importance=1)
        batch.read("outputs_of", run=head.pk)
        raise InvalidInput("too late")


def test_a_refusal_in_the_middle_of_a_write_leaves_nothing_of_it_and_keeps_its_batch_mates(
    tmp_path: Path,
) -> None:
    with runstone.open(tmp_path) as ledger, ledger.start_run() as run:
        for _ in range(20):
            before = run.emit("note.written", {"n": 1})
            torn = ledger.core.submit(Torn(run.id), [])
            after = run.emit("note.written", {"n": 2})
            with pytest.raises(InvalidInput, match="too late"):
                torn.result()
            before.result()
            after.result()
        told = [
            event.payload for event in ledger.events(run.id, limit=1000).items if event.type == "note.written"
        ]
        assert told == [{"n": 1}, {"n": 2}] * 20
    with runstone.open(tmp_path, readonly=True) as ledger:
        assert ledger.care.verify() == []
