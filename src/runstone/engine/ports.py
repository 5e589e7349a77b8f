"""What a run's handle works with: the parts of a ledger in this process, or those of a client of a server."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from runstone.domain.clock import Clock
from runstone.domain.inputs import InputRequest
from runstone.domain.records import Command
from runstone.domain.redaction import Redactor
from runstone.domain.state import Saved
from runstone.engine.core import State
from runstone.errors import BudgetReached
from runstone.store.base import Write
from runstone.store.writer import Receipt

if TYPE_CHECKING:
    from runstone.engine.deliveries import Delivery


class Sink(Protocol):
    """Takes writes."""

    def submit(self, write: Write, unseen: list[Receipt] | None = None) -> Receipt:
        """Queues the write."""


class Parts(Protocol):
    """Where a handle's calls go, and what it looks up."""

    @property
    def writer(self) -> Sink:
        """Takes the handle's writes in their order."""

    @property
    def clock(self) -> Clock:
        """What time it is."""

    @property
    def redactor(self) -> Redactor:
        """Takes secrets out of texts."""

    def submit(self, write: Write, unseen: list[Receipt] | None = None) -> Receipt:
        """Queues a write."""

    def now(self) -> int:
        """Microseconds UTC."""

    def new_id(self) -> str:
        """A new id."""

    def clean(self, name: str, text: str, limit: int = ...) -> str:
        """A row's text without secrets."""

    def clean_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Labels without secrets."""

    def worker_thread(self, run_id: str) -> str | None:
        """The thread of a run's own conversation, if it has one."""

    def saved(self, run_id: str) -> Saved:
        """What the run's last checkpoint holds."""

    def checkpoint(
        self, run_id: str, attempt: int, before: Saved, new: State, label: str | None
    ) -> tuple[Write, Saved]:
        """The write that saves a state, and what is saved then."""

    def finished_children(self, run_id: str, attempt: int, limit: int) -> "list[Delivery]":
        """Ends of the run's children that no attempt of it has acknowledged."""

    def own_cap(self, run_id: str) -> BudgetReached | None:
        """That the run and all below it have spent its budget."""

    def steered(self, run_id: str) -> bool:
        """Whether the run was sent messages that it has not had."""

    def question(self, input_id: str) -> InputRequest:
        """The input request."""


class Held:
    """A run that this process owns. `lost`, `stop` and `pause` are called at most once, from the heartbeat thread."""

    __slots__ = ("attempt", "lost", "pause", "run_id", "stop")

    def __init__(
        self,
        run_id: str,
        attempt: int,
        lost: Callable[[str], None] | None,
        stop: Callable[[Command], None] | None,
        pause: Callable[[Command], None] | None,
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.lost = lost
        self.stop = stop
        self.pause = pause


class Leases(Protocol):
    """Keeps the leases of the runs that this process owns."""

    def hold(
        self,
        run_id: str,
        attempt: int,
        lost: Callable[[str], None] | None = None,
        stop: Callable[[Command], None] | None = None,
        pause: Callable[[Command], None] | None = None,
    ) -> Held:
        """Renews the run's lease from now on, until `release`, and tells of orders to stop or pause."""

    def release(self, held: Held) -> Any:
        """Stops renewing."""

    def abandon(self, held: Held) -> None:
        """Called when a handle is collected that nobody ended."""
