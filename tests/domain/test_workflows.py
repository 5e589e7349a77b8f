"""Declarative definitions: what is wrong with one is said before anything runs, with the place; what starts when."""

import datetime
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain import phases, workflows
from runstone.domain.phases import ChildSpec, Known, PhaseForecast, Ready
from runstone.domain.workflows import RetryPolicy, WorkflowDefinition
from runstone.errors import InputRefused, InvalidDefinition

AUDIT = tomllib.loads("""
version = "2"
input = { path = "string", limit = "integer?" }
budget = { max_cost_usd = 1.5 }
summary = "{phases.list.result.count} files of {input.path}"

[[phases]]
name = "list"
agent = "lister"

[[phases]]
name = "inspect"
agent = "inspector"
for_each = "{phases.list.result.files}"
input = { file = "{item}", limit = "{input.limit}", title = "look at {item} of {input.path}" }
depends_on = ["list"]
concurrency = 4
retry = { max_attempts = 2, backoff_s = 0.5 }

[[phases]]
name = "measure"
agent = "meter"
depends_on = ["list"]
on_failure = "continue"

[[phases]]
name = "report"
agent = "reporter"
input = { found = "{phases.inspect.results}", size = "{phases.measure.result}" }
depends_on = ["inspect", "measure"]
""")


def audit(**changes: Any) -> WorkflowDefinition:
    return workflows.parse("audit", {**AUDIT, **changes})


def with_phase(index: int, **changes: Any) -> dict[str, Any]:
    """AUDIT with one phase changed; a value of None takes the key out."""
    table = {**AUDIT["phases"][index], **changes}
    table = {name: value for name, value in table.items() if value is not None}
    return {**AUDIT, "phases": [table if i == index else p for i, p in enumerate(AUDIT["phases"])]}


# --- what a definition may say --------------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    (with_phase(1, depends_on=["lst"]), r"workflows.audit.phases\[1\].depends_on: no phase 'lst'"),
    (
        with_phase(0, depends_on=["report"]),
        r"phases\[0\].depends_on: the phases wait for each other: list -> report -> inspect -> list",
    ),
    (with_phase(0, depends_on=["list"]), r"list -> list"),
    (with_phase(1, depends_on=["list", "list"]), r"phases\[1\].depends_on names a phase twice"),
    (with_phase(2, name="list"), r"phases\[2\].name: 'list' is also phases\[0\]"),
    (with_phase(2, name="a.b"), r"phases\[2\].name 'a.b'"),
    (with_phase(2, agent=""), r"phases\[2\].agent is empty"),
    (with_phase(2, agent=None), r"workflows.audit.phases\[2\]: Object missing required field `agent`"),
    (with_phase(2, agnt="x"), r"phases\[2\]: Object contains unknown field `agnt`"),
    (with_phase(1, concurrency=0), r"phases\[1\].concurrency is 0"),
    (with_phase(1, concurrency="4"), r"phases\[1\].concurrency: Expected `int \| null`, got `str`"),
    (with_phase(1, retry={"max_attempts": 0}), r"phases\[1\].retry.max_attempts is 0; it must be 1 or more"),
    (with_phase(1, retry={"backoff_s": -1}), r"retry.backoff_s is -1"),
    (with_phase(1, retry={"backoff_s": float("nan")}), r"retry.backoff_s is nan"),
    (with_phase(1, retry={"backoff_factor": 0.5}), r"retry.backoff_factor is 0.5"),
    (with_phase(1, retry={"times": 2}), r"phases\[1\].retry: Object contains unknown field `times`"),
    (with_phase(1, on_failure="ignore"), r"phases\[1\].on_failure: Invalid enum value 'ignore'"),
    (with_phase(1, for_each="files"), r"phases\[1\].for_each is 'files', which is neither a list nor"),
    (with_phase(1, for_each="{input.path} x"), r"phases\[1\].for_each"),
    (
        with_phase(1, for_each="{item.files}"),
        r"for_each: \{item.files\}: only the input of a phase with for_each",
    ),
    (with_phase(0, input={"a": ["{item}"]}), r"phases\[0\].input.a\[0\]: \{item\}: only the input"),
    (with_phase(0, input="{inptu.path}"), r"phases\[0\].input: \{inptu.path\}: there is no 'inptu'"),
    (
        with_phase(0, input="{input.pth}"),
        r"phases\[0\].input: \{input.pth\}: the input has no field 'pth' \(path, limit",
    ),
    (with_phase(3, input="{phases.lst.results}"), r"phases\[3\].input: .*no phase 'lst' \(list, inspect"),
    (with_phase(1, input="{phases.measure.result}"), r"phases\[1\].input: .*add 'measure' to depends_on"),
    (with_phase(3, input="{phases.inspect.result}"), r"'inspect' has for_each, so it has results"),
    (with_phase(3, input="{phases.inspect}"), r"say which part of a phase"),
    (with_phase(3, input="{input..x}"), r"a part of the name is empty"),
    (with_phase(0, input={"on": datetime.date(2026, 1, 1)}), r"phases\[0\].input.on is a date"),
    (with_phase(1, for_each=[1, float("inf")]), r"phases\[1\].for_each\[1\] is inf"),
    ({**AUDIT, "phases": []}, r"workflows.audit.phases is empty"),
    ({}, r"workflows.audit: Object missing required field `phases`"),
    ({**AUDIT, "budget": {"max_tokens": -1}}, r"workflows.audit.budget.max_tokens is -1"),
    ({**AUDIT, "budget": {"max_usd": 1}}, r"workflows.audit.budget: Object contains unknown field `max_usd`"),
    ({**AUDIT, "input": {"path": "text"}}, r"workflows.audit.input.path: no type 'text'"),
    ({**AUDIT, "summary": "{phases.lst.result}"}, r"workflows.audit.summary: .*no phase 'lst'"),
    ({**AUDIT, "name": "other"}, r"workflows.audit.name is 'other'"),
    ({**AUDIT, "version": ""}, r"workflows.audit.version is empty"),
]


