"""tests/server/stream/test_following.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server.stream import test_following as over_a_file

OF_A_FILE = {
    "test_a_client_that_reads_too_slowly_is_told_to_come_again_and_misses_nothing": "it counts on a file's pace"
}

globals().update(all_of(over_a_file, without=OF_A_FILE))
