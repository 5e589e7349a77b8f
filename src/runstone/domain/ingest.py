"""What is reported from elsewhere: items of runs, events, usage and messages, as JSON objects with the key "item".

The fields are those of the methods that a run's own process would call, and the same functions check them. `at` is when
it happened, as its reporter saw it; without it, it happened when it came. A key makes a repeat harmless.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from runstone.domain import codec, events
from runstone.domain.bounds import bounded, role_of
from runstone.domain.lines import KEY_BYTES, UsageLine
from runstone.errors import InvalidInput, InvalidItem, RunstoneError

MAX_ITEMS: Final = 10_000
"""Of one batch; what is longer is sent in parts, each of which is answered."""

STATUSES: Final = (
    "running",
    "waiting",
    "awaiting_user",
    "paused",
    "interrupted",
    "completed",
    "failed",
    "cancelled",
)
"""What a reporter may say of a run. One that it only names is `pending`."""

SILENT_S: Final = 300
"""So long after the last report an observed run counts as living, unless its reporter says otherwise: a model may think
for minutes, and a reporter that does not beat has nothing to say meanwhile."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_BYTES)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with its zone")]


class _Item(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="item",
):
    """Base of the items."""

    run_id: _Id
    at: _Moment | None = None

    def check(self) -> None:
        """Raises what the method for the same thing would raise."""


class RunItem(_Item, frozen=True, kw_only=True, tag="run"):
    """A run, and how it stands. The first one makes the run; its own fields are taken from that one."""

    status: str | None = None
    kind: str | None = None
    agent_id: str | None = None
    agent_version: str | None = None
    parent_run_id: _Id | None = None
    thread_id: str | None = None
    title: str | None = None
    prompt: str | None = None
    input: Any = None
    labels: dict[str, str] | None = None
    silent_after_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None
    reason: str | None = None
    summary: str | None = None
    result: Any = None
    error: str | None = None

    def check(self) -> None:
        if self.status is not None and self.status not in STATUSES:
            raise InvalidItem(f"status is {', '.join(STATUSES)}, not {codec.shown(self.status)}")
        if self.status is not None and self.at is None:
            raise InvalidItem("a run with a status needs `at`: when it came to it")
        if self.summary is not None:
            codec.utf8(self.summary, "summary")
        codec.encode(self.result)


class EventItem(_Item, frozen=True, kw_only=True, tag="event"):
    """An event of a run."""

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
        if self.key is not None:
            bounded("key", self.key, KEY_BYTES)


class UsageItem(UsageLine, frozen=True, kw_only=True, tag_field="item", tag="usage"):
    """One provider request that a run made. Its `request_id` counts once in the run's tree."""

    run_id: _Id
    at: _Moment | None = None

    def check(self) -> None:
        if self.request_id is None:
            raise InvalidItem("usage needs a `request_id`: by it a repeat is known")
        self.report("none", 0)


class MessageItem(_Item, frozen=True, kw_only=True, tag="message"):
    """A message of a run, into its own thread."""

    role: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    text: str
    extra: Any = None
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_BYTES - 20)] | None = None

    def check(self) -> None:
        role_of(self.role)
        codec.encode(self.extra)


Item = RunItem | EventItem | UsageItem | MessageItem
ITEMS: Final[dict[str, Any]] = {
    "run": RunItem, "event": EventItem, "usage": UsageItem, "message": MessageItem
}  # fmt: skip


def moment(item: Item, now: int) -> int:
    """When it happened, in microseconds UTC; a reporter's clock that goes ahead counts as now."""
    if item.at is None:
        return now
    return max(0, min(now, round((item.at - _EPOCH).total_seconds() * 1e6)))


