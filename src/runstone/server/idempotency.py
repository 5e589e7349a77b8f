"""Idempotency keys: a request that is sent again is answered as the first was, and has its effect once.

The answer is kept in the transaction of the effect (`store/writes/once.py`): neither is there without the other.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from litestar import Request, Response
from litestar.params import HeaderParameter

from runstone.domain import keys
from runstone.engine.core import wrapping
from runstone.errors import InvalidInput
from runstone.ledger import Ledger
from runstone.server.bodies import JSON, encode
from runstone.store.base import Write
from runstone.store.reads import Reader
from runstone.store.writes.once import Answer, Answered, Key, Once, kept

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name=HEADER,
        description="Any text of your own for this request: sent again with it, the request has its effect once.",
    ),
]


class Effect:
    """How a request has its effect: in which write, and what it is answered in the same transaction."""

    def __init__(
        self,
        writes: type[Write] | tuple[type[Write], ...],
        answer: Callable[[Reader, Any], Any],
        *,
        status: int | Callable[[Any], int] = 201,
        location: Callable[[Any], str] | None = None,
        require: Callable[[Reader], None] | None = None,
    ) -> None:
        """`answer` gives the body from a reader and the write's value, `location` the address of what was made.

        `require` may look at what is there before the effect, in the same transaction, and refuse it.
        """
        self.writes = writes
        self.require = require
        self._answer = answer
        self._status = status
        self._location = location

    def answer(self, reader: Reader, value: Any) -> Answer:
        """What the request is answered."""
        location = None if self._location is None else self._location(value)
        status = self._status if isinstance(self._status, int) else self._status(value)
        return Answer(status=status, body=encode(self._answer(reader, value)), location=location)


def once(
    request: Request[Any, Any, Any], ledger: Ledger, body: Any, effect: Effect, act: Callable[[], Any]
) -> Response[Any]:
    """Has `act` have its effect once for the request's key; without a key each time. Gives the answer.

    Blocks on the ledger's commit: call it in a thread. Raises `IdempotencyMismatch`, and what `act` raises.
    """
    key = _key_of(request, body)
    if key is not None and (known := kept(ledger.reader, key)) is not None:
        return _respond(known, replayed=True)
    wrap = _Wrap(key, effect, ledger)
    try:
        with wrapping(wrap):
            act()
    except Answered as answered:
        return _respond(answered.answer, replayed=True)
    return _respond(wrap.answer, replayed=False)


class _Wrap:
    """Wraps the first write that is the effect; what else is written goes its way."""

    def __init__(self, key: Key | None, effect: Effect, ledger: Ledger) -> None:
        self._key = key
        self._effect = effect
        self._ledger = ledger
        self._made: Once | None = None

    def __call__(self, write: Write) -> Write:
        if self._made is not None or not isinstance(write, self._effect.writes):
            return write
        clock, require = self._ledger.core.clock, self._effect.require
        self._made = Once(write, self._key, self._effect.answer, clock=clock, require=require)
        return self._made

    @property
    def answer(self) -> Answer:
        """What was answered in the transaction."""
        assert self._made is not None
        assert self._made.made is not None
        return self._made.made


def _key_of(request: Request[Any, Any, Any], body: Any) -> Key | None:
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if not 0 < len(given) <= 200 or not given.isprintable():
        raise InvalidInput(f"{HEADER} is 1 to 200 printable characters")
    path = request.scope["path"]
    return Key(
        scope=f"{request.user.token_id} {request.method} {path}"[:300],
        key=given,
        fingerprint=keys.definition_hash([request.method, path, encode(body).decode()]),
    )


def _respond(answer: Answer, *, replayed: bool) -> Response[Any]:
    headers = {} if answer.location is None else {"location": answer.location}
    if replayed:
        headers[REPLAYED] = "true"
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=JSON)
