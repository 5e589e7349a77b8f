"""Finished work is never done again over PostgreSQL, either, by the tests that hold over a file."""

from tests.engine import test_reuse as over_a_file

OF_FILES = {"test_a_copied_workspace_runs_only_the_unfinished"}

globals().update({name: thing for name, thing in vars(over_a_file).items() if name not in OF_FILES})
