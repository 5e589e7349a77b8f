"""Pages that are given again: only while the same page would be made, whoever writes and whatever the time is."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

import runstone
from runstone.server.kept import KeptPages
from runstone.server.routes.runs import page_of
from runstone.testing.clock import FakeClock
from tests.server.conftest import Running

ASKED: dict[bytes, dict[str, Any]] = {
    b"": {"archived": False},
    b"bucket=needs_input": {"archived": False, "bucket": ["needs_input"]},
    b"status=interrupted&archived=any": {"archived": None, "status": ["interrupted"]},
    b"status=running": {"archived": False, "status": ["running"]},
}


def test_what_is_given_again_is_what_would_be_made(tmp_path: Path) -> None:
    clock, chance = FakeClock(), random.Random(20)
    with runstone.open(tmp_path, clock=clock) as ledger:
        pages, open_runs, hits = KeptPages(ledger.reader), list[Any](), dict.fromkeys(ASKED, 0)
        changes = _changes(ledger, clock, chance, open_runs)
        for _ in range(400):
            if chance.random() < 0.6:
                chance.choice(changes)()
            for query, filters in ASKED.items():
                standing = pages.standing()
                again = pages.given_again(query)
                made = page_of(ledger.reader, filters, {"limit": 50})
                if pages.standing() != standing:
                    continue  # a heartbeat committed between the two
                assert again is None or again == made.body
                hits[query] += again is not None
                pages.keep(query, standing, made)
        for run in open_runs:
            run.complete().result()
    assert all(count > 50 for count in hits.values()), hits


def _changes(
    ledger: runstone.Ledger, clock: FakeClock, chance: random.Random, open_runs: list[Any]
) -> list[Callable[[], Any]]:
    def start() -> None:
        if len(open_runs) < 5:
            open_runs.append(ledger.start_run(title="a"))

    def end() -> None:
        if open_runs:
            open_runs.pop(0).complete().result()

    def spend() -> None:
        for run in open_runs[:1]:
            run.usage(provider="p", model="m", input_tokens=1, request_id=str(chance.random())).result()

    def ask() -> None:
        ledger.start_run().ask("Which?", state={}, expires_s=chance.choice([None, 7]))

    def archive() -> None:
        for run in list(ledger.list_runs(limit=1)):
            ledger.update_run(run.id, archived=True)

    def step() -> None:
        clock.advance(chance.choice([0.5, 3, 14.9, 15.1, 31]))

    def back() -> None:
        clock.jump(-chance.choice([1, 4]))

    return [start, end, spend, ask, archive, step, step, step, back]


def test_a_page_is_made_anew_once_another_process_has_written(running: Running, http: httpx.Client) -> None:
    path = "/api/v1/runs?limit=5"
    assert http.get(path).json()["items"] == http.get(path).json()["items"] == []
    code = "import runstone, sys\nwith runstone.open(sys.argv[1]) as l, l.start_run(run_id='other'): pass"
    subprocess.run([sys.executable, "-c", code, str(running.ledger.workspace.root)], check=True, timeout=60)
    (run,) = http.get(path).json()["items"]
    assert (run["id"], run["status"]) == ("other", "completed")
    assert http.get(path).json()["items"] == [run]


def test_a_page_is_given_again_to_nobody_who_may_not_read(running: Running, http: httpx.Client) -> None:
    assert http.get("/api/v1/runs").status_code == 200
    assert running.client(None).get("/api/v1/runs").status_code == 401
    assert http.get("/api/v1/runs?limit=0").status_code == 400
