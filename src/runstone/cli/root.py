"""`runstone`: the commands that there are, in the order in which they are needed."""

import click

from runstone.cli import commands, exit_codes, following, logs, orders, runs
from runstone.cli.ask import ask
from runstone.cli.backup import backup, restore
from runstone.cli.boards import boards
from runstone.cli.care import completion, verify
from runstone.cli.checkpoints import checkpoints, diff_state, state
from runstone.cli.command import Group, Root
from runstone.cli.comparing import diff
from runstone.cli.definitions import agents, workflows
from runstone.cli.doctor import doctor
from runstone.cli.editing import edit
from runstone.cli.exec import exec_
from runstone.cli.execute import plan, resume, run
from runstone.cli.export import export, import_
from runstone.cli.forks import fork
from runstone.cli.inputs import inputs
from runstone.cli.migrate import migrate
from runstone.cli.prune import prune_
from runstone.cli.threads import threads
from runstone.cli.token import token
from runstone.cli.up import down, open_, up
from runstone.cli.usage import usage
from runstone.cli.worker import enqueue, worker

_EXIT_CODES = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exit_codes.MEANINGS.items())

HELP = f"""The durable run ledger for AI agents: run work, see it, and resume it without doing finished work again.

Data goes to stdout and messages to stderr. Wherever a run is asked for, any unique part of its id will do.

\b
Exit codes:
{_EXIT_CODES}
"""


@click.command(
    cls=Root, help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="runstone", message="%(prog)s %(version)s")
def main() -> None:
    """Replaced by HELP."""


@click.group("runs", cls=Group)
def run_group() -> None:
    """See runs, follow them, stop, pause and steer them, and remove them."""


_VERBS: tuple[click.Command, ...] = (
    *(runs.list_, runs.show, runs.tree, following.events, logs.logs, following.watch),
    *(
        orders.stop,
        commands.pause,
        commands.resume_,
        commands.retry,
        commands.steer,
        commands.commands,
        fork,
        diff,
    ),
    *(edit, orders.rm, runs.search, checkpoints, state, diff_state),
)
_NOUNS: tuple[click.Command, ...] = (
    *(
        run,
        exec_,
        resume,
        plan,
        run_group,
        inputs,
        ask,
        agents,
        workflows,
        threads,
        boards,
        usage,
        worker,
        enqueue,
        up,
        open_,
        down,
        token,
        verify,
        doctor,
        backup,
        restore,
        export,
        import_,
        migrate,
        prune_,
        completion,
    ),
)
for _command in _VERBS:
    run_group.add_command(_command)
for _command in _NOUNS:
    main.add_command(_command)
