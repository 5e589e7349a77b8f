"""A run that is to keep its last checkpoints lets old ones go while it works, and loses nothing that it keeps."""

from pathlib import Path

import pytest

import runstone
from runstone.domain import retention
from runstone.errors import InvalidDefinition, InvalidInput
from runstone.trust import trust


def save(folder: Path, options: dict[str, object] | None, count: int = 230) -> list[int]:
    """The checkpoints that are left of so many saves of a run; all that are left load as they were saved."""
    with runstone.open(folder) as ledger, ledger.start_run(run_id="r", options=options) as run:
        for number in range(1, count + 1):
            label = "mark" if number == 7 else None
            run.checkpoint({"n": number, "log": list(range(number))}, label=label).result()
    with runstone.open(folder) as ledger:
        numbers = [one.number for one in ledger.checkpoints.list("r")]
        for number in numbers:
            assert ledger.checkpoints.state("r", number) == {"n": number, "log": list(range(number))}
        assert ledger.care.verify() == []
    return numbers


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(tmp_path_factory.mktemp("state")))


def test_an_option_keeps_the_last_and_the_labelled_ones(tmp_path: Path) -> None:
    numbers = save(tmp_path, {"retention": {"checkpoints": 3}})
    assert numbers[0] == 7
    assert numbers[-3:] == [228, 229, 230]
    assert len(numbers) <= 1 + 3 + 30 + retention.EVERY


def test_labelled_ones_go_too_where_that_is_said(tmp_path: Path) -> None:
    numbers = save(tmp_path, {"retention": {"checkpoints": 3, "keep_labelled": False}})
    assert 7 not in numbers


def test_without_a_policy_everything_is_kept(tmp_path: Path) -> None:
    assert save(tmp_path, None) == list(range(1, 231))


def test_a_table_of_a_trusted_folder_holds_for_all_its_runs(tmp_path: Path) -> None:
    (tmp_path / "runstone.toml").write_text("[retention]\ncheckpoints = 2\n")
    assert len(save(tmp_path / "elsewhere", None)) == 230
    with runstone.open(tmp_path):
        pass
    assert len(save(tmp_path, None)) == 230, "who may write the file must not take states away from you"


def test_a_table_is_heeded_once_the_folder_is_trusted_and_an_option_counts_before_it(tmp_path: Path) -> None:
    (tmp_path / "runstone.toml").write_text("[retention]\ncheckpoints = 2\n")
    with runstone.open(tmp_path):
        trust(tmp_path)
    assert len(save(tmp_path, None)) <= 1 + 2 + 30 + retention.EVERY
    with runstone.open(tmp_path) as ledger:
        ledger.care.remove("r")
    assert len(save(tmp_path, {"retention": {}})) == 230


@pytest.mark.parametrize("wrong", [5, {"checkpoints": 0}, {"checkpoints": "3"}, {"days": 3}, None])
def test_a_retention_that_cannot_be_kept_is_refused_at_the_door(tmp_path: Path, wrong: object) -> None:
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(InvalidInput, match="retention"):
            ledger.start_run(run_id="r", options={"retention": wrong})
        assert list(ledger.list_runs().items) == []


def test_a_wrong_table_is_told_with_its_file(tmp_path: Path) -> None:
    with runstone.open(tmp_path):
        trust(tmp_path)
    (tmp_path / "runstone.toml").write_text("[retention]\ncheckpoints = 0\n")
    with pytest.raises(InvalidDefinition, match=r"runstone.toml: retention"):
        runstone.open(tmp_path)
