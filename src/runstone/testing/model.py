"""A small ledger in memory: what the store must come to, said again in another way, for tests that compare the two."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

PARKED = frozenset({"paused", "waiting", "awaiting_user"})
FINAL = frozenset({"completed", "failed", "cancelled"})
VERBS = ("stop", "pause", "resume", "retry", "steer")


class Refusal(Exception):
    """The ledger must refuse this, too."""


@dataclass
class Run:
    """A run as people know it."""

    id: str
    parent: str | None
    status: str = "pending"
    attempt: int = 0
    title: str | None = None
    tries: int = 0
    ends: int = 0
    """How often it has ended, and up to which of these ends the listener was told."""
    heard: int = 0
    plain: int = 0
    tools: int = 0
    messages: int = 0
    told: list[str] = field(default_factory=list)
    """Messages of continuations since it saved a state or completed."""
    reports: dict[str, int] = field(default_factory=dict)
    """Requests that count here: tokens by request id."""
    states: list[Any] = field(default_factory=list)
    failures: list[tuple[int, float]] = field(default_factory=list)
    """Attempts that failed, and when."""
    orders: list[tuple[str, str]] = field(default_factory=list)
    """Open orders: (id, verb)."""
    closed: dict[str, str] = field(default_factory=dict)
    """What became of the others, by id."""

    def close(self, status: str, *verbs: str) -> None:
        """Settles open orders of these verbs."""
        self.closed |= {order: status for order, verb in self.orders if verb in verbs}
        self.orders = [(order, verb) for order, verb in self.orders if verb not in verbs]


@dataclass
class Question:
    """What a run asks. `known` is the caller's key, or what is asked; `taken` the last attempt that asked for it."""

    id: str
    run: str
    attempt: int
    known: tuple[str, ...]
    text: str
    taken: int
    expires_at: float | None = None
    default: str | None = None
    status: str = "open"
    response: str | None = None
    closed_at: float | None = None

    def close(self, status: str, now: float, response: str | None = None) -> None:
        """Nobody answers it any more."""
        self.status, self.closed_at, self.response = status, now, response


@dataclass
class Card:
    """A card and who works on it."""

    status: str = "todo"
    holder: str | None = None


CONTINUED: Final = frozenset({"pending", "paused", "interrupted", "awaiting_user", "failed"})


