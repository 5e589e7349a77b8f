"""No list, page or wait reads a table through: the plan of each query names the index that it uses."""

import itertools
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from typing import Any

import pytest

from runstone.domain import runs
from runstone.store import lists, questions, statements
from runstone.store.lists import candidates, cursors
from runstone.store.reads import Reader
from runstone.store.sqlite import open as sqlite
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.testing.clock import FakeClock

FILTERS: dict[str, Any] = {
    "status": "failed", "kind": "subagent", "agent_id": "a", "parent_id": "p", "root_id": "r", "thread_id": "t",
    "worker_thread_id": "w", "board_id": "b", "card_id": "c", "forked_from": "f", "phase": "x", "depth": "0",
    "definition_id": "d",
}  # fmt: skip


MORE: dict[str, Any] = {
    "labels": {"team": ["search", "web"], "stage": "nightly"}, "pinned": True, "q": "look", "archived": True,
    "created_from": date(2026, 1, 1), "updated_to": date(2026, 1, 1), "ended_from": date(2026, 1, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteDatabase]:
    """A ledger in which nothing is written: all that is asked for is plans."""
    path = tmp_path_factory.mktemp("plans") / "ledger.db"
    sqlite.prepare(path)
    db = SQLiteDatabase(path)
    yield db
    db.close()


class Explained:
    """A connection that explains what it is asked instead of answering.

    Searches for few candidates find `found` runs each.
    """

    def __init__(self, db: SQLiteDatabase, found: int = 0) -> None:
        self.db = db
        self.found = found
        self.plan: list[str] = []
        self.searches: list[str] = []

    def snapshot(self) -> AbstractContextManager[None]:
        return nullcontext()

    def rows(self, name: str, params: dict[str, Any]) -> list[Any]:
        self.searches += [row[3] for row in self.db.query(f"EXPLAIN QUERY PLAN {self.db.sql(name)}", params)]
        return [(1, 1)]

    def select(self, columns: str, tables: str, where: str, tail: str, params: dict[str, Any]) -> list[Any]:
        where = statements.filled(where, statements.load("runstone.store.sqlite"))
        sql = f"SELECT {self.db.sql(columns)} FROM {self.db.sql(tables)} WHERE {where} {tail}"
        plan = [row[3] for row in self.db.query(f"EXPLAIN QUERY PLAN {sql}", params)]
        if tail == "LIMIT :few":
            self.searches += plan
            return [(1,)] * self.found
        self.plan += plan
        return []


def plan_of_list(db: SQLiteDatabase, filters: dict[str, Any], *, found: int = 0, **more: Any) -> list[str]:
    explained = Explained(db, found)
    filters = {"archived": False, **filters}
    lists.list_runs(Reader(lambda: explained, FakeClock()), filters, **more)  # type: ignore[arg-type, return-value]
    scans = [step for step in explained.searches if step.startswith("SCAN r")]
    assert all("COVERING INDEX runs_pinned" in step for step in scans), scans  # it holds those and no others
    assert not [step for step in explained.searches if "TEMP B-TREE FOR ORDER" in step], explained.searches
    return explained.plan


def plan_of(db: SQLiteDatabase, name: str) -> list[str]:
    sql = db.sql(name)
    params = {
        word: "[]" if word in ("runs", "roots", "claimed", "inputs") else 1
        for word in re.findall(r":(\w+)", sql)
    }
    return [row[3] for row in db.query(f"EXPLAIN QUERY PLAN {sql}", params)]


def reads_through(plan: list[str], table: str) -> list[str]:
    """Steps that look at every row of a table, unless in the order of an index that the LIMIT cuts short."""
    return [step for step in plan if step.startswith(f"SCAN {table}") and "USING INDEX" not in step]


def _walks(sort: str, plan: list[str]) -> bool:
    """Whether all that is read through is an index in the order that was asked for, and nothing is sorted."""
    scans = [step for step in plan if step.startswith("SCAN r")]
    along = (
        f"runs_by_{sort}",
        *(("runs_at_top", "runs_archived", "runs_pinned") if sort == "updated" else ()),
    )
    return all(any(index in step for index in along) for step in scans) and not (
        scans and [step for step in plan if "TEMP B-TREE" in step]
    )


@pytest.mark.parametrize("found", [0, candidates.FEW + 1])
@pytest.mark.parametrize(
    ("name", "sort", "order"), list(itertools.product(FILTERS | MORE, lists.SORTS, ("asc", "desc")))
)
def test_a_filtered_list_searches_an_index_or_walks_along_its_order(
    db: SQLiteDatabase, name: str, sort: str, order: str, found: int
) -> None:
    filters = {name: (FILTERS | MORE)[name]}
    cursor = _cursor(filters, sort, order)
    for more in ({}, {"cursor": cursor}, {"superseded": False}):
        plan = plan_of_list(db, filters, sort=sort, order=order, found=found, **more)
        assert plan
        assert _walks(sort, plan), plan
        if sort == "updated" and not (name in MORE and found == 0):
            assert not [step for step in plan if "TEMP B-TREE" in step] or name in UNSORTED, plan


UNSORTED = ("worker_thread_id", "board_id", "card_id", "phase", "root_id", "q")
"""Filters that leave few runs, and the page of candidates of a search: what they find is sorted."""


def _cursor(filters: dict[str, Any], sort: str, order: str) -> str:
    wanted = lists.filters.read({"archived": False, **filters})
    return cursors.write(cursors.shape([wanted.given, sort, order]), cursors.Place(5, 5))


@pytest.mark.parametrize("sort", ["ended", "duration", "cost"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_runs_without_a_value_follow_along_an_index_too(db: SQLiteDatabase, sort: str, order: str) -> None:
    wanted = lists.filters.read({"archived": False})
    cursor = cursors.write(cursors.shape([wanted.given, sort, order]), cursors.Place(None, 5))
    plan = plan_of_list(db, {}, sort=sort, order=order, cursor=cursor)
    assert [step for step in plan if "=? AND id" in step], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


@pytest.mark.parametrize(
    "filters",
    [
        *({name: FILTERS[name]} for name in ("status", "kind", "agent_id", "depth", "definition_id")),
        *({name: FILTERS[name]} for name in ("parent_id", "thread_id")),
        *({"status": status} for status in runs.STATUSES),
        *({"bucket": bucket} for bucket in runs.BUCKETS if bucket != "needs_input"),
        {"status": ["failed", "completed", "interrupted"]},
    ],
)
def test_the_usual_lists_need_no_sorting(db: SQLiteDatabase, filters: dict[str, Any]) -> None:
    plan = plan_of_list(db, filters, sort="updated", order="desc")
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_of_those_that_need_input_only_the_runs_with_an_open_question_are_sorted(db: SQLiteDatabase) -> None:
    plan = plan_of_list(db, {"bucket": "needs_input"}, sort="updated", order="desc")
    assert "SCAN q USING COVERING INDEX inputs_open" in plan
    assert "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert not reads_through(plan, "r")
    assert len([step for step in plan if "TEMP B-TREE" in step]) == 1


@pytest.mark.parametrize(("sort", "order"), list(itertools.product(lists.SORTS, ("asc", "desc"))))
def test_a_list_without_filters_goes_along_an_index_and_a_page_begins_at_its_cursor(
    db: SQLiteDatabase, sort: str, order: str
) -> None:
    plan = plan_of_list(db, {}, sort=sort, order=order)
    assert [step for step in plan if step.startswith(("SCAN r USING INDEX", "SEARCH r USING INDEX"))], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
    plan = plan_of_list(db, {}, sort=sort, order=order, cursor=_cursor({}, sort, order))
    assert [step for step in plan if step.startswith("SEARCH r USING INDEX")], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_shown_statuses_are_searched_too(db: SQLiteDatabase, status: str) -> None:
    plan = plan_of_list(db, {"status": status}, sort="updated")
    assert not [step for step in plan if step.startswith("SCAN r")], plan


POINT_READS = [
    "head_by_id", "head_by_pk", "event_by_key", "events_after", "events_before", "events_from_position", "last_sign",
    "pk_of", "attempts_of", "lease_of_run", "lease_of", "processes_of", "unended_processes", "totals_of", "tools_of",
    "journal_of", "waits_of_child", "awaited_by", "children_pks", "unattached_children", "subtree_totals",
    "subtree_tools", "request_known", "repeated_requests", "live_siblings", "thread_by_id", "one_thread",
    "messages_after", "messages_last",
    "threads_list", "last_checkpoint", "checkpoints_of", "state_at", "board_by_id", "card_by_id", "one_card",
    "cards_of_board", "cards_claimed_by", "command_by_id", "command_by_key", "commands_of", "open_commands",
    "open_orders_of", "ordered_and_unheld", "half_removed", "phase_events", "reused_by", "texts_of_run",
    "totals_of_many",
    "old_events", "old_messages", "old_texts", "old_places", "last_type", "left_events", "old_mentions",
    "old_mentioned_texts", "old_journal", "old_commands", "old_inputs", "old_processes", "old_usage", "own_tools",
    "input_by_id", "open_inputs_of", "due_inputs", "any_due_input", "inputs_asked_before", "asking_runs",
    "open_inputs_below", "answered_roots", "input_statuses", "checkpoint_count", "journal_count",
    "standing_of_tree", "runs_of_tree", "tree_events", "tree_messages",
    "tree_checkpoints", "tree_places", "tree_spent", "blob", "spent",
]  # fmt: skip

BIG = ("runs", "r", "events", "e", "messages", "m", "usage", "u", "o", "journal", "j", "blobs", "b", "places", "p",
       "totals", "t", "attempts", "a", "texts", "x", "cards", "c", "threads", "waits", "w", "processes",
       "inputs", "i")  # fmt: skip


@pytest.mark.parametrize("name", POINT_READS)
def test_a_read_of_one_thing_searches_an_index(db: SQLiteDatabase, name: str) -> None:
    plan = plan_of(db, name)
    assert not [
        step
        for table in BIG
        for step in reads_through(plan, f"{table} ") + reads_through(plan, table)
        if step.split()[1] == table
    ], plan


@pytest.mark.parametrize(
    "name",
    [
        "definitions_of",
        "phase_events",
        "reused_by",
        "ever_reused",
        "heard_in_try",
        "any_pruned",
        "continued_since_saved",
    ],
)
def test_a_run_goes_on_without_a_look_at_each_of_its_tool_calls(db: SQLiteDatabase, name: str) -> None:
    events = [step for step in plan_of(db, name) if re.match(r"SEARCH e(vents)? ", step)]
    assert events
    assert [step for step in events if "INDEX events_by_type (run=? AND type=?" not in step] == []


@pytest.mark.parametrize("name", ["events_after", "events_before", "events_from_position", "messages_after"])
def test_a_page_is_read_in_its_order(db: SQLiteDatabase, name: str) -> None:
    assert not [step for step in plan_of(db, name) if "TEMP B-TREE" in step]


def test_leases_and_lost_runs_are_found_by_what_is_live(db: SQLiteDatabase) -> None:
    assert [step for step in plan_of(db, "running_without_lease") if "runs_by_status" in step]
    assert not [step for step in plan_of(db, "all_leases") if step.startswith("SCAN r")]


@pytest.mark.parametrize(
    "statement",
    [
        "delete_run",
        "delete_request",
        "delete_event",
        "forget_run_in_message",
        "delete_thread",
        "leave_thread",
        "delete_journal_of_child",
        "keep_journal_of_child",
        "delete_blob",
        "delete_places",
    ],
)
def test_removing_a_run_looks_at_its_own_rows_only(db: SQLiteDatabase, statement: str) -> None:
    """Foreign keys are checked by searches: a reference without an index would read its table through for each run."""
    plan = [row[3] for row in db.query(f"EXPLAIN QUERY PLAN {db.sql(statement)}", (1,))]
    assert not [step for step in plan if step.startswith("SCAN") and step.split()[1] in BIG], plan


@pytest.mark.parametrize("run", [None, "r"])
@pytest.mark.parametrize("status", [None, "open", "answered", "expired", "withdrawn"])
def test_a_page_of_questions_goes_along_an_index(
    db: SQLiteDatabase, status: str | None, run: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained = Explained(db)
    reader = Reader(lambda: explained, FakeClock())  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(reader.runs, "pk", lambda run_id: 1)
    questions.page(reader, status=status, run_id=run, after=0, limit=50)
    assert not [step for step in explained.plan if step.startswith("SCAN i") and "USING" not in step]
    # Those that nobody has written down as expired yet come from another place of the index: few, and sorted.
    assert status == "expired" or not [step for step in explained.plan if "TEMP B-TREE" in step], (
        explained.plan
    )
    assert status is None or [step for step in explained.plan if "inputs_by_" in step], explained.plan


@pytest.mark.parametrize("filters", [{}, {"parent_id": "p"}, {"agent_id": "a"}])
def test_counting_those_that_ask_looks_at_their_runs_only(
    db: SQLiteDatabase, filters: dict[str, Any]
) -> None:
    explained = Explained(db)
    lists.count_by_bucket(Reader(lambda: explained, FakeClock()), filters)  # type: ignore[arg-type, return-value]
    asking = explained.plan[explained.plan.index("SCAN q USING COVERING INDEX inputs_open") - 2 :]
    assert asking[0] == "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)", explained.plan
    assert explained.plan.count("SCAN q USING COVERING INDEX inputs_open") == 1
