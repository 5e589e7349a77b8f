"""What requests bring: every field is named, and another one is refused."""

from typing import Annotated, Any

import msgspec

from runstone.domain.resume import ResumePolicy

Text = Annotated[str, msgspec.Meta(max_length=4096)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body."""


class Budget(Body, frozen=True):
    """What a run and all below it may use."""

    max_cost_usd: Annotated[float, msgspec.Meta(ge=0)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_children: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def given(self) -> dict[str, Any]:
        """The caps that there are."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class StartRun(Body, frozen=True):
    """A run of an agent or a workflow that the workspace registers."""

    name: Id
    input: Any = None
    """JSON that fits the schema of what is started. It may not refer to secrets."""
    run_id: Id | None = None
    """An id of your own: with one that exists, that run is given, if it is the same."""
    title: Text | None = None
    labels: dict[str, str] | None = None
    thread_id: Id | None = None
    budget: Budget | None = None


class ChangeRun(Body, frozen=True):
    """Changes of a run that people make."""

    title: Text | msgspec.UnsetType = msgspec.UNSET
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """All of them; those that are not named go."""
    pinned: bool | msgspec.UnsetType = msgspec.UNSET
    archived: bool | msgspec.UnsetType = msgspec.UNSET
    """Out of lists and counts."""


class PutView(Body, frozen=True):
    """A saved view of a list."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    filters: dict[str, Any]
    """As lists take them; times as in RFC 3339, labels as an object."""
    sort: Text = "updated"
    order: Text = "desc"
    grouping: Text | None = None
    """bucket, status, kind, agent_id, definition_id, thread_id, root_id, phase, day or label:NAME."""
    default: bool = False
    revision: int | None = None
    """The one that was read; none for a new view."""


class MarkSeen(Body, frozen=True):
    """Up to where a viewer has seen."""

    cursor: Annotated[str, msgspec.Meta(max_length=200)]
    """A position: the `as_of` of what was shown, or the id of an event of the stream."""


class Policy(Body, frozen=True):
    """What a resume does with what it finds; see ResumePolicy in docs/reference/python.md."""

    failed: str = "retry"
    interrupted: str = "retry"
    cancelled: str = "by_cause"
    failures: str = "unhandled"
    from_phase: str | None = None
    rerun: list[str] = []
    definition: str = "accept"
    max_attempts: int | None = None

    def given(self) -> ResumePolicy:
        """The policy. Raises `InvalidInput`."""
        return ResumePolicy(**{**given(self), "rerun": tuple(self.rerun)})


class GiveCommand(Body, frozen=True):
    """An order to a run."""

    verb: str
    """stop, pause, resume, retry or steer."""
    message: str | None = None
    """What a run that is steered is told."""
    scope: str = "subtree"
    """run or subtree, for stop, pause and resume."""
    reason: Annotated[str, msgspec.Meta(max_length=600)] | None = None
    policy: Policy | None = None
    """For resume and retry, as in a resume."""
    budget: Budget | None = None
    """For resume and retry: in place of the run's."""


class ResumeRun(Body, frozen=True):
    """How to go on with a run."""

    policy: Policy | None = None
    budget: Budget | None = None


class ContinueRun(Body, frozen=True):
    """A message with which a run goes on."""

    message: Annotated[str, msgspec.Meta(min_length=1)]


class PlanResume(Body, frozen=True):
    """A resume that is only thought of."""

    policy: Policy | None = None
    simulate: bool = False
    """The code of a Python workflow is run against what is recorded: exact, but what it does besides, it does."""


class ForkRun(Body, frozen=True):
    """A new run that knows what another one knew."""

    run_id: Id | None = None
    checkpoint: Annotated[int, msgspec.Meta(ge=1)] | Id | None = None
    """Its number, or RUN@NUMBER: what was known by then, and its state; without it all that is known."""
    input: Any = msgspec.UNSET
    definition: str | dict[str, Any] | None = None
    """Another workflow: the name of a registered one, or a declarative definition."""
    dry_run: bool = False
    """Nothing is made; the answer is the plan."""
    simulate: bool = False
    """With `dry_run`: the code of a Python workflow is run for it, as for a plan."""
    start: bool = True
    """It is started at once; else it stays pending until somebody resumes it."""


class AskQuestion(Body, frozen=True):
    """A question in the name of a run that is running."""

    message: str
    choices: list[Any] | None = None
    key: Text | None = None
    """Under it, it is asked once in the run."""
    reason: Text | None = None
    schema: dict[str, Any] | None = None
    expires_s: float | None = None
    """It takes no answer after so many seconds."""
    default: Any = msgspec.UNSET
    """What it is taken as when it expires."""


class GiveAnswer(Body, frozen=True):
    """An answer to a question."""

    response: Any
    """JSON that fits the question's choices or schema."""


class NewThread(Body, frozen=True):
    """A conversation."""

    id: Id | None = None
    title: Text | None = None


class NewMessage(Body, frozen=True):
    """A message of a conversation."""

    role: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    text: str
    extra: Any = None


class NewBoard(Body, frozen=True):
    """A task board."""

    id: Id | None = None
    title: Text | None = None
    thread_id: Id | None = None


class ChangeBoard(Body, frozen=True):
    """A change of a board, against the revision that was read."""

    title: Text
    revision: int


class NewCard(Body, frozen=True):
    """A card of a board."""

    title: Text
    id: Id | None = None
    body: str | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET
    position: int | msgspec.UnsetType = msgspec.UNSET
    assignee: str | msgspec.UnsetType = msgspec.UNSET
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    run_id: Id | msgspec.UnsetType = msgspec.UNSET


class ChangeCard(Body, frozen=True):
    """Changes of a card, against the revision that was read. `run_id` claims it for a run, null gives it back."""

    revision: int
    title: Text | msgspec.UnsetType = msgspec.UNSET
    body: str | msgspec.UnsetType | None = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET
    position: int | msgspec.UnsetType = msgspec.UNSET
    assignee: str | msgspec.UnsetType | None = msgspec.UNSET
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    run_id: Id | msgspec.UnsetType | None = msgspec.UNSET


def given(body: Body, *without: str) -> dict[str, Any]:
    """The fields that a body has, but for those."""
    fields = {name: getattr(body, name) for name in body.__struct_fields__ if name not in without}
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}