@pytest.mark.parametrize(("table", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_definition_is_refused_with_its_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDefinition, match=message):
        workflows.parse("audit", table)


def test_an_unknown_agent_is_named_with_its_place_and_the_agents_that_there_are() -> None:
    workflows.check_agents(audit(), {"lister", "inspector", "meter", "reporter"})
    with pytest.raises(
        InvalidDefinition, match=r"workflows.audit.phases\[2\].agent: no agent 'meter'"
    ) as caught:
        workflows.check_agents(audit(), {"lister", "inspector", "reporter"})
    assert "inspector, lister, reporter" in caught.value.hint


def test_the_hash_is_of_the_content_alone() -> None:
    spelled_out = with_phase(2, input="{input}", retry=None, concurrency=None)
    reordered = dict(reversed(AUDIT.items()))
    assert {
        audit().hash,
        workflows.parse("audit", spelled_out).hash,
        workflows.parse("audit", reordered).hash,
    } == {audit().hash}
    changed = [audit(version="3"), workflows.parse("audit", with_phase(1, concurrency=5)), audit(summary="x")]
    assert len({definition.hash for definition in [audit(), *changed]}) == 4


def test_a_snapshot_reads_back_equal() -> None:
    snapshot = audit().to_dict()
    assert workflows.parse("audit", snapshot).to_dict() == snapshot
    assert workflows.parse("audit", snapshot).hash == audit().hash


def test_a_phase_may_use_what_it_depends_on_at_any_distance() -> None:
    workflows.parse("audit", with_phase(3, input="{phases.list.result.files}"))
    assert audit().ancestors("report") == {"list", "inspect", "measure"}
    assert audit().descendants("list") == {"inspect", "measure", "report"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "must be an object with path, limit"),
        ({}, r"lacks 'path' \(string\)"),
        ({"path": None}, "path = None, which is not of type string"),
        ({"path": 1}, "path = 1"),
        ({"path": ".", "limit": True}, "limit = True, which is not of type integer"),
        ({"path": ".", "lmit": 1}, "unknown field 'lmit'"),
    ],
)
def test_an_input_of_another_shape_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        workflows.check_input(audit(), value)


def test_an_absent_optional_field_is_null_for_the_phases() -> None:
    assert workflows.check_input(audit(), {"path": "."}) == {"path": ".", "limit": None}
    assert workflows.check_input(audit(input=None, summary=None), [1]) == [1]


def test_backoff_grows_to_its_bound_and_no_further() -> None:
    policy = RetryPolicy(backoff_s=1.0, backoff_factor=3.0, max_backoff_s=20.0)
    assert [policy.delay_s(failures) for failures in (1, 2, 3, 4, 5000)] == [1.0, 3.0, 9.0, 20.0, 20.0]


