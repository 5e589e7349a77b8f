"""What was spent, over PostgreSQL, by the tests that it has over a file."""

from runstone.ledger import Ledger
from tests import test_reports as reports
from tests.test_reports import (  # noqa: F401
    clock,
    ledger,
    spent,
    test_a_page_of_runs_has_its_sums_in_one_query,
    test_a_pruned_run_is_repriced_too,
    test_a_repricing_moves_the_sums_of_all_levels_and_again_nothing,
    test_a_workflows_spending_is_that_of_its_whole_tree,
    test_filters_and_times_leave_out_what_does_not_fit,
    test_groups_are_those_of_the_runs,
    test_hours_are_those_of_the_requests_and_of_removed_runs_unknown,
    unpriced,
)


def test_whatever_is_summed_by_nothing_is_lost(spent: Ledger) -> None:  # noqa: F811
    for by in (["model"], ["day", "agent"], ["workflow", "label:team"], ["thread", "provider", "run"]):
        reports.test_whatever_is_summed_by_nothing_is_lost(spent, by)


def test_labels_are_asked_for_by_any_name(ledger: Ledger) -> None:  # noqa: F811
    for number, label in enumerate(["a.b", "$.team", "[0]", "'", "--"]):
        with ledger.start_run(run_id=f"r{number}", parent=None, labels={label: "value"}) as run:
            run.usage(provider="p", model="m", input_tokens=1, request_id=label)
        assert "value" in reports.names(ledger.usage(f"label:{label}"), f"label:{label}")
        assert len(ledger.usage([], labels={label: "value"})) == 1
        assert ledger.usage([], labels={label: "x"}) == []
