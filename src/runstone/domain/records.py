"""What the ledger shows: the records of DESIGN's glossary, read-only. Times are aware datetimes in UTC."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from runstone.domain.telemetry import to_usd

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(us: int) -> datetime:
    """The datetime of microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=us)


def maybe_at(us: int | None) -> datetime | None:
    """As `at`, None kept."""
    return None if us is None else at(us)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the records; `to_dict()` gives JSON values as the CLI and the API show them."""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values; datetimes as RFC 3339 text."""
        value = msgspec.to_builtins(self, enc_hook=str)
        assert isinstance(value, dict)
        return value


class AgentRun(Record, frozen=True, kw_only=True):
    """A run of kind subagent, worker_thread, background_agent, team_member or workflow_child."""

    id: str
    kind: str
    parent_run_id: str | None
    root_run_id: str
    depth: int
    forked_from: str | None
    parent_thread_id: str | None
    agent_id: str | None
    agent_version: str | None
    title: str | None
    status: str
    """As shown: a run whose owner holds no live lease reads `interrupted`."""
    status_reason: str | None
    wake_at: datetime | None
    phase: str | None
    prompt_ref: str | None
    input_ref: str | None
    options: dict[str, Any]
    worker_thread_id: str | None
    task_board_id: str | None
    task_card_id: str | None
    child_key: str | None
    labels: dict[str, str]
    attempt: int
    owner: str | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    summary: str | None
    result_ref: str | None
    error: dict[str, Any] | None
    superseded: bool
    detached: bool
    pinned: bool
    archived: bool
    """Put away: lists and counts leave it out unless they are asked for it."""
    lease_expires_at: datetime | None
    forked_from_checkpoint: int | None = None
    """The checkpoint of `forked_from` that it goes on from; None: from the start."""

    @property
    def live(self) -> bool:
        """An owner with a live lease works on it."""
        return self.status == "running"


class WorkflowRun(AgentRun, frozen=True, kw_only=True):
    """A run of kind workflow: the same, with its definition. `ledger.input` and `.phases` read the rest."""

    definition_id: str | None
    definition_hash: str | None


class PhaseState(Record, frozen=True, kw_only=True):
    """A phase of a workflow run, derived from its events and children; planned phases are `pending`."""

    name: str
    status: str
    planned: int | None
    children: dict[str, int]
    """Children by shown status."""
    reused: int
    started_at: datetime | None
    completed_at: datetime | None
    reason: str | None
    concurrency: int | None = None
    """At most so many of its children run at a time; None: as many as the engine has slots for."""
    after: tuple[str, ...] = ()
    """The phases that must end before it starts, of a declarative definition."""
    active_ms: int = 0
    """So long attempts were in it, up to `active_since`; the time between attempts is no part of it."""
    active_since: datetime | None = None
    """Since when the present attempt is in it; None where none is."""


class RunEvent(Record, frozen=True, kw_only=True):
    """An immutable record of a run. `seq` orders it in its run, `position` across the workspace."""

    run_id: str
    seq: int
    position: int
    type: str
    payload: Any
    importance: int
    timestamp: datetime
    attempt: int
    event_key: str | None
    payload_ref: str | msgspec.UnsetType = msgspec.UNSET
    """Where a long payload was left out: the blob that has it."""
    payload_bytes: int | msgspec.UnsetType = msgspec.UNSET
    """Where it was left out: how many it has."""


class Ingested(Record, frozen=True, kw_only=True):
    """What became of an item that was reported: `accepted`, `repeated` (known already), `late` (told so late that it
    changed no status) or `refused`, with why."""

    index: int
    outcome: str
    run_id: str | None
    seq: int | None = None
    position: int | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None


