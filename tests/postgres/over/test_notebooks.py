"""Saved views over PostgreSQL, by the tests that they have over a file."""

from tests.test_views import (  # noqa: F401
    ledger,
    test_a_view_lists_what_its_filters_list,
    test_views_go_with_an_export_of_everything_and_what_is_here_stays,
)
