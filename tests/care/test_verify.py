"""`verify` sees each lie: a row, a sum or a reference that its events do not bear out."""

from pathlib import Path
from typing import Any

import apsw
import pytest

import runstone

LIES = {
    "status": ("UPDATE runs SET status = 'cancelled' WHERE run_id = 'r'", "status is 'cancelled'"),
    "title": ("UPDATE runs SET title = 'other' WHERE run_id = 'r'", "title is 'other'"),
    "summary": ("UPDATE runs SET summary = 'other' WHERE run_id = 'r'", "summary is 'other'"),
    "labels": ("""UPDATE runs SET labels_json = '{"a":"c"}' WHERE run_id = 'r'""", "labels_json is"),
    "attempt": ("UPDATE runs SET attempt = 2 WHERE run_id = 'r'", "attempt is 2"),
    "times": ("UPDATE runs SET completed_at = completed_at + 1 WHERE run_id = 'r'", "completed_at is"),
    "error": ("UPDATE runs SET error_json = '{}' WHERE run_id = 'r'", "error_json is '{}'"),
    "result": ("UPDATE runs SET result_ref = NULL WHERE run_id = 'r'", "result_ref is None"),
    "a lost event": ("DELETE FROM events WHERE type = 'work.done'", "are not all there"),
    "a lost first event": ("DELETE FROM events WHERE seq = 1", "are not all there"),
    "another event": ("UPDATE events SET type = 'run.failed' WHERE type = 'run.completed'", "its events say"),
    "a lost request": (
        "DELETE FROM usage WHERE request_id = 'q'",
        "requests of run r are not those of its events",
    ),
    "a request and its sums": (
        "DELETE FROM usage WHERE request_id = 'q'; DELETE FROM totals",
        "the own totals of run r are not what its events add up to",
    ),
    "own totals": ("UPDATE totals SET input_tokens = 6 WHERE scope = 0", "not what its events add up to"),
    "subtree totals": ("UPDATE totals SET input_tokens = 6 WHERE scope = 1", "not the sum of their parts"),
    "tools": ("UPDATE tools SET calls = 2 WHERE scope = 1", "not the sum of their parts"),
    "tools of both": (
        "UPDATE tools SET calls = 2",
        "the tool counts of run r are not what its events add up to",
    ),
    "lineage": ("UPDATE runs SET depth = 1 WHERE run_id = 'r'", "do not fit together"),
    "a lease of nobody": (
        "INSERT INTO leases SELECT r.id, 1, o.owner, 0 FROM runs r, owners o LIMIT 1",
        "no open attempt",
    ),
    "an open attempt": (
        "UPDATE attempts SET ended_at = NULL, outcome = NULL",
        "attempts of run r do not fit its events",
    ),
    "a lost blob": ("PRAGMA foreign_keys = OFF; DELETE FROM blobs", "refers to a missing"),
    "another blob": ("UPDATE blobs SET data = x'5b5d', codec = 0", "does not have the content"),
    "events of nobody": ("UPDATE events SET run = 77 WHERE type = 'work.done'", "there is no such run"),
}


@pytest.mark.parametrize("name", LIES)
def test_verify_names_the_lie(tmp_path: Path, name: str) -> None:
    with runstone.open(tmp_path) as ledger:
        with ledger.start_run(run_id="r", title="t", labels={"a": "b"}) as run:
            run.emit("work.done", {"n": 1})
            run.emit("tool.completed", {"call_id": "c", "tool": "grep"})
            run.usage(provider="p", model="m", input_tokens=5, request_id="q")
            run.complete(summary="s", result={"a": "b" * 500})
        assert ledger.care.verify() == []
    sql, told = LIES[name]
    connection = apsw.Connection(str(tmp_path / ".runstone" / "ledger.db"))
    _forced(connection, sql)
    connection.close()
    with runstone.open(tmp_path) as ledger:
        assert any(told in finding.text for finding in ledger.care.verify()), ledger.care.verify()


def _forced(connection: Any, sql: str) -> None:
    """Runs it whatever the schema's own constraints say: verify has to see what they did not keep out."""
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(sql)
