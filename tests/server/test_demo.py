"""The demo: three runs that really ran, of which one is resumed and one is answered while people look on."""

from pathlib import Path

import runstone
from runstone.server.demo import crew, filling
from tests.server.conftest import serving


def test_the_demo_has_a_finished_an_interrupted_and_an_asking_run(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    with runstone.open(root) as ledger:
        filling.fill(ledger)
        check, upgrade, notes = (ledger.get_run(run_id) for run_id in filling.RUNS.values())
        assert (check.status, upgrade.status, notes.status) == ("completed", "interrupted", "awaiting_user")
        assert upgrade.attempt == 2
        assert [phase.reused for phase in ledger.phases(upgrade.id)] == [2, 0]
        assert max(node.run.depth for node in ledger.tree(check.id).walk()) == 3
        before = len(ledger.list_runs(limit=100).items)
        filling.fill(ledger)
        assert len(ledger.list_runs(limit=100).items) == before, "filling again makes no others"
    with serving(root, crew.registry()) as running:
        http = running.client()
        http.post(f"/api/v1/runs/{upgrade.id}/resume", json={})
        (question,) = http.get("/api/v1/inputs?status=open").json()["items"]
        http.post(f"/api/v1/inputs/{question['id']}/answer", json={"response": "publish"})
        running.until(upgrade.id, "completed")
        running.until(notes.id, "completed")
        done = running.ledger.telemetry(upgrade.id)
        assert done.reused["children"] == 3
        assert running.ledger.result(notes.id)["languages"] == ["en", "de", "fr", "ja"]
