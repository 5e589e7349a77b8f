"""Retention takes whole ended trees and nothing else; what they had cost, and what others know of them, stays."""

import asyncio
import hashlib
import os
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import runstone
from runstone.care import space
from runstone.care.prune import Policy, PrunePlan, plan_prune, prune
from runstone.care.removing import Removal
from runstone.errors import IllegalTransition, InvalidInput, NotFound
from runstone.ledger import Ledger
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.store.writes import removal as writes
from runstone.store.writes.fork import ForkRun
from runstone.store.writes.journal import SetSuperseded
from runstone.store.writes.lifecycle import ResumeRun
from runstone.testing.clock import FakeClock
from runstone.testing.contract import new_run
from tests.care import retained
from tests.care.retained import DAY_S, SHARED, now, readable, rows_of, spent, tree

MONTH = Policy(older_than=timedelta(days=20))


def roots(plan: PrunePlan) -> list[str]:
    return [tree.run_id for tree in plan.trees]


def rows(ledger: Ledger, sql: str) -> list[Any]:
    db: Any = ledger.reader.db
    return list(db.query(sql))


def counted(ledger: Ledger, table: str) -> int:
    return int(rows(ledger, f"SELECT count(*) FROM {table}")[0][0])


# --- what goes and what stays --------------------------------------------------------------------------------------


def test_old_trees_go_whole_and_all_else_is_as_it_was(tmp_path: Path) -> None:
    clock = retained.build(tmp_path)
    with runstone.open(tmp_path, clock=clock) as ledger:
        before, cost = rows_of(ledger, ["kept", "paused"]), spent(ledger)
        plan = plan_prune(ledger, MONTH, now=now(clock))
        assert roots(plan) == ["old-1", "old-2"]
        assert (plan.kept, plan.living) == (1, 1)
        done = prune(ledger, plan)
        assert (done.taken.trees, done.taken.runs, done.skipped) == (2, 6, ())
        assert rows_of(ledger, ["kept", "paused"]) == before
        assert spent(ledger) == cost, "the report counts what was removed"
        assert ledger.care.verify() == []
        readable(ledger, ["kept", "paused"])
        for run_id in ("old-1", "old-1.0", "old-2"):
            with pytest.raises(NotFound):
                ledger.get_run(run_id)
        assert {run.id for run in ledger.list_runs().items} == {
            "kept", "kept.0", "kept.1", "paused", "paused.0", "paused.1",
        }  # fmt: skip
        card = ledger.boards.card("card-old-1")
        assert (card.body, card.claimed_by, card.run_ids) == (SHARED, None, ())
        assert [m.text for m in ledger.threads.messages("talk").items] == ["please begin", "they are at it"]


def test_each_request_that_was_removed_counts_once_in_every_group(tmp_path: Path) -> None:
    clock = retained.build(tmp_path)
    with runstone.open(tmp_path, clock=clock) as ledger:
        cost = spent(ledger)
        for root in ("old-1", "kept", "old-2"):
            ledger.care.remove(root)
            assert spent(ledger) == cost
        assert counted(ledger, "usage") == 6
        assert sum(row[0] for row in rows(ledger, "SELECT requests FROM removed_usage")) == 18


def test_with_the_rows_kept_what_is_listed_stays(tmp_path: Path) -> None:
    clock = retained.build(tmp_path)
    with runstone.open(tmp_path, clock=clock) as ledger:
        cost, listed = spent(ledger), [run.to_dict() for run in ledger.list_runs(sort="updated").items]
        telemetry = ledger.telemetry("old-1").to_dict()
        plan = plan_prune(ledger, MONTH, now=now(clock), keep_rows=True)
        done = prune(ledger, plan)
        assert roots(plan) == ["old-1", "old-2"]
        assert (done.taken.runs, done.taken.events) == (0, plan.total("events"))
        assert [run.to_dict() for run in ledger.list_runs(sort="updated").items] == listed, (
            "in the same order, too"
        )
        assert [event.type for event in ledger.events("old-1").items] == ["run.pruned"]
        assert ledger.telemetry("old-1").to_dict() == telemetry
        assert ledger.result("old-1") == {"text": SHARED + "old-1"}
        assert ledger.checkpoints.list("old-1") == []
        assert ledger.care.verify() == []
        assert plan_prune(ledger, MONTH, now=now(clock), keep_rows=True).trees == (), "nothing but tombstones"
        assert roots(plan_prune(ledger, MONTH, now=now(clock))) == ["old-1", "old-2"]
        prune(ledger, plan_prune(ledger, MONTH, now=now(clock)))
        assert spent(ledger) == cost


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    retained.build(tmp_path)
    path = tmp_path / ".runstone" / "ledger.db"
    before = digest(path)
    with runstone.open(tmp_path, readonly=True) as ledger:
        assert len(plan_prune(ledger, Policy(keep=0, interrupted=True)).trees) == 3
    assert digest(path) == before


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- policies ------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> tuple[Ledger, FakeClock]:
    """A tree a day for ten days, of two agents in turn; the first is pinned, the last one interrupted."""
    clock = FakeClock()
    ledger = runstone.open(tmp_path, clock=clock)
    for day in range(10):
        identity: dict[str, Any] = {"agent_id": f"agent-{day % 2}", "labels": {"day": str(day)}}
        if day == 0:
            identity["labels"] = {"pinned": "true"}
        tree(
            ledger, f"t{day}", end="interrupt" if day == 9 else "fail" if day == 4 else "complete", **identity
        )
        clock.advance(DAY_S)
    return ledger, clock


