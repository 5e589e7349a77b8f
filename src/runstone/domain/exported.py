"""The lines of an export: what each kind of record has, and how a line is written and read.

A line is one JSON object. Fields of JSON are embedded as they are stored, to the byte, and fields without a value are
left out. What is long stands in a line `blob`, before the first line of its tree that names its digest.
"""

import base64
import binascii
from typing import Any, Final

import msgspec

from runstone.domain import codec
from runstone.domain.history import LATEST
from runstone.domain.runs import MARKS, Head
from runstone.errors import InvalidExport

VERSION: Final = 3
"""Of the format. A reader refuses a higher one: it would leave out what it does not know.

2: groups of list items in places, and acknowledgements. 3: moves.
"""

MAX_LINE: Final = 6 * codec.MAX_VALUE_BYTES + 65_536
"""A character of the longest value takes up to six bytes in JSON."""

_JSON: Final = frozenset({"options", "labels", "error", "reused"})
_POINTERS: Final = frozenset({"pk", "run_id", "parent", "root", "last_seq"})
_INTS: Final = frozenset(
    {
        "depth",
        "attempt",
        "tries",
        "active_ms",
        "superseded",
        "detached",
        "pinned",
        "archived",
        "wake_at",
        "forked_from_checkpoint",
    }
    | {name for name in Head.__struct_fields__ if name.endswith("_at")}
)
HEAD_FIELDS: Final = tuple(name for name in Head.__struct_fields__ if name not in _POINTERS)


class Column(msgspec.Struct, frozen=True):
    """A field of a record. `kind`: i integer, s text, j JSON, b digest of a blob, r id of a run, o an owner."""

    name: str
    kind: str
    optional: bool


def _columns(text: str) -> tuple[Column, ...]:
    columns = []
    for word in text.split():
        name, _, kind = word.partition(":")
        columns.append(Column(name, kind[0], kind.endswith("?")))
    return tuple(columns)


def _head_column(name: str) -> str:
    short = name.removesuffix("_json")
    if short in _JSON:
        return f"{short}:j?"
    return f"{name}:{'b' if name.endswith('_ref') else 'i' if name in _INTS else 's'}?"


RUN: Final = _columns(" ".join(map(_head_column, HEAD_FIELDS)))

OF_RUN: Final[dict[str, tuple[Column, ...]]] = {
    "event": _columns(
        "seq:i attempt:i at:i type:s version:i importance:i payload:j? payload_ref:b? event_key:s?"
    ),
    "attempt": _columns("number:i owner:o started_at:i ended_at:i? outcome:s? reason:s? first_seq:i"),
    "process": _columns(
        "attempt:i pgid:i identity:j command:j started_at:i ended_at:i? exit_code:i? signal:i? usage:j?"
    ),
    "output": _columns("attempt:i stream:s offset:i lines:i broken:i cut:i"),
    "journal": _columns(
        "key:s kind:s name:s phase:s? previous:s? child:r? value:j? value_ref:b? handled:i dropped:i attempt:i at:i "
        "past_tokens:i? past_cost_picousd:i?"
    ),
    "wait": _columns("branch:i mode:s child:r"),
    "usage": _columns(
        "request_id:s attempt:i at:i provider:s model:s input_tokens:i cache_read_tokens:i cache_write_tokens:i "
        "output_tokens:i reasoning_tokens:i cost_picousd:i? cost_source:s cache_write_1h_tokens:i"
    ),
    "tool": _columns("tool:s calls:i failed:i"),
    "checkpoint": _columns(
        "number:i attempt:i label:s? definition_hash:s? parent:i? created_at:i journal:i?"
    ),
    "place": _columns("path:s item:i since:i value:j? value_ref:b?"),
    "input": _columns(
        "input_id:s attempt:i key:s? question:s content:s phase:s? previous:s? reason:s? message:s? message_ref:b? "
        "schema:j? schema_ref:b? choices:j? default:j? expires_at:i? status:s response:j? response_ref:b? "
        "answered_by:s? asked_at:i closed_at:i? claimed:i journal:i?"
    ),
    "command": _columns(
        "command_id:s verb:s payload:j idempotency_key:s? status:s requested_by:s? reason:s? requested_at:i "
        "acknowledged_at:i? ended_at:i?"
    ),
    "acknowledgement": _columns("listener:s attempt:i acknowledged_at:i"),
}
"""What belongs to a run, in the order in which a run's lines come. `journal` of an input counts the run's journal."""