class Totals(Record, frozen=True, kw_only=True):
    """Sums of requests. Where `complete` is False, some cost is unknown, and `cost_usd` is a lower bound.

    As JSON, a cost of which nothing at all is known is null, and never 0.
    """

    requests: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_picousd: int = 0
    unknown_costs: int = 0
    """Requests whose cost is unknown."""
    priced_costs: int = 0
    """Requests whose cost was computed from published prices."""

    @property
    def cost_usd(self) -> float:
        """Cost in USD, exact to the picodollar before rounding."""
        return to_usd(self.cost_picousd)

    @property
    def complete(self) -> bool:
        """Whether the cost of every request is known."""
        return self.unknown_costs == 0

    @property
    def cost_source(self) -> str | None:
        """Where the cost of all requests is from: reported, priced, unknown, or mixed; None without a request."""
        reported = self.requests - self.unknown_costs - self.priced_costs
        sources = {"reported": reported, "priced": self.priced_costs, "unknown": self.unknown_costs}
        found = [source for source, count in sources.items() if count]
        return None if not found else found[0] if len(found) == 1 else "mixed"

    @property
    def tokens(self) -> int:
        """Input (cached or not) and output tokens."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens + self.output_tokens

    def __add__(self, other: "Totals") -> "Totals":
        names = self.__struct_fields__
        return Totals(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def to_dict(self) -> dict[str, Any]:
        return {
            **super().to_dict(),
            "tokens": self.tokens,
            "cost_usd": None if self.cost_source == "unknown" else self.cost_usd,
            "cost_source": self.cost_source,
            "complete": self.complete,
        }


class UsageRow(Record, frozen=True, kw_only=True):
    """A line of a usage report: what was asked `by` (None: it has none of that), with the sums of its requests."""

    by: dict[str, str | None]
    totals: Totals

    def to_dict(self) -> dict[str, Any]:
        return {**self.by, **self.totals.to_dict()}


class Repriced(Record, frozen=True, kw_only=True):
    """What a repricing did, or would do, to a model's requests whose cost was not told."""

    provider: str
    model: str
    before: Totals
    after: Totals
    changed: int
    """Requests whose cost is another one now."""

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "before": self.before.to_dict(), "after": self.after.to_dict()}


class Counts(dict[str, int]):
    """How many runs are in each bucket.

    Where `complete` is False there may be more: a count looks at a bounded number of runs, or of texts that hold `q`.
    """

    complete: bool = True
    as_of: str | None = None


class ModelTotals(Record, frozen=True, kw_only=True):
    """Totals of one provider and model."""

    provider: str
    model: str
    own: Totals
    subtree: Totals


class RunTelemetry(Record, frozen=True, kw_only=True):
    """What a run cost, by itself and with all below it."""

    run_id: str
    own: Totals
    subtree: Totals
    models: tuple[ModelTotals, ...]
    tool_counts: dict[str, int]
    tool_failures: dict[str, int]
    subtree_tool_counts: dict[str, int]
    elapsed_ms: int
    """From start to end, or to now; of an interrupted run to the last that is known of it."""
    active_ms: int
    """The time in which an attempt was open."""
    model: str | None
    provider: str | None
    error: dict[str, Any] | None
    reused: dict[str, Any]
    """What the current attempt reused: children, tokens, cost_usd. No part of the totals."""

    def to_dict(self) -> dict[str, Any]:
        value = super().to_dict()
        models = [
            {**m.to_dict(), "own": m.own.to_dict(), "subtree": m.subtree.to_dict()} for m in self.models
        ]
        return {**value, "own": self.own.to_dict(), "subtree": self.subtree.to_dict(), "models": models}


class Attempt(Record, frozen=True, kw_only=True):
    """One try of a run by one owner."""

    run_id: str
    number: int
    owner: str
    identity: dict[str, Any]
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    reason: str | None


class Lease(Record, frozen=True, kw_only=True):
    """An owner's time-limited right to write to a run."""

    run_id: str
    attempt: int
    owner: str
    identity: dict[str, Any]
    expires_at: datetime


class ProcessRecord(Record, frozen=True, kw_only=True):
    """A process group that a run started."""

    run_id: str
    attempt: int
    pgid: int
    identity: dict[str, Any]
    command: list[str]
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    signal: int | None
    usage: dict[str, Any] | None = None
    """What it used, where it is known: user_s, system_s, max_rss_bytes."""


