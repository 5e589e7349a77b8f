"""Input requests: what a question is, which answers fit it, and when asking again finds the one that is there.

A question of a run is known by the caller's `key`, or without one by what it asks. With a key it is asked once,
however often the code comes by. Without one, equal questions are a bag, as children are: each attempt takes them in
their order, so that a loop that asks "More?" in each round is given the answers of its rounds again after a crash.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from runstone.domain import codec, keys, schemas
from runstone.domain.bounds import bounded, row_json
from runstone.domain.records import Record
from runstone.errors import AmbiguousQuestion, InvalidAnswer, InvalidInput, ValueTooLarge

STATUSES: Final = ("open", "answered", "expired", "withdrawn")
MAX_MESSAGE_BYTES: Final = 1024 * 1024
BUDGET_KEY: Final = "runstone:budget:"
"""Begins the key of a question about a run's budget; no caller's key may, as the answer to one changes the budget."""
_MAX_EXPIRY_S: Final = 1e9
_SHOWN: Final = 200


class InputRequest(Record, frozen=True, kw_only=True):
    """A durable question of a run to a person, and its answer."""

    id: str
    run_id: str
    attempt: int
    """The attempt that asked."""
    key: str | None
    """The caller's own key; None: the question is known by what it asks."""
    reason: str | None
    message: str
    response_schema: dict[str, Any] | None
    choices: tuple[Any, ...] | None
    default: Any = msgspec.UNSET
    """What it is taken as when it expires; unset (and left out of `to_dict()`) where there is none."""
    expires_at: datetime | None
    status: str
    """open, answered, expired or withdrawn; as shown: one whose time is over reads `expired`."""
    response: Any
    answered_by: str | None
    answered_at: datetime | None
    asked_at: datetime
    closed_at: datetime | None
    """When it was answered, expired or was withdrawn."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question on its way in, checked. `expires_at` is microseconds UTC; `default` is JSON."""

    message: str
    key: str | None = None
    reason: str | None = None
    choices: tuple[Any, ...] | None = None
    schema: dict[str, Any] | None = None
    expires_at: int | None = None
    default: bytes | None = None
    asked: str | None = None
    """Hash of what is asked, taken before secrets were taken out of the message."""

    @property
    def content(self) -> str:
        """Hash of what is asked."""
        return self.asked or keys.child_key(
            "answer", "ask", "", [self.message, list(self.choices or ()), self.schema]
        )

    @property
    def identity(self) -> str:
        """Hash by which a later attempt finds the question, and its answer in the journal."""
        return self.content if self.key is None else keys.explicit_key("answer", "ask", self.key)


def question(
    message: str,
    *,
    now: int,
    key: str | None = None,
    reason: str | None = None,
    choices: Iterable[Any] | None = None,
    schema: dict[str, Any] | None = None,
    expires_s: float | None = None,
    default: Any = msgspec.UNSET,
) -> Question:
    """A checked question. Raises `InvalidInput` and its subclasses; an answer that could never fit is one."""
    if not isinstance(message, str) or not message.strip():
        raise InvalidInput(f"a question is text that is not empty, not {codec.shown(message)}")
    bounded("message", message, MAX_MESSAGE_BYTES)
    if key is not None and not (key := bounded("key", key, 200)):
        raise InvalidInput("key= must be text that is not empty")
    if key is not None and key.startswith(BUDGET_KEY):
        raise InvalidInput(f"a key that begins with {BUDGET_KEY} is for questions about budgets")
    asked = Question(
        message=message,
        key=key,
        reason=None if reason is None else bounded("reason", reason),
        choices=None if choices is None else _choices(choices),
        schema=None if schema is None else schemas.check(schema),
        expires_at=None if expires_s is None else now + _expiry_us(expires_s),
    )
    if default is msgspec.UNSET:
        return asked
    if expires_s is None:
        raise InvalidInput("default= is for a question that expires; give expires_s=, too")
    try:
        require_fits(default, asked.choices, asked.schema)
    except InvalidAnswer as error:
        raise InvalidInput(f"default= does not fit the question: {error}") from None
    return msgspec.structs.replace(asked, default=row_json("default", default).encode())