THREAD: Final = _columns("thread_id:s title:s? of:r? created_at:i updated_at:i last_seq:i")
MESSAGE: Final = _columns(
    "thread_id:s seq:i role:s by:r? attempt:i? at:i text:s? text_ref:b? extra:j? extra_ref:b?"
)
BOARD: Final = _columns("board_id:s thread_id:s? title:s? revision:i created_at:i updated_at:i")
CARD: Final = _columns(
    "card_id:s board_id:s title:s status:s position:i body:s? body_ref:b? assignee:s? labels:j claimed_by:r? "
    "revision:i created_at:i updated_at:i"
)
VIEW: Final = _columns(
    "view_id:s name:s filters:j sort:s order:s grouping:s? default:i revision:i created_at:i updated_at:i"
)
OWNER: Final = _columns("owner:s identity:j created_at:i")
BLOB: Final = _columns("digest:s text:s? base64:s?")
TREE: Final = _columns("root:s runs:i")
TRAILER: Final = _columns("lines:i sha256:s runs:i events:i messages:i blobs:i")

RECORDS: Final[dict[str, tuple[Column, ...]]] = {
    "tree": TREE,
    "blob": BLOB,
    "owner": OWNER,
    "run": RUN,
    **OF_RUN,
    "thread": THREAD,
    "message": MESSAGE,
    "rest": (),
    "board": BOARD,
    "card": CARD,
    "view": VIEW,
    "end": TRAILER,
}

ABOUT: Final = {
    "tree": "Begins a tree: the run at its top and how many runs of it follow, parents first.",
    "blob": "A value, as text where it is UTF-8. It comes before the first line of its tree that names its digest.",
    "owner": "Who held attempts: a process of a machine, or `observed`.",
    "run": "A run as its events add up to it. Its other records follow.",
    "event": "An event. Events are the truth: what the other records of a run say is compared with them.",
    "attempt": "An attempt.",
    "process": "A process group that the run started.",
    "output": "How far the output of a background command was taken over.",
    "journal": "A finished step, a started child or an answer: what a resume does not do again.",
    "wait": "A child that a parked run waits for.",
    "usage": "A request to a provider. Sums are not in the file: they are added up again.",
    "tool": "How often the run itself called a tool.",
    "checkpoint": "A checkpoint. `journal` is how many of the run's journal records there were by then.",
    "place": "What a state holds at a place from a checkpoint on; item -1 is the value, -2 the length of a list, and "
    "from -3 down the lists' groups of 64 items: [places that they lack, items].",
    "input": "A question to a person. `journal` counts the run's journal records, from 1.",
    "command": "An order to the run.",
    "acknowledgement": "A listener was told of the run's end, up to this attempt; the run's parent is `@parent`.",
    "thread": "A thread of messages, and the run that works in it.",
    "message": "A message, in the order of `seq`.",
    "rest": "Begins what belongs to no tree.",
    "board": "A board.",
    "card": "A card.",
    "view": "A saved view of a list.",
    "end": "The last line: how many lines come before it, and the SHA-256 of all of them but the header.",
}

_RUN_FIELD: Final = frozenset({"run", *OF_RUN})
_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_plain = msgspec.json.Decoder()


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line."""

    runstone_export: int
    schema: int
    epoch: str
    made_at: str
    what: Any
    redacted: bool = False
    moves: bool = False
    """What is unfinished in it goes on where it is imported, and no more where it came from."""


class Line(msgspec.Struct, frozen=True):
    """A line that was read: its number, its kind, the id of its run where it belongs to one, and its columns."""

    number: int
    record: str
    run_id: str | None
    values: tuple[Any, ...]

    def __getitem__(self, name: str) -> Any:
        columns = RECORDS[self.record]
        return self.values[next(index for index, one in enumerate(columns) if one.name == name)]


def write(record: str, values: tuple[Any, ...], run_id: str | None = None) -> bytes:
    """The line of a record: its columns' values in their order; JSON is text."""
    fields: dict[str, Any] = {"record": record}
    if run_id is not None:
        fields["run"] = run_id
    for column, value in zip(RECORDS[record], values, strict=True):
        if value is not None:
            fields[column.name] = msgspec.Raw(value.encode()) if column.kind == "j" else value
    line = _encode(fields)
    return (_encode(_plain.decode(line)) if b"\n" in line else line) + b"\n"