class Output(Record, frozen=True, kw_only=True):
    """How far one stream of a background command was taken over."""

    run_id: str
    attempt: int
    """The attempt that started the command."""
    stream: str
    """stdout, stderr or protocol."""
    offset: int
    """Bytes of its spool file that are in the ledger."""
    lines: int
    broken: int
    """Lines that broke the line protocol and were kept as text."""
    cut: bool
    """The command opened the stream anew and cut it: lines may be missing."""


class Checkpoint(Record, frozen=True, kw_only=True):
    """A saved state of a run; read it with `ledger.checkpoints.state(run_id, number)`."""

    run_id: str
    number: int
    attempt: int
    label: str | None
    state_ref: str
    definition_hash: str | None
    parent: int | None
    """The number of the one before; it may have been removed since."""
    created_at: datetime
    stored_bytes: int = 0
    """What it added to the ledger, compressed; a value that others refer to, too, counts for each."""


class Thread(Record, frozen=True, kw_only=True):
    """A conversation."""

    id: str
    title: str | None
    run_id: str | None
    """The run whose worker thread it is."""
    messages: int
    created_at: datetime
    updated_at: datetime


class Message(Record, frozen=True, kw_only=True):
    """A message of a thread."""

    id: str
    thread_id: str
    seq: int
    role: str
    text: str
    run_id: str | None
    attempt: int | None
    timestamp: datetime
    extra: Any


class View(Record, frozen=True, kw_only=True):
    """A saved view of a list: what is shown, in which order, and how it is grouped."""

    id: str
    name: str
    filters: dict[str, Any]
    """As `list_runs` takes them; times are RFC 3339 text."""
    sort: str
    order: str
    grouping: str | None
    default: bool
    revision: int
    created_at: datetime
    updated_at: datetime


class Seen(Record, frozen=True, kw_only=True):
    """How far a viewer has seen: the ledger's cursor up to which all is known to them, and when they said so."""

    viewer: str
    cursor: str
    at: datetime
    before_at: datetime | None = None
    """When they said so last before a pause of ten minutes or more: the end of the visit before this one."""


class BulkRefusal(Record, frozen=True, kw_only=True):
    """A run that did not take the order, and why."""

    run_id: str
    reason: str


class Bulk(Record, frozen=True, kw_only=True):
    """An order that many runs get, one after the other, and how far that came."""

    id: str
    verb: str
    """stop, resume, retry or archive."""
    requested_by: str | None
    requested_at: datetime
    total: int
    given: int
    refused: int
    left_out: int
    """Those that had not got it when it was cancelled."""
    refusals: list[BulkRefusal]
    """The first hundred."""
    cancelled: bool
    ended_at: datetime | None
    """None while there are runs that have not got it."""


class Board(Record, frozen=True, kw_only=True):
    """A task board."""

    id: str
    thread_id: str | None
    title: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


class Card(Record, frozen=True, kw_only=True):
    """A card of a board. `run_ids` are the runs that refer to it; `claimed_by` is the one that works on it."""

    id: str
    board_id: str
    title: str
    status: str
    position: int
    body: str | None
    assignee: str | None
    labels: dict[str, str]
    claimed_by: str | None
    run_ids: tuple[str, ...]
    revision: int
    created_at: datetime
    updated_at: datetime


class Command(Record, frozen=True, kw_only=True):
    """A durable order to a run."""

    id: str
    run_id: str
    verb: str
    payload: dict[str, Any]
    idempotency_key: str | None
    status: str
    requested_by: str | None
    reason: str | None
    requested_at: datetime
    acknowledged_at: datetime | None
    ended_at: datetime | None


class JournalEntry(Record, frozen=True, kw_only=True):
    """What a run knows of one child or step."""

    number: int
    key: str
    kind: str
    name: str
    phase: str | None
    previous: str | None
    attempt: int
    handled: bool
    dropped: int
    child_pk: int | None
    child_run_id: str | None
    child_status: str | None
    """As stored, `running` only with a live lease."""
    child_error: dict[str, Any] | None
    child_tokens: int
    child_cost_picousd: int
    child_attempt: int
    child_tries: int
    child_by_cascade: bool
    superseded: bool
    value: str | None
    ref: str | None
    """Digest of the result's blob, where it is not inline."""
    kept: bool = False
    """The record has the result itself: its child may have gone on since."""

    @property
    def finished(self) -> bool:
        """It has a result that can be used again."""
        return self.kind not in ("child", "continue") or self.kept or self.child_status == "completed"


