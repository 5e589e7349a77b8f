"""What a run is: kinds, statuses, the table of legal moves, and the fold of a run's events into its row.

`move()` is the one place that decides whether a status may change, and `apply()` the one place that says what an event
does to the row. The writer folds each accepted event as it stores it, and `verify` folds them all again.
"""

from typing import Any, Final

import msgspec

from runstone.domain import codec
from runstone.domain.bounds import row_json
from runstone.errors import Fenced, IllegalTransition, RunMoved

RUN_KINDS: Final = frozenset(
    {"subagent", "worker_thread", "background_agent", "team_member", "workflow_child", "workflow"}
)

STATUSES: Final = (
    "pending",
    "running",
    "waiting",
    "awaiting_user",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "interrupted",
    "moved",
)

BUCKETS: Final[dict[str, tuple[str, ...]]] = {
    "needs_input": ("awaiting_user",),
    "working": ("pending", "running", "waiting", "paused"),
    "completed": ("completed",),
    "failed": ("failed",),
    "stopped": ("cancelled", "interrupted", "moved"),
}
"""What people look for. A run with an open question is in `needs_input`, whatever its status."""

ENDED: Final = frozenset({"completed", "failed", "cancelled"})
"""Final, except through a new attempt."""

RESUMABLE: Final = frozenset(
    {"pending", "waiting", "awaiting_user", "paused", "failed", "cancelled", "interrupted"}
)

LIVING: Final = frozenset({"pending", "running", "waiting", "awaiting_user", "paused"})
"""Something is still to come of it without a new try."""

WOKEN: Final = frozenset({"children ended", "the time has come", "answered", "a question expired"})
"""Reasons of `run.resumed` by which a parked run goes on by itself: its next attempt belongs to the same try."""

MOVABLE: Final = frozenset({"pending", "waiting", "awaiting_user", "paused", "interrupted"})
"""What a move of the tree to another ledger seals; what has ended is copied."""

MOVES: Final[dict[str, tuple[frozenset[str], str]]] = {
    "run.created": (frozenset(), "pending"),
    "run.started": (frozenset({"pending"}), "running"),
    "run.waiting": (frozenset({"running"}), "waiting"),
    "run.awaited": (frozenset({"running", "waiting"}), "awaiting_user"),
    "run.paused": (frozenset({"pending", "running", "waiting", "interrupted"}), "paused"),
    "run.resumed": (
        frozenset({"waiting", "awaiting_user", "paused", "interrupted", "failed", "cancelled"}),
        "pending",
    ),
    "run.reopened": (frozenset({"completed"}), "pending"),
    "run.completed": (frozenset({"running"}), "completed"),
    "run.failed": (frozenset({"pending", "running", "waiting", "awaiting_user"}), "failed"),
    "run.cancelled": (
        frozenset({"pending", "running", "waiting", "awaiting_user", "paused", "interrupted"}),
        "cancelled",
    ),
    "run.interrupted": (frozenset({"running", "pending", "waiting"}), "interrupted"),
    "run.moved": (MOVABLE, "moved"),
    "run.returned": (frozenset({"moved"}), "interrupted"),
}
"""Event -> (statuses it may come from, status it leads to). docs/states.md draws it; a test compares the two.

`run.returned` leads back to the status that the run was moved from, which its payload says; `interrupted`, else.
"""


