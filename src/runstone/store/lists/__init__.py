"""Lists of runs: what is asked for (filters), where a page begins (cursors), pages, and counts by bucket."""

from runstone.store.lists.counts import count_by_bucket
from runstone.store.lists.filters import Filter, Moment
from runstone.store.lists.filters import plain as plain_filters
from runstone.store.lists.groups import Groups, group
from runstone.store.lists.pages import MAX_PAGE, SORTS, list_runs, read_page

__all__ = [
    "MAX_PAGE",
    "SORTS",
    "Filter",
    "Groups",
    "Moment",
    "count_by_bucket",
    "group",
    "list_runs",
    "plain_filters",
    "read_page",
]
