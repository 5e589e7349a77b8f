"""Errors as HTTP shows them: problem objects (RFC 9457) with the `code` and `hint` that the Python errors have."""

import json
import logging
import re
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)

from runstone import errors
from runstone.errors import RunstoneError

MEDIA_TYPE: Final = "application/problem+json"
_log: Final = logging.getLogger("runstone.server")

STATUS: Final[dict[type[RunstoneError], int]] = {
    errors.RunstoneError: 500,
    errors.InvalidInput: 400,
    errors.NotJournalable: 400,
    errors.InvalidEvent: 400,
    errors.InvalidLine: 400,
    errors.InvalidItem: 400,
    errors.InvalidExport: 400,
    errors.InvalidDefinition: 400,
    errors.InvalidCursor: 400,
    errors.ValueTooLarge: 400,
    errors.AmbiguousId: 400,
    errors.InputRefused: 422,
    errors.InvalidAnswer: 422,
    errors.SecretMissing: 422,
    errors.RunMismatch: 409,
    errors.NotFound: 404,
    errors.WorkspaceNotFound: 404,
    errors.AgentNotFound: 404,
    errors.WorkflowNotFound: 404,
    errors.Refused: 409,
    errors.IllegalTransition: 409,
    errors.RunMoved: 409,
    errors.NotObserved: 409,
    errors.Fenced: 409,
    errors.DispatchOver: 409,
    errors.RunIsLive: 409,
    errors.NotAChild: 409,
    errors.OrphanAlive: 409,
    errors.ImportConflict: 409,
    errors.CommandConflict: 409,
    errors.RevisionConflict: 409,
    errors.BudgetReached: 409,
    errors.DefinitionChanged: 409,
    errors.ConfigNotTrusted: 409,
    errors.AmbiguousQuestion: 409,
    errors.AlreadyAnswered: 409,
    errors.AlreadyDelivered: 409,
    errors.InputExpired: 409,
    errors.InputWithdrawn: 409,
    errors.PreconditionFailed: 412,
    errors.IdempotencyMismatch: 422,
    errors.ServerRuns: 409,
    errors.Misuse: 409,
    errors.AccessRefused: 403,
    errors.NotAuthenticated: 401,
    errors.RoleMissing: 403,
    errors.HostRefused: 421,
    errors.CrossSiteRefused: 403,
    errors.BindingRefused: 403,
    errors.RequestRefused: 400,
    errors.RouteNotFound: 404,
    errors.MethodRefused: 405,
    errors.MediaTypeRefused: 415,
    errors.RequestTooLarge: 413,
    errors.HeadersTooLarge: 431,
    errors.RequestTooSlow: 408,
    errors.RequestTooDeep: 400,
    errors.TooManyRequests: 503,
    errors.RunOutcome: 409,
    errors.RunFailed: 409,
    errors.RunStopped: 409,
    errors.RunPaused: 409,
    errors.RunInterrupted: 409,
    errors.AwaitingInput: 409,
    errors.ChildFailed: 409,
    errors.ChildrenFailed: 409,
    errors.CommandError: 409,
    errors.CommandNotFound: 409,
    errors.CommandNotExecutable: 409,
    errors.CommandInputRefused: 422,
    errors.CommandFailed: 409,
    errors.CommandTimedOut: 409,
    errors.CommandResultInvalid: 409,
    errors.ClientMissing: 501,
    errors.ServerMissing: 501,
    errors.PostgresMissing: 501,
    errors.DistributedMissing: 501,
    errors.PricesMissing: 501,
    errors.ProcessesUnreadable: 503,
    errors.StoreError: 503,
    errors.StoreBusy: 503,
    errors.StoreFull: 507,
    errors.StoreCorrupt: 503,
    errors.StoreReadOnly: 503,
    errors.StoreIO: 503,
    errors.StoreUnreachable: 503,
    errors.DatabaseRefused: 503,
    errors.RightsMissing: 503,
    errors.PoolerMode: 503,
    errors.DatabaseTooOld: 503,
    errors.SchemaTooNew: 503,
    errors.SchemaTooOld: 503,
    errors.UnknownCodec: 503,
    errors.LedgerInUse: 409,
    errors.LedgerMoved: 409,
    errors.LedgerClosed: 503,
    errors.ForkedLedger: 503,
    errors.WriteUncertain: 503,
    errors.ServerUnreachable: 503,
    errors.SpoolFull: 507,
}
"""The status of each error; a test compares it with errors.py."""

_AGAIN_S: Final = {408: "0", 503: "1"}
"""Statuses after which the same request may succeed, and after how many seconds."""


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one part of a request."""

    detail: str
    pointer: str | None = None
    """The place in the body, as a JSON pointer."""
    parameter: str | None = None
    """The parameter of the query, the path or the head."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem as in RFC 9457. Some have more members, which say what the error knows: `run_id`, `status` of a run."""

    type: str
    """`urn:runstone:error:` and the code."""
    title: str
    status: int
    detail: str
    instance: str
    """The path of the request."""
    code: str
    """Stable; docs/reference/errors.md lists them."""
    hint: str | None = None
    """What to do or type next."""
    errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET
    """What is wrong with which part of the request."""


