"""ETags: a reader need not be sent what it has, and a change says what it was made against."""

import hashlib
from typing import Any

from litestar import Request

from runstone.errors import PreconditionFailed


def etag_of(body: bytes) -> str:
    """The tag of an answer, by its content: equal answers have equal tags, in every process."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def unchanged(request: Request[Any, Any, Any], etag: str) -> bool:
    """Whether the reader has that answer (If-None-Match)."""
    given = request.headers.get("if-none-match")
    return given is not None and (given.strip() == "*" or etag in _tags(given))


def require_match(request: Request[Any, Any, Any], etag: str, **current: Any) -> None:
    """Raises `PreconditionFailed` where If-Match names another state than the one that is there now."""
    given = request.headers.get("if-match")
    if given is not None and given.strip() != "*" and etag not in _tags(given):
        raise PreconditionFailed(
            f"it is at {etag} now, and the request was made against {given[:100]}", **current
        )


def _tags(given: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in given.split(",")]
