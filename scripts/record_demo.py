"""Records what the API answers about the demo's runs, for the web's tests: web/tests/fixtures/demo.json.

The runs are those of `runstone up --demo`, and a fork of one of them. Run it again when the API's answers change.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import record_web
import runstone
from runstone import forking
from runstone.server.demo import crew, filling

FIXTURES = Path(__file__).resolve().parent.parent / "web" / "tests" / "fixtures" / "demo.json"
CHECK, UPGRADE, NOTES = (filling.RUNS[name] for name in (filling.CHECK, filling.UPGRADE, filling.NOTES))
FORK = "demo-check-2"
PATHS = (
    *(f"/runs/{run_id}" for run_id in (CHECK, UPGRADE, NOTES)),
    *(f"/runs/{run_id}/phases" for run_id in (CHECK, UPGRADE, NOTES)),
    *(f"/runs/{run_id}/timeline?limit=500" for run_id in (CHECK, UPGRADE, NOTES)),
    f"/runs?limit=200&order=asc&parent_id={UPGRADE}&phase=upgrade&sort=created",
    "/usage?by=day",
    "/usage?by=model",
    f"/compare?a={CHECK}&b={FORK}",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, runstone.open(folder) as ledger:
        filling.fill(ledger)
        forking.fork(CHECK, ledger=ledger, new_id=FORK, input={"release": "4.3"}, registry=crew.registry())
        with record_web.served(ledger) as client:
            answers: dict[str, Any] = {}
            for path in PATHS:
                answer = client.get(path)
                answer.raise_for_status()
                answers[path] = answer.json()
    FIXTURES.write_text(record_web.anywhere(json.dumps(answers, indent=1, ensure_ascii=True)) + "\n")
    print(f"{FIXTURES.name}: {len(answers)} answers, {FIXTURES.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
