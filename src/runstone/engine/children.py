"""The children of one durable call: reused, raised again, attached to, retried or started; then what they gave."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runstone.domain.bounds import options_of
from runstone.domain.orders import PAUSED_WITH_PARENT
from runstone.domain.records import AgentRun, JournalEntry
from runstone.domain.resume import Action, action_for
from runstone.engine.asking import waits_for_person
from runstone.engine.calls import Call
from runstone.engine.caps import at_cap, question_above, until_raised
from runstone.engine.outcome import child_failure
from runstone.engine.registry import Entry
from runstone.errors import BudgetReached, ChildFailed, ChildrenFailed
from runstone.store.base import Row
from runstone.store.blobs import pack
from runstone.store.writes.journal import Hint, RecordReuse, SetSuperseded, StartChildren
from runstone.store.writes.lifecycle import NewRun, ResumeRun

if TYPE_CHECKING:
    from runstone.engine.context import Context

GONE_ON = frozenset({"failed", "cancelled", "interrupted"})
"""Statuses from which a parent tries a child again."""


_WITH_PARENT = ("budget", PAUSED_WITH_PARENT)
"""Why a child is paused that goes on with its parent; any other pause is for whoever gave it to end."""


class Item:
    """One child of a call."""

    __slots__ = (
        "action",
        "entry",
        "error",
        "hint",
        "input",
        "more",
        "options",
        "pk",
        "record",
        "run_id",
        "secrets",
        "value",
    )

    def __init__(
        self,
        *,
        entry: Entry,
        input: bytes,
        options: dict[str, Any],
        hint: Hint,
        more: dict[str, Any],
        record: JournalEntry | None,
        secrets: dict[str, str] | None = None,
    ) -> None:
        self.entry = entry
        self.input = input
        self.options = options
        self.hint = hint
        self.more = more
        self.record = record
        self.secrets = secrets or {}
        """Values of declared fields; the input has references in their places."""
        self.action: Action = "start"
        self.run_id = None if record is None else record.child_run_id
        self.pk = None if record is None else record.child_pk
        self.value: Any = None
        self.error: ChildFailed | None = None


async def run_children(ctx: "Context", call: Call, items: Sequence[Item], *, single: bool) -> Any:
    """The results in the order of the items, or the result of the only one. Raises `ChildFailed`, `ChildrenFailed`."""
    for item in items:
        take_record(ctx, item)
    await _reuse(ctx, [item for item in items if item.action == "reuse"])
    fresh = [item for item in items if item.action == "start"]
    if fresh and not call.cancelled():
        await _start(ctx, fresh)
    if single:
        call.run_id = items[0].run_id
    open_items = [
        item for item in items if item.run_id is not None and item.action in ("start", "attach", "retry")
    ]
    call.child_ids = [item.run_id for item in open_items if item.run_id is not None]
    call.open_ids = set(call.child_ids)
    if open_items:
        await drive_all(ctx, call, open_items)
    return results(call, items, single=single)


def take_record(ctx: "Context", item: Item) -> None:
    """What becomes of a call by the record that it claimed."""
    record = item.record
    if record is None:
        return
    ctx.tree.vault.give(record.child_run_id or "", item.secrets)
    item.action = action_for(record, ctx.tree.policy, ctx.ended_parent)
    if item.action == "retry" and record.child_status == "failed" and record.child_run_id in ctx.heard:
        item.action = "raise"  # it failed while its parent was parked: the code has not had that failure yet
    if item.action == "raise":
        assert record.child_run_id is not None
        assert record.child_status is not None
        item.error = child_failure(record.child_run_id, record.child_status, record.child_error, None)


async def _reuse(ctx: "Context", items: Sequence[Item]) -> None:
    """Takes stored results, and notes what they had cost: shown apart, added to nothing.

    A child that ended while its parent was parked is no reuse: its result is taken for the first time.
    """
    told = []
    for item in items:
        record = item.record
        assert record is not None
        item.value = ctx.recorded(record)
        if record.child_run_id not in ctx.heard:
            cost = {"tokens": record.child_tokens, "cost_picousd": record.child_cost_picousd}
            removed = record.child_run_id is None  # its run is gone; a fork knows the result
            told.append(cost if removed else {"child_run_id": record.child_run_id, **cost})
    if told:
        await ctx.engine.core.submit(RecordReuse(ctx.run_id, ctx.attempt, told), [])


async def _start(ctx: "Context", items: Sequence[Item]) -> None:
    children = [(_new_run(ctx, item), item.hint) for item in items]
    started = await ctx.engine.core.submit(StartChildren(ctx.run_id, ctx.attempt, children), [])
    for item, (_number, run_id, pk) in zip(items, started, strict=True):
        item.run_id, item.pk = run_id, pk
        ctx.claimed_pks.append(pk)


def _new_run(ctx: "Context", item: Item) -> NewRun:
    core, entry = ctx.engine.core, item.entry
    blobs: list[Row] = [pack(item.input)]
    identity: dict[str, Any] = {
        "parent_run_id": ctx.run_id,
        "agent_id": entry.name if entry.kind == "agent" else None,
        "agent_version": entry.version if entry.kind == "agent" else None,
        **(ctx.engine.definition_of(entry) if entry.kind == "workflow" else {}),
        "input_ref": blobs[0][0],
        "child_key": item.hint.key,
        "phase": item.hint.phase,
        "options": item.options or None,
        "parent_thread_id": ctx.tree.thread_id,
        **item.more,
    }
    prompt = identity.pop("prompt", None)
    if item.options:
        identity["options"] = options_of(core.redactor.value(item.options))
    if placed := ctx.engine.place(ctx, entry.name, item.hint.phase):
        identity["options"] = {**(identity["options"] or {}), **placed}
    if prompt is not None:
        prompt = core.redactor.message(prompt)
        blobs.append(pack(prompt.encode()))
        identity["prompt_ref"] = blobs[1][0]
    kind = (
        "workflow" if entry.kind == "workflow" else "workflow_child" if ctx.kind == "workflow" else "subagent"
    )
    identity = {name: value for name, value in identity.items() if value is not None}
    run_id = core.new_id()
    ctx.tree.vault.give(run_id, item.secrets)
    return NewRun(run_id=run_id, kind=kind, identity=identity, blobs=blobs, prompt=prompt, at=core.now())


async def drive_all(ctx: "Context", call: Call, items: Sequence[Item]) -> None:
    """Brings every child to its end. If the code stops awaiting the call, its children are stopped."""
    await asyncio.gather(*(_make_ready(ctx, item) for item in items))
    call.live = len(items)
    live = {asyncio.ensure_future(_drive(ctx, call, item, _begin(ctx, call, item))): item for item in items}

    def stop() -> None:
        for task, item in live.items():
            if not task.done() and item.run_id is not None:
                ctx.stop_child(item.run_id)

    if call.cancelled():  # while the children were being started
        stop()
    call.on_cancel = lambda: ctx.engine.loop.call_soon(_unless_ending, ctx, stop)
    call.waits = True
    ctx.pause_children(call)
    ctx.consider_parking()
    await asyncio.gather(*live)


def _unless_ending(ctx: "Context", stop: Any) -> None:
    """Stops children that the code does not await any more; a loop that ends cancels everything, and stops nobody."""
    if not ctx.suspended and not ctx.ending:
        stop()


def _begin(ctx: "Context", call: Call, item: Item) -> "asyncio.Task[AgentRun]":
    """Has the engine bring the child on, whatever becomes of this attempt."""
    assert item.run_id is not None
    phase = item.hint.phase or ""
    gate, limit = ctx.gates.get(phase), ctx.limits.get(phase)
    return ctx.engine.begin(item.run_id, ctx.tree, gate=gate, limit=limit, detached=call.detached)


async def _drive(ctx: "Context", call: Call, item: Item, driven: "asyncio.Task[AgentRun]") -> None:
    while True:
        try:
            run = await asyncio.shield(driven)
        except BudgetReached as reached:
            await at_cap(ctx, call, reached)
            driven = _begin(ctx, call, item)
            continue
        if run.status in ("paused", "awaiting_user", "waiting"):
            await _blocked(ctx, call, run)
        else:
            break
        driven = _begin(ctx, call, item)
    _take_outcome(ctx, item, run)
    call.live -= 1
    call.open_ids.discard(run.id)


async def _make_ready(ctx: "Context", item: Item) -> None:
    """Brings back what is tried again, what was left out, and what a larger budget lets go on."""
    core, record = ctx.engine.core, item.record
    if record is None or item.run_id is None:
        return
    if record.superseded:
        await core.submit(SetSuperseded(item.run_id, False), [])
    if item.action == "retry":
        await core.submit(ResumeRun(item.run_id, "tried again by its parent", expect=GONE_ON), [])
    elif record.child_status == "waiting" and _is_left(ctx, item.run_id):
        await core.submit(
            ResumeRun(item.run_id, "resumed with its parent", expect=frozenset({"waiting"})), []
        )
    elif record.child_status == "paused" and core.reader.runs.get(item.run_id).status_reason in _WITH_PARENT:
        await core.submit(ResumeRun(item.run_id, "resumed with its parent", expect=frozenset({"paused"})), [])


def _is_left(ctx: "Context", run_id: str) -> bool:
    """Whether a parked child's own children have nobody in this process to bring them on, though they could go on."""
    engine = ctx.engine
    waits = engine.core.reader.runs.get(run_id).status_reason == "children"
    return waits and not engine.brings_on(run_id) and not waits_for_person(engine.core.reader, run_id)


