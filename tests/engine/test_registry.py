"""Names of agents and workflows: what may hold one, who holds it, and that decorated functions stay theirs."""

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runstone.domain import workflows
from runstone.engine import registry as registry_module
from runstone.engine.command_spec import CommandSpec
from runstone.engine.registry import Registry, default_registry
from runstone.errors import AgentNotFound, InvalidDefinition, WorkflowNotFound

DEFINITION = {"phases": [{"name": "only", "agent": "reader"}]}


@pytest.fixture
def registry() -> Registry:
    return Registry()


def load(file: Path, name: str, registry: Registry) -> ModuleType:
    """The file as a module of that name, as an import or a script would make it."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    module.registry = registry  # type: ignore[attr-defined]
    spec.loader.exec_module(module)
    return module


def test_a_decorated_function_stays_callable_and_unchanged(registry: Registry) -> None:
    def double(ctx: Any, input: int) -> int:
        return input * 2

    assert registry.agent("double", version="3")(double) is double
    assert double(None, 4) == 8
    entry = registry.get_agent("double")
    assert (entry.name, entry.version, entry.kind, entry.form) == ("double", "3", "agent", "python")
    assert entry.function is double
    assert not entry.is_async
    assert entry.source.startswith(f"{Path(__file__).resolve()}:")


def test_async_is_seen_through_partials_and_callable_objects(registry: Registry) -> None:
    async def agent(extra: str, ctx: Any, input: Any) -> None: ...

    class Callable:
        async def __call__(self, ctx: Any, input: Any) -> None: ...

    registry.agent("partial")(functools.partial(agent, "x"))
    registry.agent("object")(Callable())
    assert registry.get_agent("partial").is_async
    assert registry.get_agent("object").is_async
    assert all(str(Path(__file__).resolve()) in listed.source for listed in registry.agents())


def test_the_same_file_may_register_its_names_again_under_any_module_name(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "agents.py"
    file.write_text("@registry.agent('reader')\nasync def read(ctx, input): return 1\n")
    load(file, "agents", registry)
    load(file, "__main__", registry)
    file.write_text("@registry.agent('reader', version='2')\nasync def read_it(ctx, input): return 2\n")
    (tmp_path / "link.py").symlink_to(file)
    load(tmp_path / "link.py", "link", registry)
    assert registry.get_agent("reader").version == "2"


def test_another_file_under_the_name_is_refused_and_both_places_are_named(
    registry: Registry, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        text = "\n\n@registry.agent('reader')\nasync def read(ctx, input): ...\n"
        (tmp_path / f"{name}.py").write_text(text)
    load(tmp_path / "one.py", "one", registry)
    with pytest.raises(InvalidDefinition) as caught:
        load(tmp_path / "two.py", "two", registry)
    assert f"{tmp_path}/one.py:3" in str(caught.value)
    assert f"{tmp_path}/two.py:3" in str(caught.value)
    assert registry.get_agent("reader").file == str(tmp_path / "one.py")


def test_an_agent_and_a_workflow_may_share_a_name(registry: Registry) -> None:
    registry.add_command_agent("audit", "1", CommandSpec(command=["true"]))
    registry.add_declarative(workflows.parse("audit", DEFINITION))
    assert registry.get_agent("audit").form == "command"
    assert registry.get_workflow("audit").form == "declarative"


@pytest.mark.parametrize("name", ["", "a b", "-x", "ü", "x" * 201, 7, None])
def test_a_name_that_a_shell_or_url_would_spoil_is_refused(registry: Registry, name: Any) -> None:
    with pytest.raises(InvalidDefinition, match="name"):
        registry.agent(name)


@pytest.mark.parametrize("version", ["", 1, None, "a\nb"])
def test_a_version_is_text(registry: Registry, version: Any) -> None:
    with pytest.raises(InvalidDefinition, match="version"):
        registry.workflow("w", version=version)


def no_input(ctx: Any) -> None: ...
def generator(ctx: Any, input: Any) -> Any:
    yield 1


async def async_generator(ctx: Any, input: Any) -> Any:
    yield 1


@pytest.mark.parametrize("function", [no_input, generator, async_generator, "text", int])
def test_what_cannot_be_called_with_ctx_and_input_is_refused_at_once(
    registry: Registry, function: Any
) -> None:
    with pytest.raises(InvalidDefinition, match="'a'"):
        registry.agent("a")(function)
    assert registry.agents() == []


def test_an_unknown_name_is_answered_with_the_names_that_there_are(registry: Registry) -> None:
    with pytest.raises(AgentNotFound, match="none"):
        registry.get_agent("reader")
    registry.add_command_agent("lint", "1", CommandSpec(command=["true"]))
    registry.add_declarative(workflows.parse("audit", DEFINITION))
    with pytest.raises(AgentNotFound, match=r"'audit' is a workflow \(there are: lint\)"):
        registry.get_agent("audit")
    with pytest.raises(WorkflowNotFound, match=r"'lint' is an agent \(there are: audit\)"):
        registry.get_workflow("lint")


def test_listings_are_sorted_and_say_what_each_is_and_where(registry: Registry) -> None:
    registry.agent("z")(no_registry_needed)
    registry.add_command_agent("a", "2", CommandSpec(command=["true"]), file="/w/runstone.toml")
    registry.add_declarative(workflows.parse("audit", DEFINITION), file="/w/runstone.toml")
    assert [(e.name, e.version, e.kind) for e in registry.agents()] == [
        ("a", "2", "command"),
        ("z", "1", "python"),
    ]
    assert registry.agents()[0].source == "/w/runstone.toml [agents.a]"
    (listed,) = registry.workflows()
    assert (listed.name, listed.kind, listed.source) == (
        "audit",
        "declarative",
        "/w/runstone.toml [workflows.audit]",
    )


async def no_registry_needed(ctx: Any, input: Any) -> None: ...


def test_without_a_file_only_the_very_same_definition_is_the_same(registry: Registry) -> None:
    registry.add_command_agent("lint", "1", CommandSpec(command=["true"]))
    registry.add_command_agent("lint", "2", CommandSpec(command=["true"]))
    with pytest.raises(InvalidDefinition, match="twice"):
        registry.add_command_agent("lint", "1", CommandSpec(command=["false"]))


def test_the_module_level_decorators_fill_the_default_registry_or_the_one_named(registry: Registry) -> None:
    registry_module.agent("only-here", registry=registry)(no_registry_needed)
    registry_module.workflow("only-here", registry=registry)(no_registry_needed)
    assert registry.get_agent("only-here").function is no_registry_needed
    assert registry.get_workflow("only-here").kind == "workflow"
    assert "only-here" not in {listed.name for listed in default_registry().agents()}
    assert sys.modules["runstone.engine.registry"] is registry_module
