"""`ledger.exec`: any command as a durable background agent, and going on with one."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from runstone.domain import codec
from runstone.domain.bounds import checked_message
from runstone.domain.records import AgentRun
from runstone.engine.ambient import COMMAND
from runstone.engine.asking import awaiting
from runstone.engine.background.folder import ExecFolder, Launch
from runstone.engine.background.launch import environment_of, start_keeper, wait_started, watcher_command
from runstone.engine.background.outcomes import STARTING, error_payload
from runstone.engine.background.restarts import Restart
from runstone.engine.gate import find_program
from runstone.errors import CommandError, CommandInputRefused, InvalidInput, RunMismatch
from runstone.store.writes.continuing import TellRun
from runstone.store.writes.lifecycle import CreateRun, EndRun, ResumeRun

if TYPE_CHECKING:
    from runstone.ledger import Ledger

KIND = "background_agent"
OPTION = COMMAND
"""Marks a run as a command in the background, among its options."""


def is_background(run: AgentRun) -> bool:
    """Whether the run is a command that `exec` started."""
    return run.kind == KIND and OPTION in run.options


def start(
    ledger: "Ledger",
    command: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
    stdin: bytes | None,
    facts: dict[str, Any] | None,
    restart: Any,
    timeout_s: float | None,
    wait_s: float,
    resume_command: Sequence[str] | None = None,
    **fields: Any,
) -> AgentRun:
    """Starts it and gives its run. See `Ledger.exec`."""
    from runstone.ledger import new_run

    arguments = _arguments(command)
    again = None if resume_command is None else _arguments(resume_command)
    policy = Restart.of(restart)
    _check_times(timeout_s, wait_s)
    place = os.path.abspath(cwd if cwd is not None else os.getcwd())
    asked = {"command": arguments, "cwd": place, **(facts or {})}
    title = fields.pop("title", None) or codec.clip(" ".join(arguments), 200)
    kept = None if policy.on == "never" else msgspec.to_builtins(policy)
    options = {OPTION: {"timeout_s": timeout_s, "restart": kept, **({"resume": again} if again else {})}}
    new = new_run(ledger.core, kind=KIND, title=title, input=asked, options=options, **fields)
    if (known := _known(ledger, new.run_id, arguments)) is not None:
        return known
    run_id = ledger.core.submit(CreateRun(new), []).result().head.run_id
    try:
        environ = dict(os.environ if env is None else env)
        launch = Launch(
            run_id=run_id, program=find_program(arguments[0], environment=environ, cwd=place), arguments=arguments,
            environment=environment_of(environ, run_id, ledger.core), cwd=place, timeout_s=timeout_s,
            restart=kept, watcher=watcher_command(str(ledger.workspace.root), run_id), resume=again,
            resume_program=None if again is None else find_program(again[0], environment=environ, cwd=place),
        )  # fmt: skip
        folder = ExecFolder(ledger.workspace.folder, run_id)
        folder.create()
        folder.write_launch(launch, stdin)
        start_keeper(folder, ledger.workspace.dsn)
    except CommandError as error:
        failed = {"error": error_payload(error, ledger.core.redactor)}
        ledger.core.submit(EndRun(run_id, None, "run.failed", failed), []).result()
        raise
    wait_started(ledger.core, folder, run_id, after=0, wait_s=wait_s)
    return _started(ledger.get_run(run_id))


def resume(ledger: "Ledger", run_id: str, *, wait_s: float = 10, message: str | None = None) -> AgentRun:
    """Goes on with a background command: adopts it if it still runs, else starts it again. Blocks for `wait_s` s.

    A completed or running one is given as it is. Raises what `Ledger.exec` raises.
    """
    ledger.supervisor.settle(run_id)
    run = ledger.get_run(run_id)
    if message is not None:
        told = ledger.core.redactor.message(checked_message(message))
        ledger.core.submit(TellRun(run_id, told, ledger.core.now()), []).result()
    elif run.status in ("completed", "running"):
        return run
    elif run.status == "awaiting_user":
        raise awaiting(ledger.reader, run_id)
    folder = ExecFolder(ledger.workspace.folder, run_id)
    if folder.launch() is None:
        _write_again(ledger, run, folder)
    if run.status != "interrupted":
        expect = frozenset({"failed", "cancelled", "paused", "waiting"})
        ledger.core.submit(ResumeRun(run_id, "resumed", expect=expect), []).result()
    start_keeper(folder, ledger.workspace.dsn)
    wait_started(ledger.core, folder, run_id, after=run.attempt, wait_s=wait_s)
    return _started(ledger.get_run(run_id))


def _write_again(ledger: "Ledger", run: AgentRun, folder: ExecFolder) -> None:
    """The launch of a run whose folder is gone: from its input, with the environment of this process."""
    asked = ledger.input(run.id)
    told = run.options.get(OPTION) or {}
    root = str(ledger.workspace.root)
    launch = Launch(
        run_id=run.id, program=find_program(asked["command"][0], environment=os.environ, cwd=asked["cwd"]),
        arguments=asked["command"], environment=environment_of(os.environ, run.id, ledger.core), cwd=asked["cwd"],
        timeout_s=told.get("timeout_s"), restart=told.get("restart"), watcher=watcher_command(root, run.id),
        resume=(again := told.get("resume")),
        resume_program=None if again is None else find_program(again[0], environment=os.environ, cwd=asked["cwd"]),
    )  # fmt: skip
    folder.create()
    folder.write_launch(launch, None)


def _known(ledger: "Ledger", run_id: str, arguments: list[str]) -> AgentRun | None:
    """The run of that id, if it was started or may have been; it must be of the same command."""
    if not ledger.reader.rows("pk_of", run_id=run_id):
        return None
    run = ledger.get_run(run_id)
    if not is_background(run) or (ledger.input(run_id) or {}).get("command") != arguments:
        raise RunMismatch(f"run {run_id} exists with another command", run_id=run_id)
    # Its starter may have been killed: of two keepers one gets the run.
    begun = run.attempt > 0 or run.status not in ("pending", "interrupted")
    return run if begun else None


def _started(run: AgentRun) -> AgentRun:
    """The run; raises why its command could not be executed."""
    kind = STARTING.get((run.error or {}).get("code", "")) if run.status == "failed" else None
    if kind is not None and run.error is not None:
        raise kind(run.error["message"], run_id=run.id)
    return run


def _arguments(command: Sequence[str]) -> list[str]:
    if isinstance(command, str | bytes) or not isinstance(command, Sequence) or not command:
        raise InvalidInput(f"command is a list of texts, the program first, not {codec.shown(command)}")
    for part in command:
        if not isinstance(part, str):
            raise InvalidInput(f"command is a list of texts, and {codec.shown(part)} is none")
        try:
            refused = b"\0" in os.fsencode(part)
        except UnicodeEncodeError:
            refused = True
        if refused:
            raise CommandInputRefused(f"{codec.shown(part)} is no argument that a program can be given")
    if not command[0]:
        raise InvalidInput("command names no program")
    return list(command)


def _check_times(timeout_s: Any, wait_s: Any) -> None:
    for name, value in (("timeout_s", timeout_s), ("wait_s", wait_s)):
        ok = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
        if not ok and not (name == "timeout_s" and value is None):
            raise InvalidInput(f"{name} must be seconds above 0, not {codec.shown(value)}")
