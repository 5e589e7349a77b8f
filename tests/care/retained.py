"""A ledger with work that may go and work that must stay, and what is compared of it before and after."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import runstone
from runstone.ledger import Ledger
from runstone.testing.clock import FakeClock

DAY_S = 86_400.0
SHARED = "what several runs say, word for word " * 400
"""Longer than a row's text: one blob, that old and kept trees refer to."""

GROUPS = ("day", "model", "provider", "agent", "workflow", "thread", "label:team")


def tree(ledger: Ledger, root: str, *, events: int = 5, end: str = "complete", **identity: Any) -> None:
    """A root with two children, and rows of every kind in all of them."""
    lead = ledger.start_run(
        run_id=root,
        **{"agent_id": "lead", "title": f"Tree {root}", "labels": {"team": "red"}, "thread_id": "talk"}
        | identity,
    )
    with lead:
        for number in range(2):
            with ledger.start_run(
                run_id=f"{root}.{number}",
                parent=lead,
                agent_id="hand",
                prompt=SHARED,
                labels={"n": str(number)},
            ) as hand:
                _work(hand, events)
        _work(lead, events)
        if end == "complete":
            lead.complete(summary=f"{root} is done", result={"text": SHARED + root})
        elif end == "fail":
            lead.fail("it fell over")
        elif end == "interrupt":
            lead.interrupt("as by Ctrl-C")
        elif end == "pause":
            lead.pause(reason="a moment", state={"turns": [root, SHARED]})


def _work(run: runstone.RunHandle, events: int) -> None:
    run.emit_many([("note.written", {"n": n, "text": "x" * 80}) for n in range(events)])
    run.emit("note.written", {"text": SHARED})
    run.emit("tool.completed", {"call_id": "c", "tool": "grep", "ok": False})
    run.message("assistant", f"{run.run_id} says something")
    run.message("assistant", SHARED)
    for number, cost in enumerate((0.25, None)):
        run.usage(
            provider="p", model=f"m{number}", input_tokens=7, output_tokens=3, request_id=f"{run.run_id}/{number}",
            cost_usd=cost,
        )  # fmt: skip
    run.checkpoint({"turns": [run.run_id, SHARED]}, label="half way")


def build(folder: Path, *, large: int = 0) -> FakeClock:
    """Two old trees, a kept one, one that is paused; people's words in a thread; cards of all. Gives the clock."""
    clock = FakeClock()
    with runstone.open(folder, clock=clock) as ledger:
        ledger.threads.append("talk", "user", "please begin")
        board = ledger.boards.create("board", title="Work")
        for root in ("old-1", "old-2", "kept", "paused"):
            ledger.boards.add_card(board.id, f"Card of {root}", card_id=f"card-{root}", body=SHARED)
        tree(ledger, "old-1", events=max(5, large), task_card_id="card-old-1")
        tree(ledger, "old-2", end="fail", task_card_id="card-old-2")
        clock.advance(30 * DAY_S)
        tree(ledger, "kept", task_card_id="card-kept")
        tree(ledger, "paused", end="pause", task_card_id="card-paused")
        ledger.threads.append("talk", "assistant", "they are at it")
    return clock


def now(clock: FakeClock) -> datetime:
    return datetime.fromtimestamp(clock.now() / 1e6, UTC)


def spent(ledger: Ledger) -> dict[str, Any]:
    """What the usage report says, by everything that it groups by."""
    return {
        group: {str(row.by[group]): row.totals.to_dict() for row in ledger.usage(by=group)}
        for group in GROUPS
    }


def rows_of(ledger: Ledger, roots: Iterable[str]) -> dict[str, list[Any]]:
    """Every row that belongs to these trees, and what belongs to nobody: threads of people, boards, cards."""
    db: Any = ledger.reader.db
    chosen = ", ".join(f"'{root}'" for root in roots)
    runs = f"SELECT id FROM runs WHERE root_run_id IN ({chosen})"
    found = {"runs": db.query(f"SELECT * FROM runs WHERE root_run_id IN ({chosen}) ORDER BY id")}
    for table in ("events", "attempts", "journal", "usage", "totals", "tools", "checkpoints", "places", "commands",
                  "processes", "waits", "outputs", "inputs", "leases", "texts"):  # fmt: skip
        found[table] = db.query(f"SELECT * FROM {table} WHERE run IN ({runs})")
    threads = f"SELECT id FROM threads WHERE run IS NULL OR run IN ({runs})"
    found["threads"] = db.query(f"SELECT * FROM threads WHERE id IN ({threads})")
    found["messages"] = db.query(f"SELECT * FROM messages WHERE thread IN ({threads})")
    found["boards"] = db.query("SELECT * FROM boards")
    found["cards"] = db.query("SELECT * FROM cards")
    found["found"] = [hit.to_dict() for root in roots for hit in ledger.search(f'"Tree {root}"')]
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def readable(ledger: Ledger, roots: Iterable[str]) -> None:
    """Every value of these trees can be read back."""
    for root in roots:
        for node in ledger.tree(root).walk():
            assert ledger.events(node.run.id, limit=10_000).items
            ledger.input(node.run.id)
            ledger.prompt(node.run.id)
            ledger.result(node.run.id)
            ledger.checkpoints.state(node.run.id)
            if node.run.worker_thread_id is not None:
                assert ledger.threads.messages(node.run.worker_thread_id).items
