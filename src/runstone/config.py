"""Reads `runstone.toml`: which modules to import, which commands are agents, which workflows are declared.

Loading it runs code of the workspace, so only what runs things loads it, and only if its owner trusted the workspace.
"""

import importlib
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, final

import msgspec

from runstone import redacting
from runstone.domain import workflows
from runstone.domain.dispatches import Placement, QueueSettings
from runstone.domain.retention import Retention
from runstone.domain.workflows import WorkflowDefinition
from runstone.engine.command_spec import CommandSpec
from runstone.engine.registry import Registry, default_registry, filling
from runstone.errors import ConfigNotTrusted, InvalidDefinition, InvalidInput
from runstone.trust import is_trusted, read_owned, trust

__all__ = ["FILE", "Config", "Settings", "is_trusted", "load", "trust"]

FILE: Final = "runstone.toml"
_MAX_SLOTS: Final = 10_000


@final
class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[settings]`."""

    slots: int | None = None
    """How many agents run at a time in one process; without it the engine's default."""
    queue: str | None = None
    """Where runs stand in line that are started over HTTP; without it the server executes them."""


@final
class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tables of the file, as far as they can be told apart before any module is imported."""

    modules: list[str] = []
    agents: dict[str, dict[str, Any]] = {}
    workflows: dict[str, dict[str, Any]] = {}
    settings: Settings = Settings()
    queues: dict[str, QueueSettings] = {}
    """Of workers: see domain/dispatches.py."""
    redaction: redacting.Table = redacting.Table()
    """Read by every writer of the workspace, not only by what runs things: see redacting.py."""
    retention: Retention = Retention()
    """As well: see retention.py."""


@final
class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What was loaded; `file` is None where the workspace has no runstone.toml."""

    file: Path | None = None
    modules: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    settings: Settings = Settings()
    queues: dict[str, QueueSettings] = {}


def load(root: Path, registry: Registry | None = None, *, trusted: bool = False) -> Config:
    """Loads the runstone.toml in `root` into the registry: imports its modules, registers agents and workflows.

    `root` is put first on `sys.path` and stays there, as the folder of a script does, because functions import
    things when they run. `trusted` says that the caller vouches for the folder; without it `trust(root)` must have
    been called once by this user. Raises ConfigNotTrusted, or InvalidDefinition naming the file and the place in it.
    """
    root = root.resolve()
    file = root / FILE
    if not file.exists():
        return Config()
    if not (trusted or is_trusted(root)):
        raise ConfigNotTrusted(f"{file} can import modules and start commands, and {root} is not trusted yet")
    tables = _tables(file, read_owned(file))
    agents = {name: _command(file, name, table) for name, table in tables.agents.items()}
    inputs = {name: _about_input(file, name, table) for name, table in tables.agents.items()}
    definitions = [_definition(file, name, table) for name, table in tables.workflows.items()]
    registry = registry or default_registry()
    _import_modules(file, tables.modules, registry)
    for name, (version, spec) in agents.items():
        registry.add_command_agent(name, version, spec, **inputs[name], file=str(file))
    for definition in definitions:
        registry.add_declarative(definition, file=str(file))
    known = {listed.name for listed in registry.agents()}
    for definition in definitions:
        workflows.check_agents(definition, known, place=_place(file, f"workflows.{definition.name}"))
    return Config(
        file=file,
        modules=tuple(tables.modules),
        agents=tuple(agents),
        workflows=tuple(definition.name for definition in definitions),
        settings=tables.settings,
        queues=tables.queues,
    )


def _tables(file: Path, data: bytes) -> _File:
    try:
        tables = msgspec.convert(tomllib.loads(data.decode()), _File)
    except UnicodeDecodeError as error:
        raise InvalidDefinition(f"{file} is not UTF-8 text: byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidDefinition(f"{file} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        hint = f"its tables are {', '.join(_File.__struct_fields__)}; see docs/reference/runstone-toml.md"
        raise InvalidDefinition(f"{_place(file, path.rstrip('`'))}: {text}", hint=hint) from error
    slots = tables.settings.slots
    if slots is not None and not 1 <= slots <= _MAX_SLOTS:
        raise InvalidDefinition(f"{_place(file, 'settings.slots')} is {slots}; it must be 1 to {_MAX_SLOTS}")
    if tables.settings.queue is not None:
        _check_queue(_place(file, "settings.queue"), tables.settings.queue)
    for name, queue in tables.queues.items():
        queue.check(_place(file, f"queues.{name}"))
    return tables


def _check_queue(place: str, name: str) -> None:
    try:
        Placement(queue=name)
    except InvalidInput as error:
        raise InvalidDefinition(f"{place}: {error}") from error


def _command(file: Path, name: str, table: Mapping[str, Any]) -> tuple[str, CommandSpec]:
    settings = dict(table)
    version = settings.pop("version", "1")
    for about_input in ("secrets", "input_schema"):
        settings.pop(about_input, None)
    if not isinstance(version, str):
        raise InvalidDefinition(f"{_place(file, f'agents.{name}.version')} is {version!r}; it must be text")
    return version, CommandSpec.from_settings(settings, place=_place(file, f"agents.{name}"))


def _about_input(file: Path, name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """What an agent's table says of its input: its secret fields, and its schema, which the registry checks."""
    found = table.get("secrets", [])
    if not isinstance(found, list) or not all(isinstance(field, str) and field for field in found):
        place = _place(file, f"agents.{name}.secrets")
        raise InvalidDefinition(f"{place} is {found!r:.80}; it must be a list of the input's fields")
    return {"secrets": found, "input_schema": table.get("input_schema")}


def _definition(file: Path, name: str, table: Mapping[str, Any]) -> WorkflowDefinition:
    return workflows.parse(name, table, place=_place(file, f"workflows.{name}"))


def _import_modules(file: Path, names: list[str], registry: Registry) -> None:
    root = file.parent
    if names and str(root) not in sys.path:
        sys.path.insert(0, str(root))
        importlib.invalidate_caches()
    for index, name in enumerate(names):
        place = _place(file, f"modules[{index}]")
        if not all(part.isidentifier() for part in name.split(".")):
            raise InvalidDefinition(
                f"{place}: {name!r} is no module name", hint="write it with dots and without .py"
            )
        try:
            with filling(registry):
                module = importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a script without a __main__ guard may end itself
            raise InvalidDefinition(
                f"{place}: importing {name!r} failed: {type(error).__name__}: {error}",
                hint=f"it must import from {root}: python -c 'import {name}'",
            ) from error
        _check_own(module, root, place)


def _check_own(module: ModuleType, root: Path, place: str) -> None:
    """A module of the workspace must not be taken for another one that was imported under its name before."""
    own = root / module.__name__.partition(".")[0]
    loaded = getattr(module, "__file__", None)
    if loaded is None or not (own.with_suffix(".py").is_file() or (own / "__init__.py").is_file()):
        return
    if not Path(loaded).resolve().is_relative_to(root):
        raise InvalidDefinition(
            f"{place}: {module.__name__!r} is already imported from {loaded}, which hides the one in {root}",
            hint="give the module of the workspace another name",
        )


def _place(file: Path, path: str) -> str:
    return f"{file}: {path}" if path else str(file)
