"""Writes docs/reference from the code: errors, events, the Python API, the command line, exports and the line protocol.

A test compares the pages with the code, so that nothing can be missing there or described wrongly.
"""

import argparse
import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import click

import runstone
from runstone import caring, checkpoints, commands, errors, inputs, notebooks, views
from runstone.domain import events, exported, lines, records
from runstone.engine import context, deliveries
from runstone.server import app as server
from runstone.store import writer

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/generate_reference.py; edit the code it reads, then `make reference`. -->"
EVENT_IMPORTANCE = {events.LOW: "low", events.NORMAL: "normal", events.HIGH: "high"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def errors_page() -> Iterator[str]:
    """One row per error class: its stable code, what it means, what to do next."""
    yield "# Errors"
    yield (
        "Every exception has a stable `code`, the same in Python, in `--json` output and in the error stored "
        "with a run, and a `hint` that says what to do or type next. Import them from `runstone.errors`; all derive "
        "from `RunstoneError`."
    )
    yield table(
        ["code", "exception", "is a", "meaning", "hint"],
        [
            [
                f"`{kind.code}`",
                f"`{kind.__name__}`",
                f"`{kind.__bases__[0].__name__}`",
                first_line(kind),
                kind.hint,
            ]
            for kind in error_classes(errors.RunstoneError)
        ],
    )
    yield f"Beside them: `Suspended`, a `BaseException` without a code. {first_line(errors.Suspended)}"


def error_classes(kind: type[errors.RunstoneError]) -> Iterator[type[errors.RunstoneError]]:
    """The tree below `kind`, depth first, as errors.py declares it."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from error_classes(child)


def events_page() -> Iterator[str]:
    """One row per catalogued event type: its fields, its importance, and who writes it."""
    yield "# Events"
    yield (
        "An event is immutable; its `type` is `domain.action` in the past tense. Your own types are stored "
        "as they are; those below are checked. Runstone itself writes those marked so; `emit` refuses them."
    )
    yield table(
        ["type", "meaning", "needs", "may have", "importance", "written by"],
        [
            [
                f"`{name}`",
                entry.summary,
                fields(entry.required),
                fields(entry.optional),
                EVENT_IMPORTANCE[entry.importance],
                "Runstone" if entry.own else "you",
            ]
            for name, entry in events.CATALOGUE.items()
        ],
    )


def fields(types: dict[str, type]) -> str:
    names = {str: "text", int: "integer", float: "number", bool: "boolean", dict: "object", list: "list"}
    return ", ".join(f"`{name}` ({names[kind]})" for name, kind in types.items())


def cli_page() -> Iterator[str]:
    """Every command with its usage, its help and its options."""
    yield "# Command line"
    from runstone.cli import main as root

    yield "Global options may stand before or after a command's name."
    yield from command_section(root, click.Context(root, info_name="runstone"))


def command_section(command: click.Command, context: click.Context) -> Iterator[str]:
    if command.hidden:
        return
    yield f"{'#' * min(4, 2 + context.command_path.count(' '))} `{context.command_path}`"
    for part in inspect.cleandoc(command.help or command.short_help or "").split("\n\n"):
        # click's mark for a paragraph that keeps its lines
        yield code(part.removeprefix("\b").strip("\n")) if part.startswith("\b") else part
    yield f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```"
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    if options:
        yield table(["option", "meaning"], [option_row(one) for one in options])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from command_section(child, click.Context(child, parent=context, info_name=name))


def option_row(option: click.Option) -> list[str]:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if option.is_flag or option.count:
        return [names, option.help or ""]
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    value = "|".join(map(str, choices)) or option.metavar or option.type.name.upper()
    return [f"{names} `{value}`", option.help or ""]


def python_page() -> Iterator[str]:
    """Every public name with its signature and its first line; classes with their public members."""
    yield "# Python API"
    yield "These names are imported from `runstone`. Errors have [a page of their own](errors.md)."
    for name in sorted(runstone.__all__, key=str.lower):
        thing = getattr(runstone, name)
        if inspect.isclass(thing) and issubclass(thing, BaseException):
            continue
        yield f"## `{name}`"
        yield from class_section(thing) if inspect.isclass(thing) else value_section(name, thing)
    yield "# Given, not imported"
    yield "What calls give back or hand to your functions."
    for title, kind in given():
        yield f"## {title}"
        yield from class_section(kind)


def given() -> Iterator[tuple[str, type]]:
    """Classes that a user meets without importing them, each with the words by which it is met."""
    yield "`ctx`, the first argument of an agent or a workflow", context.Context
    yield "`Receipt`, given by every write", writer.Receipt
    yield "`Delivery`, given by `ledger.deliveries` and `run.finished_children`", deliveries.Delivery
    yield "`ledger.threads`", notebooks.Threads
    yield "`ledger.boards`", notebooks.Boards
    yield "`ledger.inputs`", inputs.Inputs
    yield "`ledger.commands`", commands.Commands
    yield "`ledger.checkpoints`", checkpoints.Checkpoints
    yield "`ledger.views`", views.Views
    yield "`ledger.care`", caring.Care
    for name, kind in vars(records).items():
        if inspect.isclass(kind) and kind.__module__ == records.__name__ and kind is not records.Record:
            yield f"`{name}`", kind


def value_section(name: str, thing: object) -> Iterator[str]:
    if callable(thing):
        yield code(signature(name, definition(thing)))
    yield paragraph(inspect.getdoc(thing))


def class_section(kind: type) -> Iterator[str]:
    yield paragraph(inspect.getdoc(kind))
    members: dict[str, str] = {}
    for base in kind.__mro__:
        if base.__module__.split(".")[0] == runstone.__name__:
            for name, text in class_members(base):
                members.setdefault(name, text)
    if members:
        yield code("\n\n".join(members.values()))


def class_members(kind: type) -> Iterator[tuple[str, str]]:
    """Public fields and methods as the class's source declares them, each below its first line of documentation."""
    node = definition(kind)
    assert isinstance(node, ast.ClassDef)
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            if not member.target.id.startswith("_"):
                yield member.target.id, f"{member.target.id}: {annotation(member.annotation)}"
        elif isinstance(member, Function) and not member.name.startswith("_"):
            about = (ast.get_docstring(member) or "").partition("\n")[0]
            is_field = any(
                isinstance(one, ast.Name) and one.id == "property" for one in member.decorator_list
            )
            line = property_line(member) if is_field else signature(member.name, member)
            yield member.name, f"# {about}\n{line}" if about else line


def property_line(node: Function) -> str:
    return f"{node.name}: {annotation(node.returns)}" if node.returns else node.name


def annotation(node: ast.expr) -> str:
    """The type as text, without the quotes of a forward reference."""
    return (
        str(node.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        else ast.unparse(node)
    )


def definition(thing: object) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]  # type: ignore[arg-type]


def signature(name: str, node: ast.stmt) -> str:
    assert isinstance(node, Function)
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    for one in given:
        if one.annotation is not None:
            one.annotation = ast.Name(annotation(one.annotation))
    arguments = re.sub(r"^(self|cls)(, |$)", "", ast.unparse(node.args))
    returns = f" -> {annotation(node.returns)}" if node.returns else ""
    names = {one.id for one in node.decorator_list if isinstance(one, ast.Name)}
    if names & {"asynccontextmanager", "contextmanager"}:
        used, returns = "async with " if "asynccontextmanager" in names else "with ", ""
    else:
        used = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    text = f"{used}{name}({arguments}){returns}"
    return textwrap.fill(text, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def code(text: str) -> str:
    return f"```text\n{text}\n```"


def paragraph(text: str | None) -> str:
    return (text or "").split("\n\n")[0].replace("\n", " ")


def first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


KINDS = {"i": "integer", "s": "text", "j": "JSON", "b": "digest", "r": "run id", "o": "owner"}


def export_page() -> Iterator[str]:
    """One row per record of an export."""
    yield "# The lines of an export"
    yield (
        "`runstone export` writes JSON Lines: one object a line. The first is the header, with `runstone_export` (the "
        f"version of this format, {exported.VERSION}), `schema` and `epoch` of the ledger, `made_at`, `what` was asked "
        "for, and whether values are `redacted`. Each other line has `record`, and those of a run have `run`, its id. "
        "Fields without a value are left out; times are microseconds since 1970, costs 1e-12 US dollars."
    )
    rows = []
    for record, columns in exported.RECORDS.items():
        told = [f"`{one.name}` ({KINDS[one.kind]}{', optional' if one.optional else ''})" for one in columns]
        rows.append([f"`{record}`", exported.ABOUT[record], ", ".join(told)])
    yield table(["record", "meaning", "fields"], rows)
    yield "A digest is the SHA-256 of a value that a line `blob` has."


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "cli.md": cli_page,
    "errors.md": errors_page,
    "events.md": events_page,
    "python.md": python_page,
    "export.md": export_page,
}
SCHEMAS: dict[str, Callable[[], object]] = {
    "line-protocol.schema.json": lines.schema,
    "openapi.json": server.described,
}
FILES = [*PAGES, *SCHEMAS]


def render(name: str) -> str:
    """The text of one page or schema of the reference."""
    if name in SCHEMAS:
        return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"
    return "\n\n".join([NOTE, *(part for part in PAGES[name]() if part)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page differs")
    check = parser.parse_args().check
    stale = [
        name for name in FILES if not (FOLDER / name).exists() or (FOLDER / name).read_text() != render(name)
    ]
    for name in stale:
        if not check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(render(name))
        print(
            f"docs/reference/{name}: {'differs from the code; type: make reference' if check else 'written'}"
        )
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
