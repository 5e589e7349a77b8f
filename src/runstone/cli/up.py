"""`up`, `down` and `open`: the workspace's server, in this terminal or in the background."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runstone.cli import demo as demos
from runstone.cli.command import Command, with_session
from runstone.cli.output import Output
from runstone.cli.session import Session
from runstone.cli.table import Cell
from runstone.client.connecting import ServerFile
from runstone.domain.dispatches import Placement
from runstone.errors import RunstoneError, ServerUnreachable
from runstone.server import installed, standing
from runstone.workspace import DSN, VARIABLE, Workspace

if TYPE_CHECKING:
    from runstone.engine.registry import Registry
    from runstone.server.settings import Settings

_START_S: Final = 20.0
_END_S: Final = 15.0
_LOG: Final = "server.log"
_LOG_BYTES: Final = 1024 * 1024
_TOLD: Final = 2_000

_PORT = click.option(
    "--port", type=click.IntRange(0, 65535), metavar="PORT", help="Else 7866; 0 takes a free one."
)
_HOST = click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen."
)
_OPTIONS: Final = (
    _PORT,
    _HOST,
    click.option(
        "--allow-host", multiple=True, metavar="NAME", help="A name by which it may be called, too."
    ),
    click.option(
        "--tls-certificate", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="For https."
    ),
    click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Its key."),
    click.option(
        "--queue",
        metavar="NAME",
        help="Runs that are started stand in line there, for workers; else they run here.",
    ),
    click.option(
        "--insecure", is_flag=True, help="Listen for other machines without TLS: somebody else encrypts."
    ),
)


def _with_settings(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(cls=Command)
@_with_settings
@click.option("--detach", is_flag=True, help="In the background; `runstone down` ends it.")
@click.option("--open", "browse", is_flag=True, help="Open it in the browser.")
@click.option("--demo", is_flag=True, help="With three made-up runs, in a workspace of their own.")
@click.option("--in-background", "quiet", is_flag=True, hidden=True)
@click.option("--trust", is_flag=True, help="Allow the workspace's runstone.toml to run code, from now on.")
@with_session
def up(
    session: Session,
    *,
    detach: bool,
    browse: bool,
    quiet: bool,
    trust: bool,
    demo: bool,
    **asked: Any,
) -> int:
    """Serve the workspace over HTTP, until Ctrl-C.

    Only this machine reaches it, and only with a token. The link that is printed lets one browser in, once, within
    a minute; `runstone open` gives another. It runs agents and workflows that are started over HTTP, where the
    workspace's runstone.toml is trusted; with --queue it leaves them to workers (`runstone worker`).

    With --demo it serves made-up runs instead: one that is done, one that was interrupted and can be resumed, and one
    that asks. They are in a new workspace, which is removed at the end, or in the one that --workspace names.
    """
    settings = _settings(asked)
    if not demo:
        session.settle_trust(trust=trust)
        return _serve(session, settings, asked, detach=detach, browse=browse, quiet=quiet)
    with demos.place_of(session, keep=detach) as there:
        return _serve(there, settings, asked, detach=detach, browse=browse, quiet=quiet, demo=True)


def _serve(
    session: Session,
    settings: "Settings",
    asked: dict[str, Any],
    *,
    detach: bool,
    browse: bool,
    quiet: bool,
    demo: bool = False,
) -> int:
    with session.changing(create=True) as ledger:
        folder, workspace = ledger.workspace.folder, ledger.workspace
        registry = demos.filled(ledger, session.output) if demo else None
        if not detach:
            with standing.only_one(folder), _listening(ledger, settings, registry) as server:
                if quiet:  # its starter tells; a code has no business in a log
                    session.output.note(f"serving {ledger.workspace.name} at {server.url}", "")
                else:
                    code = server.parts.codes.give()
                    _tell(session.output, server.url, ledger.workspace, code, browse=browse, detached=False)
                server.run()
                session.output.note("the server has ended", "")
            return 0
    there = _start(workspace, asked, demo=demo)
    _tell(session.output, there.url, workspace, _code(folder, there), browse=browse, detached=True)
    return 0


@contextmanager
def _listening(ledger: Any, settings: "Settings", registry: "Registry | None") -> Iterator[Any]:
    """The server, listening and announced; Ctrl-C and SIGTERM end it cleanly."""
    from runstone.server.serve import Server

    server = Server(ledger, settings, registry)
    server.parts.tokens.ensure_first()
    standing.announce(ledger.workspace.folder, server.url)
    before = {
        number: signal.signal(number, lambda *_: server.stop()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield server
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings(asked: dict[str, Any]) -> "Settings":
    """The settings; raises before anything is made where they cannot be used. Raises `ServerMissing`."""
    installed.require()
    from runstone.server.settings import PORT, Settings

    certificate, key, port = asked["tls_certificate"], asked["tls_key"], asked["port"]
    settings = Settings(
        host=asked["host"],
        port=PORT if port is None else port,
        allowed_hosts=tuple(asked["allow_host"]),
        tls_certificate=None if certificate is None else Path(certificate),
        tls_key=None if key is None else Path(key),
        insecure=asked["insecure"],
        queue=None if asked["queue"] is None else Placement(queue=asked["queue"]).queue,
    )
    settings.check()
    return settings


def _tell(output: Output, url: str, workspace: Workspace, code: str, *, browse: bool, detached: bool) -> None:
    """Says where it is, and how to get in."""
    link = f"{url}/auth?code={code}"
    root, token = workspace.root, workspace.folder / "server" / "token"
    named = "runstone"
    if workspace.dsn is None and not Path.cwd().is_relative_to(root):
        named = f"runstone --workspace {shlex.quote(str(root))}"
    if output.text:
        output.line(Cell("Runstone serves", "head"), Cell(workspace.name, "strong"))
        output.line("  open   ", Cell(link, "live"))
        output.line("         ", Cell("good once, for a minute; another one: " + f"{named} open", "dim"))
        output.line("  API    ", f"{url}/api/v1")
        output.line("         ", Cell(f"token in {token}", "dim"))
        output.line("  end    ", f"{named} down" if detached else "Ctrl-C")
    else:
        output.document({"url": url, "open_url": link, "root": str(root), "token_file": str(token)})
    sys.stdout.flush()
    if browse and not _browse(link):
        output.note("no browser was found here; open the link yourself", "")


def _browse(link: str) -> bool:
    """Opens a browser that has a window; one in the terminal would take it over."""
    windows = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if not windows and not os.environ.get("BROWSER"):
        return False
    try:
        return webbrowser.open(link)
    except webbrowser.Error:
        return False


# --- in the background ------------------------------------------------------------------------------------------------


def _start(workspace: Workspace, asked: dict[str, Any], *, demo: bool = False) -> ServerFile:
    """Starts it in the background, and waits until it listens. Raises `ServerRuns`, and what it ended with."""
    folder = workspace.folder
    if (there := standing.running(folder)) is not None:
        raise standing.runs(there)
    log = folder / "server" / _LOG
    log.parent.mkdir(mode=0o700, exist_ok=True)
    mode = "ab" if log.exists() and log.stat().st_size < _LOG_BYTES else "wb"
    command = [
        sys.executable,
        "-m",
        "runstone",
        *_place(workspace),
        "up",
        "--in-background",
        *_arguments(asked),
        *(["--demo"] if demo else []),
    ]
    with log.open(mode) as out:
        log.chmod(0o600)
        at = out.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/",
            env=_environment(workspace),
        )  # fmt: skip
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        there = standing.running(folder)
        if there is not None and there.pid == process.pid:
            return there
        if process.poll() is not None:
            told = log.read_bytes()[at:].decode(errors="replace").strip()[-_TOLD:]
            raise ServerUnreachable(f"the server has ended: {told}", hint=f"see its log: {log}")
        time.sleep(0.05)
    raise ServerUnreachable(f"the server did not start within {_START_S:g} s", hint=f"see its log: {log}")


def _place(workspace: Workspace) -> list[str]:
    return ["--workspace", str(workspace.root)] if workspace.dsn is None else []


def _environment(workspace: Workspace) -> dict[str, str]:
    """A DSN goes by the environment: others may see a command line, and it may have a password in it."""
    if workspace.dsn is None:
        return dict(os.environ)
    return {**os.environ, DSN: workspace.dsn, VARIABLE: str(workspace.root)}


def _arguments(asked: dict[str, Any]) -> list[str]:
    found = ["--host", asked["host"]]
    for name in ("port", "queue", "tls_certificate", "tls_key"):
        if asked[name] is not None:
            value = asked[name] if name in ("port", "queue") else Path(asked[name]).resolve()
            found += [f"--{name.replace('_', '-')}", str(value)]
    for host in asked["allow_host"]:
        found += ["--allow-host", host]
    return [*found, "--insecure"] if asked["insecure"] else found


def _code(folder: Path, there: ServerFile) -> str:
    """A code that lets a browser in, from the server that runs."""
    from runstone.client.http import Http

    token = (folder / "server" / "token").read_text(encoding="ascii").strip()
    http = Http(there.url, token)
    try:
        return str(http.post("/auth/codes")["code"])
    finally:
        http.close()


@click.command("open", cls=Command)
@click.option("--print", "only_print", is_flag=True, help="Print the link only.")
@with_session
def open_(session: Session, only_print: bool) -> int:
    """Open the workspace's server in the browser; start it in the background where none runs."""
    defaults: dict[str, Any] = {
        "host": "127.0.0.1", "port": None, "allow_host": (), "tls_certificate": None, "tls_key": None,
        "insecure": False, "queue": None,
    }  # fmt: skip
    _settings(defaults)
    with session.changing(create=True) as ledger:
        folder, workspace = ledger.workspace.folder, ledger.workspace
    there = standing.running(folder)
    if there is None:
        there = _start(workspace, defaults | {"port": _port_at_hand()})
        session.output.note(f"started the server at {there.url}; end it: runstone down", "")
    link = f"{there.url}/auth?code={_code(folder, there)}"
    opened = not only_print and _browse(link)
    if not session.output.text:
        session.output.document({"url": there.url, "open_url": link, "opened": opened})
    elif not opened:
        session.output.line(link)
        session.output.note("good once, for a minute")
    else:
        session.output.note(f"opened {there.url}", "")
    return 0


def _port_at_hand() -> int | None:
    """None for the usual port, where it is free; else 0 for any: who opens a workspace wished for no port."""
    from runstone.server.settings import PORT

    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return None


@click.command(cls=Command)
@with_session
def down(session: Session) -> int:
    """End the workspace's server. Runs that it was executing are interrupted, and can be resumed."""
    folder = session.existing().folder
    there = standing.running(folder)
    if there is None:
        session.output.note("no server of this workspace runs", "")
        return 0
    with suppress(ProcessLookupError):
        os.kill(there.pid, signal.SIGTERM)
    if not standing.until_ended(folder, _END_S):
        raise RunstoneError(
            f"the server (process {there.pid}) has not ended within {_END_S:g} s",
            hint=f"kill it: kill -9 {there.pid}",
        )
    if not session.output.text:
        session.output.document({"url": there.url, "pid": there.pid})
    session.output.note(f"ended the server at {there.url}", "")
    return 0
