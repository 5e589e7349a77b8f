"""A workspace whose every text is hostile: markup, what a terminal obeys, turned text, images, and megabytes."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runstone

# What ran would be an error in the console, and what was asked of elsewhere a host: `browsers` allows neither.
HTML = "<img src=https://attacker.example/x.png onerror='console.error(1)'><script>console.error(1)</script>"
LINK = "[click](javascript:console.error(1)) ![seen](https://attacker.example/y.png)"
TERMINAL = "\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2J"
TURNED = "\u202egnp.exe\u2066\u200f\u2069"
HIDDEN = "\x1b\x07\u202e\u2066\u200f\u2069"
"""The characters of them that no page may have."""
IMAGE = "data:image/png;base64," + "iVBORw0KGgo" * 2_000
LONG = "<b>long</b> " * (5 * 1024 * 1024 // 12)
WIDE = "x" * 300
"""Without a place to break at."""
ALL = f"{TURNED} {HTML} {LINK} {TERMINAL} {WIDE}"
NAME = f"{TURNED}{HTML[:70]}"
AGENT = "<img:src=x:onerror=console.error(1)>"


@dataclass(frozen=True)
class World:
    """The runs that are in it, and a thread."""

    failed: str
    workflow: str
    asking: str
    paused: str
    printed: str
    thread: str

    @property
    def runs(self) -> list[str]:
        return [self.failed, self.workflow, self.asking, self.paused, self.printed]


def build(root: Path) -> World:
    """Fills the workspace."""
    with runstone.open(root) as ledger:
        thread = ledger.threads.create(title=ALL).id
        for text in (ALL, IMAGE, LONG):
            ledger.threads.append(thread, "user", text)
        board = ledger.boards.create(title=ALL, thread_id=thread)
        card = ledger.boards.add_card(board.id, ALL)
        ledger.views.put(HTML[:90], {"labels": {NAME: [NAME]}})
        return World(
            failed=_failed(ledger, thread, board.id, card.id),
            workflow=_workflow(ledger),
            asking=_asking(ledger),
            paused=_paused(ledger),
            printed=_printed(ledger),
            thread=thread,
        )


def _failed(ledger: runstone.Ledger, thread: str, board: str, card: str) -> str:
    """A run with messages, tools, checkpoints and an error."""
    hostile = type(NAME, (Exception,), {})
    with suppress(hostile), ledger.start_run(
        title=ALL, agent_id=AGENT, input={ALL[:80]: [ALL, IMAGE, LONG]}, labels={NAME: NAME}, prompt=LONG,
        thread_id=thread, task_board_id=board, task_card_id=card,
    ) as run:  # fmt: skip
        for at, text in enumerate((ALL, IMAGE, LONG)):
            run.emit("tool.started", {"tool": text, "call_id": f"{at} {text[:90]}"})
            run.emit("tool.completed", {"call_id": f"{at} {text[:90]}", "ok": False, "error": text})
            run.message("assistant", text)
            run.emit("note.taken", {"text": text, ALL: text})
            run.emit("log.written", {"message": text})
            run.checkpoint({"text": text[at:], NAME: [text, {ALL: at}]}, label=ALL)
        run.usage(provider=NAME, model=NAME, input_tokens=5, output_tokens=5, cost_usd=1)
        run.set_summary(ALL)
        raise hostile(ALL + LONG)
    return str(run.id)


def _workflow(ledger: runstone.Ledger) -> str:
    """A workflow with two phases, children in them, a result, and what it said of itself; then a fork of it."""
    registry = runstone.Registry()

    @runstone.agent("namer", registry=registry)
    async def hostile(ctx: Any, input: Any) -> Any:
        ctx.set_summary(LONG[:4000])
        return LONG

    @runstone.workflow("flow", registry=registry)
    async def flow(ctx: Any, input: Any) -> Any:
        for phase in (ALL[:200], NAME):
            async with ctx.phase(phase, concurrency=2):
                await ctx.step(NAME, lambda: ALL)
                await ctx.child("namer", {ALL: phase}, title=ALL)
        ctx.set_summary(ALL)
        return {ALL: [HTML, IMAGE, TURNED], "input": input[:90]}

    for run_id, given in (("flow-a", LONG), ("flow-b", ALL)):
        work = runstone.run("flow", given, ledger=ledger, registry=registry, run_id=run_id)
        # The tests' browser has a loop in their own thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, work).result()
        ledger.update_run(run_id, title=ALL)
    return "flow-a"


def _asking(ledger: runstone.Ledger) -> str:
    """A run with a question of each form, one of them answered."""
    with ledger.start_run(title=ALL, agent_id=AGENT) as run:
        done = run.ask(ALL, key="done", choices=[ALL, "other"], reason=ALL)
    ledger.answer(done.id, ALL, by=NAME)
    schema = {
        "type": "object", "title": ALL, "description": ALL,
        "properties": {NAME: {"type": "string", "title": ALL, "description": ALL, "enum": [ALL, "b"]}},
    }  # fmt: skip
    with ledger.continue_run(run.id) as run:
        ledger.inputs.ask(run.id, ALL + LONG[:500_000], key="a", choices=[ALL, HTML, IMAGE[:900]], reason=ALL)
        ledger.inputs.ask(run.id, ALL, key="b", schema=schema, expires_s=9_000, default={NAME: ALL})
        run.ask(ALL, key="c")
    return str(run.id)


def _paused(ledger: runstone.Ledger) -> str:
    """A run with orders, and a reason."""
    run = ledger.start_run(title=ALL)
    ledger.command(run.id, "steer", ALL, by=NAME)
    ledger.command(run.id, "pause", scope="run", by=NAME, reason=ALL[:600])
    run.pause(reason=ALL[:600], state={NAME: ALL})
    return str(run.id)


def _printed(ledger: runstone.Ledger) -> str:
    """A command that printed it."""
    text = f"{ALL}\n{IMAGE}\n"
    code = f"import sys; sys.stdout.write({text!r} * 3); sys.stderr.write({text!r}); sys.exit(3)"
    run = ledger.exec([sys.executable, "-c", code], title=ALL, parent=None)
    return str(ledger.wait(run.id, timeout=60).id)
