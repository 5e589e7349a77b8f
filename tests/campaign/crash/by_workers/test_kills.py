"""Five hundred kills at random moments of programs and their workers, by the test that kills over files."""

from tests.campaign.test_kills import test_five_hundred_kills

__all__ = ["test_five_hundred_kills"]
