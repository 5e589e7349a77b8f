"""What can be run by name: agents and workflows, from Python functions, commands and declarative definitions."""

import inspect
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, final

import msgspec

from runstone.domain import schemas
from runstone.domain.workflows import WorkflowDefinition
from runstone.engine.command_spec import CommandSpec
from runstone.errors import AgentNotFound, InvalidDefinition, InvalidInput, NotFound, WorkflowNotFound

Kind = Literal["agent", "workflow"]
Form = Literal["python", "command", "declarative"]
_F = TypeVar("_F", bound=Callable[..., Any])

# What a shell, a TOML key and a URL all carry without quoting trouble; long enough for a dotted module path.
_NAME: Final = re.compile(r"[A-Za-z0-9_][\w.:/@+-]{0,199}", re.ASCII)
_NAMES_SHOWN: Final = 20


@final
class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One registered agent or workflow; exactly one of `function`, `command` and `definition` is set."""

    name: str
    version: str
    kind: Kind
    function: Callable[..., Any] | None = None
    command: CommandSpec | None = None
    definition: WorkflowDefinition | None = None
    is_async: bool = True
    secrets: tuple[str, ...] = ()
    """Fields of the input whose texts are secret: a reference is stored in their place."""
    input_schema: dict[str, Any] | None = None
    """What its input must be, where it says so: the part of JSON Schema that questions use."""
    source: str = ""
    """Where it is defined, for people: `FILE:LINE`, or the file and its table."""
    file: str = ""
    """The file of `source`; the same file may register a name again."""

    @property
    def form(self) -> Form:
        """How it is written: as a Python function, a command, or a declarative definition."""
        if self.command is not None:
            return "command"
        return "declarative" if self.definition is not None else "python"


@final
class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a listing. `kind` is `python`, `command` or `declarative`; `source` says where it is defined."""

    name: str
    version: str
    kind: Form
    source: str


