"""Boards and cards, changed by comparing revisions, and orders to runs."""

from typing import Any

from runstone.domain import codec, runs
from runstone.domain.orders import check_fits, reason_of
from runstone.domain.runs import Head
from runstone.errors import IllegalTransition, InvalidInput, NotFound, RevisionConflict
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.writes import inputs, lineage, orders, waits
from runstone.store.writes.lifecycle import end_attempt

CARD_STATUSES = ("todo", "in_progress", "blocked", "done")


class SaveBoard(Write):
    """Creates a board, or changes its title at the revision given. The value is the new revision."""

    __slots__ = ("board_id", "revision", "thread_id", "title")

    def __init__(self, board_id: str, title: str | None, thread_id: str | None, revision: int | None) -> None:
        self.board_id = board_id
        self.title = title
        self.thread_id = thread_id
        self.revision = revision

    def decide(self, batch: Batch) -> int:
        rows = batch.read("board_by_id", board_id=self.board_id)
        if not rows:
            if self.revision is not None:
                raise NotFound(f"there is no board {self.board_id}")
            batch.stage(
                "save_board",
                batch.number("boards"),
                self.board_id,
                self.thread_id,
                self.title,
                1,
                batch.now,
                batch.now,
            )
            return 1
        pk, board_id, thread_id, title, revision, created_at, _ = rows[0]
        if self.revision is None:
            return int(revision)  # creating again is harmless
        _compare("board", self.board_id, revision, self.revision)
        batch.stage(
            "save_board", pk, board_id, thread_id, self.title or title, revision + 1, created_at, batch.now
        )
        return int(revision) + 1


class SaveCard(Write):
    """Creates a card (`revision` None), or changes the fields given at that revision. The value is the new revision."""

    __slots__ = ("blob", "board_id", "card_id", "changes", "revision", "size")

    def __init__(
        self,
        card_id: str,
        board_id: str | None,
        changes: dict[str, Any],
        revision: int | None,
        blob: Any = None,
    ) -> None:
        self.card_id = card_id
        self.board_id = board_id
        self.changes = changes
        self.revision = revision
        self.blob = blob
        self.size = 1000 + (len(blob[3]) if blob else 0)

    def decide(self, batch: Batch) -> int:
        rows = batch.read("card_by_id", card_id=self.card_id)
        card = dict(zip(lineage.CARD_FIELDS, rows[0], strict=True)) if rows else self._new(batch)
        if rows and self.revision is None:
            return int(card["revision"])  # adding again is harmless
        if rows:
            _compare("card", self.card_id, card["revision"], self.revision)
        claimer = self._claimer(batch, card)
        refers = self._reference(batch, card, claimer)
        self._change(card, claimer)
        if self.blob is not None:
            card["body"], card["body_ref"] = None, batch.put_blob(self.blob)
        card |= {"revision": card["revision"] + 1, "updated_at": batch.now}
        batch.stage("save_card", *(card[name] for name in lineage.CARD_FIELDS))
        if claimer is not None and refers:
            batch.record(claimer, "run.updated", refers)
        return int(card["revision"])

    def _new(self, batch: Batch) -> dict[str, Any]:
        if self.revision is not None or self.board_id is None:
            raise NotFound(f"there is no card {self.card_id}")
        boards = batch.read("board_by_id", board_id=self.board_id)
        if not boards:
            raise NotFound(f"there is no board {self.board_id}")
        return {
            "pk": batch.number("cards"), "card_id": self.card_id, "board": boards[0][0], "title": "", "status": "todo",
            "position": 0, "body": None, "body_ref": None, "assignee": None, "labels_json": "{}", "claimed_by": None,
            "revision": 0, "created_at": batch.now, "updated_at": batch.now,
        }  # fmt: skip

    def _claimer(self, batch: Batch, card: dict[str, Any]) -> Head | None:
        """The run that claims the card by this change, if it may."""
        run_id = self.changes.get("run_id")
        if run_id is None:
            return None
        head = batch.head(run_id)
        if head.status in (*runs.ENDED, "interrupted"):
            # Nothing would ever give the claim back: it is given back when a run ends or is interrupted.
            raise IllegalTransition(f"run {run_id} is {head.status}; it cannot work on a card", run_id=run_id)
        if card["claimed_by"] not in (None, head.pk):
            holder = batch.head_at(card["claimed_by"])
            raise RevisionConflict(
                f"card {self.card_id} is claimed by run {holder.run_id}", run_id=holder.run_id
            )
        if self.changes.get("status", "in_progress") != "in_progress":
            raise InvalidInput(f"a run claims a card that is in_progress, not {self.changes['status']}")
        return head

    def _reference(self, batch: Batch, card: dict[str, Any], claimer: Head | None) -> dict[str, Any]:
        """What the claiming run says of the card that it works on; nothing if it says so already."""
        if claimer is None or claimer.task_card_id == self.card_id:
            return {}
        board_id = batch.read("board_of_card", board=card["board"])[0][0]
        return {"task_board_id": board_id, "task_card_id": self.card_id}

    def _change(self, card: dict[str, Any], claimer: Head | None) -> None:
        """Applies the changes. A card that is moved off in_progress is free again: no claim is left behind."""
        changes = {name: value for name, value in self.changes.items() if name != "run_id"}
        if claimer is not None:
            changes |= {"claimed_by": claimer.pk, "status": "in_progress"}
        elif "run_id" in self.changes and card["claimed_by"] is not None:
            changes = {"claimed_by": None, "status": "todo", **changes}
        card |= changes
        if card["status"] not in CARD_STATUSES:
            raise InvalidInput(f"card status {card['status']!r} is none of {', '.join(CARD_STATUSES)}")
        if card["status"] != "in_progress":
            card["claimed_by"] = None


