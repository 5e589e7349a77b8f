"""What a question may be, which answers fit it, and which earlier question one that is asked now is."""

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstone.domain import inputs, schemas
from runstone.domain.inputs import Known, Question, asked_before, question
from runstone.errors import AmbiguousQuestion, InvalidAnswer, InvalidInput, NotJournalable, ValueTooLarge

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-10, 10) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def ask(message: str = "Which?", **more: Any) -> Question:
    return question(message, now=1_000_000, **more)


# --- questions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": ""}, {"message": "  "}, {"message": 5}, {"message": "\ud800"}, {"choices": []}, {"choices": "ab"},
        {"choices": ["a", "a"]}, {"choices": [None]}, {"choices": [["a"]]}, {"choices": 5}, {"key": ""}, {"key": 5},
        {"choices": [float("nan")]}, {"expires_s": -1}, {"expires_s": True}, {"expires_s": "1"},
        {"expires_s": float("nan")}, {"schema": []}, {"schema": {"type": "text"}}, {"schema": {"allOf": []}},
        {"schema": {"properties": {"a": {"oneOf": []}}}}, {"default": "a"},
        {"default": "c", "choices": ["a", "b"], "expires_s": 1}, {"choices": ["x" * 5_000]}, {"reason": "x" * 5_000},
        {"default": "x" * 5_000, "expires_s": 1}, {"message": "x" * 2_000_000}, {"choices": {"a": 1}},
    ],
    ids=lambda wrong: str(wrong)[:50],
)  # fmt: skip
def test_what_is_no_question_is_refused_at_the_door(wrong: dict[str, Any]) -> None:
    with pytest.raises((InvalidInput, NotJournalable)):
        ask(**{"message": "Which?", **wrong})


def test_expiry_is_a_time_by_the_ledgers_clock() -> None:
    assert ask(expires_s=2.5).expires_at == 3_500_000


def test_a_question_is_known_by_its_key_or_else_by_all_that_it_asks() -> None:
    plain = ask(choices=["a", "b"])
    assert plain.identity == plain.content == ask(choices=("a", "b"), reason="why", expires_s=5).identity
    others = [
        ask(),
        ask("What?", choices=["a", "b"]),
        ask(choices=["b", "a"]),
        ask(schema={"type": "string"}),
    ]
    assert len({one.identity for one in [plain, *others]}) == 5
    assert ask(key="k").identity == ask("What?", key="k").identity != ask(key="l").identity
    assert ask(key="k").content == ask().content


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "fits", "does_not"),
    [(["a", "b"], ["a", "b"], ["A", "", "c", None, ["a"]]), ([1, 2.5], [1, 2.5], [True, "1", 1.0, 2]),
     ([True], [True], [1, "true"])],
)  # fmt: skip
def test_an_answer_is_exactly_one_of_the_choices(
    choices: list[Any], fits: list[Any], does_not: list[Any]
) -> None:
    for one in fits:
        inputs.require_fits(one, choices, None)
    for one in does_not:
        with pytest.raises(InvalidAnswer, match="one of"):
            inputs.require_fits(one, choices, None)


SCHEMA = {
    "type": "object", "title": "Where to", "required": ["branch"], "additionalProperties": False,
    "properties": {
        "branch": {"type": "string", "minLength": 2, "maxLength": 20, "pattern": "^[a-z/-]+$"},
        "tries": {"type": "integer", "minimum": 1, "maximum": 3},
        "tags": {"type": "array", "items": {"enum": ["a", 1]}, "minItems": 1, "maxItems": 2},
        "note": {"type": ["string", "null"]}, "kind": {"const": {"x": 1}},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("main", "the answer must be object"), ({}, "lacks branch"), ({"branch": "m"}, "length of the answer.branch"),
        ({"branch": "x" * 21}, "at most 20"), ({"branch": "Main"}, "pattern"), ({"branch": 5}, "must be string"),
        ({"branch": "main", "tries": 0}, "answer.tries must be at least 1"),
        ({"branch": "main", "tries": 2.5}, "integer"),
        ({"branch": "main", "tries": True}, "integer"), ({"branch": "main", "tags": []}, "at least 1"),
        ({"branch": "main", "tags": ["a", "a", "a"]}, "at most 2"), ({"branch": "main", "tags": [True]}, r"tags\[0\]"),
        ({"branch": "main", "more": 1}, "must not have more"), ({"branch": "main", "note": 5}, "string or null"),
        ({"branch": "main", "kind": {"x": 2}}, "must be"),
    ],
)  # fmt: skip
def test_an_answer_that_breaks_the_schema_is_refused_with_the_place(value: Any, place: str) -> None:
    schemas.check(SCHEMA)
    with pytest.raises(InvalidAnswer, match=place):
        schemas.require(SCHEMA, value)


