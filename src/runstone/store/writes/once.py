"""A write that is done once for its idempotency key: what it was answered is kept in the transaction of its effect."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from runstone.domain.clock import Clock
from runstone.errors import IdempotencyMismatch, RunstoneError
from runstone.store.base import Write
from runstone.store.batch import Batch
from runstone.store.reads import Reader

KEPT_US: Final = 24 * 3600 * 1_000_000
"""So long a repeated request is answered as the first was."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was answered."""

    status: int
    body: bytes
    location: str | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An idempotency key: whose, of which route, and what was asked under it."""

    scope: str
    key: str
    fingerprint: str


class Answered(RunstoneError):
    """The request was answered before. It refuses the write, and is no news to anybody but the one who asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("it was answered before")
        self.answer = answer


class Once(Write):
    """Another write, unless one was done under the key: then it raises `Answered`, or `IdempotencyMismatch`.

    `answer` makes the answer from a reader of the transaction, in which the effect is done, and from the write's value.
    Before that, `require` may look at what is there and refuse. Without a key nothing is kept.
    """

    __slots__ = ("answer", "clock", "inner", "key", "made", "require", "size")

    def __init__(
        self,
        inner: Write,
        key: Key | None,
        answer: Callable[[Reader, Any], Answer],
        *,
        clock: Clock,
        require: Callable[[Reader], None] | None = None,
    ) -> None:
        self.inner = inner
        self.require = require
        self.key = key
        self.answer = answer
        self.clock = clock
        self.made: Answer | None = None
        self.size = inner.size + 8000

    def decide(self, batch: Batch) -> Any:
        batch.flush()  # so that a reader sees what the batch did before
        old = self._refuse_known(batch, self.key) if self.key is not None else []
        if self.require is not None:
            self.require(_reader(batch, self.clock))
        value = self.inner.decide(batch)
        batch.flush()
        self.made = self.answer(_reader(batch, self.clock), value)
        for number in old:
            batch.stage("delete_kept_answer", number)
        if self.key is not None:
            self._keep(batch, self.key, self.made)
        return value

    def _refuse_known(self, batch: Batch, key: Key) -> list[int]:
        """Raises what a known key gives; else the numbers of answers whose time is over."""
        named = {"scope": key.scope, "key": key.key, "after": batch.now - KEPT_US}
        if rows := batch.read("kept_answer", **named):
            raise _known(key, rows[0], _reader(batch, self.clock))
        return [number for (number,) in batch.read("old_kept_answers", **named)]

    @staticmethod
    def _keep(batch: Batch, key: Key, made: Answer) -> None:
        body = batch.text_or_blob(made.body)
        batch.stage(
            "insert_kept_answer",
            key.scope,
            key.key,
            key.fingerprint,
            made.status,
            made.location,
            *body,
            batch.now,
        )


def kept(reader: Reader, key: Key) -> Answer | None:
    """What was answered under the key; None if nothing was. Raises `IdempotencyMismatch`."""
    after = reader.now() - KEPT_US
    if not (rows := reader.rows("kept_answer", scope=key.scope, key=key.key, after=after)):
        return None
    known = _known(key, rows[0], reader)
    if isinstance(known, Answered):
        return known.answer
    raise known


def _known(key: Key, row: tuple[Any, ...], reader: Reader) -> Answered | IdempotencyMismatch:
    fingerprint, status, location, text, ref = row
    if fingerprint != key.fingerprint:
        return IdempotencyMismatch(f"another request was made under the idempotency key {key.key!r:.100}")
    body = reader.values.blob(ref) if text is None else text.encode()
    return Answered(Answer(status=status, body=body, location=location))


def _reader(batch: Batch, clock: Clock) -> Reader:
    """Reads in the transaction, as the batch has it."""
    return Reader(lambda: batch.db, clock)
