"""Random commands against the store and a small model of it; after each, every row is proved by its events."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runstone.care.verify import verify
from runstone.domain import codec
from runstone.domain.inputs import question
from runstone.domain.state import Saved
from runstone.errors import RunstoneError
from runstone.ledger import Ledger
from runstone.store import continuations, forks, lists, questions
from runstone.store.sqlite import open as sqlite
from runstone.store.writes.asking import AskAndPark
from runstone.store.writes.boards import RequestStop, SaveBoard, SaveCard
from runstone.store.writes.checkpoints import SaveCheckpoint
from runstone.store.writes.continuing import ContinueChild, ContinueRun
from runstone.store.writes.deliveries import Acknowledge, Release, TakeEnds
from runstone.store.writes.events import Append, AppendMessages, NewEvent, NewMessage, ReportUsage
from runstone.store.writes.fork import ForkRun
from runstone.store.writes.inputs import AnswerInput, AskInput, ExpireInputs, WithdrawInputs
from runstone.store.writes.journal import Hint
from runstone.store.writes.lifecycle import (
    ClaimRun,
    CreateRun,
    EndRun,
    InterruptRun,
    ParkRun,
    ResumeRun,
    UpdateRun,
)
from runstone.store.writes.removal import PruneRun, RemoveRun
from runstone.store.writes.verbs import GiveOrder, TakeSteering
from runstone.testing.contract import OTHER, OWNER, Connect, Store, event, new_run, usage
from runstone.testing.model import FINAL, PARKED, Card, Model, Question, Refusal

RUNS = st.sampled_from(["a", "b", "c", "d", "e"])
CARDS = st.sampled_from(["card-1", "card-2"])
ATTEMPTS = st.sampled_from([0, 0, 0, 0, -1, 1])
STATES = st.dictionaries(
    st.sampled_from("xy"), st.lists(st.integers(0, 2), max_size=3) | st.integers(0, 2), max_size=2
)
TITLES = st.none() | st.sampled_from(["first", "second"])
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""What survives power loss is tested elsewhere; here every command commits, and many are wanted."""

CAMPAIGN = os.environ.get("HYPOTHESIS_PROFILE") == "campaign"