@final
class Registry:
    """Agents and workflows by name. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._agents: dict[str, Entry] = {}
        self._workflows: dict[str, Entry] = {}

    def agent(
        self,
        name: str,
        *,
        version: str = "1",
        secrets: Iterable[str] = (),
        input_schema: dict[str, Any] | None = None,
    ) -> Callable[[_F], _F]:
        """Decorator: registers `f(ctx, input)`, async or not, as an agent, and gives it back unchanged.

        `secrets` names fields of the input whose texts are secret; `f` gets a `Secret` in each. A run with an input
        that does not fit `input_schema` is refused. Raises InvalidDefinition for a name that another file holds, or a
        function that cannot be called so.
        """
        return self._decorator("agent", name, version, (secrets, input_schema))

    def workflow(
        self,
        name: str,
        *,
        version: str = "1",
        secrets: Iterable[str] = (),
        input_schema: dict[str, Any] | None = None,
    ) -> Callable[[_F], _F]:
        """Decorator: as `agent`, for a workflow."""
        return self._decorator("workflow", name, version, (secrets, input_schema))

    def add_command_agent(
        self,
        name: str,
        version: str,
        spec: CommandSpec,
        *,
        secrets: Iterable[str] = (),
        input_schema: dict[str, Any] | None = None,
        file: str = "",
        place: str = "",
    ) -> Entry:
        """Registers a command as an agent; `file` and `place` say where it is defined (`agents.lint`)."""
        spec.check(place or f"agents.{name}")
        source = _source(file, place or f"agents.{name}")
        fields = _secret_fields(f"the agent {name!r}", secrets)
        schema = _input_schema(f"the agent {name!r}", input_schema)
        entry = Entry(
            name=name, version=version, kind="agent", command=spec, secrets=fields, input_schema=schema, source=source,
            file=file,
        )  # fmt: skip
        return self._add(entry)

    def add_declarative(self, definition: WorkflowDefinition, *, file: str = "", place: str = "") -> Entry:
        """Registers a declarative workflow. Its agents may be registered later: `check_agents` looks."""
        name, version = definition.name, definition.version
        source = _source(file, place or f"workflows.{name}")
        entry = Entry(
            name=name, version=version, kind="workflow", definition=definition, source=source, file=file
        )
        return self._add(entry)

    def get_agent(self, name: str) -> Entry:
        """Raises AgentNotFound, with the names that there are."""
        return self._find(self._agents, name, AgentNotFound)

    def get_workflow(self, name: str) -> Entry:
        """Raises WorkflowNotFound, with the names that there are."""
        return self._find(self._workflows, name, WorkflowNotFound)

    def get_either(self, name: str) -> Entry:
        """The agent of that name, or the workflow. Raises AgentNotFound."""
        try:
            return self.get_agent(name)
        except AgentNotFound:
            with suppress(WorkflowNotFound):  # then the error to tell is the one about agents
                return self.get_workflow(name)
            raise

    def agents(self) -> list[Listed]:
        """The registered agents, by name."""
        return self._listing(self._agents)

    def workflows(self) -> list[Listed]:
        """The registered workflows, by name."""
        return self._listing(self._workflows)

    def _decorator(
        self, kind: Kind, name: str, version: str, about_input: tuple[Iterable[str], dict[str, Any] | None]
    ) -> Callable[[_F], _F]:
        _check_name(kind, name, version)
        fields = _secret_fields(f"the {kind} {name!r}", about_input[0])
        schema = _input_schema(f"the {kind} {name!r}", about_input[1])

        def register(function: _F) -> _F:
            entry = _function_entry(kind, name, version, function)
            self._add(msgspec.structs.replace(entry, secrets=fields, input_schema=schema))
            return function

        return register

    def _add(self, entry: Entry) -> Entry:
        _check_name(entry.kind, entry.name, entry.version)
        known = self._agents if entry.kind == "agent" else self._workflows
        with self._lock:
            held = known.get(entry.name)
            if held is not None and not _same_place(held, entry):
                raise InvalidDefinition(
                    f"the {entry.kind} {entry.name!r} is registered twice: in {held.source} and in {entry.source}",
                    hint="give one of them another name",
                )
            known[entry.name] = entry
        return entry

    def _listing(self, known: dict[str, Entry]) -> list[Listed]:
        with self._lock:
            entries = sorted(known.values(), key=lambda entry: entry.name)
        return [Listed(name=e.name, version=e.version, kind=e.form, source=e.source) for e in entries]

    def _find(self, known: dict[str, Entry], name: str, error: type[NotFound]) -> Entry:
        entry = known.get(name)
        if entry is not None:
            return entry
        kind, other = ("agent", "workflow") if error is AgentNotFound else ("workflow", "agent")
        names = sorted(known)
        shown = ", ".join(names[:_NAMES_SHOWN]) + (" …" if len(names) > _NAMES_SHOWN else "")
        elsewhere = self._workflows if kind == "agent" else self._agents
        aside = f"; {name!r} is {'an' if other == 'agent' else 'a'} {other}" if name in elsewhere else ""
        raise error(f"no {kind} {name!r} is registered{aside} (there are: {shown or 'none'})")


_default: Final = Registry()
_filled: Final[ContextVar[Registry | None]] = ContextVar("runstone_registry", default=None)


def default_registry() -> Registry:
    """The registry that `runstone.agent` and `runstone.workflow` fill where none is named."""
    return _filled.get() or _default


@contextmanager
def filling(registry: Registry) -> Iterator[None]:
    """Inside, decorators that name no registry fill this one: modules that are imported for it register there."""
    token = _filled.set(registry)
    try:
        yield
    finally:
        _filled.reset(token)


def agent(
    name: str,
    *,
    version: str = "1",
    secrets: Iterable[str] = (),
    input_schema: dict[str, Any] | None = None,
    registry: Registry | None = None,
) -> Callable[[_F], _F]:
    """Registers `f(ctx, input)` as an agent; the function stays as it is. A sync function runs in a thread.

    `version` is part of a child's key: change it when the same input should be worked on again. `secrets` names fields
    of the input whose texts are secret: a reference is stored, and the function gets a `Secret`. An input that does not
    fit `input_schema` is refused. Raises InvalidDefinition if another file holds the name.
    """
    return (registry or default_registry()).agent(
        name, version=version, secrets=secrets, input_schema=input_schema
    )


def workflow(
    name: str,
    *,
    version: str = "1",
    secrets: Iterable[str] = (),
    input_schema: dict[str, Any] | None = None,
    registry: Registry | None = None,
) -> Callable[[_F], _F]:
    """Registers `async f(ctx, input)` as a workflow; the function stays as it is. Raises InvalidDefinition."""
    return (registry or default_registry()).workflow(
        name, version=version, secrets=secrets, input_schema=input_schema
    )


def _secret_fields(what: str, fields: Any) -> tuple[str, ...]:
    if isinstance(fields, str | bytes) or not isinstance(fields, Iterable):
        raise InvalidDefinition(f"secrets of {what} must be a list of the input's fields, not {fields!r:.80}")
    found = tuple(fields)
    if not all(isinstance(field, str) and field for field in found):
        raise InvalidDefinition(f"secrets of {what} must be names of the input's fields, not {found!r:.80}")
    return found


def _input_schema(what: str, schema: Any) -> dict[str, Any] | None:
    try:
        return None if schema is None else schemas.check(schema)
    except InvalidInput as error:
        raise InvalidDefinition(f"the input_schema of {what}: {error}") from error


def _check_name(kind: Kind, name: Any, version: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidDefinition(
            f"{kind} name {name!r} is not 1 to 200 letters, digits and any of _ . : / @ + -",
            hint=f'name it so: @runstone.{kind}("file-reader", version="1")',
        )
    if not isinstance(version, str) or not version or len(version) > 200 or not version.isprintable():
        raise InvalidDefinition(f"the version of {kind} {name!r} is {version!r}; it must be text such as '1'")


def _function_entry(kind: Kind, name: str, version: str, function: Any) -> Entry:
    file, source = _where(function)
    if not callable(function) or isinstance(function, type):
        raise InvalidDefinition(f"the {kind} {name!r} ({source}) is no function")
    inner = function.func if isinstance(function, partial) else function
    target = inner if inspect.isroutine(inner) else type(inner).__call__
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise InvalidDefinition(f"the {kind} {name!r} ({source}) is a generator; return the result instead")
    try:
        inspect.signature(function).bind("ctx", "input")
    except TypeError as error:
        raise InvalidDefinition(
            f"the {kind} {name!r} ({source}) cannot be called with (ctx, input): {error}",
            hint="define it as: async def name(ctx, input): ...",
        ) from error
    is_async = inspect.iscoroutinefunction(target)
    return Entry(
        name=name, version=version, kind=kind, function=function, is_async=is_async, source=source, file=file
    )


def _where(function: Any) -> tuple[str, str]:
    """The file (or, without one, the module) that defines a function, and that place for people."""
    inner = inspect.unwrap(function.func if isinstance(function, partial) else function)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    if code is None:
        module = getattr(inner, "__module__", None) or "unknown"
        return module, module
    # The same file is reached by several names: as a script, as a module, through a link.
    name = code.co_filename
    file = name if name.startswith("<") else str(Path(name).resolve())
    return file, f"{file}:{code.co_firstlineno}"


def _source(file: str, place: str) -> str:
    return f"{file} [{place}]" if file else f"[{place}]"


def _same_place(held: Entry, new: Entry) -> bool:
    """The same file again is a reload; without a file only the very same definition is the same."""
    if held.file or new.file:
        return held.file == new.file
    return (held.command, held.definition) == (new.command, new.definition)