class Model:
    """The ledger. Every method does what the write of that name does, or raises `Refusal`."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.cards: dict[str, Card] = {}
        self.questions: dict[str, Question] = {}
        self.now: float = 0
        """By the ledger's clock; whoever moves that says it here."""
        self.order: list[tuple[str, str]] = []
        """(run, request) of every report that counted, oldest first."""

    # --- lineage -------------------------------------------------------------------------------------------------

    def root(self, run: Run) -> Run:
        """The top of the run's tree, as far as its parents are known."""
        while run.parent in self.runs:
            run = self.runs[run.parent]
        return run

    def children(self, run_id: str) -> Iterator[Run]:
        """Runs that name this one as their parent."""
        return (run for run in self.runs.values() if run.parent == run_id)

    def tree(self, run_id: str) -> list[Run]:
        """The run and all below it, parents first."""
        found = [self.runs[run_id]]
        for run in found:
            found += self.children(run.id)
        return found

    # --- runs ----------------------------------------------------------------------------------------------------

    def create(self, run_id: str, parent: str | None, title: str | None) -> None:
        """Creates a run; one that was named as a parent before gets its children."""
        if run_id in self.runs:
            return
        orphans = [run.id for run in self.children(run_id)]
        if parent == run_id or (parent in self.runs and self.root(self.runs[parent]).id in orphans):
            raise Refusal
        known = self._requests(self.root(self.runs[parent])) if parent in self.runs else set()
        below = {run.id for orphan in orphans for run in self.tree(orphan)}
        self._count_once(below, known)
        self.runs[run_id] = Run(run_id, parent, title=title)

    def fork(self, run_id: str, source_id: str, *, saved: bool) -> None:
        """A new run that begins with the other one's last state, or from its start."""
        source = self._run(source_id)
        self.create(run_id, None, source.title)
        self.runs[run_id].states = source.states[-1:] if saved else []

    def _requests(self, top: Run) -> set[str]:
        return {request for run in self.tree(top.id) for request in run.reports}

    def _count_once(self, below: set[str], known: set[str]) -> None:
        """Of a request that two trees report, which become one, only the first counts."""
        for run_id, request in list(self.order):
            if run_id in below and request in self.runs[run_id].reports:
                if request in known:
                    del self.runs[run_id].reports[request]
                    self.order.remove((run_id, request))
                known.add(request)

    def claim(self, run_id: str, expect: frozenset[str]) -> None:
        """Opens the next attempt."""
        run = self._run(run_id)
        if run.status == "running" or run.status not in {*expect, "pending"}:
            raise Refusal
        run.status, run.attempt = "running", run.attempt + 1
        run.close("applied", "resume", "retry")

    def resume(self, run_id: str) -> None:
        """Makes a parked or ended run ready to go on."""
        run = self._run(run_id)
        if run.status in ("running", "completed"):
            raise Refusal
        if run.status != "pending":
            run.status = "pending"

    def continue_run(self, run_id: str, message: str | None) -> str:
        """Somebody goes on with the run; gives what it is told."""
        run = self._run(run_id)
        waits = run.status == "awaiting_user" and any(self._open(run_id))
        if run.status not in CONTINUED or (waits and message is None):
            raise Refusal
        run.status, run.attempt = "running", run.attempt + 1
        run.close("applied", "resume", "retry")
        if waits:
            self._withdraw(run_id)
        for one in self.questions.values():
            if one.run == run_id and one.status != "open":
                one.taken = run.attempt
        self._tell(run, message)
        return "\n\n".join(run.told)

    def continue_child(self, run_id: str, attempt: int, child_id: str, message: str) -> None:
        """A parent has its child go on."""
        parent, child = self._fenced(run_id, attempt), self._run(child_id)
        continued = child.status in CONTINUED or child.status == "completed"
        if child.parent != parent.id or not continued or not child.attempt:
            raise Refusal
        self._withdraw(child_id)
        self._tell(child, message)
        child.status = "pending"

    def _tell(self, run: Run, message: str | None) -> None:
        if message is not None and run.told[-1:] != [message]:
            run.told.append(message)
            run.messages += 1

    def _open(self, run_id: str) -> Iterator[Question]:
        return (one for one in self.questions.values() if one.run == run_id and one.status == "open")

    def end(self, run_id: str, attempt: int, status: str) -> None:
        """The owner ends the run."""
        run = self._fenced(run_id, attempt)
        run.status = status
        run.ends += 1
        if status == "completed":
            run.told.clear()
        run.tries += status == "failed"
        if status == "failed":
            run.failures.append((attempt, self.now))
        self._withdraw(run_id)
        run.close("applied" if status == "cancelled" else "rejected", "stop")
        run.close("rejected", *VERBS)
        self._release(run_id, "done" if status == "completed" else "todo")

    def park(self, run_id: str, attempt: int, state: Any) -> None:
        """The owner pauses the run, with its state."""
        run = self._fenced(run_id, attempt)
        run.states.append(state)
        run.told.clear()
        run.status = "paused"
        run.close("applied", "pause")
        run.close("rejected", "resume", "retry")

    def interrupt(self, run_id: str, attempt: int) -> None:
        """Somebody found the owner of an attempt gone; children that have not begun go with it."""
        run = self._run(run_id)
        if run.status != "running" or run.attempt != attempt:
            return
        queue = [run]
        for gone in queue:
            gone.status = "interrupted"
            self._release(gone.id, "todo")
            queue += [child for child in self.children(gone.id) if child.status == "pending"]
        verbs = {verb for _, verb in run.orders}
        if "pause" in verbs and "stop" not in verbs:
            self._pause(run)

    def stop(self, run_id: str, order: str) -> None:
        """A person orders a run to stop; where nobody holds it, at once."""
        run = self._run(run_id)
        if run.status in FINAL:
            raise Refusal
        if run.status == "running":
            run.orders.append((order, "stop"))
            return
        run.status = "cancelled"
        run.ends += 1
        self._withdraw(run_id)
        run.closed[order] = "applied"
        run.close("applied", "stop")
        run.close("rejected", *VERBS)
        self._release(run_id, "todo")

    def give_order(self, run_id: str, verb: str, order: str) -> None:
        """A person orders a run to pause, resume, retry or hear a message."""
        run = self._run(run_id)
        if verb == "pause" and any(verb == "pause" for _, verb in run.orders):
            return
        fits = {
            "pause": {"pending", "running", "waiting", "interrupted"},
            "resume": {"paused"},
            "retry": {"failed", "cancelled", "interrupted"},
            "steer": {"pending", "running", "waiting", "awaiting_user", "paused", "interrupted"},
        }
        above = self._above(run) if verb == "retry" else []
        if run.status not in fits[verb] or any(parent.status == "running" for parent in above):
            raise Refusal
        run.orders.append((order, verb))
        if verb in ("resume", "retry"):
            run.status = "pending"
        elif verb == "pause" and run.status != "running":
            self._pause(run)

    def hear(self, run_id: str, attempt: int) -> int:
        """The owner takes the messages that the run was sent; how many."""
        run = self._fenced(run_id, attempt)
        count = sum(verb == "steer" for _, verb in run.orders)
        run.messages += count
        run.close("applied", "steer")
        return count

    def _pause(self, run: Run) -> None:
        run.status = "paused"
        run.close("applied", "pause")
        run.close("rejected", "resume", "retry")

    def _above(self, run: Run) -> list[Run]:
        found = []
        while run.parent in self.runs:
            run = self.runs[run.parent]
            found.append(run)
        return found

    # --- what a run says -----------------------------------------------------------------------------------------

    def append(self, run_id: str, attempt: int, count: int, tools: int) -> None:
        """Plain events, and tool calls that ended."""
        run = self._fenced(run_id, attempt)
        run.plain += count
        run.tools += tools

    def usage(self, run_id: str, request: str, tokens: int) -> bool:
        """A report of a provider request; it counts once in the tree, whoever reports it."""
        run = self._run(run_id)
        if request in self._requests(self.root(run)):
            return False
        run.reports[request] = tokens
        self.order.append((run_id, request))
        return True

    def message(self, run_id: str, attempt: int) -> None:
        """A message into the run's worker thread."""
        run = self._fenced(run_id, attempt)
        run.messages += 1

    def checkpoint(self, run_id: str, attempt: int, state: Any) -> None:
        """Saves a state."""
        run = self._fenced(run_id, attempt)
        run.states.append(state)
        run.told.clear()

    def retitle(self, run_id: str, title: str) -> None:
        """Edits the title."""
        self._run(run_id).title = title

    # --- questions -----------------------------------------------------------------------------------------------

    def ask(self, new: Question, *, command: bool, park: bool = False) -> str:
        """A run asks, or a command of it does; gives the id of the question, or of the one that it is."""
        run = self._run(new.run)
        if run.status != "running" or not (command or run.attempt == new.attempt):
            raise Refusal
        found = self._asked_before(new, run, share=command)
        if found is None:
            found = self.questions[new.id] = new
            new.attempt, new.taken = run.attempt, 0 if command else run.attempt
        elif not command:
            found.taken = max(found.taken, run.attempt)
        if park and found.status == "open":
            run.status = "awaiting_user"
            run.close("rejected", "pause")
        return found.id

    def _asked_before(self, new: Question, run: Run, *, share: bool) -> Question | None:
        same = [one for one in self.questions.values() if (one.run, one.known) == (new.run, new.known)]
        usable = [one for one in same if one.status != "withdrawn" and not self._missed(one, run)]
        if new.known[0] == "key":
            if usable and usable[-1].text != new.text:
                raise Refusal
            return usable[-1] if usable else None
        for one in usable:
            if one.taken < run.attempt:
                return one
        open_ = next((one for one in usable if one.status == "open"), None)
        if open_ is not None and not share:
            raise Refusal
        return open_

    def _missed(self, one: Question, run: Run) -> bool:
        """A try has failed since nobody answered: the next one asks again."""
        if one.status != "expired" or one.default is not None or one.closed_at is None:
            return False
        return any(number >= one.attempt and at >= one.closed_at for number, at in run.failures)

    def answer(self, question_id: str, response: str) -> bool:
        """A person answers; False if it was answered so before."""
        one = self.questions[question_id]
        if one.status == "answered" and one.response == response:
            return False
        if one.status != "open" or self._due(one):
            raise Refusal
        self._close(one, "answered", response)
        return True

    def expire(self) -> None:
        """Somebody writes down which questions nobody answered in time."""
        for one in self.questions.values():
            if one.status == "open" and self._due(one):
                self._close(one, "expired", one.default)

    def withdraw(self, run_id: str, attempt: int) -> None:
        """The run's code does not wait for an answer any more."""
        self._fenced(run_id, attempt)
        self._withdraw(run_id)

    def _due(self, one: Question) -> bool:
        return one.expires_at is not None and one.expires_at <= self.now

    def _close(self, one: Question, status: str, response: str | None) -> None:
        one.close(status, self.now, response)
        run = self.runs[one.run]
        run.status = "pending" if run.status == "awaiting_user" else run.status

    def _withdraw(self, run_id: str) -> None:
        for one in self.questions.values():
            if one.run == run_id and one.status == "open":
                one.close("withdrawn", self.now)

    def forget(self, run_id: str) -> None:
        """What a removed run had asked goes with it."""
        self.questions = {name: one for name, one in self.questions.items() if one.run != run_id}

    # --- cards ---------------------------------------------------------------------------------------------------

    def take(self, card_id: str, run_id: str) -> None:
        """A run claims a card."""
        run, card = self._run(run_id), self.cards[card_id]
        if run.status in FINAL or run.status == "interrupted" or card.holder not in (None, run_id):
            raise Refusal
        card.status, card.holder = "in_progress", run_id

    def move(self, card_id: str, status: str) -> None:
        """A person moves a card; off in_progress it is free again."""
        card = self.cards[card_id]
        card.status = status
        card.holder = card.holder if status == "in_progress" else None

    def _release(self, run_id: str, status: str) -> None:
        for card in self.cards.values():
            if card.holder == run_id:
                card.status, card.holder = status, None

    # --- inside --------------------------------------------------------------------------------------------------

    def _run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise Refusal
        return self.runs[run_id]

    def _fenced(self, run_id: str, attempt: int) -> Run:
        run = self._run(run_id)
        if run.status != "running" or run.attempt != attempt:
            raise Refusal
        return run

    def remove(self, run_id: str) -> None:
        """Removes a whole ended tree."""
        tree = self.tree(run_id)
        if self.root(tree[0]) is not tree[0] or any(r.status not in {*FINAL, "interrupted"} for r in tree):
            raise Refusal
        for run in tree:
            del self.runs[run.id]
            self.forget(run.id)
        self.order = [(run, request) for run, request in self.order if run in self.runs]