# --- the children of a phase ----------------------------------------------------------------------------------------

INPUT = {"path": "src", "limit": None}
LISTED = {"list": [{"files": ["a", "b"], "count": 2}]}


def test_a_whole_placeholder_keeps_its_type_and_inside_text_it_is_written() -> None:
    specs = phases.expand(audit().phase("inspect"), INPUT, LISTED)
    assert specs == [
        ChildSpec(
            agent="inspector", index=0, input={"file": "a", "limit": None, "title": "look at a of src"}
        ),
        ChildSpec(
            agent="inspector", index=1, input={"file": "b", "limit": None, "title": "look at b of src"}
        ),
    ]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{input}", {"n": 1, "list": [True, None], "text": "x"}),
        ("{input.n}", 1),
        ("n is {input.n}, {input.list}, {input.text}", "n is 1, [true,null], x"),
        ("{{input.n}} {print $1} {} {0} { input.n }", "{input.n} {print $1} {} {0} { input.n }"),
        ("{input.list.1}", None),
        ([{"{input.n}": "{input.text}"}], [{"{input.n}": "x"}]),
        (7, 7),
    ],
)
def test_placeholders_fill_values_and_leave_other_braces_alone(template: Any, expected: Any) -> None:
    table = {"phases": [{"name": "one", "agent": "a", "input": template}]}
    (spec,) = phases.expand(
        workflows.parse("w", table).phase("one"), {"n": 1, "list": [True, None], "text": "x"}, {}
    )
    assert spec.input == expected


def test_without_an_input_of_its_own_a_child_gets_the_item_or_the_workflow_s_input() -> None:
    table = {"phases": [{"name": "each", "agent": "a", "for_each": [1, "x"]}, {"name": "all", "agent": "a"}]}
    definition = workflows.parse("w", table)
    assert [spec.input for spec in phases.expand(definition.phase("each"), {"k": 1}, {})] == [1, "x"]
    assert [spec.input for spec in phases.expand(definition.phase("all"), {"k": 1}, {})] == [{"k": 1}]


