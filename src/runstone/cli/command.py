"""The shape of every command: global options before or after its name, one session, one way to end."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from importlib import import_module
from typing import Any, TypeVar

import click

from runstone.cli import arguments, exit_codes, problems
from runstone.cli.output import Mode, Output, prepare_streams
from runstone.cli.session import Session
from runstone.client.connecting import URL
from runstone.workspace import is_dsn, shown_dsn

R = TypeVar("R")

_META = arguments.WORKSPACE.removesuffix("workspace")


class PipeClosed(Exception):
    """The reader of stdout went away (`| head`). Under this name click does not take it for an error."""


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keeps a global option for the whole command line; the last place that names it wins."""
    if value not in (None, False) and param.name is not None:
        ctx.meta[_META + param.name] = value


def global_options(*, hidden: bool) -> list[click.Option]:
    """The options that every command takes; shown once, in the help of `runstone`."""
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("--workspace", "The workspace's folder; else $RUNSTONE_WORKSPACE, else the nearest .runstone/ upwards.",
         {"metavar": "DIR", "type": click.Path(file_okay=False)}),
        ("--dsn", "A ledger in PostgreSQL that several machines share; else $RUNSTONE_DSN.", {"metavar": "DSN"}),
        ("--url", "A server in place of the file, such as http://127.0.0.1:7866; else $RUNSTONE_URL.",
         {"metavar": "URL"}),
        ("--json", "Print one JSON document; errors are JSON on stderr.", {"is_flag": True}),
        ("--jsonl", "Print one JSON value per line; live where the command follows something.", {"is_flag": True}),
        ("--no-color", "No colours, as with $NO_COLOR.", {"is_flag": True}),
        ("--quiet", "Print data and errors only.", {"is_flag": True}),
    ]  # fmt: skip
    fixed: dict[str, Any] = {"expose_value": False, "is_eager": True, "callback": _remember, "hidden": hidden}
    return [click.Option([name], help=about, **fixed, **more) for name, about, more in rows]


class Command(click.Command):
    """A command that takes the global options, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *global_options(hidden=True)]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(
            "Also: --workspace DIR, --dsn DSN, --url URL, --json, --jsonl, --no-color, --quiet (see runstone --help)."
        )


class Group(click.Group):
    """A noun; its verbs are `Command`s."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *global_options(hidden=True)]
        self._later: dict[str, str] = {}

    def add_later(self, package: str, places: Mapping[str, str]) -> None:
        """Adds commands by name and place (`module.attribute`), each imported when it is asked for."""
        self._later.update({name: f"{package}.{place}" for name, place in places.items()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._later and cmd_name not in self.commands:
            module, _, attribute = self._later[cmd_name].rpartition(".")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added: what is needed most comes first."""
        return list(self._later or self.commands)


class Root(Group):
    """`runstone` itself: turns every way a command can end into an exit code, never into a traceback."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for param in self.params:
            if isinstance(param, click.Option):
                param.hidden = False

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        if not extra.pop("standalone_mode", True):
            return super().main(args, prog_name, standalone_mode=False, **extra)
        given = list(sys.argv[1:] if args is None else args)
        prepare_streams()
        try:
            _require_text(given)
            code = super().main(given, prog_name or "runstone", standalone_mode=False, **extra)
        except (click.Abort, KeyboardInterrupt):
            code = exit_codes.SIGINT
        except PipeClosed:
            _drop_stdout()
            code = 128 + signal.SIGPIPE
        except Exception as error:
            code = problems.report(error, output_of(flags_in(given)))
        sys.exit(code if isinstance(code, int) else exit_codes.OK)


def _require_text(args: Iterable[str]) -> None:
    """Bytes that are no UTF-8 come as lone surrogates, which no ledger holds: nothing can have that id or value."""
    for word in args:
        try:
            word.encode()
        except UnicodeEncodeError:
            error = click.UsageError(f"{word!r} is no UTF-8 text")
            error.hint = "type it in UTF-8; other bytes can be in a file: --input @FILE"  # type: ignore[attr-defined]
            raise error from None


def _drop_stdout() -> None:
    """The interpreter's own flush at exit must not complain of the closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def flags_in(args: Iterable[str]) -> dict[str, bool]:
    """Global flags as typed: for errors of a command line that could not be read to its end."""
    words = list(args)
    words = words[: words.index("--")] if "--" in words else words
    return {name: f"--{name.replace('_', '-')}" in words for name in ("json", "jsonl", "no_color", "quiet")}


def output_of(flags: dict[str, Any]) -> Output:
    """The output that the global flags ask for."""
    mode: Mode = "jsonl" if flags.get("jsonl") else "json" if flags.get("json") else "text"
    return Output(mode, quiet=bool(flags.get("quiet")), no_color=bool(flags.get("no_color")))


def _server(flags: dict[str, Any], *, anywhere: bool, typed: bool) -> str | None:
    """The server that is asked for. Raises `click.UsageError` where the command takes none."""
    url = flags.get("url")
    if url is None:
        named = anywhere and not typed and not flags.get("workspace") and not flags.get("dsn")
        return os.environ.get(URL) or None if named else None
    if not anywhere:
        error = click.UsageError("this works on the files of a workspace, and not with a server (--url)")
        error.hint = "run it on the server's machine, in its workspace, without --url"  # type: ignore[attr-defined]
        raise error
    return str(url)


def _ledger(flags: dict[str, Any]) -> str | None:
    """The folder or the DSN that was named. Raises `click.UsageError` where several places were."""
    given = [name for name in ("workspace", "dsn", "url") if flags.get(name)]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} exclude each other")
    dsn = flags.get("dsn")
    if dsn is not None and not is_dsn(dsn):
        error = click.UsageError(f"--dsn takes the DSN of a PostgreSQL database, not {shown_dsn(dsn)!r:.80}")
        error.hint = "write it as postgresql://USER@HOST:PORT/DATABASE"  # type: ignore[attr-defined]
        raise error
    return dsn or flags.get("workspace")


def with_any_session(function: Callable[..., R]) -> Callable[..., R]:
    """As `with_session`, for a command that works with a server (`--url`) as well."""
    return with_session(function, anywhere=True)


def with_typed_session(function: Callable[..., R]) -> Callable[..., R]:
    """As `with_any_session`, but a server is typed: a script's run is in the workspace that started the script."""
    return with_session(function, anywhere=True, typed=True)


def with_session(
    function: Callable[..., R], *, anywhere: bool = False, typed: bool = False
) -> Callable[..., R]:
    """Gives a command its `Session` as the first argument."""

    def call(*args: Any, **kwargs: Any) -> R:
        meta = click.get_current_context().meta
        flags = {name.removeprefix(_META): value for name, value in meta.items() if name.startswith(_META)}
        if flags.get("json") and flags.get("jsonl"):
            raise click.UsageError("--json and --jsonl exclude each other")
        place = _ledger(flags)
        session = Session(place, output_of(flags), url=_server(flags, anywhere=anywhere, typed=typed))
        try:
            return function(session, *args, **kwargs)
        except BrokenPipeError as error:
            raise PipeClosed from error

    return update_wrapper(call, function)