def without_secrets(asked: Question, clean: Callable[[str], str]) -> Question:
    """The question as it is kept and shown. It is found again by what was asked: another redaction asks nothing anew.

    Choices stay: the answer is one of them, and the code gets it.
    """
    message = codec.clip(clean(asked.message), MAX_MESSAGE_BYTES)
    reason = None if asked.reason is None else codec.clip(clean(asked.reason))
    return msgspec.structs.replace(asked, message=message, reason=reason, asked=asked.content)


def _choices(choices: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(choices, str | bytes | dict) or not isinstance(choices, Iterable):
        raise InvalidInput(f"choices are a list, not {codec.shown(choices)}")
    found = tuple(choices)
    for one in found:
        if not isinstance(one, str | int | float | bool):
            raise InvalidInput(f"a choice is a text, a number or true or false, not {codec.shown(one)}")
    if not found or len({codec.canonical(one) for one in found}) < len(found):
        raise InvalidInput(f"choices must be some, and each only once, not {codec.shown(list(found))}")
    try:
        row_json("choices", list(found))
    except ValueTooLarge as error:
        raise ValueTooLarge(str(error), hint="ask for text, and say in the message what fits") from None
    return found


def _expiry_us(expires_s: float) -> int:
    number = isinstance(expires_s, int | float) and not isinstance(expires_s, bool)
    if not number or not 0 <= expires_s <= _MAX_EXPIRY_S:
        raise InvalidInput(f"expires_s takes seconds from 0, not {codec.shown(expires_s)}")
    return int(expires_s * 1e6)


def require_fits(response: Any, choices: Sequence[Any] | None, schema: dict[str, Any] | None) -> None:
    """Raises `InvalidAnswer` unless the JSON value is one of the choices and fits the schema."""
    codec.encode(response)
    if choices is not None and not any(schemas.equal(response, one) for one in choices):
        told = ", ".join(map(str, choices))
        raise InvalidAnswer(
            f"the answer must be one of {codec.clip(told, _SHOWN)}, not {codec.shown(response)}"
        )
    if schema is not None:
        schemas.require(schema, response)


class Known(msgspec.Struct, frozen=True):
    """A question that the run has asked, as far as it matters to one that is asked now."""

    pk: int
    input_id: str
    status: str
    content: str
    claimed: int
    """The last attempt that asked for it."""
    journal: int | None
    dropped: bool
    """A resume's policy took its answer away."""
    failed_since: bool
    """It expired, and an attempt of the run failed after that: a new try may ask again."""

    @property
    def usable(self) -> bool:
        """Whether it can stand for a question that is asked now."""
        again = self.status == "expired" and self.journal is None and self.failed_since
        return self.status != "withdrawn" and not self.dropped and not again


def asked_before(
    asked: Question, known: Sequence[Known], attempt: int, *, seen: int = 0, share: bool = False
) -> Known | None:
    """The question that `asked` is, or None for a new one. Raises `AmbiguousQuestion`.

    `seen` is the newest journal record that the attempt was given at its start: answers up to there it has already.
    With `share` the askers cannot tell each other apart (commands), and an equal open question is the same.
    """
    usable = [one for one in known if one.usable]
    if asked.key is not None:
        return _by_key(asked, usable)
    for one in usable:
        if one.claimed < attempt and (one.journal is None or one.journal > seen):
            return one
    open_ = next((one for one in usable if one.status == "open"), None)
    if open_ is not None and not share:
        raise AmbiguousQuestion(
            f"the question {codec.clip(asked.message, _SHOWN)!r} is open already ({open_.input_id})",
            input_id=open_.input_id,
        )
    return open_


def _by_key(asked: Question, usable: Sequence[Known]) -> Known | None:
    if not usable:
        return None
    last = usable[-1]
    if last.content != asked.content:
        raise AmbiguousQuestion(
            f"the question with the key {asked.key!r} asks something else ({last.input_id})",
            input_id=last.input_id,
        )
    return last
