"""A tree that workers execute and that is killed while it spends, by the test that holds over a file."""

from tests.campaign.crash.over_postgres.test_spending import begun
from tests.crash.test_spending import test_the_sum_of_a_killed_tree_is_that_of_its_leaves

__all__ = ["begun", "test_the_sum_of_a_killed_tree_is_that_of_its_leaves"]
