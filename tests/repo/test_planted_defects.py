"""The defects that the campaign plants have their places in the source: else it would say so only when it runs."""

import pytest

from tests.campaign.test_planted_defects import DEFECTS, ROOT, Defect


@pytest.mark.parametrize("defect", DEFECTS, ids=[defect.name for defect in DEFECTS])
def test_a_planted_defect_has_its_place_and_its_tests(defect: Defect) -> None:
    text = (ROOT / "src" / "runstone" / defect.file).read_text()
    assert text.count(defect.right) == 1
    for test in defect.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0].split('::')[-1]}(" in (ROOT / file).read_text()