def _compare(what: str, name: str, have: int, asked: int | None) -> None:
    if have != asked:
        raise RevisionConflict(f"{what} {name} is at revision {have}, not {asked}", revision=have)


class RequestStop(Write):
    """Orders a run to stop. Where nobody holds the run it takes effect in this transaction; else its owner sees it.

    The value is the command's status. A run that has ended refuses the order.
    """

    __slots__ = ("by", "command_id", "idempotency_key", "payload", "run_id")

    def __init__(
        self,
        run_id: str,
        command_id: str,
        payload: dict[str, Any],
        *,
        by: str | None,
        idempotency_key: str | None,
    ) -> None:
        self.run_id = run_id
        self.command_id = command_id
        self.payload = payload
        self.by = by
        self.idempotency_key = idempotency_key

    def decide(self, batch: Batch) -> tuple[str, str]:
        head = batch.head(self.run_id)
        known = orders.known(batch, head, self.idempotency_key, "stop", self.payload)
        if known is not None:
            return known[1], known[6]
        runs.check_here(head)
        check_fits("stop", head.run_id, head.status)
        parked = None if head.live else _Parked(batch, head)
        order = {"command_id": self.command_id, "verb": "stop", "requested_by": self.by}
        batch.record(head, "command.requested", order)
        if parked is not None:
            parked.stop(batch, _stop_payload(self.by, self.payload))
            batch.record(head, "command.applied", {"command_id": self.command_id, "verb": "stop"})
        else:
            batch.cache.ordered.add(head.pk)
        status, done_at = ("requested", None) if parked is None else ("applied", batch.now)
        batch.stage(
            "save_command",
            batch.number("commands"), self.command_id, head.pk, "stop", codec.encode(self.payload).decode(),
            self.idempotency_key, status, self.by, None, batch.now, done_at, done_at,
        )  # fmt: skip
        return self.command_id, status


class CarryOutStop(Write):
    """Carries out a stop that was ordered while a run had an owner, and that finds none any more.

    It came in the moment in which the run parked, or its owner died before he had obeyed. The value says whether the
    run was stopped.
    """

    __slots__ = ("run_id",)

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def decide(self, batch: Batch) -> bool:
        head = batch.head(self.run_id)
        if head.live or head.status in runs.ENDED:
            return False
        parked = _Parked(batch, head)
        ordered = (dict(zip(orders.FIELDS, row, strict=True)) for row in parked.orders)
        order = next((order for order in ordered if order["verb"] == "stop"), None)
        if order is None:
            return False
        parked.stop(batch, _stop_payload(order["requested_by"], codec.decode(order["payload_json"])))
        return True


class _Parked:
    """What hangs on a run that nobody holds. Reads only, until it is stopped."""

    def __init__(self, batch: Batch, head: Head) -> None:
        self.head = head
        self.cards = lineage.cards_of(batch, head)
        self.woken = waits.met_by(batch, head)
        self.questions = inputs.open_of(batch, head)
        self.orders = orders.open_of(batch, head)

    def stop(self, batch: Batch, payload: dict[str, Any]) -> None:
        inputs.withdraw(batch, self.head, self.questions)
        batch.stage("delete_waits", self.head.pk)
        end_attempt(batch, self.head, "run.cancelled", payload)
        lineage.release_cards(batch, self.cards)
        orders.settle(batch, self.head, self.orders)
        waits.wake(batch, self.woken)


def _stop_payload(by: str | None, order: dict[str, Any]) -> dict[str, Any]:
    """What `run.cancelled` says of the order."""
    return {"reason": reason_of("stop", by, order), "by": by, "cascade": order.get("cascade")}


class MoveCommand(Write):
    """Moves an order on: acknowledged, applied or rejected, with its event."""

    __slots__ = ("command_id", "reason", "status")

    def __init__(self, command_id: str, status: str, reason: str | None = None) -> None:
        self.command_id = command_id
        self.status = status
        self.reason = None if reason is None else codec.clip(reason, 1_000)

    def decide(self, batch: Batch) -> bool:
        rows = batch.read("command_by_id", command_id=self.command_id)
        if not rows:
            raise NotFound(f"there is no command {self.command_id}")
        order = dict(zip(orders.FIELDS, rows[0], strict=True))
        if order["status"] in ("applied", "rejected", self.status):
            return False
        order |= {"status": self.status, "reason": self.reason}
        order["acknowledged_at"] = order["acknowledged_at"] or batch.now
        order["ended_at"] = batch.now if self.status != "acknowledged" else None
        payload = {"command_id": self.command_id, "verb": order["verb"]}
        if self.reason:
            payload["reason"] = self.reason
        batch.record(batch.head_at(order["run"]), f"command.{self.status}", payload)
        batch.stage("save_command", *(order[name] for name in orders.FIELDS))
        return True
