"""Random writes and reads of hostile values get the same answers from a file and from a database."""

from hypothesis import HealthCheck, Phase, settings

from tests.postgres.over.two_stores import TwoStores

TestSameAnswers = TwoStores.TestCase
TestSameAnswers.settings = settings(
    max_examples=40, stateful_step_count=150, deadline=None, print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example takes seconds: none is made smaller
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)  # fmt: skip
