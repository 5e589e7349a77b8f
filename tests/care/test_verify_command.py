"""`runstone verify`: what a person and a script are told, and what to type next."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import runstone
from runstone.cli import main
from tests.care import world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with runstone.open(tmp_path) as ledger, ledger.start_run(run_id="own", title="An own run") as run:
        run.emit("note.written", {"n": 1})
        run.complete(summary="done")
    return tmp_path


def typed(folder: Path, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["--workspace", str(folder), "verify", *words])
    assert result.exit_code == code, result.output
    return result


def test_a_finding_comes_with_its_code_and_what_to_type(folder: Path) -> None:
    assert "nothing is wrong" in typed(folder).stderr
    world.damage(folder, "UPDATE runs SET title = 'x'")
    told = typed(folder, code=1)
    assert told.stdout.startswith("run_row")
    assert "repairable" in told.stdout
    assert "runstone verify --repair" in told.stderr


def test_without_repair_nothing_is_changed(folder: Path) -> None:
    world.damage(folder, "UPDATE runs SET title = 'x'")
    before = world.dump(folder)
    typed(folder, code=1)
    assert world.dump(folder) == before
    assert "--repair" in typed(folder, "--no-backup", code=2).stderr


def test_a_repair_says_what_it_did_and_where_the_copy_is(folder: Path) -> None:
    world.damage(folder, "UPDATE runs SET title = 'x'")
    told = json.loads(typed(folder, "--repair", "--json").stdout)
    assert [(one["code"], one["repaired"]) for one in told["findings"]] == [("run_row", True)]
    assert told["repair"]["writes"] == 1
    assert Path(told["repair"]["backup"]).exists()
    assert json.loads(typed(folder, "--json").stdout) == {
        "workspace": str(folder / ".runstone"),
        "findings": [],
        "leftovers": {"blobs": 0, "blob_bytes": 0, "orders": 0},
        "repair": None,
    }


def test_what_is_left_is_an_exit_code(folder: Path) -> None:
    world.damage(folder, "UPDATE runs SET title = 'x'", "DELETE FROM events WHERE type = 'note.written'")
    told = typed(folder, "--repair", "--no-backup", code=1)
    assert "events_missing" in told.stdout
    assert not list((folder / ".runstone").glob("*before-repair*"))
    assert typed(folder, code=1).stdout.startswith("events_missing")


def test_an_order_that_came_too_late_is_no_damage_and_is_rejected(folder: Path) -> None:
    with runstone.open(folder) as ledger:
        run = ledger.start_run(run_id="late")
        ledger.command("late", "stop", by="ana")
        run.fail("it ended by itself").result()
        ledger.flush()
    world.damage(folder, "UPDATE commands SET status = 'requested', ended_at = NULL")
    assert json.loads(typed(folder, "--json").stdout)["leftovers"]["orders"] == 1
    typed(folder, "--repair")
    with runstone.open(folder, readonly=True) as ledger:
        assert [order.status for order in ledger.commands.list("late")] == ["rejected"]
    assert json.loads(typed(folder, "--json").stdout)["leftovers"]["orders"] == 0