async def _blocked(ctx: "Context", call: Call, run: AgentRun) -> None:
    """Nothing in this process can bring the child on: wait until the run is parked, or the child changes."""
    call.blocked = "budget" if run.status == "paused" and run.status_reason == "budget" else run.status
    call.live -= 1
    if call.blocked == "budget":
        await _until_raised_above(ctx, run)
    else:
        ctx.consider_parking()
        await ctx.engine.until_changed(run.id, run)
    if ctx.over.done():
        raise asyncio.CancelledError
    call.blocked = None
    call.live += 1


async def _until_raised_above(ctx: "Context", run: AgentRun) -> None:
    """A child is paused for a budget above it: it goes on once that is larger, or somebody lets it go on."""
    core = ctx.engine.core
    asked = question_above(core.reader, run.id)
    if asked is None:
        ctx.consider_parking()
        ctx.watch_cap()
        await ctx.engine.until_changed(run.id, run)
    else:
        await until_raised(ctx, asked)
    if not ctx.over.done() and question_above(core.reader, run.id) is None:
        await core.submit(ResumeRun(run.id, "the budget was changed", expect=frozenset({"paused"})), [])


def _take_outcome(ctx: "Context", item: Item, run: AgentRun) -> None:
    if run.status == "completed":
        item.value = ctx.engine.core.reader.values.json(run.result_ref)
    else:
        item.error = child_failure(run.id, run.status, run.error, run.status_reason)


def results(call: Call, items: Sequence[Item], *, single: bool) -> Any:
    """What the items gave. Raises `ChildFailed`, or `ChildrenFailed` for more than a single one."""
    failures = [item.error for item in items if item.error is not None]
    call.failure_pks = [item.pk for item in items if item.error is not None and item.pk is not None]
    if single:
        if failures:
            raise failures[0]
        return items[0].value
    if failures:
        raise ChildrenFailed(
            f"{len(failures)} of {len(items)} children failed; the first: {failures[0]}",
            failures=tuple(failures),
            results=tuple(item.value for item in items),
        )
    return [item.value for item in items]