class Head(msgspec.Struct, kw_only=True):
    """The row of a run: what its events add up to. Times are microseconds UTC; `*_json` fields are JSON text."""

    pk: int
    run_id: str
    kind: str
    status: str = ""
    parent: int | None = None
    parent_run_id: str | None = None
    root: int = 0
    root_run_id: str = ""
    depth: int = 0
    forked_from: str | None = None
    parent_thread_id: str | None = None
    agent_id: str | None = None
    agent_version: str | None = None
    title: str | None = None
    status_reason: str | None = None
    wake_at: int | None = None
    phase: str | None = None
    prompt_ref: str | None = None
    input_ref: str | None = None
    options_json: str = "{}"
    worker_thread_id: str | None = None
    task_board_id: str | None = None
    task_card_id: str | None = None
    child_key: str | None = None
    labels_json: str = "{}"
    attempt: int = 0
    owner: str | None = None
    created_at: int = 0
    started_at: int | None = None
    attempt_started_at: int | None = None
    updated_at: int = 0
    completed_at: int | None = None
    summary: str | None = None
    result_ref: str | None = None
    error_json: str | None = None
    definition_id: str | None = None
    definition_hash: str | None = None
    tries: int = 0
    active_ms: int = 0
    model: str | None = None
    provider: str | None = None
    superseded: int = 0
    detached: int = 0
    reused_json: str | None = None
    forked_from_checkpoint: int | None = None
    pinned: int = 0
    archived: int = 0
    last_seq: int = 0

    @property
    def live(self) -> bool:
        """An attempt is open: its owner should hold a lease."""
        return self.status == "running"


IDENTITY: Final = (
    "parent_run_id",
    "root_run_id",
    "depth",
    "forked_from",
    "forked_from_checkpoint",
    "parent_thread_id",
    "agent_id",
    "agent_version",
    "title",
    "phase",
    "prompt_ref",
    "input_ref",
    "worker_thread_id",
    "task_board_id",
    "task_card_id",
    "child_key",
    "definition_id",
    "definition_hash",
)
"""Fields that `run.created` carries as they are."""

MARKS: Final = ("pinned", "archived")
"""What people set on a run to find it again, or to have it out of the way."""

UPDATABLE: Final = ("title", "worker_thread_id", "task_board_id", "task_card_id", "summary")

TOUCH_US: Final = 1_000_000
"""`updated_at` follows plain events to within a second, so that a busy run does not rewrite its row for each event."""

FOLDED_TYPES: Final = frozenset(
    {
        *MOVES,
        "run.updated",
        "run.marked",
        "run.attached",
        "run.superseded",
        "run.pruned",
        "usage.reported",
        "child.reused",
    }
)
"""Events that change more of the row than `updated_at`."""


ASIDE: Final = frozenset({"usage.repriced", "run.pruned", "run.repaired", "run.marked"})
"""Events about a run that are no sign of it: a run that ended last year does not become the latest for a new price,
or as somebody puts it away."""


OF_MOVED: Final = frozenset({"run.returned", "run.marked", "run.pruned", "run.repaired", "usage.repriced"})
"""All that is still written to a run that goes on in another ledger."""


def check_here(head: Head) -> None:
    """Raises `RunMoved` for a run that goes on in another ledger."""
    if head.status == "moved":
        raise moved(head.run_id, head.status_reason)


def moved(run_id: str, reason: str | None) -> RunMoved:
    """The error for a run that was moved; `reason` is that of its row, which says where to."""
    return RunMoved(
        f"run {run_id} was {reason or 'moved'}; it goes on where that was imported, and can only be read here",
        hint=f"go on with it there; or, if it is to go on here instead: runstone export --move --undo {run_id}",
        run_id=run_id,
        status="moved",
    )


def check_move(head: Head, event_type: str) -> None:
    """Raises `IllegalTransition` unless the status of `head` allows the event; of a moved run `RunMoved`."""
    if event_type != "run.returned":
        check_here(head)
    origins, target = MOVES[event_type]
    if head.status not in origins:
        raise IllegalTransition(
            f"run {head.run_id} is {head.status}; it cannot become {target}",
            run_id=head.run_id,
            status=head.status,
        )


SILENT: Final = "no heartbeat since"
"""Begins the reason of a run that is interrupted only because nobody heard of its owner, who may live."""

GONE: Final = "process "
REBOOTED: Final = "the machine was restarted"
JUDGED: Final = (SILENT, GONE, REBOOTED)
"""Begin the reasons of runs that others have judged interrupted; their owners did not leave them."""


