"""The programs that crash tests kill. Each says, a line of JSON each, what it begins and what the ledger has answered.

`serve` forks the others on demand: it has imported everything and opened nothing, so a new process costs milliseconds.
"""

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

import runstone
from runstone.care import space
from runstone.care.prune import Policy, plan_prune, prune
from runstone.care.removing import Removal
from runstone.engine.command_spec import CommandSpec
from runstone.testing.crash import crash_on, recording

SAID = 1
"""The descriptor that acknowledgements go to; a line is one write, so a kill never leaves half of one."""


def say(**told: Any) -> None:
    os.write(SAID, json.dumps(told).encode() + b"\n")


# --- a process that appends ------------------------------------------------------------------------------


def append(workspace: str, seed: str, threads: str = "2") -> None:
    """Writes of every kind from several threads, until it is killed or its workspace holds a file named `stop`."""
    ledger = runstone.open(workspace)
    stop = Path(workspace) / "stop"
    board = ledger.boards.create(f"board-{seed}-{os.getpid()}", title="Work")
    say(op="board", board=board.id, revision=board.revision)
    workers = [
        threading.Thread(target=_appender, args=(ledger, f"{seed}-{number}", board.id, stop))
        for number in range(int(threads))
    ]
    for worker in workers:
        worker.start()
    say(ready=True)
    for worker in workers:
        worker.join()
    ledger.close()
    say(done=True)


def _appender(ledger: runstone.Ledger, name: str, board_id: str, stop: Path) -> None:
    rng = random.Random(name)
    card = ledger.boards.add_card(board_id, f"Card of {name}", card_id=f"card-{name}-{os.getpid()}")
    while not stop.exists():
        say(begin="start_run", by=name)
        run = ledger.start_run(
            agent_id="appender", title=f"Run of {name}", prompt="append", task_card_id=card.id
        )
        say(op="start_run", run=run.id, seq=1)
        with run:
            for number in range(rng.randrange(5, 60)):
                op = rng.choice(("emit", "emit", "emit_many", "usage", "message", "checkpoint", "card"))
                say(begin=op, by=name)
                if op == "card":
                    card = ledger.boards.update_card(
                        card.id, revision=card.revision, title=f"{name} {number}"
                    )
                    say(op="card", card=card.id, revision=card.revision)
                else:
                    _append_once(run, op, number, rng)
            say(begin="complete", by=name)
            run.complete(summary="done", result={"run": run.id}).result()
            say(op="complete", run=run.id)


def _append_once(run: runstone.RunHandle, op: str, number: int, rng: random.Random) -> None:
    if op == "emit":
        seq, _ = run.emit("note.written", {"n": number, "text": "x" * rng.choice((10, 200, 6000))}).result()
        say(op=op, run=run.id, seq=seq, type="note.written", n=number)
    elif op == "emit_many":
        seq, _ = run.emit_many([("note.written", {"n": number, "of": of}) for of in range(3)]).result()
        for of in range(3):
            say(op=op, run=run.id, seq=seq - 2 + of, type="note.written", n=number)
    elif op == "usage":
        run.usage(
            provider="p", model="m", input_tokens=3, output_tokens=2, request_id=f"{run.id}-{number}"
        ).result()
        say(op=op, run=run.id, request=f"{run.id}-{number}")
    elif op == "message":
        message = run.message("assistant", f"message {number}").result()
        say(op=op, run=run.id, message=message, text=f"message {number}")
    else:
        state = {"turns": list(range(number)), "at": number}
        saved = run.checkpoint(state, label=f"turn {number}").result()
        say(op=op, run=run.id, checkpoint=saved, at=number)


# --- a process that runs a workflow ----------------------------------------------------------------------

TOOL = Path(__file__).with_name("tool.py")


