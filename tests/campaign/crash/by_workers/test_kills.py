"""Kills at random moments of programs and their workers, by the test that kills over files; a tenth as many."""

from tests.campaign.crash.over_postgres.test_kills import fewer, test_a_tenth_of_five_hundred_kills

__all__ = ["fewer", "test_a_tenth_of_five_hundred_kills"]
