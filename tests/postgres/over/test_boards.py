"""Boards over PostgreSQL, by the tests that they have over a file."""

from tests.store.test_boards import (  # noqa: F401
    ledger,
    test_a_claim_is_held_against_others_and_given_back_by_its_holder,
    test_a_run_refers_to_its_card_and_the_card_lists_its_runs,
    test_boards_change_by_revision_and_long_bodies_come_back,
)