def registry(folder: str) -> runstone.Registry:
    """The workflow `campaign`: a step, children, nested children, tools in processes, a timer. All note it."""
    made = runstone.Registry()

    def note(what: str, key: str) -> None:
        fd = os.open(f"{folder}/executions", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{what} {key} {os.getpid()}\n".encode())
        os.close(fd)

    @made.agent("leaf")
    async def leaf(ctx: Any, input: Any) -> Any:
        note("start", input["key"])
        for number in range(3):
            seq, _ = await ctx.emit("leaf.worked", {"n": number})
            say(op="leaf", run=ctx.run_id, seq=seq, type="leaf.worked", n=number)
            await asyncio.sleep(0.003)
        await ctx.usage(provider="p", model="m", input_tokens=7, output_tokens=1, request_id=input["key"])
        await ctx.message("assistant", input["key"])
        note("end", input["key"])
        return {"leaf": input["key"]}

    @made.agent("branch")
    async def branch(ctx: Any, input: Any) -> Any:
        turns = (ctx.state or {"turns": []})["turns"]
        await ctx.checkpoint({"turns": [*turns, ctx.attempt]})
        below = [{"key": f"{input['key']}.{n}", "depth": input["depth"] - 1} for n in range(2)]
        return await ctx.map("branch" if input["depth"] > 1 else "leaf", below)

    python = CommandSpec(
        command=[sys.executable, "-S", "-E", str(TOOL), folder, "{input.key}"],
        result="last_line_json",
        grace_s=2.0,
    )
    made.add_command_agent("tool", "1", python)

    def listed(run_id: str) -> list[str]:
        note("start", f"{run_id}/step")
        return [f"{run_id}/{n}" for n in range(5)]

    @made.workflow("campaign")
    async def campaign(ctx: Any, input: Any) -> Any:
        keys = await ctx.step("plan", listed, ctx.run_id)
        say(phase="flat")
        async with ctx.phase("flat", concurrency=3):
            flat = await ctx.map("leaf", [{"key": key} for key in keys])
        say(phase="nested")
        async with ctx.phase("nested"):
            nested = await asyncio.gather(
                *(ctx.child("branch", {"key": f"{ctx.run_id}/b{n}", "depth": 2}) for n in range(2))
            )
        say(phase="tools")
        async with ctx.phase("tools", concurrency=2):
            tools = await ctx.map("tool", [{"key": f"{ctx.run_id.replace('/', '-')}-t{n}"} for n in range(3)])
        say(phase="timer")
        async with ctx.phase("timer"):
            await ctx.sleep(0.05)
        return [len(flat), len(nested), len(tools)]

    return made


def execute(workspace: str, run_id: str) -> None:
    """Starts the workflow, or goes on with it where a killed process left it."""
    with runstone.open(workspace) as ledger:
        say(ready=True)
        result = asyncio.run(
            runstone.run("campaign", {}, ledger=ledger, run_id=run_id, registry=registry(workspace))
        )
        say(done=True, result=result)


# --- processes that own a run, with short leases ---------------------------------------------------------

LEASE_S, HEARTBEAT_S = 1.0, 0.3


def hold(workspace: str, run_id: str) -> None:
    """Owns a run and appends to it until it is refused, or until it is killed."""
    ledger = runstone.open(workspace, lease_s=LEASE_S, heartbeat_s=HEARTBEAT_S)
    run = ledger.start_run(run_id=run_id)
    say(ready=True)
    number = 0
    while True:
        number += 1
        try:
            seq, _ = run.emit("note.written", {"n": number}).result()
        except runstone.RunstoneError as error:
            say(refused=error.code, stopping=run.stopping)
            break
        say(op="emit", run=run.id, seq=seq, type="note.written", n=number)
        time.sleep(0.01)
    for write in (
        run.complete,
        lambda: run.message("assistant", "late"),
        lambda: run.checkpoint({"late": 1}),
    ):
        try:
            write().result()
        except runstone.RunstoneError as error:
            say(refused=error.code)
    ledger.close()


def slow_registry(folder: str, seconds: str) -> runstone.Registry:
    """A workflow whose only child is a tool that works for so long."""
    made = runstone.Registry()
    command = [sys.executable, "-S", "-E", str(TOOL), folder, "{input.key}", seconds]
    made.add_command_agent("tool", "1", CommandSpec(command=command, result="last_line_json", grace_s=2.0))

    @made.workflow("slow")
    async def slow(ctx: Any, input: Any) -> Any:
        return await ctx.child("tool", {"key": "k"})

    return made


def execute_slow(workspace: str, run_id: str, seconds: str) -> None:
    with runstone.open(workspace, lease_s=LEASE_S, heartbeat_s=HEARTBEAT_S) as ledger:
        say(ready=True)
        made = slow_registry(workspace, seconds)
        try:
            say(
                done=True,
                result=asyncio.run(runstone.run("slow", {}, ledger=ledger, run_id=run_id, registry=made)),
            )
        except runstone.RunstoneError as error:
            say(done=True, refused=error.code)


# --- a process that writes everything once, in order -----------------------------------------------------


def everything(workspace: str) -> None:
    """Every kind of write, so that each of their boundaries can be crashed at. Its workflow has the id `all`."""
    with runstone.open(workspace, heartbeat_s=0.2) as ledger:
        _own_runs(ledger)
        _questions(ledger)
        _workflow(ledger, workspace)
        _ends(ledger)
        _beside(ledger)
        _removal(ledger)
    say(done=True)


def _beside(ledger: runstone.Ledger) -> None:
    """What is kept beside the runs of this process: views, what was seen, ends that were told, runs elsewhere."""
    view = ledger.views.put("Mine", {"status": "failed"})
    ledger.views.mark_seen("ana")
    ledger.views.delete(view.id)
    first, *_ = ledger.deliveries("listener", run_id="own")
    first.release().result()
    first, *_ = ledger.deliveries("listener", run_id="own")
    first.ack().result()
    seen = {"run_id": "elsewhere", "at": "2026-01-01T00:00:00Z"}
    items = [
        {"item": "run", **seen, "status": "running"},
        {"item": "message", **seen, "role": "user", "text": "hello", "key": "m"},
        {"item": "run", **seen, "status": "completed"},
    ]
    assert {one.outcome for one in ledger.ingest(items)} == {"accepted"}


def _own_runs(ledger: runstone.Ledger) -> None:
    board = ledger.boards.create("board", title="Work")
    say(op="board", board=board.id, revision=board.revision)
    card = ledger.boards.add_card("board", "Card", card_id="card")
    say(op="card", card=card.id, revision=card.revision)
    ledger.threads.append("thread", "user", "hello")
    run = ledger.start_run(run_id="own", title="Own", task_card_id="card")
    rng = random.Random(1)
    for number, op in enumerate(("emit", "emit_many", "usage", "message", "checkpoint", "emit")):
        _append_once(run, op, number, rng)
    run.update(title="Renamed").result()
    run.pause(reason="a moment", state={"turns": [1], "at": 9})
    say(op="checkpoint", run="own", checkpoint=2, at=9)
    run = ledger.continue_run("own", "go on")
    run.checkpoint({"turns": [1, 2], "at": 10}).result()
    say(op="checkpoint", run="own", checkpoint=3, at=10)
    say(begin="thin_checkpoints", by="own")
    ledger.checkpoints.thin("own", keep=1, keep_labelled=False)
    _append_once(run, "emit", 20, rng)
    ledger.update_run("own", labels={"done": "nearly"})
    run.interrupt("as if by Ctrl-C")
    ledger.continue_run("own").complete(summary="done", result={"run": "own"}).result()
    say(op="complete", run="own")


def _questions(ledger: runstone.Ledger) -> None:
    """A run of one's own whose command asks, and which asks itself and goes on with the answer."""
    run = ledger.start_run(run_id="asks")
    asked = ledger.inputs.ask("asks", "Which?", key="which")
    ledger.answer(asked.id, "main")
    ledger.inputs.take(asked.id)
    ledger.inputs.ask("asks", "Due?", expires_s=0, default="no")
    ledger.reconcile()
    ledger.flush()
    asked = run.ask("Go on?", state={"n": 1})
    say(op="ask", input=asked.id)
    ledger.answer(asked.id, "yes", by="ana")
    say(op="answer", input=asked.id)
    ledger.continue_run("asks").complete().result()


def _workflow(ledger: runstone.Ledger, workspace: str) -> None:
    made = everything_registry(workspace)
    for _ in range(2):
        try:
            asyncio.run(
                runstone.run("all", {}, ledger=ledger, run_id="all", registry=made, park_after_s=0.01)
            )
        except runstone.RunFailed:
            say(failed_as_planned=True)
    policy = runstone.ResumePolicy(from_phase="tools")
    with_fail = ledger.get_run("all").status == "failed"
    if with_fail:
        asyncio.run(runstone.resume("all", ledger=ledger, registry=made, policy=policy))
    say(op="complete", run="all", workflow=True)


def everything_registry(folder: str) -> runstone.Registry:
    """The workflow `all`: a step, a failure that is handled, a nested run, a tool, a parking timer; it fails twice."""
    made = registry(folder)
    failures = Path(folder) / "failures"

    @made.agent("bad")
    async def bad(ctx: Any, input: Any) -> Any:
        raise ValueError("it is bad")

    @made.workflow("all")
    async def all_(ctx: Any, input: Any) -> Any:
        await ctx.step("plan", len, "abc")
        try:
            await ctx.child("bad", {})
        except runstone.ChildFailed:
            await ctx.step("handled", len, "ab")
        await ctx.child("branch", {"key": "all/b", "depth": 1})
        async with ctx.phase("tools"):
            await ctx.child("tool", {"key": "all-t"})
        await ctx.sleep(0.05)
        fd = os.open(failures, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, b"x")
        os.close(fd)
        if failures.stat().st_size <= 2:
            raise RuntimeError("not yet")
        return "all"

    return made


def _ends(ledger: runstone.Ledger) -> None:
    ledger.create_run(kind="subagent", run_id="never", agent_id="a")
    ledger.command("never", "stop", by="ana")
    live = ledger.start_run(run_id="stopped")
    ledger.command("stopped", "stop", by="ana")
    for _ in range(2_000):
        if live.stopping:
            break
        time.sleep(0.01)
    live.cancel("as ordered").result()
    left = ledger.start_run(run_id="left")
    ledger.command("left", "stop", by="ana")
    left.interrupt("as if by Ctrl-C")
    ledger.reconcile()
    told = ledger.start_run(run_id="told")
    ledger.command("told", "steer", "look left", by="ana")
    told.steering()
    ledger.command("told", "pause", by="ana")
    told.pause(state={"n": 1})
    ledger.command("told", "resume", by="ana")
    again = ledger.continue_run("told")
    again.fail("no").result()
    ledger.command("told", "retry", by="ana")
    old = ledger.start_run(run_id="old", prompt="a long prompt " * 500)
    for number in range(30):
        old.emit("note.written", {"n": number})
    old.message("assistant", "to be pruned")
    old.checkpoint({"turns": [1]})
    old.complete().result()
    ledger.care.prune("old")
    say(pruned=True)


def _removal(ledger: runstone.Ledger) -> None:
    ledger.care.remove("old")
    say(removed=True)
    space.give_back(ledger)


def show(workspace: str) -> None:
    """Writes of every kind, says all that it reads back, and waits to be killed."""
    ledger = runstone.open(workspace)
    _own_runs(ledger)
    _workflow(ledger, workspace)
    ledger.flush()
    say(view=view(ledger))
    time.sleep(600)


def view(ledger: runstone.Ledger) -> Any:
    """All that a ledger shows of itself, as JSON."""
    seen: dict[str, Any] = {"runs": {}, "search": [hit.to_dict() for hit in ledger.search("message")]}
    for run in ledger.list_runs(sort="created", order="asc", limit=500).items:
        shown: dict[str, Any] = {
            "run": run.to_dict(),
            "events": [event.to_dict() for event in ledger.events(run.id, limit=1000).items],
            "telemetry": ledger.telemetry(run.id).to_dict(),
            "attempts": [attempt.to_dict() for attempt in ledger.attempts(run.id)],
            "checkpoints": [checkpoint.to_dict() for checkpoint in ledger.checkpoints.list(run.id)],
            "state": ledger.checkpoints.state(run.id),
            "journal": [entry.to_dict() for entry in ledger.journal(run.id)],
            "processes": [process.to_dict() for process in ledger.processes(run.id)],
            "input": ledger.input(run.id),
            "result": ledger.result(run.id),
            "tree": [node.run.id for node in ledger.tree(run.id).walk()],
        }
        if run.kind == "workflow":
            shown["phases"] = [phase.to_dict() for phase in ledger.phases(run.id)]
        seen["runs"][run.id] = shown
    threads = ledger.threads.list(limit=100).items
    seen["threads"] = [thread.to_dict() for thread in threads]
    seen["messages"] = [m.to_dict() for t in threads for m in ledger.threads.messages(t.id, limit=1000).items]
    seen["boards"] = [board.to_dict() for board in ledger.boards.list()]
    seen["cards"] = [
        card.to_dict() for board in ledger.boards.list() for card in ledger.boards.cards(board.id)
    ]
    return json.loads(json.dumps(seen))


def points(workspace: str) -> None:
    """Runs `everything`, and says which crash points it passed, and how often."""
    with recording() as passed:
        everything(workspace)
    say(points=dict(passed))


# --- processes that write at the same time ---------------------------------------------------------------


def contend(workspace: str, name: str, seconds: str) -> None:
    """Appends for so long, one after the other. All may open the same new workspace at the same moment."""
    with runstone.open(workspace) as ledger, ledger.start_run(run_id=name) as run:
        waits: list[float] = []
        seq, until = 2, time.monotonic() + float(seconds)
        while (started := time.monotonic()) < until:
            seq, _ = run.emit("note.written", {"n": len(waits)}).result()
            waits.append(time.monotonic() - started)
    waits.sort()
    slow = waits[int(len(waits) * 0.99)]
    say(done=True, run=name, seq=seq, appends=len(waits), longest_s=waits[-1], p99_s=slow)


# --- processes that remove what is old -------------------------------------------------------------------


def prune_old(workspace: str, roots: str, rows: str = "remove") -> None:
    """Removes these trees by a plan that names them alone, or strips them, as an order does it."""
    with runstone.open(workspace) as ledger:
        plan = plan_prune(ledger, Policy(keep=0), keep_rows=rows == "keep")
        chosen = tuple(tree for tree in plan.trees if tree.run_id in roots.split(","))
        say(trees=[tree.run_id for tree in chosen])
        done = prune(ledger, msgspec.structs.replace(plan, trees=chosen))
    say(done=True, runs=done.taken.runs)


def recreate(workspace: str, name: str, rounds: str) -> None:
    """Writes the same long values again and again, each time with nobody else to refer to them, and reads them back."""
    value = "the same words in every process " * 400
    with runstone.open(workspace) as ledger:
        for number in range(int(rounds)):
            with ledger.start_run(run_id=f"{name}-{number}", prompt=value) as run:
                run.emit("note.written", {"text": value}).result()
                run.complete(result=value)
            assert ledger.prompt(run.id) == ledger.result(run.id) == value
            assert ledger.events(run.id).items[2].payload["text"] == value
            if number != int(rounds) - 1:
                ledger.care.remove(run.id)
    say(done=True)


def collect(workspace: str) -> None:
    """Collects what nobody refers to, round after round, until the workspace holds a file named `stop`."""
    with runstone.open(workspace) as ledger:
        removal = Removal(ledger)
        while not (Path(workspace) / "stop").exists():
            stored = [digest for (digest,) in ledger.reader.db.query("SELECT digest FROM blobs")]
            removal.collect(stored)  # all of them: the write itself must know which are loose
            space.sweep(ledger, removal)
        say(done=True, blobs=removal.taken.blobs)


def thin(workspace: str, run_id: str, keep: str) -> None:
    """Removes old checkpoints of a run."""
    with runstone.open(workspace) as ledger:
        done = ledger.checkpoints.thin(run_id, keep=int(keep))
    say(done=True, removed=len(done.removed), rows=done.rows, blobs=done.blobs)


def thin_and_collect(workspace: str, run_id: str) -> None:
    """Removes old checkpoints and loose values, round after round, until the workspace holds a file named `stop`."""
    with runstone.open(workspace) as ledger:
        while not (Path(workspace) / "stop").exists():
            done = ledger.checkpoints.thin(run_id, keep=2)
            space.sweep(ledger, Removal(ledger))
            say(removed=len(done.removed))
    say(done=True)


def save_states(workspace: str, run_id: str) -> None:
    """Saves a long state that keeps coming back, until it is killed or the workspace holds a file named `stop`."""
    with runstone.open(workspace) as ledger:
        run = ledger.start_run(run_id=run_id)
        number = 0
        while not (Path(workspace) / "stop").exists():
            number += 1
            run.checkpoint(state_number(number)).result()
            say(saved=number)
    say(done=True)


# --- who is told of ends ---------------------------------------------------------------------------------


def hear_children(workspace: str, count: str) -> None:
    """A loop that has children do its work, and takes each end into its state as it acknowledges it."""
    with runstone.open(workspace) as ledger:
        known = {run.id: run for run in ledger.list_runs(limit=500).items}
        if "p" in known and known["p"].status == "completed":
            return say(done=True)
        run = ledger.continue_run("p") if "p" in known else ledger.start_run(run_id="p", parent=None)
        with run:
            for number in range(int(count)):
                child = known.get(f"c{number}")
                if child is not None and child.status == "completed":
                    continue
                again = child is not None and child.attempt > 0
                work = (
                    ledger.continue_run(child.id)
                    if again
                    else ledger.start_run(run_id=f"c{number}", parent="p")
                )
                with work:
                    work.complete(result={"n": number}).result()
                _hear(run)
            _hear(run)
    return say(done=True)


def _hear(run: runstone.RunHandle) -> None:
    for number, child in enumerate(run.finished_children()):
        heard = [child.run.id, child.result]
        if number % 2:
            run.message("user", json.dumps(heard), acknowledge=[child]).result()
        else:
            run.checkpoint(append={"heard": [heard]}, acknowledge=[child]).result()


def listen(workspace: str, listener: str, limit: str) -> None:
    """Hears of the ends of the run `p`'s children, one by one, until the workspace holds a file named `stop`."""
    with runstone.open(workspace) as ledger:
        say(ready=True)
        while not (Path(workspace) / "stop").exists():
            for told in ledger.deliveries(listener, parent="p", limit=int(limit), timeout=0.1):
                end = [told.run.id, told.run.attempt]
                say(begin=end, by=str(os.getpid()), result=told.result)
                told.ack().result()
                say(told=end)
    say(done=True)


def state_number(number: int) -> dict[str, Any]:
    """A state with a long value that is one of three: what was let go is soon written again; and a list that grows."""
    long = random.Random(number % 3).randbytes(3_000).hex()
    return {"at": number, "long": long, "turns": list(range(number % 7)), "log": list(range(number))}


# --- starting them ---------------------------------------------------------------------------------------


# --- processes that ask, answer and continue (asking.py) --------------------------------------------------


def asking(workspace: str, program: str, step: str) -> None:
    """Brings a run on, or answers its question; says what came of it, or why it was refused."""
    import asking as told  # beside this file, which is run as a script

    with runstone.open(workspace, lease_s=told.LEASE_S, heartbeat_s=told.HEARTBEAT_S) as ledger:
        try:
            done = told.go_on(ledger, workspace, program) if step == "go" else told.answer(ledger, step)
            say(done=done)
        except runstone.RunstoneError as error:
            say(done=None, refused=error.code)


def continuing(workspace: str, message: str) -> None:
    """Continues a run with a message, and is gone before it has saved anything."""
    ledger = runstone.open(workspace)
    try:
        run = ledger.continue_run("r", message)
        say(message=run.message_in)
        run.interrupt("gone")
    except runstone.RunstoneError as error:
        say(refused=error.code)


def telling(workspace: str, message: str) -> None:
    """Has a command in the background go on with a message."""
    with runstone.open(workspace) as ledger:
        ledger.resume_exec("r", message=message)
        say(told=True)


def ordering(workspace: str, verb: str) -> None:
    """Orders a run and all below it."""
    with runstone.open(workspace) as ledger:
        say(done=ledger.command("r", verb, by="ana").status)


def pausing(workspace: str) -> None:
    """Pauses a run with its state, and stays."""
    run = runstone.open(workspace).start_run(run_id="r", agent_id="loop")
    run.pause(state={"turns": [1, 2]})
    say(paused=True)
    time.sleep(60)


def crowd(workspace: str, count: str) -> None:
    """Has commands at work below a run, until somebody stops it."""
    import asking as told

    with runstone.open(workspace, lease_s=5.0, heartbeat_s=0.5) as ledger:
        work = runstone.run(
            "crowd",
            int(count),
            ledger=ledger,
            run_id="r",
            registry=told.crowd_registry(),
            slots=int(count) + 1,
        )
        try:
            say(result=asyncio.run(work))
        except runstone.RunstoneError as error:
            say(refused=error.code)


def serve() -> None:
    """Reads {"program", "arguments", "said", "environment"} a line each, forks it, and answers with its process id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: the kernel forgets each as it ends
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
        print(pid, flush=True)


def _become(asked: dict[str, Any]) -> None:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        if asked.get("crash"):
            crash_on(*asked["crash"])
        PROGRAMS[asked["program"]](*asked["arguments"])
        status = 0
    except BaseException as error:
        say(failed=f"{type(error).__name__}: {error}")
        raise
    finally:
        os._exit(status)


PROGRAMS = {
    "append": append,
    "show": show,
    "contend": contend,
    "everything": everything,
    "points": points,
    "execute": execute,
    "execute_slow": execute_slow,
    "hold": hold,
    "prune_old": prune_old,
    "recreate": recreate,
    "collect": collect,
    "thin": thin,
    "thin_and_collect": thin_and_collect,
    "save_states": save_states,
    "hear_children": hear_children,
    "listen": listen,
    "asking": asking,
    "continuing": continuing,
    "telling": telling,
    "ordering": ordering,
    "pausing": pausing,
    "crowd": crowd,
    "serve": serve,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