def check_fence(head: Head, attempt: int) -> None:
    """Raises `Fenced` unless `attempt` is the open attempt of the run."""
    if head.attempt != attempt or head.status != "running":
        raise Fenced(
            f"attempt {attempt} of run {head.run_id} may not write: the run is {head.status} at attempt {head.attempt}",
            run_id=head.run_id,
            status=head.status,
            attempt=head.attempt,
        )


def touches(head: Head, event_type: str, at: int) -> bool:
    """Whether the event changes the row at all."""
    return event_type in FOLDED_TYPES or (at - head.updated_at >= TOUCH_US and event_type not in ASIDE)


def apply(head: Head, event_type: str, payload: dict[str, Any], at: int) -> None:
    """Folds one event into `head`. Unknown types move nothing but `updated_at`."""
    if event_type in FOLDED_TYPES:
        _FOLD[event_type](head, payload, at)
        if event_type not in ASIDE:
            head.updated_at = max(head.updated_at, at)
    elif touches(head, event_type, at):
        head.updated_at = at


def _text(value: Any) -> str:
    return codec.encode(value).decode()


def _clipped(text: str | None) -> str | None:
    return None if text is None else codec.clip(text)


def _created(head: Head, payload: dict[str, Any], at: int) -> None:
    for name in IDENTITY:
        if name in payload:
            setattr(head, name, payload[name])
    head.title = _clipped(head.title)
    head.status = "pending"
    head.options_json = row_json("options", payload.get("options") or {})
    head.labels_json = row_json("labels", payload.get("labels") or {})
    head.detached = int(bool(payload.get("detached")))
    head.wake_at = payload.get("wake_at")
    head.created_at = at


def _started(head: Head, payload: dict[str, Any], at: int) -> None:
    head.status, head.status_reason, head.wake_at = "running", None, None
    head.attempt = payload["attempt"]
    head.owner = payload.get("owner")
    head.started_at = head.started_at or at
    head.attempt_started_at = at
    head.completed_at = head.error_json = None
    if not payload.get("continues"):
        head.reused_json = None
    if "definition_hash" in payload:
        head.definition_hash = payload["definition_hash"]


def _end_attempt(head: Head, at: int) -> None:
    if head.attempt_started_at is not None:
        head.active_ms += max(0, at - head.attempt_started_at) // 1000
        head.attempt_started_at = None
    head.owner = None


def _parked(status: str) -> Any:
    def fold(head: Head, payload: dict[str, Any], at: int) -> None:
        _end_attempt(head, at)
        head.status, head.status_reason = status, _clipped(payload.get("reason"))
        head.wake_at = payload.get("wake_at")
        if payload.get("error") is not None:
            head.error_json = _text(clip_error(payload["error"]))
            head.tries += 1

    return fold


def _resumed(head: Head, payload: dict[str, Any], at: int) -> None:
    head.status, head.status_reason, head.wake_at = "pending", _clipped(payload.get("reason")), None
    head.completed_at = None
    if "options" in payload:
        head.options_json = row_json("options", payload["options"])


def _ended(status: str) -> Any:
    def fold(head: Head, payload: dict[str, Any], at: int) -> None:
        _end_attempt(head, at)
        head.status, head.status_reason, head.wake_at = status, _clipped(payload.get("reason")), None
        head.completed_at = at
        if payload.get("summary") is not None:
            head.summary = codec.clip(codec.row_text(payload["summary"]))
        if status == "completed":
            head.result_ref, head.error_json = payload.get("result_ref"), None
        elif status == "failed":
            head.error_json = _text(clip_error(payload.get("error") or {}))
            head.tries += 1

    return fold


def _interrupted(head: Head, payload: dict[str, Any], at: int) -> None:
    _end_attempt(head, payload.get("last_seen_at", at))
    head.status, head.status_reason, head.wake_at = "interrupted", _clipped(payload.get("reason")), None


def _moved(head: Head, payload: dict[str, Any], at: int) -> None:
    head.status, head.wake_at = "moved", None
    head.status_reason = _clipped(f"moved to {payload.get('export')} of {payload.get('made_at')}")


