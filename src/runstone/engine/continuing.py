"""A parent goes on with its own child: begun once, found again on resume, and driven as any child is."""

from typing import TYPE_CHECKING, Any

import msgspec

from runstone.domain.records import JournalEntry
from runstone.engine.calls import Call
from runstone.engine.children import Item, drive_all, results, take_record
from runstone.engine.registry import Entry
from runstone.store.writes.continuing import ContinueChild
from runstone.store.writes.journal import Hint

if TYPE_CHECKING:
    from runstone.engine.context import Context


class Continuation(msgspec.Struct, frozen=True, kw_only=True):
    """What a parent asked for."""

    child_id: str
    entry: Entry
    message: str
    agent_id: str | None
    hint: Hint
    record: JournalEntry | None


async def run_continuation(ctx: "Context", call: Call, asked: Continuation) -> Any:
    """What the child's next attempt gives. Raises `ChildFailed`, and what `ContinueChild` refuses."""
    item = Item(entry=asked.entry, input=b"", options={}, hint=asked.hint, more={}, record=asked.record)
    take_record(ctx, item)
    if asked.record is None:
        core = ctx.engine.core
        write = ContinueChild(
            ctx.run_id, ctx.attempt, asked.child_id, asked.hint, message=asked.message, agent_id=asked.agent_id,
            now=core.now(),
        )  # fmt: skip
        item.pk, item.run_id = await core.submit(write, []), asked.child_id
        ctx.claimed_pks.append(item.pk)
    if item.action != "raise":
        call.child_ids = [asked.child_id]
        call.open_ids = {asked.child_id}
        await drive_all(ctx, call, [item])
    return results(call, [item], single=True)
