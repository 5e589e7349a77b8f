"""What hangs on runs, written again: waits, journal links, claims, the search index, counters. Each decides anew."""

from runstone.domain import codec
from runstone.domain.runs import Head
from runstone.errors import NotFound, StoreError
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.writes import lineage, texts, waits
from runstone.store.writes.repair import note, text_of


class SettleWaits(Write):
    """Takes away the waits of a run that is not parked; wakes one that is, and whose children have ended."""

    __slots__ = ("run_id",)

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def decide(self, batch: Batch) -> bool:
        head = batch.head(self.run_id)
        branches = batch.read("has_waits", run=head.pk)
        if head.status == "waiting":
            met = any(ended == count or (mode == "any" and ended) for _, mode, count, ended in branches)
            if met:
                waits.wake(batch, [head])
            return met
        if branches:
            batch.stage("delete_waits", head.pk)
            note(batch, head, ["waits"])
        return bool(branches)


class RebuildListing(Write):
    """Writes again what lists find a run by: its labels, and the cost that it is sorted by."""

    __slots__ = ("pk",)

    def __init__(self, pk: int) -> None:
        self.pk = pk

    def decide(self, batch: Batch) -> bool:
        for statement in ("rewrite_cost", "drop_labels", "rewrite_labels"):
            batch.stage(statement, self.pk)
        return True


class LinkChild(Write):
    """Lets a parent's journal know a child again: by a record of its key that leads nowhere, else by a new one.

    A new one lacks only what was a hint. A superseded child is left out: its record may have been dropped on purpose.
    """

    __slots__ = ("at", "attempt", "child_id")

    def __init__(self, child_id: str, *, attempt: int, at: int) -> None:
        """`attempt` and `at` are those of the parent's event `child.started`."""
        self.child_id = child_id
        self.attempt = attempt
        self.at = at

    def decide(self, batch: Batch) -> bool:
        child = batch.head(self.child_id)
        if child.parent is None or child.child_key is None or child.superseded:
            return False
        parent = batch.head_at(child.parent)
        links = batch.read("links_of_child", run=parent.pk, child=child.pk)
        if any(key == child.child_key for _, key in links):
            return False
        loose = [row[0] for row in links]
        loose += [
            number for (number,) in batch.read("loose_links_of_key", run=parent.pk, key=child.child_key)
        ]
        if loose:
            batch.stage("rewrite_link", loose[0], child.child_key, child.pk)
        else:
            batch.stage(
                "insert_journal",
                batch.number("journal"), parent.pk, child.child_key, "child", child.agent_id or child.kind, child.phase,
                None, child.pk, None, None, self.attempt, self.at,
            )  # fmt: skip
        note(batch, parent, ["journal"])
        return True


class ReleaseClaim(Write):
    """Gives back a card that is claimed by a run that has ended, was interrupted or is not there."""

    __slots__ = ("card_id",)

    def __init__(self, card_id: str) -> None:
        self.card_id = card_id

    def decide(self, batch: Batch) -> bool:
        for *card, status in batch.read("claimed_card", card_id=self.card_id):
            lineage.release_cards(batch, [tuple(card)], done=status == "completed")
            return True
        return False


class RestoreThread(Write):
    """Sets a thread's counter to its last message, so that no number is given twice."""

    __slots__ = ("thread_id",)

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id

    def decide(self, batch: Batch) -> bool:
        for thread, counted, last in batch.read("last_message_of", thread_id=self.thread_id):
            if counted < last:
                batch.stage("rewrite_thread", thread, last)
                batch.set_thread(self.thread_id, thread, last)
                return True
        return False


class RestoreNumbers(Write):
    """Sets the counters that are behind, and what the ledger notes of itself. `epoch` is for one that is missing."""

    __slots__ = ("epoch", "removed_up_to")

    def __init__(self, epoch: str | None, *, removed_up_to: bool) -> None:
        self.epoch = epoch
        self.removed_up_to = removed_up_to

    def decide(self, batch: Batch) -> bool:
        behind = batch.read("numbers_behind")
        known = {name for name, _ in batch.read("sequences")}
        last = batch.read("last_position")[0][0]
        for table, _, number in behind:
            batch.stage("set_number" if table in known else "add_number", table, number)
            batch.cache.next[table] = max(batch.cache.next.get(table, 1), number + 1)
        if self.epoch is not None:
            batch.stage("set_meta", "epoch", self.epoch)
        if self.removed_up_to:
            batch.stage("set_meta", "removed_up_to", str(last))  # every older cursor is told of a gap
        return bool(behind or self.epoch or self.removed_up_to)


