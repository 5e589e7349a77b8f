"""Lists, counts, pages of events, trees and timelines over PostgreSQL, by the tests that they have over a file."""

import pytest

from runstone.domain.records import AgentRun
from runstone.ledger import Ledger
from runstone.store.lists import candidates, groups
from tests.lists import test_filters as filters
from tests.lists.test_filters import (  # noqa: F401
    clock,
    forty,
    ledger,
    test_a_count_that_stops_says_so,
    test_a_cursor_is_bound_to_labels_times_words_and_marks,
    test_a_page_tells_the_moment_that_it_shows,
    test_a_run_that_has_not_ended_has_no_duration_and_an_unknown_cost_is_never_nought,
    test_a_search_turns_the_pages_of_what_it_had_found_first,
    test_a_search_without_a_word_finds_nothing,
    test_a_word_of_very_many_texts_finds_the_newest_and_says_so,
    test_times_are_from_and_up_to_but_not_with,
)


@pytest.mark.parametrize("few", [0, 3, candidates.FEW])
def test_lists_have_what_fits_in_their_order_however_it_is_found(
    ledger: Ledger,  # noqa: F811
    forty: list[AgentRun],  # noqa: F811
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for asked in range(len(filters.ASKED)):
        filters.test_a_list_has_what_fits_in_its_order_however_it_is_found(
            ledger, forty, asked, few, monkeypatch
        )


def test_counts_honour_the_filters_of_lists(ledger: Ledger, forty: list[AgentRun]) -> None:  # noqa: F811
    for asked in range(len(filters.ASKED)):
        filters.test_counts_honour_the_filters_of_lists(ledger, forty, asked)


def test_groups_have_each_run_of_the_list_once(ledger: Ledger, forty: list[AgentRun]) -> None:  # noqa: F811
    listed = [run for run in forty if not run.archived]
    for by in groups.BY:
        found = groups.group(ledger.reader, {"archived": False}, by=by)
        assert sum(one.count for one in found.items) == len(listed), by
        assert max(one.newest_at for one in found.items) == max(run.updated_at for run in listed)
