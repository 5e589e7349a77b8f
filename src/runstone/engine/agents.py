"""Calling what an entry of the registry stands for: a Python function, a command, or a declarative definition."""

import asyncio
import inspect
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from runstone.domain import codec
from runstone.domain.secrets import revealed
from runstone.engine.ambient import started_for
from runstone.engine.background.folder import RESUME, ExecFolder
from runstone.engine.background.replies import going_on
from runstone.engine.commands import CommandResult, run_command
from runstone.engine.groups import group_alive
from runstone.engine.processes import ProcessIdentity
from runstone.engine.registry import Entry
from runstone.errors import CommandError
from runstone.store.writes.journal import EndProcess, StartProcess

if TYPE_CHECKING:
    from runstone.engine.context import Context


async def call(entry: Entry, ctx: "Context", value: Any) -> Any:
    """What the agent or workflow returns for the input. Raises what its code raises."""
    if entry.definition is not None:
        from runstone.engine.phases import interpret

        return await interpret(entry.definition, ctx, value)
    if entry.command is not None:
        return await _command(entry, ctx, value)
    assert entry.function is not None
    if entry.is_async:
        return await entry.function(ctx, value)
    result = await ctx.engine.in_thread(entry.function, ctx, value)
    return await result if inspect.isawaitable(result) else result


async def _command(entry: Entry, ctx: "Context", value: Any) -> Any:
    """A process agent: its process group is in the ledger before it works, its output in its thread."""
    assert entry.command is not None
    core, value = ctx.engine.core, revealed(value)
    leaders: list[ProcessIdentity] = []

    async def on_started(leader: ProcessIdentity, pgid: int) -> None:
        identity = msgspec.to_builtins(leader)
        command = core.redactor.value([str(part) for part in entry.command.command] if entry.command else [])
        await core.submit(StartProcess(ctx.run_id, ctx.attempt, pgid, identity, command), [])
        leaders.append(leader)

    environ = started_for(ctx.run_id, str(ctx.workspace), core.dsn, os.environ)
    spec, folder = entry.command, None
    if (
        ctx.attempt > 1
        and core.folder is not None
        and (told := going_on(core.reader, ctx.run_id)) is not None
    ):
        folder = ExecFolder(core.folder, ctx.run_id)
        folder.create()
        folder.write_going_on(codec.encode({"attempt": ctx.attempt, **told}))
        environ["RUNSTONE_RESUME"] = str(folder.path / RESUME)
        spec = msgspec.structs.replace(spec, command=spec.resume or spec.command)
    code: int | None = None
    signal: int | None = None
    try:
        result = await _apart(
            ctx,
            run_command(
                spec,
                value,
                on_started=on_started,
                on_lines=ctx.handle.messages,
                environ=environ,
                root=ctx.workspace,
                redactor=core.redactor,
            ),
        )
        code = result.exit_code
    except CommandError as error:
        code, signal = error.details.get("exit_code"), error.details.get("signal")
        raise
    finally:
        if folder is not None:
            folder.remove()
        for leader in leaders:
            # What could not be ended stays recorded as alive: the next claimer must not start beside it.
            if group_alive(leader) is False:
                core.submit(EndProcess(ctx.run_id, ctx.attempt, leader.pid, code, signal), ctx.handle._unseen)
    return result.value


async def _apart(ctx: "Context", work: Coroutine[Any, Any, CommandResult]) -> CommandResult:
    """Runs it as the engine's, not as the code's: a stop cancels each task of the code, and would cut its end off."""
    task = ctx.engine.spawn(work)
    try:
        result: CommandResult = await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # the cancellation is what happened
        raise
    return result
