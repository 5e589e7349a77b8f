"""The line protocol: what any program says to its run, one JSON object per line.

A line is one of the protocol if it begins with `{` and is a JSON object with the key "runstone", whose value is the
verb. Everything else is text, and never an error. The fields of a verb are those of the method of `RunHandle` that it
stands for, and the same functions check them. `docs/reference/line-protocol.schema.json` is written from the structs.
"""

from typing import Annotated, Any, Final

import msgspec

from runstone.domain import codec, events, inputs, telemetry
from runstone.domain.bounds import bounded, labels_of, role_of
from runstone.domain.state import Saved
from runstone.errors import InvalidInput, InvalidLine, RunstoneError

KEY: Final = "runstone"
"""The key by which a line is told from a program's own JSON."""

MAX_LINE_BYTES: Final = 1024 * 1024
"""A longer line is no protocol: whoever reads it must hold all of it, for each of many programs at once."""

KEY_BYTES: Final = 500
"""Of an event's key."""

_QUOTED: Final = f'"{KEY}"'
_DOCS: Final = "docs/how-to/line-protocol.md has every verb with its fields"
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_BYTES)]


class _Verb(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field=KEY
):
    """Base of the verbs."""

    def check(self) -> None:
        """Raises what the method of `RunHandle` would raise."""


class EmitLine(_Verb, frozen=True, kw_only=True, tag="emit"):
    """Appends an event to the run. The same `key` a second time adds nothing."""

    type: Annotated[str, msgspec.Meta(description="domain.action in the past tense, such as tool.started")]
    payload: Any = None
    key: _Key | None = None
    importance: Annotated[int, msgspec.Meta(ge=0, le=2)] | None = None

    @property
    def body(self) -> Any:
        """The payload, as the event has it."""
        return {} if self.payload is None else self.payload

    def check(self) -> None:
        events.check_emit(self.type, self.body)
        codec.encode(self.body)
        if self.key is not None:
            bounded("key", self.key, KEY_BYTES)


class UsageLine(_Verb, frozen=True, kw_only=True, tag="usage"):
    """Accounts for one provider request. Counts are disjoint; `reasoning_tokens` is a part of the output, and
    `cache_write_1h_tokens` of the cache writes."""

    provider: _Name
    model: _Name
    input_tokens: Annotated[_Count, msgspec.Meta(description="uncached input")] = 0
    cache_read_tokens: _Count = 0
    cache_write_tokens: _Count = 0
    output_tokens: _Count = 0
    reasoning_tokens: _Count = 0
    cache_write_1h_tokens: _Count = 0
    cost_usd: Annotated[
        float | int | str, msgspec.Meta(description="without it the cost is unknown, or priced, never 0")
    ] | None = None  # fmt: skip
    request_id: Annotated[_Name, msgspec.Meta(description="the same request counts once")] | None = None

    def report(self, request_id: str, at: int) -> telemetry.Usage:
        """What is accounted for; `request_id` is used where the line gives none."""
        cost = None if self.cost_usd is None else telemetry.to_picousd(self.cost_usd)
        counts = {name: getattr(self, name) for name in telemetry.COUNTS}
        return telemetry.Usage(
            request_id=self.request_id or request_id, provider=self.provider, model=self.model, at=at,
            cache_write_1h_tokens=self.cache_write_1h_tokens, cost_picousd=cost,
            cost_source="unknown" if cost is None else "reported", **counts,
        )  # fmt: skip

    def check(self) -> None:
        self.report("none", 0)


class MessageLine(_Verb, frozen=True, kw_only=True, tag="message"):
    """Adds a message to the run's own thread."""

    role: Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="user, assistant, tool, ...")]
    text: str
    extra: Any = None

    def check(self) -> None:
        role_of(self.role)
        codec.encode(self.extra)


