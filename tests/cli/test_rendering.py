"""Runs, trees, progress and plans as a person sees them, from records made by hand."""

from datetime import timedelta

from runstone.cli import plan_tables, progress, run_detail, run_tables
from runstone.cli.progress import Counts, Progress
from runstone.cli.run_sections import phase_table, spending
from runstone.cli.table import Cell, Table
from runstone.domain.records import ModelTotals, Totals
from runstone.domain.resume import Plan, PlanEntry
from runstone.domain.runs import STATUSES
from tests.cli.records import NOW, node, phase, run, telemetry


def printed(table: Table, limit: int | None = None) -> list[str]:
    return ["  ".join(cell.text for cell in line).rstrip() for line in table.lines(limit)]


def joined(cells: list[Cell]) -> str:
    return "  ".join(cell.text for cell in cells)


def test_a_list_shows_id_status_and_what_the_subtree_spent() -> None:
    spent = Totals(requests=3, input_tokens=1_500, cost_picousd=3 * 10**10)
    table = run_tables.run_table([run_tables.RunRow(run(), "Read it", 2, spent, spent)], NOW)
    assert printed(table) == [
        "id        status       kind      agent   title    age   took  attempt  children  tokens     cost",
        "0000abcd  ✓ completed  subagent  reader  Read it   5m  3m00s        1         2    1.5k  $0.0300",
    ]


def test_every_status_has_a_symbol_and_an_unknown_one_is_shown_as_it_is() -> None:
    assert set(run_tables.STATUS) == set(STATUSES)
    assert len({symbol for symbol, _ in run_tables.STATUS.values()}) == len(STATUSES)
    assert run_tables.status_cell("hibernating").text == "· hibernating"


def test_time_stops_where_nobody_holds_the_run() -> None:
    lost = run(status="interrupted", completed_at=None)
    assert run_tables.elapsed(lost, NOW + timedelta(days=1)) == "3m00s"
    assert run_tables.elapsed(run(status="running", completed_at=None), NOW) == "4m00s"
    assert run_tables.elapsed(run(status="pending", started_at=None, completed_at=None), NOW) == ""


def test_a_tree_shows_nesting_reuse_and_errors() -> None:
    leaf = run("leaf-1", title="a.py", phase="inspect")
    bad = run("leaf-2", title="b.py", status="failed", error={"code": "x", "message": "no \x1b[2J luck"})
    old = run("leaf-3", title="c.py", superseded=True)
    middle = node(run("mid", title="part"), node(bad))
    root = node(
        run("root", kind="workflow", title="All"), node(leaf, reused=True, tokens=1_000), middle, node(old)
    )
    lines = printed(run_tables.tree_table(root, {}, NOW, limit=100))
    assert [line.split("  ✓")[0].split("  ✗")[0].rstrip() for line in lines[1:]] == [
        "audit: All", "├─ reader: a.py", "├─ reader: part", "│  └─ reader: b.py", "└─ reader: c.py",
    ]  # fmt: skip
    assert lines[2].endswith("↺ reused")
    assert lines[4].endswith("no \\x1b[2J luck")
    assert lines[5].endswith("superseded")


def test_a_large_tree_counts_what_it_leaves_out_and_a_deep_one_is_no_problem() -> None:
    deep = node(run("end"))
    for number in range(3_000):
        deep = node(run(f"n{number}"), deep)
    lines = printed(run_tables.tree_table(deep, {}, NOW, limit=5), limit=80)
    assert lines[-1].strip() == "… 2996 more"
    assert len(lines) == 7


def at_work(**fields: object) -> Progress:
    children = {"completed": 3, "running": 2, "pending": 1, "failed": 1}
    phases = [
        phase("inspect", "running", planned=8, children=children, reused=2),
        phase("report", "pending"),
    ]  # fmt: skip
    spent = Totals(requests=1, input_tokens=2_000, cost_picousd=10**11)
    base = Progress(
        run(kind="workflow", status="running", title="All", attempt=2), phases,
        Counts(done=3, running=2, waiting=1, failed=1, reused=2), 2, [(run(status="running"), "a.py")],
        telemetry(subtree=spent), NOW,
    )  # fmt: skip
    return base._replace(**fields)


