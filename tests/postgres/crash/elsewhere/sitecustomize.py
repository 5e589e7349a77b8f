"""Python runs this as it starts, where the folder is in PYTHONPATH: folders are looked for as the test does it.

Where the test has its runs executed by workers, so has a program that it starts; who watches a command executes none.
"""

import os
import sys

from runstone import workspace
from tests.postgres.crash.standing import locate

workspace.locate = locate  # type: ignore[assignment]

if "RUNSTONE_TEST_WORKERS" in os.environ and "runstone.watching" not in sys.orig_argv:
    from tests.workers import dispatched

    dispatched.stand_in(parking=os.environ["RUNSTONE_TEST_WORKERS"] == "parking")
