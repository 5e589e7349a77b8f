"""Requests to a server: with the token, repeated while that is harmless, and problems as the errors that they are."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx
import msgspec

from runstone import errors
from runstone.client.addresses import checked_url, is_local
from runstone.errors import RunstoneError, ServerUnreachable

BASE: Final = "/api/v1"
TRIES: Final = 4
"""A call fails after a second or two of trying: whoever waits can decide better than a loop. The spool goes on."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
_AGAIN: Final = frozenset({408, 425, 429, 502, 503, 504})
_STANDARD: Final = frozenset({"type", "title", "status", "detail", "instance", "code", "hint", "errors"})

BY_CODE: Final[dict[str, type[RunstoneError]]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, RunstoneError)
}


class Http:
    """One server. Thread-safe. Close it."""

    def __init__(self, url: str, token: str | None, *, timeout_s: float = 30.0) -> None:
        self.url = checked_url(url)
        headers = {"user-agent": "runstone"} | ({"authorization": f"Bearer {token}"} if token else {})
        local = is_local(self.url)
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=httpx.Timeout(timeout_s, connect=5.0), trust_env=not local,
            follow_redirects=False,
        )  # fmt: skip

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        """The JSON of an answer."""
        return _value(self.request("GET", path, params=params, timeout_s=timeout_s))

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        tries: int = TRIES,
        timeout_s: float | None = None,
    ) -> Any:
        """The JSON of an answer; sent again only under an idempotency `key`."""
        answer = self.request(
            "POST", path, body=body, key=key, tries=tries if key is not None else 1, timeout_s=timeout_s
        )
        return _value(answer)

    def patch(self, path: str, body: Any, *, match: str | None = None) -> Any:
        """The JSON of an answer."""
        return _value(
            self.request("PATCH", path, body=body, tries=1, headers={"if-match": match} if match else None)
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
        tries: int = TRIES,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        """An answer that is no problem. Raises `ServerUnreachable`, or the problem as its error."""
        more = dict(headers or {}) | ({"idempotency-key": key} if key else {})
        content = (
            None
            if body is None
            else body
            if isinstance(body, bytes)
            else msgspec.json.encode(body, enc_hook=str)
        )
        if content is not None:
            more["content-type"] = "application/json"
        timeout = self._client.timeout if timeout_s is None else httpx.Timeout(timeout_s, connect=5.0)
        request = self._client.build_request(
            method, BASE + path, params=_query(params), content=content, headers=more, timeout=timeout
        )
        return self._retried(lambda: self._client.send(request), tries)

    def _retried(self, send: Callable[[], httpx.Response], tries: int) -> httpx.Response:
        pauses = backoff()
        while True:
            tries -= 1
            try:
                answer = send()
            except (httpx.TransportError, httpx.InvalidURL) as error:
                if tries <= 0:
                    raise unreachable(self.url, error) from error
                time.sleep(next(pauses))
                continue
            if answer.is_success or answer.status_code == 304:
                return answer
            if answer.status_code not in _AGAIN or tries <= 0:
                raise error_of(answer)
            time.sleep(max(next(pauses), retry_after(answer)))

    @contextmanager
    def stream(
        self, path: str, params: Mapping[str, Any], headers: Mapping[str, str], *, silent_s: float
    ) -> Iterator[httpx.Response]:
        """An answer that is read as it comes. Raises `ServerUnreachable`, or the problem as its error."""
        timeout = httpx.Timeout(silent_s, connect=5.0)
        try:
            with self._client.stream(
                "GET", BASE + path, params=_query(params), headers=dict(headers), timeout=timeout
            ) as answer:
                if not answer.is_success:
                    answer.read()
                    raise error_of(answer)
                yield answer
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


def backoff() -> Iterator[float]:
    """Pauses that double, each somewhere in the upper half, so that many clients do not come back at once."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def retry_after(answer: httpx.Response) -> float:
    """The seconds that the server asks to wait, within reason."""
    given = answer.headers.get("retry-after", "")
    return min(float(given), 5.0) if given.isdecimal() else 0.0


def unreachable(url: str, error: Exception) -> ServerUnreachable:
    """The error of a server that does not answer."""
    return ServerUnreachable(f"no server answers at {url} ({str(error) or type(error).__name__})", url=url)


def error_of(answer: httpx.Response) -> RunstoneError:
    """The error that a problem says, with its code and hint."""
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        problem = {"detail": f"the server answered {answer.status_code} {answer.reason_phrase}"}
    return error_from(problem)


def error_from(problem: Mapping[str, Any]) -> RunstoneError:
    """The error of a problem object; one that this version does not know keeps its code."""
    code, hint = str(problem.get("code", "error")), problem.get("hint")
    kind = BY_CODE.get(code, RunstoneError)
    details = {str(name): value for name, value in problem.items() if name not in _STANDARD}
    if "run_status" in details:
        details["status"] = details.pop("run_status")
    details.pop("message", None)
    error = kind(str(problem.get("detail", "")), **details)
    if isinstance(hint, str):
        error.hint = hint
    if kind.code != code:
        error.__dict__["code"] = code
    return error


def _query(params: Mapping[str, Any] | None) -> httpx.QueryParams:
    found: list[tuple[str, str]] = []
    for name, value in (params or {}).items():
        values = value if isinstance(value, list | tuple | set | frozenset) else [value]
        found += [(name, _text(one)) for one in values if one is not None]
    return httpx.QueryParams(tuple(found))


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _value(answer: httpx.Response) -> Any:
    return msgspec.json.decode(answer.content) if answer.content else None