def test_progress_shows_each_phase_with_its_children_and_the_whole_with_its_cost() -> None:
    lines = [joined(line).rstrip() for line in progress.live_lines(at_work(), 100, 40)]
    assert lines[0] == "● running  audit: All  0000abcd  1m01s  attempt 2  2.0k tokens  $0.10"
    assert lines[1].split() == ["phase", "done", "running", "waiting", "failed", "reused"]
    assert lines[2].split() == ["●", "inspect", "▰▰▰▰▱▱▱▱▱▱▱▱", "3/8", "2", "1", "1", "2"]
    assert lines[3].split() == ["○", "report"]
    assert lines[4].startswith("  ●  reader: a.py")
    assert lines[5] == "  … and 1 more"


def test_progress_never_takes_more_lines_than_the_terminal_has() -> None:
    assert len(progress.live_lines(at_work(), 100, 4)) == 3


def test_a_log_says_the_same_in_words() -> None:
    assert progress.plain_lines(at_work()) == [
        "inspect running: 3 of 8 done, 2 running, 1 waiting, 1 failed, 2 reused"
    ]
    assert progress.plain_lines(at_work(phases=[])) == [
        "children: 3 of 7 done, 2 running, 1 waiting, 1 failed, 2 reused"
    ]
    assert progress.plain_lines(at_work(phases=[], children=Counts())) == []


def test_a_phase_table_names_what_is_planned_skipped_and_why() -> None:
    table = phase_table(
        [phase("a", "skipped", reason="nothing to do"), phase("b", "running", planned=9)], NOW
    )
    assert printed(table)[1].split() == ["a", "–", "skipped", "nothing", "to", "do"]
    assert "of 9" in printed(table)[2]


def test_spending_shows_own_only_where_it_differs_from_the_subtree() -> None:
    own, all_ = (
        Totals(requests=1, input_tokens=5),
        Totals(requests=2, input_tokens=12_345, cost_picousd=10**12),
    )
    totals = ModelTotals(provider="p", model="m", own=own, subtree=all_)
    lines = printed(spending(telemetry(models=(totals,), subtree=all_)))
    assert [line.split()[1] for line in lines[1:]] == ["own", "subtree"]
    assert "12,345" in lines[2]
    same = ModelTotals(provider="p", model="m", own=own, subtree=own)
    assert len(printed(spending(telemetry(models=(same,), subtree=own)))) == 2


def test_the_next_step_fits_the_status() -> None:
    assert (
        run_detail.next_step(run(status="interrupted"), still=True)
        == "go on with it: runstone resume 0000abcd"
    )
    assert run_detail.next_step(run(status="completed"), still=True) is None


def test_a_plan_counts_what_it_reuses_and_says_how_sure_it_is() -> None:
    done = PlanEntry(
        kind="child", name="a", child_run_id="run-a", status="completed", tokens=900, cost_picousd=10**12
    )
    again = PlanEntry(kind="child", name="b", child_run_id="run-b", status="failed")
    plan = Plan(run_id="r", status="failed", reuse=(done,), rerun=(again,), exact=True)
    assert (
        joined(plan_tables.headline(plan))
        == "r  reuse 1 (900 tokens, $1.00), run again 1, start 0  (exactly)"
    )
    lines = printed(plan_tables.plan_table(plan, {"run-a": "a.py"}))
    assert lines[1].split() == ["↺", "reuse", "child", "a:", "a.py", "run-a", "completed", "900", "$1.00"]
    assert lines[2].split() == ["→", "run", "again", "child", "b", "run-b", "failed"]


def test_a_plan_of_thousands_says_how_many_it_does_not_list() -> None:
    entries = tuple(PlanEntry(kind="child", name=f"c{n}") for n in range(1_000))
    plan = Plan(run_id="r", status="failed", reuse=entries, start=entries[:3])
    lines = printed(plan_tables.plan_table(plan, {"run-a": "a.py"}))
    assert lines[-2].startswith("… 800 more")
    assert lines[-1].startswith("… 3 more")