def _returned(head: Head, payload: dict[str, Any], at: int) -> None:
    head.status = payload.get("status", "interrupted")
    head.status_reason, head.wake_at = _clipped(payload.get("reason")), payload.get("wake_at")


def _updated(head: Head, payload: dict[str, Any], at: int) -> None:
    for name in UPDATABLE:
        if name in payload:
            value = payload[name]
            setattr(head, name, codec.clip(value) if isinstance(value, str) else value)
    if "labels" in payload:
        head.labels_json = row_json("labels", payload["labels"])
    if "options" in payload:
        head.options_json = row_json("options", payload["options"])


def _marked(head: Head, payload: dict[str, Any], at: int) -> None:
    for name in MARKS:
        if name in payload:
            setattr(head, name, int(bool(payload[name])))


def _attached(head: Head, payload: dict[str, Any], at: int) -> None:
    head.parent_run_id = payload.get("parent_run_id", head.parent_run_id)
    head.root_run_id, head.depth = payload["root_run_id"], payload["depth"]


def _superseded(head: Head, payload: dict[str, Any], at: int) -> None:
    head.superseded = int(bool(payload.get("superseded", True)))


def _pruned(head: Head, payload: dict[str, Any], at: int) -> None:
    """A tombstone: the events before it are gone, the row that they added up to is in it."""
    for name, value in payload["row"].items():
        if name in Head.__struct_fields__:
            setattr(head, name, value)


def _usage(head: Head, payload: dict[str, Any], at: int) -> None:
    head.model = payload.get("model") or head.model
    head.provider = payload.get("provider") or head.provider


def _reused(head: Head, payload: dict[str, Any], at: int) -> None:
    total = (
        codec.decode(head.reused_json)
        if head.reused_json
        else {"children": 0, "tokens": 0, "cost_picousd": 0}
    )
    total["children"] += 1
    total["tokens"] += payload.get("tokens") or 0
    total["cost_picousd"] += payload.get("cost_picousd") or 0
    head.reused_json = _text(total)


_FOLD: Final = {
    "run.created": _created,
    "run.started": _started,
    "run.waiting": _parked("waiting"),
    "run.awaited": _parked("awaiting_user"),
    "run.paused": _parked("paused"),
    "run.resumed": _resumed,
    "run.reopened": _resumed,
    "run.completed": _ended("completed"),
    "run.failed": _ended("failed"),
    "run.cancelled": _ended("cancelled"),
    "run.interrupted": _interrupted,
    "run.moved": _moved,
    "run.returned": _returned,
    "run.updated": _updated,
    "run.marked": _marked,
    "run.attached": _attached,
    "run.superseded": _superseded,
    "run.pruned": _pruned,
    "usage.reported": _usage,
    "child.reused": _reused,
}


def clip_error(error: dict[str, Any]) -> dict[str, Any]:
    """The error as the row keeps it: code, message and what caused it, all within the bound of a row.

    The event has the whole of it. A character takes up to six bytes in JSON (`\\u0000`).
    """
    kept: dict[str, Any] = {
        name: codec.clip(str(error[name]), 100) for name in ("code", "type") if error.get(name)
    }
    kept["message"] = codec.clip(str(error.get("message", "")), 2048)
    if error.get("hint"):
        kept["hint"] = codec.clip(str(error["hint"]), 300)
    causes = list(error.get("caused_by") or ())[:32]
    if _too_long(kept, causes):
        kept["message"], kept["hint"] = codec.clip(kept["message"], 300), ""
    while causes and _too_long(kept, causes):
        causes = causes[: len(causes) // 2]
    return {
        name: value for name, value in {**kept, "caused_by": causes}.items() if value or name == "message"
    }


def _too_long(error: dict[str, Any], causes: list[str]) -> bool:
    return len(codec.encode({**error, "caused_by": causes})) > codec.ROW_TEXT_BYTES


def shown_status(status: str, lease_live: bool) -> str:
    """What a reader is told: `running` only with a live lease."""
    return "interrupted" if status == "running" and not lease_live else status
