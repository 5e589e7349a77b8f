"""At a budget's cap: a person is asked whether to raise it, and what was to begin waits for that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from runstone.domain import budgets
from runstone.domain.inputs import BUDGET_KEY
from runstone.engine.calls import Call
from runstone.engine.core import Core
from runstone.errors import BudgetReached
from runstone.store.reads import Reader
from runstone.store.writes.budgets import AskBudget

if TYPE_CHECKING:
    from runstone.engine.context import Context


def asks_about_budget(reader: Reader, run_id: str) -> bool:
    """Whether the run itself has an open question about its budget."""
    return question_of(reader, run_id) is not None


def question_of(reader: Reader, run_id: str) -> str | None:
    """The run's open question about its budget."""
    found = reader.rows("budget_question", run=reader.runs.pk(run_id), prefix=BUDGET_KEY)
    return found[0][0] if found else None


def question_above(reader: Reader, run_id: str) -> str | None:
    """The open question about the budget of the run, or of the nearest one above it that has one."""
    found = reader.rows("budget_question_above", run=reader.runs.pk(run_id), prefix=BUDGET_KEY)
    return found[0][0] if found else None


async def at_cap(ctx: "Context", call: Call, reached: BudgetReached) -> None:
    """Has a person asked, and waits until the budget is larger. A run with nothing else to do parks meanwhile."""
    call.blocked, ctx.cap = "budget", str(reached)
    call.live -= 1
    asked = await _ask(ctx.engine.core, reached)
    if asked is not None:
        await until_raised(ctx, asked)
    call.blocked = None
    call.live += 1


async def until_raised(ctx: "Context", input_id: str) -> None:
    """Until the question is open no more. Raises `CancelledError` once the attempt is over."""
    ctx.consider_parking()
    ctx.watch_cap()
    closed = ctx.engine.spawn(_closed(ctx, input_id))
    await asyncio.wait([closed, ctx.over], return_when=asyncio.FIRST_COMPLETED)
    if ctx.over.done() or not closed.done() or closed.cancelled() or ctx.suspended:
        await asyncio.shield(ctx.over)
        raise asyncio.CancelledError


async def hold_for_budget(
    ctx: "Context", call: Call, reached: BudgetReached, go_on: Callable[[], Awaitable[Any]]
) -> Any:
    """Goes on once the run's own budget is larger."""
    call.waits = True
    await at_cap(ctx, call, reached)
    call.waits = False
    return await go_on()


async def _closed(ctx: "Context", input_id: str) -> None:
    await ctx.desk.closed(input_id)


async def _ask(core: Core, reached: BudgetReached) -> str | None:
    """Asks in the name of the run that holds the budget; None where it was changed meanwhile."""
    budget = reached.details["budget"]
    asked = budgets.question(budget, reached.details["caps"], core.now())
    write = AskBudget(reached.details["run_id"], asked, core.new_id(), budget)
    found: str | None = await core.submit(write, [])
    return found