class TreeNode(Record, frozen=True, kw_only=True):
    """A run with its children, in the order in which they were created."""

    run: AgentRun
    subtree: Totals
    own: Totals
    reused: bool
    """The parent's current attempt used its stored result."""
    children: tuple["TreeNode", ...]

    def walk(self) -> "Iterator[TreeNode]":
        """This node and all below it, parents first."""
        stack = [self]  # not the call stack: a chain of runs may be deeper than Python's
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def to_dict(self) -> dict[str, Any]:
        top: list[dict[str, Any]] = []
        stack = [(self, top)]
        while stack:
            node, siblings = stack.pop()
            below: list[dict[str, Any]] = []
            siblings.append(
                {
                    "run": node.run.to_dict(),
                    "own": node.own.to_dict(),
                    "subtree": node.subtree.to_dict(),
                    "reused": node.reused,
                    "children": below,
                }
            )
            stack.extend((child, below) for child in reversed(node.children))
        return top[0]


class TreeRow(Record, frozen=True, kw_only=True):
    """A run on a page of a tree; `children` is how many it has."""

    run: AgentRun
    own: Totals
    subtree: Totals
    reused: bool
    children: int


class Span(Record, frozen=True, kw_only=True):
    """A part of a run's life: pending, attempt, waiting, awaiting_user, paused or interrupted. No end: it lasts."""

    kind: str
    start: datetime
    end: datetime | None
    attempt: int | None
    outcome: str | None
    reason: str | None


class Activity(Record, frozen=True, kw_only=True):
    """What a run did in a part of its time: tool calls that ended, those that failed, and steps that were done."""

    start: datetime
    end: datetime
    tool_calls: int
    tool_failures: int
    steps: int


class TimelineRow(Record, frozen=True, kw_only=True):
    """What a timeline draws of a run."""

    run_id: str
    parent_run_id: str | None
    depth: int
    kind: str
    agent_id: str | None
    title: str | None
    phase: str | None
    status: str
    superseded: bool
    start: datetime
    end: datetime | None
    spans: tuple[Span, ...]
    activity: tuple[Activity, ...]
    children: int
    critical: bool
    """The end of the run at the top waited for it, or waits: of each run's children the one that ended last."""
    partial: bool
    """Its first attempts, or its first events, are left out."""


class Timeline(Record, frozen=True, kw_only=True):
    """A page of a timeline: the run and those below it, level by level."""

    run_id: str
    start: datetime
    end: datetime | None
    items: list[TimelineRow]
    next_cursor: str | None
    as_of: str
    """What a later request takes as `since`, to be told only what changed meanwhile."""
    critical: tuple[str, ...]
    """The runs that the end waits for, from the top down, on this page or not."""


class SearchHit(Record, frozen=True, kw_only=True):
    """A text that fits a full-text query."""

    source: str
    run_id: str | None
    message_id: str | None
    excerpt: str


class Finding(Record, frozen=True, kw_only=True):
    """Something that is wrong with the ledger, as `verify` found it."""

    code: str
    """Stable; docs/how-to/verify-and-repair.md lists them."""
    subject: str
    """A run's id, a thread's, a card's; a table, an index, a file."""
    text: str
    """A sentence for people."""
    repairable: bool
    """`verify --repair` can rebuild it from what is whole."""
    repaired: bool | None = None
    """Whether a repair did; None where none was asked for."""

    def __str__(self) -> str:
        return self.text


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Some items, and the cursor after them; None at the end.

    Of runs, `as_of` is the ledger's cursor at the moment of the page: what changed since comes from `tail(as_of)`.
    """

    items: list[T]
    next_cursor: Any = None
    as_of: str | None = None

    def __iter__(self) -> "Iterator[T]":
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
