"""Errors as the ledger keeps them, and outcomes as callers get them."""

import traceback
from typing import Any

from runstone.domain.records import AgentRun
from runstone.domain.redaction import Redactor
from runstone.errors import (
    AwaitingInput,
    ChildFailed,
    ChildrenFailed,
    RunFailed,
    RunInterrupted,
    RunOutcome,
    RunPaused,
    RunstoneError,
    RunStopped,
)

_TRACE_CHARACTERS = 20_000


def error_of(error: BaseException | str, redactor: Redactor) -> dict[str, Any]:
    """{code, type, message, hint?, caused_by?, traceback?} of an exception, as JSON, without secrets."""
    told = redactor.value(_told(error))
    if "traceback" in told:  # cut last: half a secret is not known for one
        told["traceback"] = told["traceback"][-_TRACE_CHARACTERS:]
    return told


def _told(error: BaseException | str) -> dict[str, Any]:
    if isinstance(error, str):
        return {"code": "failed", "message": error}
    told: dict[str, Any] = {
        "code": error.code if isinstance(error, RunstoneError) else "exception",
        "type": type(error).__name__,
        "message": _clean(str(error)) or type(error).__name__,
    }
    if isinstance(error, RunstoneError):
        told["hint"] = error.hint
    if caused_by := sorted(set(_children(error, 0))):
        told["caused_by"] = caused_by
    told["traceback"] = _clean("".join(traceback.format_exception(error)))
    return told


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _children(error: BaseException | None, depth: int) -> list[str]:
    """Ids of the children whose failure is in the error: itself, its causes, its groups."""
    if error is None or depth > 20:
        return []
    if isinstance(error, ChildrenFailed):
        return [failure.run_id for failure in error.failures]
    if isinstance(error, ChildFailed):
        return [error.run_id]
    found = _children(error.__cause__, depth + 1) + _children(error.__context__, depth + 1)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            found += _children(inner, depth + 1)
    return found


_OUTCOMES: dict[str, type[RunOutcome]] = {
    "failed": RunFailed,
    "cancelled": RunStopped,
    "paused": RunPaused,
    "interrupted": RunInterrupted,
    "moved": RunInterrupted,
    "awaiting_user": AwaitingInput,
}


def outcome_of(run: AgentRun) -> RunOutcome:
    """The exception that says how a run stands that has no result."""
    kind = _OUTCOMES.get(run.status, RunOutcome)
    why = (run.error or {}).get("message") or run.status_reason or ""
    return kind(f"run {run.id} is {run.status}" + (f": {why}" if why else ""), run_id=run.id, error=run.error)


def child_failure(run_id: str, status: str, error: dict[str, Any] | None, reason: str | None) -> ChildFailed:
    """What the code of the parent gets for a child without a result."""
    why = (error or {}).get("message") or reason or status
    return ChildFailed(f"child {run_id} {status}: {why}", run_id=run_id, status=status, error=error)