class CheckpointLine(_Verb, frozen=True, kw_only=True, tag="checkpoint"):
    """Saves a state: the whole in `state`, or in `append` only what was added to its top-level lists."""

    state: Any = None
    append: dict[str, list[Any]] | None = None
    label: str | None = None

    def check(self) -> None:
        if (self.state is None) == (self.append is None):
            raise InvalidInput("checkpoint takes state or append, one of the two")
        if self.label is not None:
            bounded("label", self.label)
        if self.append is None:
            Saved().changes(self.state)
        else:
            Saved().appended(self.append)


class AskLine(_Verb, frozen=True, kw_only=True, tag="ask"):
    """Asks a person; the answer is kept with the run. The same `key` a second time is the same question."""

    message: Annotated[str, msgspec.Meta(min_length=1)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    choices: Annotated[list[str | int | float | bool], msgspec.Meta(min_length=1)] | None = None
    schema: Annotated[dict[str, Any], msgspec.Meta(description="a JSON Schema of the answer")] | None = None
    expires_in_s: Annotated[float, msgspec.Meta(ge=0)] | None = None

    def question(self, now: int) -> inputs.Question:
        """What is asked, at `now` in microseconds UTC."""
        return inputs.question(
            self.message, now=now, key=self.key, choices=self.choices, schema=self.schema, expires_s=self.expires_in_s
        )  # fmt: skip

    def check(self) -> None:
        self.question(0)


class UpdateLine(_Verb, frozen=True, kw_only=True, tag="update"):
    """Gives the run another title or other labels."""

    title: str | None = None
    labels: dict[str, str] | None = None

    def check(self) -> None:
        if self.title is None and self.labels is None:
            raise InvalidInput("update takes a title, labels or both")
        if self.title is not None:
            bounded("title", self.title)
        if self.labels is not None:
            labels_of(self.labels)


class CompleteLine(_Verb, frozen=True, kw_only=True, tag="complete"):
    """Says what the run did. It ends when the program ends, and well only if that exits well."""

    summary: str | None = None
    result: Any = None

    def check(self) -> None:
        codec.encode(self.result)


Line = EmitLine | UsageLine | MessageLine | CheckpointLine | AskLine | UpdateLine | CompleteLine
VERBS: Final[dict[str, type[_Verb]]] = {
    "emit": EmitLine,
    "usage": UsageLine,
    "message": MessageLine,
    "checkpoint": CheckpointLine,
    "ask": AskLine,
    "update": UpdateLine,
    "complete": CompleteLine,
}


def parse(text: str) -> Line | None:
    """The line of the protocol that `text` is; None for any other text, which costs next to nothing.

    Raises `InvalidLine` for one that is meant as protocol (a JSON object with the key "runstone", or what begins like
    one and is no JSON) and breaks its rules.
    """
    if text[:1] != "{" or _QUOTED not in text:
        return None
    why = f"it has more than {MAX_LINE_BYTES:,} bytes"
    if len(text) <= MAX_LINE_BYTES:
        try:
            found = codec.decode(text)
            return _line(found) if KEY in found else None
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            why = f"it is no JSON: {error}"
    if text[1:100].lstrip().startswith(_QUOTED):
        raise InvalidLine(f"a protocol line cannot be read: {why}", hint=_DOCS)
    return None


def _line(found: dict[str, Any]) -> Line:
    verb = found[KEY]
    kind = VERBS.get(verb) if isinstance(verb, str) else None
    if kind is None:
        raise InvalidLine(f"{codec.shown(verb)} is no verb of the protocol (there are: {', '.join(VERBS)})")
    try:
        line = msgspec.convert(found, kind)
        line.check()
    except msgspec.ValidationError as error:
        raise InvalidLine(f"{verb}: {error}", hint=_DOCS) from None
    except RunstoneError as error:
        raise InvalidLine(f"{verb}: {error}", hint=error.hint) from None
    assert isinstance(line, Line)
    return line


def schema() -> dict[str, Any]:
    """The protocol as a JSON Schema (2020-12) of one line."""
    (top,), components = msgspec.json.schema_components([Line], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of Runstone's line protocol",
        "description": "Written to the descriptor that $RUNSTONE_FD names, or to standard output.",
        **top,
        "$defs": components,
    }
