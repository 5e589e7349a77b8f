"""A line of the protocol is read as it was written, a broken one is named, and everything else is text."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain import codec, lines
from runstone.engine.handle import RunHandle
from runstone.errors import InvalidLine
from tests.domain.test_codec import JSON, TEXTS

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
COUNTS = st.integers(0, 2**53 - 1)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


EMITS = st.builds(
    lines.EmitLine,
    type=st.sampled_from(["note.taken", "deploy.step.ended"]),
    payload=JSON,
    key=optional(NAMES),
    importance=optional(st.integers(0, 2)),
)
CALLS = st.builds(
    lambda call_id, tool: lines.EmitLine(type="tool.started", payload={"call_id": call_id, "tool": tool}),
    NAMES,
    NAMES,
)
USAGES = st.builds(
    lines.UsageLine,
    provider=NAMES,
    model=NAMES,
    input_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    output_tokens=COUNTS,
    cost_usd=optional(st.floats(0, 100_000) | st.sampled_from(["0.1", "0.000001", 3])),
    request_id=optional(NAMES),
)
MESSAGES = st.builds(lines.MessageLine, role=NAMES, text=TEXTS, extra=JSON)
STATES = st.dictionaries(NAMES, JSON, max_size=4)
CHECKPOINTS = st.builds(lines.CheckpointLine, state=STATES, label=optional(TEXTS)) | st.builds(
    lines.CheckpointLine, append=st.dictionaries(NAMES, st.lists(JSON, max_size=3), max_size=3)
)
ASKS = st.builds(
    lines.AskLine,
    message=NAMES.map("Go on? ".__add__),
    key=optional(NAMES),
    choices=optional(st.lists(TEXTS | st.integers(0, 9), min_size=1, max_size=3, unique=True)),
    schema=optional(st.just({"type": "string"})),
    expires_in_s=optional(st.floats(0.001, 1e9)),
)
UPDATES = st.builds(lines.UpdateLine, title=TEXTS, labels=optional(st.dictionaries(TEXTS, TEXTS, max_size=3)))
COMPLETES = st.builds(lines.CompleteLine, summary=optional(TEXTS), result=JSON)
LINES = EMITS | CALLS | USAGES | MESSAGES | CHECKPOINTS | ASKS | UPDATES | COMPLETES


def read(text: str) -> lines.Line | str | None:
    """What `parse` gives, or what it says of a broken line; nothing else may be raised."""
    try:
        return lines.parse(text)
    except InvalidLine as error:
        return str(error)


@given(LINES)
def test_a_line_is_read_as_it_was_written(line: lines.Line) -> None:
    assert lines.parse(msgspec.json.encode(line).decode()) == line


@given(LINES, st.booleans())
def test_the_place_of_the_verb_and_the_way_of_escaping_do_not_matter(line: lines.Line, ascii: bool) -> None:
    fields = codec.decode(msgspec.json.encode(line))
    backwards = dict(reversed(fields.items()))
    assert lines.parse(json.dumps(backwards, ensure_ascii=ascii)) == line


@given(st.text(max_size=60) | st.text('{}[]":,runstoe \\', max_size=40).map('{"runstone"'.__add__))
def test_no_text_raises_anything_but_invalid_line(text: str) -> None:
    found = read(text)
    assert '"runstone"' in text or found is None


@given(st.sampled_from(sorted(lines.VERBS)), st.dictionaries(st.sampled_from([
    "type", "payload", "key", "role", "text", "extra", "state", "append", "label", "message", "choices", "schema",
    "expires_in_s", "summary", "result", "title", "labels", "provider", "model", "input_tokens", "cost_usd",
]), JSON))  # fmt: skip
def test_no_fields_raise_anything_but_invalid_line(verb: str, fields: dict[str, Any]) -> None:
    found = read(json.dumps({"runstone": verb, **fields}))
    assert found.startswith(f"{verb}: ") if isinstance(found, str) else isinstance(found, lines.VERBS[verb])


@given(LINES, st.data())
def test_a_line_that_is_cut_short_is_broken_not_text(line: lines.Line, data: st.DataObject) -> None:
    whole = msgspec.json.encode(line).decode()
    cut = data.draw(st.integers(len('{"runstone"'), len(whole) - 1))
    with pytest.raises(InvalidLine):
        lines.parse(whole[:cut])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "{",
        "{}",
        '{"level": "info", "message": "a program\'s own JSON"}',
        '{"data": {"runstone": "emit"}}',
        '{"text": "\\"runstone\\""}',
        '[{"runstone": "emit"}]',
        '"runstone"',
        ' {"runstone": "complete"}',
        '{broken "runstone": 1}',
    ],
)
def test_everything_else_is_text(text: str) -> None:
    assert lines.parse(text) is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"runstone": "shout"}, "verb"),
        ({"runstone": None}, "verb"),
        ({"runstone": ["emit"]}, "verb"),
        ({"runstone": "emit"}, "type"),
        ({"runstone": "emit", "type": "tool.started", "payload": {"tool": "x"}}, "call_id"),
        ({"runstone": "emit", "type": "run.completed"}, "Runstone itself"),
        ({"runstone": "emit", "type": "noted"}, "dotted"),
        ({"runstone": "emit", "type": "note.taken", "payload": {}, "more": 1}, "more"),
        ({"runstone": "emit", "type": "note.taken", "key": "k" * 501}, "key"),
        ({"runstone": "emit", "type": "note.taken", "importance": 3}, "importance"),
        ({"runstone": "usage", "provider": "p"}, "model"),
        ({"runstone": "usage", "provider": "", "model": "m"}, "provider"),
        ({"runstone": "usage", "provider": "p", "model": "m", "input_tokens": -1}, "input_tokens"),
        ({"runstone": "usage", "provider": "p", "model": "m", "input_tokens": 1.5}, "input_tokens"),
        ({"runstone": "usage", "provider": "p", "model": "m", "input_tokens": True}, "input_tokens"),
        ({"runstone": "usage", "provider": "p", "model": "m", "reasoning_tokens": 1}, "reasoning_tokens"),
        ({"runstone": "usage", "provider": "p", "model": "m", "cache_write_1h_tokens": 1}, "cache_write_1h"),
        ({"runstone": "usage", "provider": "p", "model": "m", "cost_usd": "much"}, "cost_usd"),
        ({"runstone": "usage", "provider": "p", "model": "m", "cost_usd": -0.1}, "cost_usd"),
        ({"runstone": "message", "role": "", "text": "hello"}, "role"),
        ({"runstone": "message", "role": "user"}, "text"),
        ({"runstone": "message", "role": "user", "text": 1}, "text"),
        ({"runstone": "checkpoint"}, "one of the two"),
        ({"runstone": "checkpoint", "state": 1, "append": {"a": []}}, "one of the two"),
        ({"runstone": "checkpoint", "append": {"a": 1}}, "append"),
        ({"runstone": "checkpoint", "append": {"": [1]}}, "append"),
        ({"runstone": "checkpoint", "state": {"": 1}}, "keys"),
        ({"runstone": "checkpoint", "state": {"k" * 501: 1}}, "keys"),
        ({"runstone": "checkpoint", "state": 1, "label": "l" * 5000}, "label"),
        ({"runstone": "ask"}, "message"),
        ({"runstone": "ask", "message": "?", "choices": []}, "choices"),
        ({"runstone": "ask", "message": "?", "expires_in_s": -1}, "expires_in_s"),
        ({"runstone": "ask", "message": " "}, "question"),
        ({"runstone": "ask", "message": "?", "choices": ["a", "a"]}, "choices"),
        ({"runstone": "ask", "message": "?", "schema": {"type": "text"}}, "schema"),
        ({"runstone": "update"}, "title"),
        ({"runstone": "update", "title": "t" * 5000}, "title"),
        ({"runstone": "update", "labels": {"a": 1}}, "labels"),
        ({"runstone": "complete", "summary": 1}, "summary"),
    ],
)
def test_what_is_broken_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidLine, match=named):
        lines.parse(json.dumps(fields))


def test_a_value_that_is_nested_too_deep_breaks_its_line() -> None:
    for depth in (300, 100_000):
        with pytest.raises(InvalidLine):
            lines.parse('{"runstone": "complete", "result": ' + "[" * depth + "]" * depth + "}")


def test_a_line_over_the_bound_is_refused_before_it_is_read() -> None:
    long = '{"runstone": "message", "role": "user", "text": "' + "x" * lines.MAX_LINE_BYTES + '"}'
    with pytest.raises(InvalidLine, match="more than 1,048,576"):
        lines.parse(long)
    assert lines.parse('{"a": "' + long[2:]) is None


def test_a_usage_line_becomes_the_report_that_its_fields_say() -> None:
    text = '{"runstone": "usage", "provider": "p", "model": "m", "output_tokens": 7, "cost_usd": 0.000001}'
    line = lines.parse(text)
    assert isinstance(line, lines.UsageLine)
    report = line.report("own", 5)
    assert (report.request_id, report.at, report.output_tokens) == ("own", 5, 7)
    assert (report.cost_picousd, report.cost_source) == (1_000_000, "reported")


def test_the_schema_has_every_verb_with_exactly_its_fields() -> None:
    schema = lines.schema()
    assert schema["discriminator"]["mapping"].keys() == lines.VERBS.keys()
    for verb, kind in lines.VERBS.items():
        described = schema["$defs"][kind.__name__]
        assert described["properties"].keys() == {"runstone", *kind.__struct_fields__}
        assert described["properties"]["runstone"] == {"enum": [verb]}
        assert described["additionalProperties"] is False


@pytest.mark.parametrize(
    ("kind", "method", "names"),
    [
        (lines.EmitLine, RunHandle.emit, {"event_key": "key"}),
        (lines.UsageLine, RunHandle.usage, {}),
        (lines.MessageLine, RunHandle.message, {}),
        (lines.CheckpointLine, RunHandle.checkpoint, {}),
        (lines.UpdateLine, RunHandle.update, {}),
    ],
)
def test_a_verb_has_the_fields_of_the_method_that_it_stands_for(
    kind: type[msgspec.Struct], method: Callable[..., Any], names: dict[str, str]
) -> None:
    parameters = list(inspect.signature(method).parameters)[1:]
    parameters = [name for name in parameters if name != "acknowledge"]  # lines hear of no ends
    assert {names.get(name, name) for name in parameters} == set(kind.__struct_fields__)
