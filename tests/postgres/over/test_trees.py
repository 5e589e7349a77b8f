"""Timelines and pages of trees over PostgreSQL, by the tests that they have over a file."""

from runstone.ledger import Ledger
from tests.lists.test_timeline import (  # noqa: F401
    clock,
    ledger,
    test_a_later_look_is_told_what_changed_alone_and_all_that_the_end_waits_for,
    test_a_look_of_another_ledger_or_of_long_ago_is_told_all,
    test_a_timeline_draws_attempts_what_lay_between_and_what_was_done,
    test_of_very_many_attempts_and_events_the_newest_are_drawn_and_it_says_so,
)


def test_pages_of_a_tree_have_each_run_once_parents_first_also_below_its_top(ledger: Ledger) -> None:  # noqa: F811
    names = ["top", "top.0", "top.1", "top.0.0", "top.0.1", "top.1.0", "top.0.1.0"]
    for name in names:
        parent = name.rpartition(".")[0] or None
        ledger.create_run(kind="subagent", run_id=name, parent=parent)
    for top, below in (("top", names), ("top.0", [n for n in names if n.startswith("top.0")])):
        seen, cursor = [], None
        while True:
            page = ledger.tree_page(top, limit=2, cursor=cursor)
            seen += [row.run.id for row in page]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == below
        assert [row.run.id for row in ledger.tree_page(top, depth=1)] == [
            n for n in below if n.count(".") <= top.count(".") + 1
        ]


def test_what_a_run_did_is_told_whatever_its_tools_said(ledger: Ledger) -> None:  # noqa: F811
    """PostgreSQL refuses to take a NUL out of JSON; a tool that printed one must not hide the others."""
    with ledger.start_run(run_id="r", parent=None) as run:
        for ok, error in ((True, None), (False, "it printed \x00 and \\u0000")):
            run.emit("tool.completed", {"tool": "search", "call_id": "c", "ok": ok, "error": error})
    (row,) = ledger.timeline("r", buckets=1).items
    assert [(part.tool_calls, part.tool_failures) for part in row.activity] == [(2, 1)]
