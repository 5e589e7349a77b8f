"""Makes v1.db: a ledger of schema 1 with real content, as the first migration alone leaves it.

Run it only to make the file anew before schema 1 was ever released: `python tests/store/data/make_v1.py`
"""

import tempfile
from pathlib import Path

import apsw

import runstone
from runstone.store.sqlite import migrate
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.testing.clock import FakeClock

TARGET = Path(__file__).with_name("v1.db")


def write(folder: Path) -> Path:
    """A workspace with runs of several kinds and ends, texts short and long, a board and checkpoints."""
    with runstone.open(folder, clock=FakeClock()) as ledger:
        ledger.boards.create("board-1", title="audit")
        ledger.boards.add_card("board-1", "look at the parser", card_id="card-1", body="b" * 5_000)
        with ledger.start_run(
            run_id="audit-1", agent_id="auditor", title="An audit of the parser", prompt="Look for the walrus. " * 40,
            input={"path": "."}, labels={"team": "blue"}, task_board_id="board-1", task_card_id="card-1",
        ) as run:  # fmt: skip
            run.emit("tool.started", {"tool": "grep", "call_id": "c1"})
            run.emit("tool.completed", {"call_id": "c1", "ok": True})
            run.usage(provider="anthropic", model="claude-haiku-4-5", input_tokens=120, output_tokens=40,
                      request_id="req_1", cost_usd="0.00032")  # fmt: skip
            run.message("user", "Where is the ocelot?")
            run.message("assistant", "It is beside the pangolin. " * 400)
            run.checkpoint({"messages": ["a"], "goal": "find"}, label="first")
            run.checkpoint(append={"messages": ["b"]})
            with ledger.start_run(run_id="audit-1.child", parent=run, kind="team_member") as child:
                child.usage(provider="openai", model="gpt", input_tokens=5, request_id="req_2")
            run.complete(summary="Found the ocelot", result={"found": 1})
        failed = ledger.start_run(run_id="audit-2", agent_id="auditor", title="A second audit")
        failed.fail("the capybara was missing").result()
    return folder / ".runstone" / "ledger.db"


def make(target: Path) -> None:
    """Copies the rows of that workspace's tables into a file that only the first migration was applied to."""
    with tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder))
        target.unlink(missing_ok=True)
        raw = apsw.Connection(str(target))
        raw.execute("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL")
        raw.close()
        db = SQLiteDatabase(target)
        migrate.upgrade(db, up_to=1)
        db.query("PRAGMA foreign_keys = OFF")
        db.query("ATTACH ? AS source", (str(source),))
        tables = [row[0] for row in db.query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")]
        for table in tables:
            if table not in ("meta", "migrations"):
                db.query(f"DELETE FROM {table}")
                db.query(f"INSERT INTO {table} SELECT * FROM source.{table}")
        identity = '{"host":"example","boot_id":"0","pid_namespace":0,"pid":1,"started":0.0}'
        db.query("UPDATE owners SET identity_json = ?", (identity,))  # nothing of the machine that made it
        db.query("DETACH source")
        db.query("PRAGMA journal_mode = DELETE")
        db.close()


if __name__ == "__main__":
    make(TARGET)
