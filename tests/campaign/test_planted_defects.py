"""The tests can fail: each defect is planted in a copy of the source, and the tests named for it must catch it.

A defect is a replacement of text that must match exactly once, so that this fails loudly when the code moves.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR, WRITER, NUMBERS = (
    "tests/engine/test_supervisor.py::",
    "tests/store/test_writer.py::",
    "tests/store/test_numbers.py::",
)


class Defect(NamedTuple):
    """What is wrong: a text of a file, what it is made into, and the tests that must see it."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


DEFECTS = (
    Defect(
        "complete without fence",
        "store/writes/lifecycle.py",
        """        head = batch.head(self.run_id)
        if self.attempt is not None:
            runs.check_fence(head, self.attempt)
        runs.check_move(head, self.event_type)
""",
        """        head = batch.head(self.run_id)
        runs.check_move(head, self.event_type)
""",
        (SUPERVISOR + "test_a_fenced_owner_changes_no_state",),
    ),
    Defect(
        "seq restarts after a prune",
        "store/queries/removing.sql",
        "WHERE run = :run AND seq < :floor ORDER BY seq LIMIT :limit",
        "WHERE run = :run AND seq <= :floor ORDER BY seq LIMIT :limit",
        (NUMBERS + "test_seq_goes_on_after_a_prune",),
    ),
    Defect(
        "event outside the transaction of its status",
        "store/batch.py",
        """        for statement in sorted(staged, key=_place):
            if rows := staged[statement]:
""",
        """        for statement in sorted(staged, key=_place):
            if statement == "insert_event":
                self.db.commit()
                self.db.begin()
            if rows := staged[statement]:
""",
        ("tests/crash/test_points.py::test_a_crash_at_each_boundary_loses_nothing",),
    ),
    Defect(
        "Receipt settled before its commit",
        "store/writer.py",
        """            batch.flush()
            crashpoints.writes("before", writes)
""",
        """            batch.flush()
            for receipt, outcome in zip(self._taken.receipts, outcomes):
                receipt._outcome = outcome
            crashpoints.writes("before", writes)
""",
        (WRITER + "test_a_receipt_is_settled_after_its_commit",),
    ),
    Defect(
        "synchronous lowered",
        "store/sqlite/database.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
        (WRITER + "test_durable_settings_of_the_write_connection",),
    ),
    Defect(
        "positional child key",
        "engine/context.py",
        "own = call_keys.of_child(entry, agent, input, key, options)",
        "own = call_keys.of_child(entry, agent, [len(self.claimed_pks), input], key, options)",
        (
            "tests/engine/test_reuse.py::test_sequential_calls_with_one_inserted_in_front",
            "tests/engine/test_reuse.py::test_an_edit_runs_only_what_is_new",
        ),
    ),
    Defect(
        "reconciling by age alone",
        "engine/supervisor.py",
        """        if seen is None or seen[0] != expires:
            self._seen[lease.run_id] = (expires, running)
            return None
        if running - seen[1] < self.heartbeat_s or running < self._quiet_until:
            return None
""",
        """        _ = running, seen
""",
        (
            SUPERVISOR + "test_age_alone_proves_nothing_of_a_process_that_runs",
            SUPERVISOR + "test_a_laptop_that_slept_interrupts_nothing_that_still_lives",
        ),
    ),
    Defect(
        "usage counted twice",
        "engine/handle.py",
        "request_id=self._core.new_id() if request_id is None else request_id,",
        "request_id=self._core.new_id(),",
        (NUMBERS + "test_a_request_counts_once_in_its_tree",),
    ),
    Defect(
        "a policy is ignored",
        "engine/children.py",
        "action_for(record, ctx.tree.policy, ctx.ended_parent)",
        "action_for(record, type(ctx.tree.policy)(), ctx.ended_parent)",
        ("tests/engine/test_policy.py::test_keep_raises_the_failure_as_recorded",),
    ),
    Defect(
        "`after` is off by one",
        "store/queries/reading.sql",
        "FROM events e WHERE e.run = :run AND e.seq > :after ORDER BY e.seq LIMIT :limit",
        "FROM events e WHERE e.run = :run AND e.seq >= :after ORDER BY e.seq LIMIT :limit",
        (NUMBERS + "test_after_and_limit_at_their_edges",),
    ),
    Defect(
        "user code swallows a suspension",
        "engine/conduct.py",
        """        if not self.suspended:
            return
        if running.get() is self:
            raise Suspended""",
        """        return
        if running.get() is self:
            raise Suspended""",
        ("tests/engine/test_parking.py::test_what_a_parked_run_swallowed_says_nothing_any_more",),
    ),
    Defect(
        "rowids used again after a prune",
        "store/sqlite/queries/writing.sql",
        "SELECT name, seq FROM sqlite_sequence\n",
        """SELECT name, CASE name WHEN 'events' THEN (SELECT coalesce(max(position), 0) FROM events)
  WHEN 'runs' THEN (SELECT coalesce(max(id), 0) FROM runs) ELSE seq END FROM sqlite_sequence
""",
        (NUMBERS + "test_positions_and_keys_are_not_given_again_after_a_removal",),
    ),
    Defect(
        "a Receipt is lost with its event loop",
        "store/writer.py",
        """            except RuntimeError:
                continue  # that loop is closed; its receipts hold the outcome for whoever asks
""",
        """            except RuntimeError:
                for receipt in group.receipts:
                    receipt._outcome = _PENDING
""",
        (WRITER + "test_a_receipt_outlives_the_loop_that_awaited_it",),
    ),
)


def outcome(source: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Runs the tests against a copy of the source."""
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--timeout=100",
        "-p",
        "no:cacheprovider",
        "--color=no",
        *tests,
    ]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


def copy(to: Path) -> Path:
    return Path(shutil.copytree(ROOT / "src", to / "src", ignore=shutil.ignore_patterns("__pycache__")))


def test_a_copy_of_the_source_is_what_the_tests_then_test(tmp_path: Path) -> None:
    code = "import runstone; print(runstone.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(copy(tmp_path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tmp_path))


@pytest.mark.timeout(1800)
def test_without_a_defect_all_of_them_pass(tmp_path: Path) -> None:
    done = outcome(copy(tmp_path), tuple(dict.fromkeys(test for defect in DEFECTS for test in defect.tests)))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_caught(tmp_path: Path, defect: Defect, record_property) -> None:  # type: ignore[no-untyped-def]
    source = copy(tmp_path)
    file = source / "runstone" / defect.file
    text = file.read_text()
    assert text.count(defect.right) == 1, (
        f"{defect.file} holds the text {text.count(defect.right)} times, not once"
    )
    file.write_text(text.replace(defect.right, defect.wrong))
    done = outcome(source, defect.tests)
    assert done.returncode == 1, f"nobody noticed: {done.stdout[-2000:]}{done.stderr[-1000:]}"
    caught = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert caught, done.stdout[-2000:]
    record_property("told", f"{defect.name}: caught by {caught[0].split('::')[1].split(' ')[0]}")
