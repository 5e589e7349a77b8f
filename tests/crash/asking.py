"""Programs whose questions, answers and continuations are killed: a loop of one's own, a workflow, a parent, a budget.

Each notes what it does in `calls.txt` before the ledger has it, so that work which is done again is seen.
"""

import asyncio
import os
from contextlib import suppress
from typing import Any

import runstone
from runstone.engine.command_spec import CommandSpec

LEASE_S, HEARTBEAT_S = 5.0, 0.2
"""The lease of a process that lives lasts, however busy the machine is: what is not saved in time is done again."""

MESSAGE = "go on with the second file"


def note(workspace: str, line: str) -> None:
    descriptor = os.open(f"{workspace}/calls.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def registry(workspace: str) -> runstone.Registry:
    names = runstone.Registry()

    @names.workflow("quiz")
    async def quiz(ctx: Any, input: Any) -> Any:
        await ctx.step("before", note, workspace, "before")
        answer = await ctx.ask("Which?")
        await ctx.step("after", note, workspace, f"after {answer}")
        return answer

    @names.agent("sub")
    async def sub(ctx: Any, input: Any) -> Any:
        await ctx.step("read", note, workspace, "before")
        if ctx.message_in is None:
            return "read"
        answer = await ctx.ask("Which?")
        await ctx.step("told", note, workspace, f"after {answer}")
        return answer

    @names.workflow("lead")
    async def lead(ctx: Any, input: Any) -> Any:
        call = ctx.child("sub")
        await call
        return await ctx.continue_child(call.run_id, MESSAGE)

    @names.agent("spend")
    async def spend(ctx: Any, input: Any) -> Any:
        ctx.usage(provider="p", model="m", input_tokens=10, request_id=f"{ctx.run_id}-{input}")
        return await ctx.step("work", note, workspace, "before" if input == 0 else "after raise")

    @names.workflow("costly")
    async def costly(ctx: Any, input: Any) -> Any:
        for number in range(2):
            await ctx.child("spend", number)
        return "raise"

    return names


def go_on(ledger: runstone.Ledger, workspace: str, program: str) -> Any:
    """Brings the run as far as it goes; gives its result, or None."""
    if program == "loop":
        return _loop(ledger, workspace)
    budget = {"max_tokens": 10} if program == "costly" else None
    with suppress(runstone.AwaitingInput):
        run = runstone.run(
            program, ledger=ledger, run_id="r", registry=registry(workspace), park_after_s=0.02, budget=budget
        )
        return asyncio.run(run)
    return None


def _loop(ledger: runstone.Ledger, workspace: str) -> Any:
    """A loop of one's own: works, saves, asks, and goes on with the answer."""
    try:
        run = ledger.start_run(run_id="r", agent_id="loop")
    except runstone.RunstoneError:
        run = ledger.continue_run("r", agent_id="loop")
    state = run.state or {"done": []}
    if not state["done"]:
        note(workspace, "before")
        state["done"].append("before")
        run.checkpoint(state).result()
    asked = run.ask("Which?", key="which", state={**state, "asked": True})
    if asked.status == "open":
        return None
    note(workspace, f"after {asked.response}")
    run.complete(result=asked.response).result()
    return asked.response


def answer(ledger: runstone.Ledger, text: str) -> str:
    """Answers the open question; gives what became of that."""
    found = ledger.inputs.list(status=None).items[-1]
    return str(ledger.answer(found.id, text, by=text).answered_by)


def crowd_registry() -> runstone.Registry:
    """A workflow whose children are commands that sleep."""
    names = runstone.Registry()
    names.add_command_agent("sleeper", "1", CommandSpec(command=["sleep", "600"]))

    @names.workflow("crowd")
    async def crowd(ctx: Any, input: Any) -> Any:
        return await ctx.map("sleeper", range(input))

    return names
