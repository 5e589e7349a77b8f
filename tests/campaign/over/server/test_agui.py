"""tests/server/test_agui.py over PostgreSQL."""

from tests.postgres.over.folders import all_of
from tests.server import test_agui as over_a_file

OF_A_FILE = {
    # Two engines have another agent of that name, and the one that is there first goes on.
    "test_a_workflow_with_phases_steps_children_and_a_question_of_a_child": "moments decide",
}

globals().update(all_of(over_a_file, without=OF_A_FILE))