def parse(value: Any, run_id: str | None = None) -> Item:
    """The item of a JSON object; `run_id` is that of all which name none. Raises `InvalidItem` and `InvalidInput`."""
    if not isinstance(value, dict):
        raise InvalidItem(f"an item is an object, not {codec.shown(value)}")
    name = value.get("item", "event" if "type" in value else None)
    kind = ITEMS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidItem(f"`item` is {', '.join(ITEMS)}, not {codec.shown(name)}")
    if run_id is not None:
        named = value.get("run_id", run_id)
        if named != run_id:
            raise InvalidItem(f"the item is of run {codec.shown(named)}, and was sent to run {run_id}")
        value = {**value, "run_id": run_id}
    try:
        item: Item = msgspec.convert({**value, "item": name}, kind)
        item.check()
    except msgspec.ValidationError as error:
        raise InvalidItem(f"{name}: {error}") from None
    return item


class Parsed(msgspec.Struct, frozen=True):
    """An item of a batch by its place in it, and what refused it where it is none."""

    index: int
    item: Item | None
    error: RunstoneError | None = None


def parse_all(values: Iterable[Any], run_id: str | None = None) -> list[Parsed]:
    """Every item of a batch, those that break the rules with their error. Raises `InvalidInput` for too many."""
    found: list[Parsed] = []
    for index, value in enumerate(values):
        if index >= MAX_ITEMS:
            raise InvalidInput(
                f"a batch has at most {MAX_ITEMS:,} items",
                hint="send it in parts: each is answered by itself",
            )
        if isinstance(value, InvalidItem):  # what read it could not even give a value
            found.append(Parsed(index, None, value))
            continue
        try:
            found.append(Parsed(index, parse(value, run_id)))
        except RunstoneError as error:
            found.append(Parsed(index, None, error))
    return found


def ordered(batch: Iterable[Parsed], now: int) -> list[tuple[int, Parsed]]:
    """What can be taken of a batch with its moment, in the order in which it happened, whatever order it came in.

    The first report of a run stands before all that is told of the run and of those below it, and once more at its own
    moment where it has a status. At the same moment a run begins before what is told of it and ends after that, and all
    else comes as it was sent.
    """
    timed = [(moment(one.item, now), one) for one in batch if one.item is not None]
    timed.sort(key=lambda pair: (pair[0], _rank(pair[1].item), pair[1].index))
    first: dict[str, tuple[int, Parsed]] = {}
    begins: dict[str, int] = {}
    for at, one in timed:
        begins.setdefault(_run(one), at)
        if isinstance(one.item, RunItem):
            first.setdefault(one.item.run_id, (at, one))
    depths = _depths([one.item for _, one in timed if isinstance(one.item, RunItem)])
    for run_id in sorted(first, key=lambda run_id: -depths[run_id]):
        parent = getattr(first[run_id][1].item, "parent_run_id", None)
        if parent in first:
            begins[parent] = min(begins[parent], begins[run_id])
    makes = [((begins[run_id], -1, depths[run_id], run_id), *made) for run_id, made in first.items()]
    made = {id(one) for _, one in first.values()}
    tells = [
        ((at, _rank(one.item), one.index, ""), at, one)
        for at, one in timed
        if id(one) not in made or getattr(one.item, "status", None) is not None
    ]
    return [(at, one) for _, at, one in sorted([*makes, *tells], key=lambda found: found[0])]


def _run(one: Parsed) -> str:
    assert one.item is not None
    return one.item.run_id


def _rank(item: Item | None) -> int:
    if isinstance(item, RunItem):
        return 0 if item.status in (None, "running") else 2
    return 1


def _depths(items: list[RunItem]) -> dict[str, int]:
    """How far below the batch's own roots each of its runs is; a circle is left to whoever refuses it."""
    parents: dict[str, str | None] = {}
    for item in items:
        parents[item.run_id] = parents.get(item.run_id) or item.parent_run_id
    depths: dict[str, int] = {}
    for run_id in parents:
        line, seen = [run_id], {run_id}
        while (above := parents.get(line[-1])) is not None and above in parents and above not in seen:
            if above in depths:
                break
            line.append(above)
            seen.add(above)
        base = depths.get(parents.get(line[-1]) or "", -1) + 1
        for number, one in enumerate(reversed(line)):
            depths[one] = base + number
    return depths