CHOSEN: list[tuple[str, Policy, str]] = [
    ("age", Policy(older_than=timedelta(days=7)), "123"),
    ("age to the day", Policy(older_than=timedelta(days=9)), "1"),
    ("count", Policy(keep=3), "12345"),
    ("count of none", Policy(keep=0), "12345678"),
    ("count for each agent", Policy(keep=2, per="agent"), "1234"),
    ("of one agent", Policy(agent=("agent-1",)), "1357"),
    ("of a status", Policy(status=("failed",)), "4"),
    ("with a label", Policy(labels={"day": "6"}), "6"),
    ("with two labels that no tree has", Policy(labels={"day": "6", "pinned": "true"}), ""),
    ("age and count", Policy(older_than=timedelta(days=5), keep=6), "12"),
    ("age and agent", Policy(older_than=timedelta(days=5), agent=("agent-0",)), "24"),
    ("count of one agent", Policy(keep=1, agent=("agent-0",)), "246"),
    ("interrupted ones, too", Policy(keep=0, interrupted=True), "123456789"),
    ("interrupted ones alone", Policy(status=("interrupted",), interrupted=True), "9"),
    ("interrupted ones are not asked for", Policy(status=("interrupted",)), ""),
    ("a workflow that there is not", Policy(workflow=("none",)), ""),
]


@pytest.mark.parametrize(("policy", "days"), [case[1:] for case in CHOSEN], ids=[case[0] for case in CHOSEN])
def test_a_tree_goes_only_if_every_limit_lets_it_go(
    many: tuple[Ledger, FakeClock], policy: Policy, days: str
) -> None:
    ledger, clock = many
    with ledger:
        assert roots(plan_prune(ledger, policy, now=now(clock))) == [f"t{day}" for day in days]


def test_the_oldest_go_until_the_ledger_is_small_enough(many: tuple[Ledger, FakeClock]) -> None:
    ledger, clock = many
    with ledger:
        used = space.measure(ledger).used_bytes
        one = plan_prune(ledger, Policy(max_bytes=used - 1), now=now(clock))
        assert roots(one) == ["t1"]
        assert plan_prune(ledger, Policy(max_bytes=used), now=now(clock)).trees == ()
        everything = plan_prune(ledger, Policy(max_bytes=0), now=now(clock))
        assert roots(everything) == [f"t{day}" for day in range(1, 9)]
        few = plan_prune(ledger, Policy(max_bytes=0, older_than=timedelta(days=8)), now=now(clock))
        assert roots(few) == ["t1", "t2"], "the age protects the others"


