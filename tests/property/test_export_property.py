"""Random ledgers: what was exported and imported proves itself, and is exported equal from then on."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings

from runstone.care.backup import BackupFile
from runstone.ledger import Ledger
from tests.property.test_model import MEMORY, LedgerMachine

CAMPAIGN = os.environ.get("HYPOTHESIS_PROFILE") == "campaign"


class ExportMachine(LedgerMachine):
    """The commands of the model; at their end the ledger goes through two others."""

    def teardown(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="runstone-export-", dir=MEMORY))
        try:
            place = BackupFile(root=self.folder, file=self.folder / "ledger.db")
            with Ledger(place, readonly=True) as ledger:
                ledger.care.export(folder / "a")
                wanted = spent(ledger)
                for run_id in wanted:
                    ledger.care.export(folder / f"{run_id}.one", [run_id], subtree=False)
            take(folder, "b", folder / "a", wanted)
            take(folder, "c", folder / "b", wanted)
            assert lines(folder / "b") == lines(folder / "c")
            take_singly(folder, wanted)
        finally:
            shutil.rmtree(folder)
            super().teardown()


def take(folder: Path, name: str, file: Path, wanted: dict[str, Any]) -> None:
    """Imports the file into an empty ledger, and exports that one."""
    place = BackupFile(root=folder, file=folder / f"{name}.db")
    with Ledger(place) as ledger:
        ledger.care.import_(file)
        assert ledger.care.verify() == []
        assert spent(ledger) == wanted
        runs = len(wanted)
        again = ledger.care.import_(file)
        assert (again.runs, again.present, again.messages) == (0, runs, 0)
        ledger.care.export(folder / name)


def take_singly(folder: Path, wanted: dict[str, Any]) -> None:
    """Imports run by run, in an order that has nothing to do with the tree; after each the ledger proves itself."""
    with Ledger(BackupFile(root=folder, file=folder / "d.db")) as ledger:
        for run_id in wanted:
            ledger.care.import_(folder / f"{run_id}.one")
            assert ledger.care.verify() == []
        assert spent(ledger) == wanted


def spent(ledger: Ledger) -> dict[str, Any]:
    """What each run had spent with all below it."""
    ids = [run.id for run in ledger.list_runs(limit=500).items]
    return {run_id: ledger.telemetry(run_id).subtree.to_dict() for run_id in sorted(ids)}


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines()[1:]


TestExport = ExportMachine.TestCase
TestExport.settings = settings(
    max_examples=300 if CAMPAIGN else 20, stateful_step_count=30, deadline=None, print_blob=True
)