def write_blob(digest: str, data: bytes) -> bytes:
    """The line of a value: as text where it is UTF-8."""
    try:
        return write("blob", (digest, data.decode(), None))
    except UnicodeDecodeError:
        return write("blob", (digest, None, base64.b64encode(data).decode()))


def blob_of(line: Line) -> bytes:
    """The value of a line `blob`, checked against its digest. Raises `InvalidExport`."""
    digest, text, packed = line.values
    try:
        data = text.encode() if text is not None else base64.b64decode(packed or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong(line.number, f"its base64 cannot be read: {error}") from None
    if (text is None) == (packed is None) or codec.digest(data) != digest:
        raise wrong(line.number, f"the value does not have the digest {digest[:12]}…")
    return data


def read_header(data: bytes) -> Header:
    """The first line. Raises `InvalidExport` for another file, and for an export that cannot be taken."""
    try:
        found = _plain.decode(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or type(found.get("runstone_export")) is not int:
        raise wrong(
            1, "the file is no export of Runstone", hint="make one with: runstone export --all -o FILE"
        )
    if not 1 <= found["runstone_export"] <= VERSION:
        told = f"the export has version {found['runstone_export']}; this version reads up to {VERSION}"
        raise wrong(1, told, hint="upgrade: pip install --upgrade runstone")
    try:
        return msgspec.convert(found, Header)
    except msgspec.ValidationError as error:
        raise wrong(1, str(error)) from None


def read(number: int, data: bytes) -> Line:
    """A line after the first one. Raises `InvalidExport`, which names the line."""
    try:
        fields = _fields.decode(data)
        record = _plain.decode(fields.pop("record", b"null"))
    except (ValueError, RecursionError) as error:
        raise wrong(number, f"it is no JSON object ({error})") from None
    if not isinstance(record, str) or record not in RECORDS:
        raise wrong(number, f"there is no record {codec.shown(record)}")
    run_id = fields.pop("run", None) if record in _RUN_FIELD else None
    if record in _RUN_FIELD and run_id is None:
        raise wrong(number, f"a record {record} needs run")
    values = tuple(_value(number, column, fields.pop(column.name, None)) for column in RECORDS[record])
    if fields:
        raise wrong(number, f"a record {record} has no field {next(iter(fields))!r:.80}")
    found = None if run_id is None else _value(number, Column("run", "r", False), run_id)
    return Line(number, record, found, values)


def _value(number: int, column: Column, raw: Any) -> Any:
    if raw is None:
        if column.optional:
            return None
        raise wrong(number, f"{column.name} is missing")
    try:
        if column.kind == "j":
            return bytes(raw).decode()
        value: Any = _plain.decode(raw)
    except (ValueError, RecursionError) as error:
        raise wrong(number, f"{column.name} cannot be read ({error})") from None
    whole = column.kind == "i"
    if whole and column.name.endswith("at") and type(value) is int and not 0 <= value <= LATEST:
        raise wrong(number, f"{column.name} is no time: {value}")
    fits = type(value) is int and int(value).bit_length() <= 63 if whole else type(value) is str
    if not fits:
        raise wrong(number, f"{column.name} is {codec.shown(value)}, not {'an integer' if whole else 'text'}")
    return value


def wrong(number: int, told: str, *, hint: str | None = None) -> InvalidExport:
    """The error for a line."""
    return InvalidExport(f"line {number}: {told}", hint=hint, line=number)


def head_fields(values: tuple[Any, ...]) -> dict[str, Any]:
    """The fields of a run's row by name. An export of before there were marks has none of them."""
    found = dict(zip(HEAD_FIELDS, values, strict=True))
    return found | {name: found[name] or 0 for name in MARKS}


def head_values(head: Head) -> tuple[Any, ...]:
    """A run's columns, from its row."""
    return tuple(getattr(head, name) for name in HEAD_FIELDS)