class LedgerMachine(RuleBasedStateMachine):
    """The commands. `ahead` writes of a command go into one batch with others that must be refused."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(self.new_ledger())
        self.model = Model()
        self.model.now = self.store.clock.now()
        self.numbers = 0

    def new_ledger(self) -> Connect:
        """Makes an empty ledger, and gives what opens a connection to it."""
        self.folder = Path(tempfile.mkdtemp(prefix="runstone-model-", dir=MEMORY))
        sqlite.prepare(self.folder / "ledger.db")
        return sqlite.writer(self.folder / "ledger.db")

    def remove_ledger(self) -> None:
        """Removes it."""
        shutil.rmtree(self.folder)

    def teardown(self) -> None:
        self.store.close()
        self.remove_ledger()

    @initialize(layout=st.sampled_from(["empty", "deep", "late", "late", "asking", "asking"]))
    def lay_out(self, layout: str) -> None:
        """A board, and half the time something that random commands seldom come to: a deep tree, or trees to join."""
        self.store.do(SaveBoard("board", None, None, None))
        for card in ("card-1", "card-2"):
            self.store.do(SaveCard(card, "board", {"title": card}, None))
            self.model.cards[card] = Card()
        if layout == "deep":
            for run, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", "c")):
                self.create(run, parent, None)
        elif layout == "late":  # d joins them all, and they have requests in common
            for run, parent in (("a", None), ("b", "d"), ("c", "d"), ("e", "c")):
                self.create(run, parent, None)
            for request, run in enumerate("abbcce"):
                self.report(run, 0, request % 3, request, None)
        elif layout == "asking":  # those that random commands end, stop, interrupt and go on with
            for run, way in (("a", "code"), ("b", "command"), ("c", "loop"), ("d", "code"), ("e", "loop")):
                self.create(run, None, None)
                self.claim(run, False, frozenset())
                self.ask(run, 0, None, "One?", 2.0 if run in "de" else None, None, way)

    def both(self, model: Callable[[], Any], *writes: Any) -> Any:
        """Does it in both; either both take it, or both refuse it."""
        try:
            expected, refused = model(), False
        except Refusal:
            expected, refused = None, True
        try:
            given = [self.store.do(write) for write in writes][-1]
        except RunstoneError as error:
            if not refused:
                raise AssertionError(f"{[type(write).__name__ for write in writes]} must be taken") from error
            return None
        assert not refused, f"{[type(write).__name__ for write in writes]} must be refused"
        return expected, given

    def attempt(self, run: str, offset: int) -> int:
        return self.model.runs[run].attempt + offset if run in self.model.runs else 1

    # --- commands ------------------------------------------------------------------------------------------------

    @rule(run=RUNS, parent=st.none() | RUNS, title=TITLES)
    def create(self, run: str, parent: str | None, title: str | None) -> None:
        existing = run in self.model.runs
        write = CreateRun(new_run(run, parent_run_id=parent, title=title))
        self.both(lambda: self.model.create(run, parent, title), write)
        assert existing or run not in self.model.runs or self.model.runs[run].parent == parent

    @rule(
        run=RUNS,
        other=st.booleans(),
        expect=st.sampled_from([frozenset[str](), PARKED | {"interrupted"}, PARKED | FINAL]),
    )
    def claim(self, run: str, other: bool, expect: frozenset[str]) -> None:
        expect -= {"completed"}
        write = ClaimRun(run, OTHER if other else OWNER, expect=expect | {"pending"})
        self.both(lambda: self.model.claim(run, expect), write)

    @rule(run=RUNS, offset=ATTEMPTS, count=st.integers(0, 2), tools=st.integers(0, 2))
    def append(self, run: str, offset: int, count: int, tools: int) -> None:
        attempt, now = self.attempt(run, offset), self.store.clock.now()
        calls = [
            NewEvent("tool.completed", b'{"call_id":"c","ok":false}', 1, now, None, ("grep", True))
        ] * tools
        write = Append(run, attempt, [event(at=now)] * count + calls)
        self.both(lambda: self.model.append(run, attempt, count, tools), write)

    @rule(
        run=RUNS,
        offset=ATTEMPTS,
        request=st.integers(0, 5),
        tokens=st.integers(0, 9),
        cost=st.none() | st.integers(0, 9),
    )
    def report(self, run: str, offset: int, request: int, tokens: int, cost: int | None) -> None:
        write = ReportUsage(
            run, self.attempt(run, offset), usage(f"q{request}", tokens, cost, at=self.store.clock.now())
        )
        outcome = self.both(lambda: self.model.usage(run, f"q{request}", tokens), write)
        assert outcome is None or outcome[0] == outcome[1]

    @rule(run=RUNS, offset=ATTEMPTS)
    def message(self, run: str, offset: int) -> None:
        attempt = self.attempt(run, offset)
        messages = [NewMessage("user", "hello", self.store.clock.now())]
        write = AppendMessages(f"{run}.thread", messages, run_id=run, attempt=attempt, worker=True)
        self.both(lambda: self.model.message(run, attempt), write)

    @rule(run=RUNS, offset=ATTEMPTS, state=STATES)
    def checkpoint(self, run: str, offset: int, state: Any) -> None:
        attempt = self.attempt(run, offset)
        self.both(lambda: self.model.checkpoint(run, attempt, state), self.save(run, attempt, state))

    def save(self, run: str, attempt: int, state: Any) -> SaveCheckpoint:
        saved = self.store.reader.states.load(run)[1] if run in self.model.runs else Saved()
        return SaveCheckpoint(run, attempt, saved.changes(state)[0], label=None, after=saved.number)

    @rule(run=RUNS, offset=ATTEMPTS, state=STATES)
    def park(self, run: str, offset: int, state: Any) -> None:
        attempt = self.attempt(run, offset)
        write = ParkRun(run, attempt, "run.paused", {"reason": "x"}, extra=self.save(run, attempt, state))
        self.both(lambda: self.model.park(run, attempt, state), write)

    @rule(run=RUNS)
    def resume(self, run: str) -> None:
        self.both(lambda: self.model.resume(run), ResumeRun(run, "again"))

    @rule(run=RUNS, message=st.sampled_from([None, "go on", "and on"]))
    def continue_run(self, run: str, message: str | None) -> None:
        reader, known = self.store.reader, run in self.model.runs
        saved = reader.states.load(run)[1].number if known else 0
        write = ContinueRun(run, OWNER, message=message, saved=saved, now=self.store.clock.now())
        outcome = self.both(lambda: self.model.continue_run(run, message), write)
        assert outcome is None or outcome[0] == (continuations.message_in(reader, run) or "")

    @rule(run=RUNS, offset=ATTEMPTS, child=RUNS, message=st.sampled_from(["go on", "and on"]))
    def continue_child(self, run: str, offset: int, child: str, message: str) -> None:
        attempt, now = self.attempt(run, offset), self.store.clock.now()
        hint = Hint(f"{child} {message}", child)
        write = ContinueChild(run, attempt, child, hint, message=message, agent_id=None, now=now)
        self.both(lambda: self.model.continue_child(run, attempt, child, message), write)

    @rule(run=RUNS, source=RUNS, saved=st.booleans())
    @precondition(lambda self: self.model.runs)
    def fork(self, run: str, source: str, saved: bool) -> None:
        if run in self.model.runs or source not in self.model.runs:
            return
        reader = self.store.reader
        number = reader.states.load(source)[1].number if saved else 0
        newest = forks.known_at(reader, source, number) if number else 2**62
        journal = [entry for entry in reader.journal.of(source) if entry.finished and not entry.dropped]
        known = [entry for entry in journal if entry.number <= newest]
        title = self.model.runs[source].title
        new = new_run(run, forked_from=source, forked_from_checkpoint=number or None, title=title)
        self.both(
            lambda: self.model.fork(run, source, saved=number > 0),
            ForkRun(new, known, checkpoint=number or None),
        )
        taken = reader.journal.of(run)
        assert [(one.key, one.ref, one.child_run_id) for one in taken] == [
            (one.key, one.ref, one.child_run_id) for one in known
        ]
        assert all(entry.finished for entry in taken)

    @rule(run=RUNS, then=st.sampled_from(["acknowledged", "acknowledged", "given back", "left"]))
    @precondition(lambda self: self.model.runs)
    def told(self, run: str, then: str) -> None:
        """A listener is told of each end until it has acknowledged it, and never after."""
        model = self.model.runs.get(run)
        if model is None:
            return
        me, pk = codec.encode({"pid": 1}).decode(), self.store.reader.runs.pk(run)
        ends = self.store.do(TakeEnds("l", [pk], holder=me, hold_us=1_000, dead=()))
        news = model.status in FINAL and model.ends > model.heard
        assert [(end.run_id, end.attempt) for end in ends] == ([(run, model.attempt)] if news else [])
        assert self.store.do(TakeEnds("l", [pk], holder=me, hold_us=1_000, dead=())) == []
        if ends and then == "acknowledged":
            self.store.do(Acknowledge("l", ends, holder=me))
            model.heard = model.ends
        elif ends and then == "given back":
            self.store.do(Release("l", ends[0], holder=me))
        self.time_passes(0.01)

    @rule(run=RUNS, offset=ATTEMPTS, status=st.sampled_from(sorted(FINAL)))
    def end(self, run: str, offset: int, status: str) -> None:
        attempt = self.attempt(run, offset)
        payload = {"error": {"message": "no"}} if status == "failed" else {"summary": "yes"}
        self.both(
            lambda: self.model.end(run, attempt, status), EndRun(run, attempt, f"run.{status}", payload)
        )

    @rule(run=RUNS, offset=ATTEMPTS)
    def interrupt(self, run: str, offset: int) -> None:
        attempt = self.attempt(run, offset)
        self.both(lambda: self.model.interrupt(run, attempt), InterruptRun(run, attempt, "gone"))

    @rule(run=RUNS)
    def stop(self, run: str) -> None:
        self.numbers += 1
        name = f"order-{self.numbers}"
        write = RequestStop(run, name, {}, by="ana", idempotency_key=None)
        self.both(lambda: self.model.stop(run, name), write)

    @rule(run=RUNS, verb=st.sampled_from(["pause", "pause", "resume", "retry", "steer"]))
    def order(self, run: str, verb: str) -> None:
        self.numbers += 1
        name = f"order-{self.numbers}"
        payload = {"message": "go on"} if verb == "steer" else {}
        self.both(
            lambda: self.model.give_order(run, verb, name), GiveOrder(run, name, verb, payload, by="ana")
        )

    @rule(run=RUNS, offset=ATTEMPTS)
    def hear(self, run: str, offset: int) -> None:
        attempt = self.attempt(run, offset)
        write = TakeSteering(run, attempt, f"{run}.thread")
        outcome = self.both(lambda: self.model.hear(run, attempt), write)
        assert outcome is None or outcome[0] == len(outcome[1])

    @invariant()
    def every_order_is_where_it_should_be(self) -> None:
        for run in self.model.runs.values():
            found = {one.id: one.status for one in self.store.reader.commands.of(run.id)}
            open_ = {order: "requested" for order, _ in run.orders}
            assert found == run.closed | open_, run.id

    # --- questions -----------------------------------------------------------------------------------------------

    @rule(
        run=RUNS,
        offset=ATTEMPTS,
        key=st.sampled_from([None, None, "k"]),
        text=st.sampled_from(["One?", "Two?"]),
        expires_s=st.sampled_from([None, None, 0.5, 2.0]),
        default=st.none() | st.just("none"),
        way=st.sampled_from(["code", "code", "command", "loop"]),
    )
    def ask(
        self,
        run: str,
        offset: int,
        key: str | None,
        text: str,
        expires_s: float | None,
        default: str | None,
        way: str,
    ) -> None:
        self.numbers += 1
        number, now, attempt = f"question-{self.numbers}", self.store.clock.now(), self.attempt(run, offset)
        more = {"default": default} if default is not None and expires_s is not None else {}
        asked = question(text, now=now, key=key, expires_s=expires_s, **more)  # type: ignore[arg-type]
        new = Question(
            number,
            run,
            attempt,
            ("key", key) if key else ("text", text),
            text,
            0,
            asked.expires_at,
            more.get("default"),
        )
        ask = AskInput(run, None if way == "command" else attempt, asked, number)
        write = AskAndPark(ask, None) if way == "loop" else ask
        outcome = self.both(lambda: self.model.ask(new, command=way == "command", park=way == "loop"), write)
        assert outcome is None or outcome[0] == outcome[1].input_id

    @rule(data=st.data(), response=st.sampled_from(["yes", "no"]))
    @precondition(lambda self: self.model.questions)
    def answer(self, data: st.DataObject, response: str) -> None:
        one = data.draw(st.sampled_from(sorted(self.model.questions)))
        write = AnswerInput(one, codec.canonical(response), "ana")
        outcome = self.both(lambda: self.model.answer(one, response), write)
        assert outcome is None or outcome[0] == outcome[1]

    @rule()
    def expire(self) -> None:
        self.both(self.model.expire, ExpireInputs())

    @rule(run=RUNS, offset=ATTEMPTS)
    def withdraw(self, run: str, offset: int) -> None:
        attempt = self.attempt(run, offset)
        open_ = [one.id for one in self.model.questions.values() if one.run == run and one.status == "open"]
        self.both(lambda: self.model.withdraw(run, attempt), WithdrawInputs(run, attempt, open_))

    @rule(run=RUNS, title=st.sampled_from(["third", "fourth"]))
    def retitle(self, run: str, title: str) -> None:
        self.both(lambda: self.model.retitle(run, title), UpdateRun(run, {"title": title}))

    @rule(card=CARDS, run=RUNS)
    def take(self, card: str, run: str) -> None:
        revision = self.store.reader.boards.cards(card_id=card)[0].revision
        if self.both(lambda: self.model.take(card, run), SaveCard(card, None, {"run_id": run}, revision)):
            assert self.store.reader.runs.get(run).task_card_id == card
            assert run in self.store.reader.boards.cards(card_id=card)[0].run_ids

    @rule(card=CARDS, status=st.sampled_from(["todo", "in_progress", "blocked", "done"]))
    def move(self, card: str, status: str) -> None:
        revision = self.store.reader.boards.cards(card_id=card)[0].revision
        self.both(lambda: self.model.move(card, status), SaveCard(card, None, {"status": status}, revision))

    @rule(run=RUNS)
    def prune(self, run: str) -> None:
        model = self.model.runs.get(run)
        if model is None or model.status not in {*FINAL, "interrupted"}:
            return
        last = self.store.reader.events.before(run, limit=1)[0]
        while self.store.do(PruneRun(run)):
            continue
        events = self.store.reader.events.after(run)
        assert [e.type for e in events] == ["run.pruned"]
        assert events[0].seq == last.seq + (last.type != "run.pruned")
        model.plain, model.messages, model.states = 0, 0, []
        model.told.clear()

    @rule(run=RUNS)
    @precondition(lambda self: self.model.runs)
    def remove(self, run: str) -> None:
        if run not in self.model.runs:
            return
        tree = self.model.tree(run)
        try:
            self.model.remove(run)
        except Refusal:
            return
        for one in reversed(tree):
            while self.store.do(PruneRun(one.id)):
                continue
        for one in reversed(tree):
            self.store.do(RemoveRun(one.id))

    @rule()
    def reopen(self) -> None:
        clock = self.store.clock
        self.store.close()
        self.store = Store(self.store.connect)
        self.store.clock.advance((clock.now() - self.store.clock.now()) / 1e6)

    @rule(seconds=st.sampled_from([0.1, 0.7, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.store.clock.advance(seconds)
        self.model.now = self.store.clock.now()

    # --- what must hold after each -------------------------------------------------------------------------------

    @invariant()
    def the_ledger_proves_itself(self) -> None:
        assert verify(cast(Ledger, SimpleNamespace(reader=self.store.reader))) == []

    @invariant()
    def the_store_is_the_model(self) -> None:
        reader = self.store.reader
        assert {row[0] for row in reader.runs.rows("true")} == set(self.model.runs)
        for run in self.model.runs.values():
            record = reader.runs.get(run.id)
            shown = (record.status, record.attempt, record.title, record.parent_run_id)
            assert shown == (
                run.status if run.status != "running" else record.status,
                run.attempt,
                run.title,
                run.parent,
            )
            assert record.status in (run.status, "interrupted")  # a lease may have run out meanwhile
            assert record.root_run_id == self.model.root(run).id
            assert (
                sum(event.type == "work.done" for event in reader.events.after(run.id, limit=500))
                == run.plain
            )
            assert len(reader.threads.messages(f"{run.id}.thread")) == run.messages
            assert reader.states.load(run.id)[0] == (run.states[-1] if run.states else None)

    @invariant()
    def totals_are_sums(self) -> None:
        for run in self.model.runs.values():
            found, tree = self.store.reader.usage.of(run.id), self.model.tree(run.id)
            assert found.own.requests == len(run.reports)
            assert found.own.input_tokens == sum(run.reports.values())
            assert found.subtree.requests == sum(len(one.reports) for one in tree)
            assert found.subtree.input_tokens == sum(sum(one.reports.values()) for one in tree)
            assert sum(found.tool_counts.values()) == run.tools
            assert sum(found.subtree_tool_counts.values()) == sum(one.tools for one in tree)

    @invariant()
    def questions_stand_as_they_were_left(self) -> None:
        found = {
            one.id: one
            for one, _ in questions.page(self.store.reader, status=None, run_id=None, after=0, limit=999)
        }
        assert found.keys() == self.model.questions.keys()
        for one in self.model.questions.values():
            due = (
                one.status == "open"
                and one.expires_at is not None
                and one.expires_at <= self.store.clock.now()
            )
            shown = (found[one.id].status, found[one.id].run_id, found[one.id].response)
            assert shown == ("expired" if due else one.status, one.run, one.default if due else one.response)
        asking = lists.count_by_bucket(self.store.reader, {})["needs_input"]
        open_ = {found[one.id].run_id for one in found.values() if one.status == "open"}
        assert asking == len(
            open_ | {one.id for one in self.model.runs.values() if one.status == "awaiting_user"}
        )

    @invariant()
    def claims_are_held_by_who_may(self) -> None:
        for name, card in self.model.cards.items():
            stored = self.store.reader.boards.cards(card_id=name)[0]
            assert (stored.status, stored.claimed_by) == (card.status, card.holder)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=300 if CAMPAIGN else 25, stateful_step_count=60 if CAMPAIGN else 30, deadline=None
)
