"""The children of one durable call: reused, raised again, attached to, retried or started; then what they gave."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.records import AgentRun, JournalEntry
from runstone.domain.resume import Action, action_for
from runstone.engine.calls import Call
from runstone.engine.outcome import child_failure
from runstone.engine.registry import Entry
from runstone.errors import BudgetReached, ChildFailed, ChildrenFailed
from runstone.store.base import Row
from runstone.store.blobs import pack
from runstone.store.writes.journal import Hint, RecordReuse, SetSuperseded, StartChildren
from runstone.store.writes.lifecycle import NewRun, ResumeRun

if TYPE_CHECKING:
    from runstone.engine.context import Context


class Item:
    """One child of a call."""

    __slots__ = ("action", "entry", "error", "hint", "input", "more", "options", "pk", "record", "run_id", "value")

    def __init__(self, *, entry: Entry, input: bytes, options: dict[str, Any], hint: Hint, more: dict[str, Any]) -> None:
        self.entry = entry
        self.input = input
        self.options = options
        self.hint = hint
        self.more = more
        self.record: JournalEntry | None = None
        self.action: Action = "start"
        self.run_id: str | None = None
        self.pk: int | None = None
        self.value: Any = None
        self.error: ChildFailed | None = None


async def run_children(ctx: "Context", call: Call, items: Sequence[Item], *, single: bool) -> Any:
    """The results in the order of the items, or the result of the only one. Raises `ChildFailed`, `ChildrenFailed`."""
    for item in items:
        _take_record(ctx, item)
    reused = [item for item in items if item.action == "reuse"]
    await _reuse(ctx, reused)
    fresh = [item for item in items if item.action == "start"]
    if fresh:
        await _start(ctx, fresh)
    ctx.claimed_pks += [item.pk for item in items if item.pk is not None]
    open_items = [item for item in items if item.action in ("start", "attach", "retry")]
    call.child_ids = [item.run_id for item in open_items if item.run_id is not None]
    call.open_ids = set(call.child_ids)
    if open_items:
        await _drive_all(ctx, call, open_items)
    return _results(call, items, single=single)


def _take_record(ctx: "Context", item: Item) -> None:
    record = item.record
    if record is None:
        return
    item.action = action_for(record, ctx.tree.policy, ctx.ended_parent)
    item.run_id, item.pk = record.child_run_id, record.child_pk
    if item.action == "raise":
        assert record.child_run_id is not None and record.child_status is not None
        item.error = child_failure(record.child_run_id, record.child_status, record.child_error, None)


async def _reuse(ctx: "Context", items: Sequence[Item]) -> None:
    """Takes stored results, and notes it with what they had cost: shown apart, added to nothing."""
    if not items:
        return
    told = []
    for item in items:
        record = item.record
        assert record is not None
        item.value = codec.decode(record.value) if record.value is not None else ctx.engine.core.reader.value(record.ref)
        told.append(
            {"child_run_id": record.child_run_id, "tokens": record.child_tokens, "cost_picousd": record.child_cost_picousd}
        )
    await ctx.engine.core.submit(RecordReuse(ctx.run_id, ctx.attempt, told), [])


async def _start(ctx: "Context", items: Sequence[Item]) -> None:
    children = [(_new_run(ctx, item), item.hint) for item in items]
    started = await ctx.engine.core.submit(StartChildren(ctx.run_id, ctx.attempt, children), [])
    for item, (_number, run_id, pk) in zip(items, started, strict=True):
        item.run_id, item.pk = run_id, pk


def _new_run(ctx: "Context", item: Item) -> NewRun:
    core, entry = ctx.engine.core, item.entry
    blobs: list[Row] = [pack(item.input)]
    identity: dict[str, Any] = {
        "parent_run_id": ctx.run_id,
        "agent_id": entry.name if entry.kind == "agent" else None,
        "agent_version": entry.version if entry.kind == "agent" else None,
        "definition_id": entry.name if entry.kind == "workflow" else None,
        "definition_hash": ctx.engine.definition_hash(entry) if entry.kind == "workflow" else None,
        "input_ref": blobs[0][0],
        "child_key": item.hint.key,
        "phase": item.hint.phase,
        "options": item.options or None,
        "parent_thread_id": ctx.tree.thread_id,
        **item.more,
    }
    prompt = identity.pop("prompt", None)
    if prompt is not None:
        blobs.append(pack(prompt.encode()))
        identity["prompt_ref"] = blobs[1][0]
    kind = "workflow" if entry.kind == "workflow" else "workflow_child" if ctx.kind == "workflow" else "subagent"
    identity = {name: value for name, value in identity.items() if value is not None}
    return NewRun(run_id=core.new_id(), kind=kind, identity=identity, blobs=blobs, prompt=prompt, at=core.now())


async def _drive_all(ctx: "Context", call: Call, items: Sequence[Item]) -> None:
    """Brings every child to its end. If the code stops awaiting the call, its children are stopped."""
    live = {asyncio.ensure_future(_drive(ctx, call, item)): item for item in items}
    call.live = len(live)

    def stop() -> None:
        if not ctx.suspended:
            for task, item in live.items():
                if not task.done() and item.run_id is not None:
                    ctx.engine.stop_child(ctx, item.run_id, "the parent stopped waiting for it")

    call.on_cancel = stop
    ctx.engine.consider_parking(ctx)
    await asyncio.gather(*live)


async def _drive(ctx: "Context", call: Call, item: Item) -> None:
    assert item.run_id is not None
    engine, gate = ctx.engine, ctx.gates.get(item.hint.phase or "")
    if item.record is not None and item.record.superseded:
        await engine.core.submit(SetSuperseded(item.run_id, False), [])
    if item.action == "retry":
        expect = frozenset({"failed", "cancelled", "interrupted"})
        await engine.core.submit(ResumeRun(item.run_id, "tried again by its parent", expect=expect), [])
    limit = ctx.limits.get(item.hint.phase or "")
    while True:
        try:
            run = await engine.drive(item.run_id, ctx.tree, gate=gate, limit=limit)
        except BudgetReached:
            await _blocked(ctx, call, "budget")
            continue
        if run.status in ("paused", "awaiting_user"):
            reason = "budget" if run.status_reason == "budget" else run.status
            await _blocked(ctx, call, reason, run)
            continue
        break
    _take_outcome(ctx, item, run)
    call.live -= 1
    call.open_ids.discard(item.run_id)


async def _blocked(ctx: "Context", call: Call, reason: str, run: AgentRun | None = None) -> None:
    """Nothing in this process can bring the child on: wait until the run is parked, or the child changes."""
    call.blocked = reason
    call.live -= 1
    ctx.engine.consider_parking(ctx)
    await ctx.engine.until_changed(run.id if run is not None else None, run)
    call.blocked = None
    call.live += 1


def _take_outcome(ctx: "Context", item: Item, run: AgentRun) -> None:
    if run.status == "completed":
        item.value = ctx.engine.core.reader.value(run.result_ref)
    else:
        item.error = child_failure(run.id, run.status, run.error, run.status_reason)


def _results(call: Call, items: Sequence[Item], *, single: bool) -> Any:
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
