"""A ledger as it is after some weeks, at rest: what repairs are tried on."""

import asyncio
import json
from pathlib import Path
from typing import Any

import apsw

import runstone
from runstone.store.writes.lifecycle import ParkRun
from runstone.workspace import Workspace, locate

LONG = "a long ocelot " * 900


def registry() -> runstone.Registry:
    """A workflow that fails the first time, with a step, a map and a child of children."""
    made = runstone.Registry()
    failed: list[int] = []

    @made.agent("worker")
    async def worker(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=3, cost_usd=0.25, request_id=f"{ctx.run_id}/1")
        await ctx.emit("tool.completed", {"call_id": "1", "tool": "grep", "ok": input != 2})
        return {"about": input, "more": LONG}

    @made.agent("lead")
    async def lead(ctx: Any, input: Any) -> Any:
        return await ctx.map("worker", [10, 20])

    @made.workflow("job", version="1")
    async def job(ctx: Any, input: Any) -> Any:
        await ctx.checkpoint({"turns": ["a", "b"], "goal": LONG}, label="begun")
        listed = await ctx.step("list", lambda: [1, 2, 3])
        async with ctx.phase("work"):
            found = await ctx.map("worker", listed)
        await ctx.child("lead", "all")
        if not failed:
            failed.append(1)
            raise ValueError("the capybara was missing")
        ctx.set_summary("all found")
        return len(found)

    return made


def build(folder: Path) -> None:
    """Makes the ledger; nothing of it runs any more."""
    with runstone.open(folder) as ledger:
        made = registry()
        try:
            asyncio.run(
                runstone.run(
                    "job", {"huge": LONG}, ledger=ledger, registry=made, run_id="job", title="The job"
                )
            )
        except runstone.RunFailed:
            asyncio.run(runstone.resume("job", ledger=ledger, registry=made))
        runstone.fork("job", ledger=ledger, new_id="fork")
        _own_loops(ledger)
        _boards(ledger)
        _parked(ledger)
        _late_parent(ledger)
        crashed = ledger.start_run(run_id="crashed", title="It crashed", agent_id="a")
        crashed.usage(provider="p", model="m", output_tokens=4, request_id="crashed/1")
        crashed.message("assistant", "before the crash")


def _own_loops(ledger: runstone.Ledger) -> None:
    with ledger.start_run(
        run_id="own", title="An own loop", prompt="Find the walrus", agent_id="researcher", labels={"team": "blue"}
    ) as run:  # fmt: skip
        for n in range(1, 4):
            run.emit("tool.started", {"tool": "search", "call_id": f"{n}"})
            run.emit("tool.completed", {"call_id": f"{n}", "ok": n != 2})
            run.usage(provider="p", model="m", input_tokens=n, cost_usd="0.125", request_id=f"own/{n}")
            run.message("assistant", f"pangolin {n}")
            run.checkpoint(
                {"turns": [f"turn {i}" for i in range(n)], "goal": "g", "n": n}, label=f"round {n}"
            )
        run.message("user", LONG)
        run.emit("note.written", {"text": LONG})
        with ledger.start_run(run_id="own.kid", parent=run, kind="team_member", title="A kid") as kid:
            kid.usage(provider="q", model="n", output_tokens=7, request_id="kid/1")
            kid.emit("tool.completed", {"call_id": "k", "tool": "read"})
        run.complete(summary="Found the walrus", result={"found": LONG})
    failed = ledger.start_run(run_id="failed", title="It fails")
    failed.fail("the quokka was missing").result()
    with ledger.start_run(run_id="pruned", title="Pruned") as old:
        old.usage(provider="p", model="m", input_tokens=1, request_id="old/1")
        old.message("assistant", "to be removed")
        old.checkpoint({"a": 1})
    ledger.flush()
    ledger.care.prune("pruned")


def _boards(ledger: runstone.Ledger) -> None:
    ledger.boards.create("board", title="Sprint")
    for n in (1, 2, 3):
        ledger.boards.add_card("board", f"Card {n}", card_id=f"card-{n}", body=LONG if n == 1 else "b")
    paused = ledger.start_run(run_id="paused", title="On hold")
    ledger.boards.update_card("card-1", revision=1, run_id="paused")
    paused.checkpoint({"messages": [LONG, "b"]})
    paused.pause(reason="later")


def _parked(ledger: runstone.Ledger) -> None:
    """Two runs that wait for children: of one a child has ended."""
    for name, ends in (("waiting", 0), ("half", 1)):
        run = ledger.start_run(run_id=name)
        kids = [ledger.create_run(kind="subagent", run_id=f"{name}.{n}", parent=name).id for n in range(2)]
        ledger.core.submit(
            ParkRun(name, 1, "run.waiting", {"reason": "children"}, branches=[("all", kids)]), []
        ).result()
        ledger.supervisor.release(run._held)
        for kid in kids[:ends]:
            ledger.command(kid, "stop", by="ana")


def _late_parent(ledger: runstone.Ledger) -> None:
    """A child that came before its parent, and reported what the parent's tree reports, too."""
    with ledger.start_run(run_id="early", parent="late") as early:
        early.usage(provider="p", model="m", input_tokens=9, request_id="twice")
        early.usage(provider="p", model="m", input_tokens=2, request_id="early/1")
        early.complete().result()
    with ledger.start_run(run_id="above") as above:
        above.usage(provider="p", model="m", input_tokens=9, request_id="twice").result()
        ledger.start_run(run_id="late", parent=above).complete().result()


def workspace(folder: Path) -> Workspace:
    """The workspace in the folder."""
    return locate(folder, create=False)


def damage(folder: Path, *statements: str) -> None:
    """Runs the statements whatever the schema's own rules say."""
    connection = apsw.Connection(str(folder / ".runstone" / "ledger.db"))
    connection.set_busy_timeout(5_000)
    connection.execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def dump(folder: Path) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    connection = apsw.Connection(str(folder / ".runstone" / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
    found = {}
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    for name in [row[0] for row in names]:
        if not name.startswith("search"):
            rows = [json.dumps(row, default=repr) for row in connection.execute(f"SELECT * FROM {name}")]
            found[name] = sorted(rows)
    found["found"] = [str(row[0]) for row in connection.execute("SELECT id FROM search_docsize ORDER BY 1")]
    connection.close()
    return found