def test_what_it_weighs_is_about_what_the_file_loses(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        for number in range(30):
            with ledger.start_run(run_id=f"r{number}") as run:
                run.emit_many([("note.written", {"text": os.urandom(60).hex()}) for _ in range(300)])
                for _ in range(20):
                    run.message("assistant", os.urandom(100).hex())
                run.checkpoint({"turns": [os.urandom(400).hex() for _ in range(20)]})
                run.complete(result=os.urandom(3_000).hex())
        before = space.measure(ledger).used_bytes
        plan = plan_prune(ledger, Policy(keep=10))
        done = prune(ledger, plan)
        lost = before - done.space.used_bytes
        assert 0.6 < plan.total("bytes") / lost < 1.5


@pytest.mark.parametrize(
    "wrong",
    [{"keep": -1}, {"max_bytes": -1}, {"per": "agent"}, {"keep": 1, "per": "day"}, {"status": ("running",)},
     {"older_than": timedelta(days=-1)}],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Policy(**wrong)


# --- only whole ended trees ----------------------------------------------------------------------------------------


def test_a_tree_in_which_anything_lives_stays(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        held = []  # a handle that is lost leaves its run interrupted
        for root, kind in (("running", None), ("paused", "pause"), ("pending", "pending")):
            with ledger.start_run(run_id=root) as run:
                if kind == "pending":
                    ledger.create_run(kind="subagent", run_id=f"{root}.child", parent=root)
                else:
                    child = ledger.start_run(run_id=f"{root}.child", parent=run)
                    held.append(child)
                    if kind == "pause":
                        child.pause(reason="later", state={})
        assert plan_prune(ledger, Policy(keep=0, interrupted=True)).trees == ()
        for root in ("running", "paused", "pending"):
            with pytest.raises(IllegalTransition):
                ledger.care.remove(root)
            with pytest.raises(IllegalTransition):
                ledger.care.prune(root)
            with pytest.raises(InvalidInput):
                ledger.care.remove(f"{root}.child")
            assert ledger.events(root).items[-1].type == "run.completed"
        held[0].complete().result()


def test_a_tree_that_did_something_since_the_plan_stays(tmp_path: Path) -> None:
    clock = retained.build(tmp_path)
    with runstone.open(tmp_path, clock=clock) as ledger:
        plan = plan_prune(ledger, MONTH, now=now(clock))
        with ledger.start_run(run_id="old-1.late", parent="old-1"):
            pass
        clock.advance(1)
        ledger.care.remove("old-2")
        done = prune(ledger, plan)
        assert [run_id for run_id, _ in done.skipped] == ["old-1", "old-2"]
        assert ledger.get_run("old-1").status == "completed"
        assert len(ledger.events("old-1").items) > 5
        assert ledger.care.verify() == []


def test_a_run_that_was_resumed_is_not_taken_by_a_write_that_comes_late(tmp_path: Path) -> None:
    """The writes ask again, whatever whoever sent them had seen."""
    with runstone.open(tmp_path) as ledger:
        ledger.start_run(run_id="r").interrupt("for now")
        with ledger.continue_run("r"):
            for write in (writes.PruneRun("r"), writes.RemoveRun("r")):
                with pytest.raises(IllegalTransition):
                    ledger.core.submit(write, []).result()


@pytest.mark.parametrize("end", ["remove", "prune"])
def test_a_run_is_not_gone_on_with_from_half_a_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(writes, "PLACES_AT_ONCE", 20)
    monkeypatch.setattr(writes, "CHUNK", 10)
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        for number in range(5):
            run.checkpoint({f"{number}-{key}": number for key in range(10)}).result()
        run.interrupt("lost")
        whole = ledger.checkpoints.state("r")
        ledger.core.submit(writes.PruneRun("r"), []).result()
        assert ledger.checkpoints.state("r") == whole, "the tombstone alone takes nothing"
        assert ledger.core.submit(writes.PruneRun("r"), []).result().more
        assert counted(ledger, "places") > 0
        assert ledger.checkpoints.list("r") == []
        for go_on in (
            lambda: ledger.continue_run("r"),
            lambda: ledger.core.submit(ResumeRun("r", "x"), []).result(),
        ):
            with pytest.raises(IllegalTransition, match="part of its saved state is gone") as refused:
                go_on()
            assert refused.value.hint == "finish that: runstone runs rm r"
        plan = plan_prune(ledger, Policy(keep=0, interrupted=True), keep_rows=end == "prune")
        assert roots(plan) == ["r"]
        prune(ledger, plan)
        assert counted(ledger, "places") == 0
        if end == "prune":
            with ledger.continue_run("r") as again:
                assert again.state is None
                again.checkpoint({"a": 1})
            assert ledger.checkpoints.state("r") == {"a": 1}
        assert ledger.care.verify() == []


def test_what_its_parent_finished_without_keeps_no_tree(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        with ledger.start_run(run_id="r"):
            ledger.create_run(kind="subagent", run_id="r.left", parent="r")
        assert plan_prune(ledger, Policy(keep=0)).living == 1
        ledger.core.submit(SetSuperseded("r.left", True), []).result()
        assert roots(plan_prune(ledger, Policy(keep=0))) == ["r"]
        assert ledger.care.remove("r") == 2


# --- what others know and own --------------------------------------------------------------------------------------


def crew(folder: Path) -> runstone.Registry:
    """A workflow of three children and a step that fails at its end until a file is there."""
    made = runstone.Registry()

    @made.agent("worker")
    async def worker(ctx: Any, input: Any) -> Any:
        with (folder / "calls").open("a") as file:
            file.write(f"{input}\n")
        await ctx.usage(provider="p", model="m", input_tokens=5, cost_usd=0.5, request_id=ctx.run_id)
        return None if input == 0 else SHARED + str(input)

    @made.workflow("job", version="1")
    async def job(ctx: Any, input: Any) -> Any:
        listed = await ctx.step("list", lambda: [SHARED, "x"])
        found = await ctx.map("worker", [0, 1, 2])
        if not (folder / "mended").exists():
            raise ValueError("not yet")
        return [len(listed), [text if text is None else text[-1] for text in found]]

    return made


@pytest.mark.parametrize("when", ["before it is resumed", "while it is parked", "of a fork, too"])
def test_a_fork_goes_on_with_what_a_removed_source_had_finished(tmp_path: Path, when: str) -> None:
    made = crew(tmp_path)
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(runstone.RunFailed):
            asyncio.run(runstone.run("job", ledger=ledger, run_id="source", registry=made))
        runstone.fork("source", ledger=ledger, new_id="fork")
        if when == "while it is parked":
            with pytest.raises(runstone.RunFailed):
                asyncio.run(runstone.resume("fork", ledger=ledger, registry=made))
        assert ledger.care.remove("source") == 4
        last = "fork"
        if when == "of a fork, too":
            last = runstone.fork("fork", ledger=ledger, new_id="fork-of-fork")
            ledger.command("fork", "stop")
            ledger.care.remove("fork")
        assert ledger.care.verify() == []
        planned = runstone.plan(last, ledger=ledger, registry=made)
        assert (len(planned.reuse), planned.start, planned.rerun) == (4, (), ())
        (tmp_path / "mended").touch()
        assert asyncio.run(runstone.resume(last, ledger=ledger, registry=made)) == [2, [None, "1", "2"]]
        assert (tmp_path / "calls").read_text().split() == ["0", "1", "2"], "no finished work was done again"
        assert ledger.care.verify() == []
        readable(ledger, [last])


def test_the_children_of_a_half_removed_tree_are_not_taken_for_finished(tmp_path: Path) -> None:
    """A kill between child and root leaves a root that never knew them: what failed must not look completed."""
    made = crew(tmp_path)
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(runstone.RunFailed):
            asyncio.run(runstone.run("job", ledger=ledger, run_id="source", registry=made))
        child = ledger.list_runs(parent_id="source").items[0].id
        while ledger.core.submit(writes.RemoveRun(child), []).result():
            continue
        assert [entry.kind for entry in ledger.journal("source")].count("child") == 2
        assert ledger.care.verify() == []


def test_a_fork_of_a_run_that_is_removed_meanwhile_is_refused(tmp_path: Path) -> None:
    made = crew(tmp_path)
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(runstone.RunFailed):
            asyncio.run(runstone.run("job", ledger=ledger, run_id="source", registry=made))
        known = [entry for entry in ledger.journal("source") if entry.finished]
        ledger.care.remove("source")
        with pytest.raises(NotFound):
            ledger.core.submit(ForkRun(new_run("fork"), known), []).result()
        assert ledger.list_runs().items == []


def test_a_conversation_that_runs_share_goes_with_the_last_of_them(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        for run_id in ("first", "second"):
            with ledger.start_run(run_id=run_id, worker_thread_id="shared") as run:
                run.message("assistant", f"from {run_id}")
        ledger.care.remove("first")
        assert [m.text for m in ledger.threads.messages("shared").items] == ["from first", "from second"]
        assert ledger.threads.get("shared").run_id == "second"
        assert ledger.care.verify() == []
        ledger.care.remove("second")
        with pytest.raises(NotFound):
            ledger.threads.get("shared")


def test_a_conversation_from_which_others_were_started_stays(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        with ledger.start_run(run_id="talker", worker_thread_id="talk") as run:
            run.message("user", "start something")
        with ledger.start_run(run_id="started", thread_id="talk"):
            pass
        ledger.care.remove("talker")
        assert [m.text for m in ledger.threads.messages("talk").items] == ["start something"]
        assert ledger.threads.append("talk", "user", "more") == "talk#2"
        assert ledger.care.verify() == []


# --- values --------------------------------------------------------------------------------------------------------


def test_every_reference_to_a_value_is_asked_for_and_has_an_index(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        db = ledger.reader.db
        assert isinstance(db, SQLiteDatabase)
        tables = [name for (name,) in db.query("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        columns = [
            (table, row[3])
            for table in tables
            for row in db.query(f"PRAGMA foreign_key_list({table})")
            if row[2] == "blobs"
        ]
        assert len(columns) >= 12
        for statement in ("loose_blobs", "blob_pages", "delete_blob"):
            text = db.sql(statement)
            missing = [f"{t}.{c}" for t, c in columns if f"FROM {t} WHERE {c} = " not in text]
            assert not missing, f"{statement} does not ask for {missing}"
        for table, column in columns:
            plan = db.query(f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} = 'x'")
            assert "SEARCH" in plan[0][3], f"{table}.{column} is read through for each value that is removed"


def test_every_table_that_refers_to_runs_lets_them_go(tmp_path: Path) -> None:
    """A table that is added must be named in `RemoveRun`, or its rows would keep every run that has some."""
    known = {"runs", "attempts", "leases", "processes", "journal", "waits", "usage", "totals", "tools", "threads",
             "messages", "checkpoints", "places", "cards", "commands", "texts", "outputs", "inputs",
             "acknowledgements", "dispatches"}  # fmt: skip
    with runstone.open(tmp_path) as ledger:
        db: Any = ledger.reader.db
        tables = [name for (name,) in db.query("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {t for t in tables for row in db.query(f"PRAGMA foreign_key_list({t})") if row[2] == "runs"}
        assert found <= known


def test_a_value_goes_with_the_last_row_that_refers_to_it(tmp_path: Path) -> None:
    retained.build(tmp_path)
    with runstone.open(tmp_path) as ledger:
        for root in ("old-1", "old-2", "kept"):
            ledger.care.remove(root)
        assert list(space.loose(ledger.reader)) == [], "removals leave none behind"
        readable(ledger, ["paused"])
        stored = {digest for (digest,) in rows(ledger, "SELECT digest FROM blobs")}
        assert ledger.prompt("paused.0") == SHARED
        assert len(stored) == len(set(stored)) < 12


def test_a_sweep_finds_what_was_left_and_takes_nothing_else(tmp_path: Path) -> None:
    retained.build(tmp_path)
    with runstone.open(tmp_path) as ledger:
        card = ledger.boards.card("card-kept")
        ledger.boards.update_card("card-kept", revision=card.revision, body="y" * 9_000)
        card = ledger.boards.card("card-kept")
        ledger.boards.update_card("card-kept", revision=card.revision, body="z" * 9_000)
        before = rows_of(ledger, ["old-1", "old-2", "kept", "paused"])
        found = [digest for digests in space.loose(ledger.reader) for digest in digests]
        removal = Removal(ledger)
        space.sweep(ledger, removal)
        assert removal.taken.blobs == len(found) == 1
        assert rows_of(ledger, ["old-1", "old-2", "kept", "paused"]) == before
        assert ledger.boards.card("card-kept").body == "z" * 9_000
        assert ledger.care.verify() == []


# --- beside a working ledger ---------------------------------------------------------------------------------------


def test_no_transaction_of_a_removal_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By rows, as a busy machine makes times of no use: each write takes a bounded number of them."""
    chunks: list[writes.Chunk] = []
    with runstone.open(tmp_path) as ledger:
        with ledger.start_run(run_id="r") as run:
            for _ in range(5):
                run.emit_many([("note.written", {"n": n}) for n in range(2_000)])
            for number in range(300):
                run.message("assistant", f"message {number}")
                run.usage(provider="p", model="m", input_tokens=1, request_id=f"q{number}")
        cost = spent(ledger)
        while chunk := ledger.core.submit(writes.RemoveRun("r", 500), []).result():
            chunks.append(chunk)
        chunks.append(chunk)
        sizes = [c.events + c.messages + c.requests for c in chunks]
        assert max(sizes) <= 500
        assert sum(c.events for c in chunks) >= 10_000
        assert sum(c.requests for c in chunks) == 300
        assert chunks[-1].runs == 1
        assert spent(ledger) == cost


def test_lists_tails_and_readers_go_on_while_trees_are_removed(tmp_path: Path) -> None:
    clock = retained.build(tmp_path)
    with runstone.open(tmp_path, clock=clock) as ledger:
        tree(ledger, "mid-1")
        tree(ledger, "mid-2")
        after = ledger.cursor()
        page = ledger.list_runs(limit=4, sort="created", order="asc", depth="0")
        assert [run.id for run in page.items] == ["old-1", "old-2", "kept", "paused"]
        position, key = ledger.reader.events.last_position(), ledger.reader.runs.pk("mid-2")
        open_page = ledger.events("mid-2", limit=3)
        with ledger.start_run(run_id="before"):
            pass
        for root in ("old-2", "mid-2"):
            ledger.care.remove(root)
        rest = ledger.list_runs(limit=4, sort="created", order="asc", depth="0", cursor=page.next_cursor)
        assert [run.id for run in rest.items] == ["mid-1", "before"], (
            "a cursor at a run that is gone goes on behind it"
        )
        with pytest.raises(NotFound):
            ledger.events("mid-2", after=open_page.next_cursor or 0)
        with ledger.start_run(run_id="later"):
            pass
        seen = list(ledger.tail(after="-".join([after.split("-")[0], "1"]), timeout=0.2))
        assert seen[0].type == "ledger.gap"
        assert [event.type for event in seen if event.run_id == "later"] == [
            "run.created", "run.started", "run.completed",
        ]  # fmt: skip
        assert ledger.events("later").items[0].position > position
        assert ledger.reader.runs.pk("later") > key


# --- space ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["the oldest", "at random"])
def test_the_file_shrinks_to_about_what_is_left(tmp_path: Path, order: str) -> None:
    with runstone.open(tmp_path) as ledger:
        for number in range(120):
            with ledger.start_run(run_id=f"r{number}", prompt=os.urandom(2_000).hex()) as run:
                run.emit_many([("note.written", {"text": os.urandom(80).hex()}) for _ in range(100)])
                for _ in range(5):
                    run.message("assistant", os.urandom(300).hex())
                run.checkpoint({"turns": [os.urandom(500).hex() for _ in range(10)]})
        full = space.measure(ledger)
        assert full.shrinks, "new ledgers can give pages back"
        chosen = range(108) if order == "the oldest" else random.Random(7).sample(range(120), 108)
        for number in chosen:
            ledger.care.remove(f"r{number}")
        assert space.give_back(ledger)
        left = space.measure(ledger)
        assert left.free_bytes == 0
        path = ledger.workspace.database
        assert path.stat().st_size == left.file_bytes
        assert path.with_name(path.name + "-wal").stat().st_size == 0
        bound = 0.2 if order == "the oldest" else 0.35
        assert left.file_bytes < bound * full.file_bytes, left.file_bytes / full.file_bytes
        assert ledger.care.verify() == []


def test_weeks_with_a_daily_prune_stay_in_bounds(tmp_path: Path) -> None:
    clock, sizes = FakeClock(), []
    with runstone.open(tmp_path, clock=clock) as ledger:
        for day in range(16):
            for number in range(6):
                tree(ledger, f"d{day}-{number}", events=60)
            clock.advance(DAY_S)
            cost = spent(ledger)
            done = prune(ledger, plan_prune(ledger, Policy(older_than=timedelta(days=5)), now=now(clock)))
            assert spent(ledger) == cost
            sizes.append(done.space.file_bytes)
        assert len(ledger.list_runs(depth="0", limit=1_000).items) == 24
        assert max(sizes[8:]) < 1.15 * min(sizes[6:8]), sizes
        assert counted(ledger, "removed_usage") < 16 * 40, (
            "the sums of a day are few, however much was removed"
        )
        assert ledger.care.verify() == []


def test_a_plan_is_json_and_says_what_the_report_keeps(tmp_path: Path) -> None:
    clock = retained.build(tmp_path)
    with runstone.open(tmp_path, clock=clock) as ledger:
        plan = plan_prune(ledger, MONTH, now=now(clock))
        first = msgspec.to_builtins(plan)["trees"][0]
        assert (first["run_id"], first["runs"], first["requests"]) == ("old-1", 3, 6)
        assert first["cost_usd"] == 0.75
        assert not first["cost_complete"]
        done = prune(ledger, plan)
        for name in ("runs", "messages", "checkpoints"):
            assert getattr(done.taken, name) == plan.total(name), name
        assert done.taken.events == plan.total("events") + 2, "with a tombstone for each tree of several runs"
