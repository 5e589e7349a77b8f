"""A process that forks with a ledger open: the child's use is a typed error, and the parent's data stay untouched."""

import subprocess
import sys
import textwrap
from pathlib import Path

import runstone


def run(folder: Path, code: str) -> list[str]:
    text = f"FOLDER = {str(folder)!r}\n" + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


CHILD = """
import gc, os, sys, threading, runstone

def code_of(call):
    try:
        call()
    except runstone.RunstoneError as error:
        return error.code
    return "accepted"

def use_in_child(ledger, run, receipt):
    codes = {
        code_of(call)
        for call in (
            lambda: run.emit("note.written", {}),
            lambda: run.complete(),
            lambda: ledger.start_run(),
            lambda: ledger.get_run(run.id),
            lambda: ledger.reconcile(),
            lambda: receipt.result(1) if not receipt.done else run.emit("note.written", {}),
            lambda: ledger.flush(),
            lambda: runstone.open(FOLDER),
            lambda: list(ledger.tail(timeout=0.1)),
        )
    }
    ledger.close()
    del ledger, run
    gc.collect()
    return codes
"""


def test_a_forked_child_is_refused_and_ends_without_a_trace(tmp_path: Path) -> None:
    """It ends as programs end, with finalizers: a connection that is closed then would harm the parent's log."""
    said = run(
        tmp_path,
        CHILD
        + """
ledger = runstone.open(FOLDER)
run = ledger.start_run(run_id="r1")
others = [threading.Thread(target=lambda: (ledger.get_run("r1"), stop.wait(60))) for _ in range(3)]
stop = threading.Event()
for other in others:
    other.start()
for number in range(10):
    receipts = [run.emit("note.written", {"n": n}) for n in range(200)]
    pid = os.fork()
    if pid == 0:
        print(*use_in_child(ledger, run, receipts[-1]), flush=True)
        sys.exit(0)
    for receipt in receipts:
        receipt.result()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
stop.set()
run.complete().result()
print(ledger.care.verify())
ledger.close()
""",
    )
    assert said == ["forked_ledger"] * 10 + ["[]"]
    with runstone.open(tmp_path) as ledger:
        events = ledger.events("r1", limit=10_000).items
        assert [event.seq for event in events] == list(range(1, 2004))
        assert ledger.care.verify() == []


def test_workers_of_multiprocessing_are_refused_too(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        CHILD
        + """
import multiprocessing
ledger = runstone.open(FOLDER)
run = ledger.start_run(run_id="r1")

def work(number):
    return sorted(use_in_child(ledger, run, run._final or receipt))

receipt = run.emit("note.written", {})
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(work, range(3)))
print(run.emit("note.written", {}).result()[0], ledger.care.verify())
""",
    )
    assert said == ["[['forked_ledger'], ['forked_ledger'], ['forked_ledger']]", "4 []"]


def test_a_child_may_open_another_workspace(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        CHILD
        + """
ledger = runstone.open(FOLDER)
pid = os.fork()
if pid == 0:
    with runstone.open(FOLDER + "/other") as own:
        with own.start_run(run_id="mine"):
            pass
        print(own.get_run("mine").status, own.care.verify(), flush=True)
    sys.exit(0)
os.waitpid(pid, 0)
""",
    )
    assert said == ["completed []"]


def test_a_child_of_a_process_that_has_closed_its_ledger_may_open_it(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        CHILD
        + """
with runstone.open(FOLDER) as ledger:
    ledger.start_run(run_id="r1").complete().result()
pid = os.fork()
if pid == 0:
    with runstone.open(FOLDER) as own:
        print(own.get_run("r1").status, own.care.verify(), flush=True)
    sys.exit(0)
os.waitpid(pid, 0)
""",
    )
    assert said == ["completed []"]
