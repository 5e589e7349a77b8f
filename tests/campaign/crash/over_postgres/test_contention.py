"""Eight processes append to a shared ledger for a minute, by the test of a file."""

from tests.campaign.test_contention import test_eight_processes_append_for_a_minute

__all__ = ["test_eight_processes_append_for_a_minute"]
