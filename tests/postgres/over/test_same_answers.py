"""What stores trip over gets the same answer from a file and from a database, or the same refusal.

Random ones come in the campaign.
"""

from collections.abc import Iterator

import pytest

from tests.postgres.over.two_stores import INCOMPRESSIBLE, TwoStores

LONG = INCOMPRESSIBLE[:1_300]


@pytest.fixture
def both() -> Iterator[TwoStores]:
    both = TwoStores()
    both.open()
    yield both
    both.teardown()


def started(both: TwoStores, run_id: str, text: str, **more: object) -> None:
    both.start(**{
        "run_id": run_id, "parent": None, "title": text, "prompt": text, "agent": None, "thread": None,
        "labels": {text: text, "k": text}, "options": {text: text}, "input": {text: text}, **more,
    })  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("text", ["a\x00b", LONG], ids=["NUL", "long"])
def test_texts_of_every_field_come_back_alike(both: TwoStores, text: str) -> None:
    started(both, "r", text)
    both.emit("r", "a.b", {text: text}, text, 2)
    both.emit("r", "a.b", {}, text.replace("\x00", "\ufffd"), 1)
    both.call_tool("r", text, False, text)
    for number, request in enumerate((text, text.replace("\x00", "\ufffd"), text + "x")):
        both.spend("r", text, text, number, 2**52, request, 0.5)
    both.say("r", text[:100], text)
    both.save("r", {text: [text, 1], "a\x00": 1, "a\ufffd": 2, "plain": {text: text}}, text)
    both.save("r", {text: [text], "a\x00": 3}, None)
    both.ask("r", f"What? {text}", text, text, [text])
    both.answer(0, text, text)
    both.talk("t", text, text[:100], text, {text: text})
    both.plan("b", text, None, "c", text, text, text, {text: text}, 2**52)
    both.view(text[:60], "v", {"q": text}, text[:60])
    both.report("seen", text, "a.b", text, {text: text}, 1969, text, text, 5, {text: text})
    both.end("r", 0, text, text)
    started(both, "s", text)
    both.end("s", 2, text, {text: text})
    both.order("seen", "stop", text, text, text)
    both.edit("r", text, {text: text}, False, True)
    for run in ("r", "s", "seen"):
        both.read(run)
    for part in (text, text[:3], "r"):
        both.resolve(part)
        both.search(part)
    for labels in ({text: text}, {"k": text}, {text: "x"}, None):
        both.look({}, labels, None, "cost", "asc")
    both.look({"agent_id": text}, None, text, "updated", "desc")
    both.sum_up([f"label:{text}", "model", "provider"])
    both.prune("r")
    both.read("r")
    both.sum_up([f"label:{text}", "model", "agent"])


def test_what_sorts_by_bytes_sorts_alike(both: TwoStores) -> None:
    names = [
        "a",
        "B",
        "b",
        "Ä",
        "ä",
        "a\u0308",
        "z",
        "_",
        "%",
        "ﬁ",
        "\ue000",
        "\uffff",
        "\U0001f600",
        "10",
        "9",
        "日本",
    ]
    for name in names:
        started(both, f"run-{name}", name, agent=name, thread=None if name < "b" else name)
        both.spend(f"run-{name}", name, name, 1, 1, name, None)
        both.plan(name, name, name, f"card-{name}", name, None, None, {}, 0)
    both.look({}, None, None, "updated", "desc")
    for by in ("agent", "model", "provider", "thread", "run", "workflow"):
        both.sum_up([by])
    for name in names:
        both.search(name)
        both.resolve(name)


@pytest.mark.parametrize("number", [2**53, 2**63], ids=str)
def test_numbers_that_no_column_takes_are_refused_alike(both: TwoStores, number: int) -> None:
    started(both, "r", "x", input=number, options={"n": number})
    both.emit("r", "a.b", {"n": number}, None, number)
    both.spend("r", "p", "m", number, 1, "q", None)
    both.spend("r", "p", "m", 1, 1, "q2", number)
    both.save("r", {"n": number, "list": [number]}, None)
    both.plan("b", "x", None, "c", "x", None, None, {}, number)
    both.report("seen", "x", "a.b", "k", {"n": number}, 1, "m", "q", number, None)
    both.read("r")
