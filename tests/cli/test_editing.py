"""`runs edit` and the filters of `runs list`: what people say of runs, and find them by."""

import json
from typing import Any

import pytest

import runstone
from tests.cli.conftest import Shell


@pytest.fixture
def own(shell: Shell) -> Shell:
    """Three ended runs: cheap, dear, and one that failed."""
    with runstone.open(shell.folder) as ledger:
        for run_id, cost in (("cheap", 0.01), ("dear", 2.5), ("broken", None)):
            with ledger.start_run(
                run_id=run_id, title=f"The {run_id} one", labels={"team": run_id[:1]}
            ) as run:
                if cost is not None:
                    run.usage(provider="p", model="m", input_tokens=1, cost_usd=cost)
                run.fail("it broke") if cost is None else run.complete()
    return shell


def ids(shell: Shell, *words: str) -> list[str]:
    found: list[dict[str, Any]] = json.loads(shell("runs", "list", "--json", *words).out)["items"]
    return [one["id"] for one in found]


def test_runs_are_found_by_label_words_and_time_and_sorted_by_cost(own: Shell) -> None:
    assert ids(own, "--label", "team=d") == ["dear"]
    assert ids(own, "-q", "broke") == ["broken"]
    assert sorted(ids(own, "--ended-since", "1h")) == ["broken", "cheap", "dear"]
    assert ids(own, "--sort", "cost")[:2] == ["dear", "cheap"]
    assert "NAME=VALUE" in own("runs", "list", "--label", "team", code=2).err


def test_an_archived_run_leaves_the_lists_and_is_found_in_the_archive(own: Shell) -> None:
    own("runs", "edit", "cheap", "--archive", "--pin")
    assert sorted(ids(own)) == ["broken", "dear"]
    assert ids(own, "--archived") == ["cheap"]
    own("runs", "edit", "cheap", "--unarchive")
    assert ids(own, "--pinned") == ["cheap"]


def test_labels_are_added_changed_and_removed_one_by_one(own: Shell) -> None:
    told = json.loads(own("runs", "edit", "dear", "--title", "New", "--label", "a=1", "--json").out)
    assert (told["title"], told["labels"]) == ("New", {"team": "d", "a": "1"})
    assert json.loads(own("runs", "edit", "dear", "--label", "team=", "--json").out)["labels"] == {"a": "1"}
    assert "nothing to change" in own("runs", "edit", "dear", code=2).err


def test_children_in_the_archive_are_counted_with_their_parent(own: Shell) -> None:
    with runstone.open(own.folder) as ledger, ledger.start_run(run_id="lead") as lead:
        with ledger.start_run(run_id="kid", parent=lead) as kid:
            kid.complete()
        ledger.update_run("kid", archived=True)
    assert json.loads(own("runs", "show", "lead", "--json").out)["children"]["completed"] == 1
