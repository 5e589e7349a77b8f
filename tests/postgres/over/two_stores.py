"""Two ledgers, one in a file and one in a database: the same answers, field by field, but for ids that nobody chose.

Texts are those that stores trip over: without letters, with signs of SQL and of patterns, with NUL, in other scripts,
composed and taken apart, in upper and lower case, and as long as they may be.
"""

import math
import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import runstone
from runstone import workspace as places
from runstone.errors import RunstoneError
from runstone.testing.clock import FakeClock
from tests.postgres import server
from tests.postgres.over.elsewhere import standing

Call = Callable[[runstone.Ledger], Any]

SEEDS = [
    "",
    " ",
    "a",
    "A",
    "b",
    "ä",
    "a\u0308",
    "Ä",
    "ß",
    "SS",
    "é",
    "e\u0301",
    "İ",
    "i",
    "ı",
    "Σ",
    "ς",
    "\U0001f600",
    "\uffff",
    "\ue000",
    "10",
    "9",
    "-1",
    "%",
    "_",
    "a%",
    "a_b",
    "\\",
    "\\\\",
    "'",
    '"',
    "''",
    "--",
    ";",
    "$1",
    ":a",
    "?",
    "NULL",
    "null",
    "{}",
    "[]",
    "\x00",
    "a\x00b",
    "\x01",
    "\x7f",
    "\r\n",
    "\t",
    "\u2028",
    "\u00a0",
    "a\u200db",
    "x" * 300,
    "日本語",
    "word",
    "Word",
    "wörd",
    "two words",
    "a-b",
    "a.b",
    "a+b@c.de",
    "http://x/y?z=1",
    "3.14",
    "1e5",
    "foo_bar",
    "C++",
    "don't",
    "don\u2019t",
    "①",
    "ﬁ",
    "Å",
    "&",
    "|",
    "!",
    "<->",
    "a:*",
    "(a",
    "a & b",
    "or",
    "AND",
    "not",
    "*",
    "^",
    "NEAR",
]
INCOMPRESSIBLE = "".join(chr(0x4E00 + (n * 7919 + n * n * 31) % 20_000) for n in range(1_300))
texts = st.one_of(
    st.sampled_from(SEEDS),
    st.text(max_size=12),
    st.builds(lambda n: INCOMPRESSIBLE[:n], st.integers(1, 1_300)),
    st.builds("".join, st.lists(st.sampled_from(SEEDS), max_size=4)),
)
LONG = [INCOMPRESSIBLE[n : n + 200] for n in range(2)]
NAMES = ["r", "R", "r1", "r10", "ä", "a\u0308", "Ä", "%", "r_", "\U0001f600", "ﬁ", "z" * 200, *LONG]
ids = st.integers(0, 30).flatmap(lambda n: texts if n == 30 else st.sampled_from(NAMES))
numbers = st.one_of(
    st.integers(0, 50), st.sampled_from([2**31, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 2**70, -1])
)
jsons = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
labels = st.dictionaries(texts, texts, max_size=3)
maybe = lambda one: st.one_of(st.none(), one)  # noqa: E731

RUN_FILTERS = ("status", "bucket", "kind", "agent_id", "parent_id", "root_id", "thread_id")
OWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
EPOCH = re.compile(r"[0-9a-f]{8,32}-(?=\d+$)")
CLOCKS = {"elapsed_ms", "active_ms"}


def searched_alike(words: str) -> bool:
    """Whether both full-text indexes see the same words: what is no letter outside of ASCII is part of one in one of
    them, and PostgreSQL's has no word of more than 2,046 bytes."""
    return len(words.encode(errors="replace")) < 2_000 and all(c.isascii() or c.isalpha() for c in words)