@pytest.mark.parametrize(
    ("input", "results", "message"),
    [
        (
            INPUT,
            {"list": [{}]},
            r"phase inspect: for_each needs \{phases.list.result.files\}, but .* has no 'files'",
        ),
        (INPUT, {"list": [None]}, r"but phases.list.result is null"),
        (INPUT, {"list": [{"files": "a"}]}, r"for_each needs a list, but .* is a"),
        ({}, LISTED, r"phase inspect: input.limit needs \{input.limit\}, but input has no 'limit'"),
    ],
)
def test_a_part_that_is_not_there_is_named(input: Any, results: Any, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        phases.expand(audit().phase("inspect"), input, results)


def test_a_summary_never_fails_a_workflow_and_fills_nothing_twice() -> None:
    assert phases.summarize(audit(), INPUT, LISTED) == "2 files of src"
    assert phases.summarize(audit(), {"path": "{input.path}"}, {"list": [None]}) == (
        "{phases.list.result.count} files of {input.path}"
    )
    assert phases.summarize(audit(summary=None), INPUT, {}) is None


# --- what may start -------------------------------------------------------------------------------------------------

DONE, FAILED, RUNS = "completed", "failed", "running"


def diamond(on_failure: str) -> WorkflowDefinition:
    """top, then left and right, then bottom after both; other stands alone; left has the policy."""
    table = [
        {"name": "top", "agent": "a"},
        {"name": "left", "agent": "a", "depends_on": ["top"], "on_failure": on_failure},
        {"name": "right", "agent": "a", "depends_on": ["top"]},
        {"name": "bottom", "agent": "a", "depends_on": ["left", "right"]},
        {"name": "after", "agent": "a", "depends_on": ["bottom"]},
        {"name": "other", "agent": "a"},
    ]
    return workflows.parse("w", {"phases": table})


@pytest.mark.parametrize(
    ("on_failure", "states", "start", "skip"),
    [
        ("stop", {}, ("top", "other"), ()),
        ("stop", {"top": RUNS, "other": DONE}, (), ()),
        ("stop", {"top": DONE, "other": DONE}, ("left", "right"), ()),
        ("stop", {"top": DONE, "other": RUNS, "left": DONE, "right": RUNS}, (), ()),
        ("stop", {"top": DONE, "left": FAILED, "right": DONE}, (), ()),
        (
            "skip_dependents",
            {"top": DONE, "left": FAILED, "right": RUNS},
            ("other",),
            (("bottom", "phase left failed"), ("after", "phase bottom was skipped")),
        ),
        ("continue", {"top": DONE, "left": FAILED, "right": DONE, "other": DONE}, ("bottom",), ()),
        ("continue", {"top": FAILED}, (), ()),
    ],
)
def test_what_may_start_and_what_is_skipped(on_failure: str, states: Any, start: Any, skip: Any) -> None:
    assert phases.ready(diamond(on_failure), states) == Ready(start=start, skip=skip)


def test_only_a_failure_that_may_be_continued_leaves_the_workflow_whole() -> None:
    states = {"top": DONE, "left": FAILED}
    assert phases.failed_for_good(diamond("stop"), states) == ["left"]
    assert phases.failed_for_good(diamond("skip_dependents"), states) == ["left"]
    assert phases.failed_for_good(diamond("continue"), states) == []


@given(st.data())
def test_every_definition_without_a_circle_comes_to_its_end(data: st.DataObject) -> None:
    """Whatever fails, each phase is started or skipped at most once, after all that it depends on; nothing hangs."""
    policies = st.sampled_from(["stop", "skip_dependents", "continue"])
    count = data.draw(st.integers(1, 7))
    table = [
        {
            "name": f"p{i}",
            "agent": "a",
            "depends_on": sorted(
                {f"p{j}" for j in data.draw(st.sets(st.integers(0, i - 1)) if i else st.just(set()))}
            ),
            "on_failure": data.draw(policies),
        }
        for i in range(count)
    ]
    definition = workflows.parse("w", {"phases": table})
    states: dict[str, str] = {}
    while True:
        step = phases.ready(definition, states)
        for name, _ in step.skip:
            assert name not in states
            states[name] = "skipped"
        for name in step.start:
            assert name not in states
            assert all(states[above] in {DONE, FAILED} for above in definition.phase(name).depends_on)
            states[name] = RUNS
        running = [name for name, state in states.items() if state == RUNS]
        if not running:
            break
        states[data.draw(st.sampled_from(running))] = data.draw(st.sampled_from([DONE, FAILED]))
    if not phases.failed_for_good(definition, states):
        assert set(states.values()) <= {DONE, FAILED}
        assert len(states) == count


# --- what a run would do --------------------------------------------------------------------------------------------


def forecast(known: dict[tuple[str, int], Known]) -> list[PhaseForecast]:
    return phases.forecast(audit(), INPUT, lambda phase, spec: known.get((phase.name, spec.index)))


def test_a_forecast_of_a_finished_run_starts_nothing() -> None:
    done = {("list", 0): Known(result={"files": ["a", "b"], "count": 2}), ("measure", 0): Known(result=7)}
    done |= {("inspect", index): Known(result=index) for index in range(2)} | {("report", 0): Known()}
    assert [(p.name, p.outcome, p.reused, p.start) for p in forecast(done)] == [
        ("list", "reused", 1, ()),
        ("inspect", "reused", 2, ()),
        ("measure", "reused", 1, ()),
        ("report", "reused", 1, ()),
    ]


def test_a_forecast_names_each_child_and_says_where_it_cannot_know() -> None:
    known = {("list", 0): Known(result={"files": ["a", "b"], "count": 2}), ("inspect", 0): Known(result=1)}
    found = {p.name: p for p in forecast(known)}
    assert [spec.input["file"] for spec in found["inspect"].start] == ["b"]
    assert found["inspect"].reused == 1
    assert found["measure"].start == (ChildSpec(agent="meter", input=INPUT, index=0),)
    report = found["report"]
    assert report.start == (ChildSpec(agent="reporter", input=phases.UNKNOWN, index=0),)
    assert (report.exact, report.reason) == (False, "needs the results of inspect")


def test_a_forecast_follows_a_failure_that_is_kept() -> None:
    known = {("list", 0): Known(failed=True)}
    assert [(p.name, p.outcome) for p in forecast(known)] == [
        ("list", "failed"),
        ("inspect", "unreached"),
        ("measure", "unreached"),
        ("report", "unreached"),
    ]