class InvalidRequest(errors.InvalidInput):
    """Parts of the request cannot be taken."""

    def __init__(self, message: str, found: list[FieldError]) -> None:
        super().__init__(message)
        self.found = found


def status_of(error: RunstoneError) -> int:
    """The status of the error's class, or of the nearest above it."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def body_of(error: RunstoneError, path: str) -> bytes:
    """The problem as JSON."""
    run_id = str(getattr(error, "run_id", "") or error.details.get("run_id") or "")
    hint = error.hint if error.hint != RunstoneError.hint else None
    if hint and run_id:
        hint = re.sub(r"\bRUN\b", lambda _: run_id, hint)
    problem = Problem(
        type=f"urn:runstone:error:{error.code}",
        title=_title(type(error)),
        status=status_of(error),
        detail=str(error),
        instance=path,
        code=error.code,
        hint=hint,
        errors=error.found if isinstance(error, InvalidRequest) else msgspec.UNSET,
    )
    more = _json_only(error.details) | ({"run_id": run_id} if run_id else {})
    if "status" in more:
        more["run_status"] = more.pop("status")
    return _encode({**more, **msgspec.to_builtins(problem)})


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, ValueError):  # half of a surrogate pair that a caller sent
        return json.dumps(value, default=str).encode()


def _title(kind: type[RunstoneError]) -> str:
    named = next(one for one in kind.__mro__ if one.__module__ == errors.__name__)
    return (named.__doc__ or "").strip().split("\n")[0]


def _json_only(details: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in details.items():
        try:
            kept[name] = msgspec.to_builtins(value, enc_hook=str)
        except (TypeError, ValueError):
            kept[name] = str(value)
    return kept


def headers_of(error: RunstoneError) -> dict[str, str]:
    """Headers that belong to the status."""
    status = status_of(error)
    headers = {"www-authenticate": 'Bearer realm="runstone"'} if status == 401 else {}
    if status in _AGAIN_S:
        headers["retry-after"] = _AGAIN_S[status]
    return headers


async def send(error: RunstoneError, scope: Any, send_: Any) -> None:
    """Answers a request with the problem, outside of any routing."""
    body = body_of(error, scope["path"])
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **headers_of(error)}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send_({"type": "http.response.start", "status": status_of(error), "headers": raw})
    await send_({"type": "http.response.body", "body": body})


def respond(request: Request[Any, Any, Any], error: RunstoneError) -> Response[bytes]:
    """The answer to a request that an error ended."""
    if status_of(error) >= 500:
        _log.error("%s %s: %s", request.method, request.scope["path"], error, exc_info=error)
    return Response(
        body_of(error, request.scope["path"]),
        status_code=status_of(error),
        media_type=MEDIA_TYPE,
        headers=headers_of(error),
    )


def respond_to_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """As `respond`, for what the framework refuses."""
    headers = dict(error.headers or {})
    answer = respond(request, _known(request, error))
    answer.headers.update(headers)
    return answer


def respond_to_defect(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """As `respond`, for what nobody expected; its text may name files and stays here."""
    _log.error("%s %s", request.method, request.scope["path"], exc_info=error)
    return respond(request, RunstoneError("something unexpected happened; the server's log says what"))


def _known(request: Request[Any, Any, Any], error: HTTPException) -> RunstoneError:
    path = ascii(request.scope["path"])[:200]
    if isinstance(error, ValidationException):
        return InvalidRequest(_detail(error), _field_errors(error.extra))
    if isinstance(error, NotFoundException):
        return errors.RouteNotFound(f"there is nothing at {path}")
    if isinstance(error, MethodNotAllowedException):
        return errors.MethodRefused(f"{path} does not take {request.method[:20]}")
    if 400 <= error.status_code < 500:
        return InvalidRequest(_detail(error), [])
    return RunstoneError(HTTPStatus(error.status_code).phrase)


def _detail(error: HTTPException) -> str:
    return str(error.detail)[:500] or "the request cannot be read"


def _field_errors(extra: Any) -> list[FieldError]:
    found = []
    for one in extra if isinstance(extra, list) else []:
        if not isinstance(one, dict):
            continue
        key, detail = str(one.get("key", "")), str(one.get("message", ""))
        in_body = one.get("source") in (None, "body") or key.startswith("data")
        found.append(
            FieldError(detail=detail, pointer="/" + key.removeprefix("data").strip(".").replace(".", "/"))
            if in_body
            else FieldError(detail=detail, parameter=key)
        )
    return found