class TwoStores(RuleBasedStateMachine):
    """One ledger in a file, one in a database; whatever is done is done to both."""

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(places, "locate", standing.locate_folder)  # the one in a file is one in a file
        self.dsn = server.lend()
        self.stack.callback(server.take_back, self.dsn)
        more: dict[str, Any] = {"lease_s": 1e6, "heartbeat_s": 1e5, "redact": False}
        self.clocks = [FakeClock(), FakeClock()]
        self.ledgers = [
            self.stack.enter_context(runstone.open(place, clock=clock, **more))
            for place, clock in zip((Path(folder) / "w", self.dsn), self.clocks, strict=True)
        ]
        assert [ledger.workspace.dsn for ledger in self.ledgers] == [None, self.dsn]
        self.handles: list[dict[str, Any]] = [{}, {}]
        self.inputs: list[list[str]] = [[], []]

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.same(lambda ledger: ledger.flush())
            self.same(lambda ledger: ledger.care.verify())
            self.stack.close()

    def same(self, call: Call, note: Any = None) -> list[Any]:
        """Does it to both, and requires the same answer or the same refusal. Gives what they answered."""
        answers, plain = [], []
        for ledger in self.ledgers:
            try:
                answers.append(call(ledger))
                plain.append(("answer", self.plain(answers[-1])))
            except RunstoneError as error:
                answers.append(None)
                plain.append(("refused", type(error).__name__, OWN.sub("ID", str(error)), error.hint))
        assert plain[0] == plain[1], f"{note!a:.200}\nfile {plain[0]!a:.3000}\nbase {plain[1]!a:.3000}"
        return answers

    def plain(self, value: Any, name: str = "") -> Any:
        """What must be equal of an answer."""
        if isinstance(value, msgspec.Struct):
            found = {field: getattr(value, field) for field in value.__struct_fields__}
            return {"": type(value).__name__, **{k: self.plain(v, k) for k, v in found.items()}}
        if isinstance(value, dict):
            return [(self.plain(k), self.plain(v, str(k))) for k, v in value.items()]
        if isinstance(value, list | tuple):
            return [self.plain(one) for one in value]
        if isinstance(value, str):
            if name in ("next_cursor", "as_of", "cursor"):
                return value != ""
            return OWN.sub("ID", value)
        if isinstance(value, float) and math.isfinite(value):
            return ("float", value)
        return value

    def held(self, run_id: str, call: Callable[[Any], Any]) -> None:
        """Something by the handles of a run, and its receipt."""

        def one(ledger: runstone.Ledger) -> Any:
            handle = self.handles[self.ledgers.index(ledger)].get(run_id)
            if handle is None:
                return None
            done = call(handle)
            done = done.result() if hasattr(done, "result") else done
            return done[0] if isinstance(done, tuple) else isinstance(done, str) or done

        self.same(one, run_id)

    @rule(seconds=st.floats(0.000001, 5_000))
    def pass_time(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.advance(seconds)

    @rule(
        run_id=ids,
        parent=maybe(ids),
        title=maybe(texts),
        prompt=maybe(texts),
        agent=maybe(ids),
        thread=maybe(ids),
        labels=maybe(labels),
        options=maybe(st.dictionaries(texts, jsons, max_size=2)),
        input=jsons,
    )
    def start(
        self,
        run_id: str,
        parent: Any,
        title: Any,
        prompt: Any,
        agent: Any,
        thread: Any,
        labels: Any,
        options: Any,
        input: Any,
    ) -> None:
        def one(ledger: runstone.Ledger) -> Any:
            handle = ledger.start_run(
                run_id=run_id,
                parent=parent,
                title=title,
                prompt=prompt,
                agent_id=agent,
                thread_id=thread,
                labels=labels,
                options=options,
                input=input,
                cwd="/",
            )
            self.handles[self.ledgers.index(ledger)][handle.id] = handle
            return handle.attempt

        self.same(one)
        self.same(lambda ledger: ledger.get_run(run_id))

    @rule(
        run=ids,
        type=st.one_of(st.sampled_from(["work.done", "a.b", "log.written"]), texts),
        payload=jsons,
        key=maybe(texts),
        importance=maybe(numbers),
    )
    def emit(self, run: str, type: str, payload: Any, key: Any, importance: Any) -> None:
        self.held(run, lambda handle: handle.emit(type, payload, event_key=key, importance=importance))

    @rule(run=ids, tool=texts, ok=st.booleans(), error=maybe(texts))
    def call_tool(self, run: str, tool: str, ok: bool, error: Any) -> None:
        said = {"tool": tool, "call_id": "c", "ok": ok, "error": error}
        self.held(run, lambda handle: handle.emit("tool.completed", said))

    @rule(
        run=ids,
        provider=texts,
        model=texts,
        a=numbers,
        b=numbers,
        request=texts,
        cost=st.one_of(st.none(), numbers, st.floats(0, 10)),
    )
    def spend(self, run: str, provider: str, model: str, a: int, b: int, request: str, cost: Any) -> None:
        self.held(
            run,
            lambda handle: handle.usage(
                provider=provider,
                model=model,
                input_tokens=a,
                output_tokens=b,
                request_id=request,
                cost_usd=cost,
            ),
        )

    @rule(run=ids, role=texts, text=texts)
    def say(self, run: str, role: str, text: str) -> None:
        self.held(run, lambda handle: handle.message(role, text))

    @rule(run=ids, state=jsons, label=maybe(texts))
    def save(self, run: str, state: Any, label: Any) -> None:
        self.held(run, lambda handle: handle.checkpoint(state, label=label))

    @rule(
        run=ids,
        message=texts,
        key=maybe(texts),
        reason=maybe(texts),
        choices=maybe(st.lists(jsons, max_size=2)),
    )
    def ask(self, run: str, message: str, key: Any, reason: Any, choices: Any) -> None:
        asked = self.same(
            lambda ledger: ledger.inputs.ask(run, message, key=key, reason=reason, choices=choices)
        )
        if asked[0] is not None:
            for known, one in zip(self.inputs, asked, strict=True):
                known.append(one.id)

    @rule(which=st.integers(0, 5), response=jsons, by=maybe(texts))
    def answer(self, which: int, response: Any, by: Any) -> None:
        if which < len(self.inputs[0]):
            self.same(
                lambda ledger: ledger.answer(self.inputs[self.ledgers.index(ledger)][which], response, by=by)
            )

    @rule(run=ids, how=st.integers(0, 3), text=texts, value=jsons)
    def end(self, run: str, how: int, text: str, value: Any) -> None:
        ways: list[Callable[[Any], Any]] = [
            lambda handle: handle.complete(summary=text, result=value),
            lambda handle: handle.fail(text),
            lambda handle: handle.pause(reason=text, state=value),
            lambda handle: handle.update(title=text, labels={"k": text}),
        ]
        self.held(run, ways[how])

    @rule(
        run=ids,
        title=maybe(texts),
        labels=maybe(labels),
        archived=maybe(st.booleans()),
        pinned=maybe(st.booleans()),
    )
    def edit(self, run: str, title: Any, labels: Any, archived: Any, pinned: Any) -> None:
        self.same(
            lambda ledger: ledger.update_run(
                run, title=title, labels=labels, archived=archived, pinned=pinned
            )
        )

    @rule(
        run=ids,
        verb=st.sampled_from(["stop", "pause", "resume", "retry", "steer"]),
        by=maybe(texts),
        key=maybe(texts),
        text=texts,
    )
    def order(self, run: str, verb: str, by: Any, key: Any, text: str) -> None:
        if run in self.handles[0]:
            return  # its owner takes orders at a moment of its own
        more = {"message": text} if verb == "steer" else {}
        self.same(lambda ledger: ledger.command(run, verb, by=by, idempotency_key=key, **more))
        self.same(lambda ledger: ledger.commands.list(run))

    @rule(thread=ids, title=maybe(texts), role=texts, text=texts, extra=jsons)
    def talk(self, thread: str, title: Any, role: str, text: str, extra: Any) -> None:
        self.same(lambda ledger: ledger.threads.create(thread, title=title))
        self.same(lambda ledger: ledger.threads.append(thread, role, text, extra=extra))
        self.same(lambda ledger: ledger.threads.messages(thread))

    @rule(
        board=ids,
        title=texts,
        thread=maybe(ids),
        card=ids,
        name=texts,
        body=maybe(texts),
        assignee=maybe(texts),
        labels=labels,
        position=maybe(numbers),
    )
    def plan(
        self,
        board: str,
        title: str,
        thread: Any,
        card: str,
        name: str,
        body: Any,
        assignee: Any,
        labels: Any,
        position: Any,
    ) -> None:
        fields = {"body": body, "assignee": assignee, "labels": labels, "position": position}
        fields = {name: value for name, value in fields.items() if value is not None}
        self.same(lambda ledger: ledger.boards.create(board, title=title, thread_id=thread))
        self.same(lambda ledger: ledger.boards.add_card(board, name, card_id=card, **fields))
        self.same(lambda ledger: ledger.boards.cards(board))
        self.same(lambda ledger: [ledger.boards.list(), ledger.boards.list(thread_id=thread)])

    @rule(
        name=texts,
        view=ids,
        filters=st.dictionaries(st.sampled_from(["q", "agent_id"]), texts, max_size=2),
        viewer=texts,
    )
    def view(self, name: str, view: str, filters: Any, viewer: str) -> None:
        self.same(lambda ledger: ledger.views.put(name, filters, view_id=view))
        self.same(lambda ledger: ledger.views.list())
        self.same(lambda ledger: ledger.views.mark_seen(viewer) and None)

    @rule(
        run=ids,
        title=maybe(texts),
        type=texts,
        key=maybe(texts),
        payload=jsons,
        year=st.sampled_from([1, 1969, 2026, 9999]),
        model=texts,
        request=texts,
        count=numbers,
        labels=maybe(labels),
    )
    def report(
        self,
        run: str,
        title: Any,
        type: str,
        key: Any,
        payload: Any,
        year: int,
        model: str,
        request: str,
        count: int,
        labels: Any,
    ) -> None:
        at = f"{year:04}-06-01T00:00:00.000001Z"
        items: list[dict[str, Any]] = [
            {"item": "run", "run_id": run, "title": title, "labels": labels, "status": "running", "at": at},
            {"item": "event", "run_id": run, "type": type, "key": key, "payload": payload, "at": at},
            {
                "item": "usage",
                "run_id": run,
                "provider": "p",
                "model": model,
                "request_id": request,
                "input_tokens": count,
            },
            {"item": "message", "run_id": run, "role": "user", "text": type, "key": key},
        ]
        items = [{name: value for name, value in item.items() if value is not None} for item in items]
        self.same(lambda ledger: [(one.outcome, one.code, one.message) for one in ledger.ingest(items)])

    @rule(
        asked=st.dictionaries(st.sampled_from(RUN_FILTERS), texts, max_size=2),
        labels=maybe(labels),
        q=maybe(texts),
        sort=st.sampled_from(["updated", "created", "ended", "duration", "cost"]),
        order=st.sampled_from(["asc", "desc"]),
    )
    def look(self, asked: Any, labels: Any, q: Any, sort: str, order: str) -> None:
        q = q if q is None or searched_alike(q) else None

        def pages(ledger: runstone.Ledger) -> Any:
            found, cursor = [], None
            while True:
                page = ledger.list_runs(
                    **asked, labels=labels, q=q, sort=sort, order=order, limit=2, cursor=cursor
                )
                found += list(page)
                if (cursor := page.next_cursor) is None:
                    return found

        self.same(pages, (asked, labels, q))
        self.same(lambda ledger: ledger.counts(**asked, labels=labels, q=q))
        for by in runstone.store.lists.groups.BY:
            self.same(
                lambda ledger, by=by: runstone.store.lists.groups.group(
                    ledger.reader, {**asked, "labels": labels, "q": q, "archived": False}, by=by
                )
            )

    @rule(words=texts)
    def search(self, words: str) -> None:
        if searched_alike(words):
            self.same(lambda ledger: ledger.search(words), words)

    @rule(part=texts)
    def resolve(self, part: str) -> None:
        self.same(lambda ledger: ledger.resolve(part), part)

    @rule(run=ids)
    def read(self, run: str) -> None:
        reads: list[Call] = [
            lambda ledger: ledger.get_run(run),
            lambda ledger: [
                (e.seq, e.type, e.payload, e.importance, e.attempt, e.timestamp) for e in ledger.events(run)
            ],
            lambda ledger: ledger.events(run, types=["a.", "work."], order="desc", min_importance=1).items,
            lambda ledger: ledger.tree(run),
            lambda ledger: list(ledger.tree_page(run)),
            lambda ledger: ledger.timeline(run).items,
            lambda ledger: ledger.telemetry(run),
            lambda ledger: ledger.attempts(run) and None,
            lambda ledger: [ledger.input(run), ledger.prompt(run), ledger.result(run)],
            lambda ledger: [ledger.checkpoints.list(run), ledger.checkpoints.state(run)],
            lambda ledger: ledger.inputs.list(status=None),
        ]
        for number, one in enumerate(reads):
            self.same(one, number)

    @rule(
        by=st.lists(
            st.one_of(
                st.sampled_from(["day", "hour", "model", "provider", "agent", "workflow", "thread", "run"]),
                st.builds(lambda text: f"label:{text}", texts),
            ),
            max_size=3,
        )
    )
    def sum_up(self, by: list[str]) -> None:
        self.same(lambda ledger: ledger.usage(by), by)

    @rule(run=ids)
    def prune(self, run: str) -> None:
        self.same(lambda ledger: ledger.care.prune(run) and None, run)