class RebuildIndexes(Write):
    """Builds all indexes again. The one write that takes as long as the ledger is large."""

    __slots__ = ()

    def decide(self, batch: Batch) -> None:
        batch.read("rebuild_indexes")
        batch.cache.clear()


class EmptySearch(Write):
    """Takes everything out of the full-text index, which is then filled again in chunks."""

    __slots__ = ()

    def decide(self, batch: Batch) -> None:
        batch.stage("empty_search", "delete-all")


class IndexTexts(Write):
    """Makes texts findable: (`text`, id of a record without entry), (`message`, id), or (source, key of a run)."""

    __slots__ = ("items", "size")

    def __init__(self, items: list[tuple[str, int]]) -> None:
        self.items = items
        self.size = 10_000 * len(items)

    def decide(self, batch: Batch) -> int:
        return sum(self._index(batch, source, number) for source, number in self.items)

    def _index(self, batch: Batch, source: str, number: int) -> bool:
        try:
            if source == "text":
                return self._entry(batch, number)
            if source == "message":
                return self._message(batch, number)
            head = batch.head_at(number)
            if source == "error":
                return self._errors(batch, head)
            body = _body(batch, head, source, None)
            if body and not batch.read("texts_of_run", run=head.pk, source=source):
                texts.add(batch, source, body, run=head.pk)
                return True
        except (StoreError, NotFound):
            return False  # the value or the run is gone, which `verify` names for itself
        return False

    @staticmethod
    def _entry(batch: Batch, number: int) -> bool:
        for source, run, text, ref, place in batch.read("text_to_index", text=number):
            message = source == "message"
            body = text_of(batch, text, ref) if message else _body(batch, batch.head_at(run), source, place)
            batch.stage("insert_search", number, texts.indexed(body))
            return True
        return False

    @staticmethod
    def _errors(batch: Batch, head: Head) -> bool:
        """All errors of a run anew: which of them are there does not show."""
        messages = _errors(batch, head)
        known = batch.read("texts_of_run", run=head.pk, source="error")
        if len(known) >= len(messages):
            return False
        for (number,) in known:
            batch.stage("delete_text", number)
            batch.stage("delete_texts", number)
        for message in messages:
            texts.add(batch, "error", message, run=head.pk)
        return True

    @staticmethod
    def _message(batch: Batch, number: int) -> bool:
        for run, text, ref in batch.read("message_to_index", message=number):
            texts.add(batch, "message", text_of(batch, text, ref), run=run, message=number)
            return True
        return False


def _body(batch: Batch, head: Head, source: str, place: int | None) -> str:
    """A run's text; of the errors that of the try, where its event is still there."""
    if source == "prompt":
        return text_of(batch, None, head.prompt_ref)
    if source != "error":
        return str(getattr(head, source) or "")
    messages = _errors(batch, head)
    if place is not None and place < len(messages):
        return messages[place]
    return str(codec.decode(head.error_json).get("message", "")) if head.error_json else ""


def _errors(batch: Batch, head: Head) -> list[str]:
    """What the tries of a run failed with, as far as they said it."""
    told = [codec.decode(text_of(batch, text, ref)) for text, ref in batch.read("errors_of", run=head.pk)]
    messages = [str((payload.get("error") or {}).get("message") or "") for payload in told]
    return [message for message in messages if message]


class DropEntries(Write):
    """Takes entries out of the index whose text is gone."""

    __slots__ = ("numbers", "size")

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers
        self.size = 200 * len(numbers)

    def decide(self, batch: Batch) -> int:
        dead = [n for n in self.numbers if batch.read("is_dead_entry", number=n)[0][0]]
        stale = [n for n in self.numbers if batch.read("is_dead_text", number=n)[0][0]]
        for number in (*dead, *stale):
            batch.stage("delete_text", number)
        for number in stale:
            batch.stage("delete_texts", number)
        return len(dead) + len(stale)
