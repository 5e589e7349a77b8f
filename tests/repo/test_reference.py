"""The reference and the drawings say what the code says."""

import re
from pathlib import Path

import msgspec
import pytest

from runstone import config, redacting
from runstone.domain import lines, runs, workflows
from runstone.engine import command_spec
from scripts import generate_reference

DOCS = Path(__file__).resolve().parents[2] / "docs"
ARROW = re.compile(r"^\s*(\S+) --> (\S+): (\S+)$", re.MULTILINE)
GROUP = re.compile(r"state unfinished \{(.*?)\}", re.DOTALL)


@pytest.mark.parametrize("page", sorted(generate_reference.FILES))
def test_every_command_error_code_event_type_public_name_and_line_is_documented(page: str) -> None:
    written = (generate_reference.FOLDER / page).read_text()
    assert written == generate_reference.render(page), "type: make reference"


def test_the_drawn_state_machine_has_exactly_the_legal_moves() -> None:
    text = (DOCS / "states.md").read_text()
    group = GROUP.search(text)
    assert group is not None
    members = {"unfinished": set(re.findall(r"^\s+([a-z_]+)$", group[1], re.MULTILINE)), "[*]": {""}}
    drawn = {
        (origin, event, target)
        for source, target, event in ARROW.findall(text)
        for origin in members.get(source, {source})
    }
    legal = {
        (origin, event, target)
        for event, (origins, target) in runs.MOVES.items()
        for origin in origins or {""}
    }
    assert drawn == legal


def test_every_status_and_bucket_is_explained() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)` \|.*\| `([a-z_]+)` \|$", (DOCS / "states.md").read_text(), re.MULTILINE
    )
    buckets = {status: bucket for bucket, statuses in runs.BUCKETS.items() for status in statuses}
    assert dict(rows) == buckets
    assert set(buckets) == set(runs.STATUSES)


def rows_below(heading: str) -> list[str]:
    """First cells of the table below a heading of the page on runstone.toml."""
    text = (DOCS / "reference" / "runstone-toml.md").read_text()
    section = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "kind", "differs"),
    [
        ("Top level", config._File, set()),
        ("`[settings]`", config.Settings, set()),
        ("`[redaction]`", redacting.Table, set()),
        ("`[agents.NAME]`", command_spec.CommandSpec, {"version", "secrets", "input_schema"}),
        ("`[workflows.NAME]`", workflows.WorkflowDefinition, {"name"}),
        ("`[[workflows.NAME.phases]]`", workflows.PhaseDefinition, set()),
        ("`retry`", workflows.RetryPolicy, set()),
        ("`budget`", workflows.Budget, set()),
    ],
)
def test_every_setting_is_documented(heading: str, kind: type[msgspec.Struct], differs: set[str]) -> None:
    """`differs` is what the file's table has beside the struct, or the struct beside the table (its name)."""
    assert set(rows_below(heading)) ^ set(kind.__struct_fields__) == differs


def test_every_environment_variable_is_documented() -> None:
    sources = (DOCS.parent / "src").rglob("*.py")
    used = {name for file in sources for name in re.findall(r'"(RUNSTONE_[A-Z_]+)"', file.read_text())}
    assert used | {"NO_COLOR"} == set(rows_below("Environment variables"))


def test_every_verb_of_the_line_protocol_is_documented_with_its_fields() -> None:
    text = (DOCS / "how-to" / "line-protocol.md").read_text()
    rows = re.findall(r"^\| `([a-z]+)` \| (.+?) \|", text, re.MULTILINE)
    assert {verb: tuple(re.findall(r"`(\w+)`", named)) for verb, named in rows} == {
        verb: kind.__struct_fields__ for verb, kind in lines.VERBS.items()
    }


def test_the_examples_on_the_page_of_the_line_protocol_are_those_in_the_folder() -> None:
    text = (DOCS / "how-to" / "line-protocol.md").read_text()
    examples = sorted((DOCS.parent / "examples" / "background").iterdir())
    assert [example.name for example in examples] == ["agent.mjs", "agent.py", "agent.sh"]
    for example in examples:
        assert f" {example.name}\n{example.read_text()}```" in text