def test_an_answer_that_fits_the_schema_is_taken() -> None:
    schemas.require(
        SCHEMA, {"branch": "fix/a-b", "tries": 3.0, "tags": [1, "a"], "note": None, "kind": {"x": 1}}
    )


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|aa)+$", "((a*))*b", "(?:a+){2}", r"(a)\1", "(?=a)", "(?i)a", "a*a*a*a*b", "(", "x" * 201,
     "(a{1,9})*", "(?P<n>a)", "((a+)b)+"],
)  # fmt: skip
def test_a_pattern_that_a_text_could_keep_busy_is_no_schema(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="pattern"):
        schemas.check({"type": "string", "pattern": pattern})


@pytest.mark.parametrize(
    "pattern",
    ["^[a-z]+$", r"^v\d+\.\d+$", "(main|dev)", "(ab)+", r"^[^\s@]+@[^\s@]+$", r"^\d{4}-\d{2}$", "[(+*]"],
)
def test_usual_patterns_are_taken_and_quick_on_any_text_that_is_not_too_long(pattern: str) -> None:
    schema = schemas.check({"pattern": pattern})
    began = time.monotonic()
    for text in ("a" * 256, "1." * 128, "a@" * 128, "-" * 256):
        try:
            schemas.require(schema, text)
        except InvalidAnswer:
            continue
    assert time.monotonic() - began < 2
    with pytest.raises(InvalidAnswer, match="256"):
        schemas.require(schema, "a" * 257)


@settings(max_examples=300, deadline=None)
@given(
    schema=JSON | st.dictionaries(st.sampled_from(sorted(schemas._KEYWORDS)), JSON, max_size=4), value=JSON
)
def test_any_schema_is_refused_or_judges_any_value(schema: Any, value: Any) -> None:
    with contextlib.suppress(InvalidInput):  # any other error is a defect
        schemas.require(schemas.check(schema), value)


def test_a_schema_is_bounded_in_size_and_depth() -> None:
    deep: dict[str, Any] = {}
    for _ in range(30):
        deep = {"items": deep}
    with pytest.raises(InvalidInput, match="deep"):
        schemas.check(deep)
    with pytest.raises(InvalidInput, match="bytes"):
        schemas.check({"description": "x" * 70_000})


def test_choices_that_no_row_holds_say_what_to_do_instead() -> None:
    with pytest.raises(ValueTooLarge) as refused:
        ask(choices=["x" * 5_000])
    assert "ask for text" in refused.value.hint


# --- asked before ---------------------------------------------------------------------------------------------------


def known(number: int, status: str = "open", **more: Any) -> Known:
    fields: dict[str, Any] = {
        "content": ask().content, "claimed": 1, "journal": None, "dropped": False, "failed_since": False, **more,
    }  # fmt: skip
    return Known(pk=number, input_id=f"i{number}", status=status, **fields)


def found(asked: Question, *rows: Known, attempt: int, **more: Any) -> int | None:
    one = asked_before(asked, rows, attempt, **more)
    return None if one is None else one.pk


def test_equal_questions_are_taken_in_their_order_each_once_in_an_attempt() -> None:
    first, second = known(1, "answered", journal=4), known(2, "answered", journal=7)
    assert found(ask(), first, second, attempt=2) == 1
    assert found(ask(), known(1, "answered", journal=4, claimed=2), second, attempt=2) == 2
    assert found(ask(), first, second, attempt=1) is None
    assert found(ask(), first, second, attempt=2, seen=4) == 2
    assert found(ask(), first, second, attempt=2, seen=7) is None


def test_an_open_question_is_found_by_the_next_attempt_and_is_ambiguous_in_its_own() -> None:
    assert found(ask(), known(1), attempt=2) == 1
    with pytest.raises(AmbiguousQuestion, match="i1"):
        found(ask(), known(1), attempt=1)
    with pytest.raises(AmbiguousQuestion, match="i2"):
        found(ask(), known(1, "answered", journal=1), known(2), attempt=1)
    assert found(ask(), known(1), attempt=1, share=True) == 1


def test_with_a_key_a_question_is_asked_once_whatever_attempt_asks_it() -> None:
    mine = ask(key="k")
    assert found(mine, known(1), attempt=1) == 1
    assert found(mine, known(1, "answered", journal=4), attempt=1, seen=9) == 1
    with pytest.raises(AmbiguousQuestion, match="something else"):
        found(ask("What?", key="k"), known(1), attempt=2)


def test_what_was_withdrawn_dropped_or_missed_by_a_failed_try_is_asked_anew() -> None:
    for asked in (ask(), ask(key="k")):
        assert found(asked, known(1, "withdrawn"), attempt=2) is None
        assert found(asked, known(1, "answered", journal=3, dropped=True), attempt=2) is None
        assert found(asked, known(1, "expired", failed_since=True), attempt=2) is None
        assert found(asked, known(1, "expired"), attempt=2) == 1
        assert found(asked, known(1, "expired", journal=3, failed_since=True), attempt=2) == 1
