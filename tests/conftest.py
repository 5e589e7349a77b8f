"""For every test: Hypothesis without a deadline (the disk decides) and with failures that can be repeated."""

import gc
import os

from hypothesis import settings

gc.disable()  # until all tests are known: what is made meanwhile stays, and looking through it takes half the time


def pytest_collection_finish() -> None:
    """The tests themselves run with the collector at work, which need not look through all that was collected."""
    gc.freeze()
    gc.enable()


settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("campaign", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
