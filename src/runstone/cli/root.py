"""`runstone`: the commands that there are, in the order in which they are needed. Only the one typed is imported."""

import click

from runstone.cli import exit_codes
from runstone.cli.command import Group, Root

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


run_group.add_later(
    "runstone.cli",
    {
        "list": "runs.list_",
        "show": "runs.show",
        "tree": "runs.tree",
        "events": "following.events",
        "logs": "logs.logs",
        "watch": "following.watch",
        "stop": "orders.stop",
        "pause": "commands.pause",
        "resume": "commands.resume_",
        "retry": "commands.retry",
        "steer": "commands.steer",
        "commands": "commands.commands",
        "fork": "forks.fork",
        "diff": "comparing.diff",
        "edit": "editing.edit",
        "rm": "orders.rm",
        "search": "runs.search",
        "checkpoints": "checkpoints.checkpoints",
        "state": "checkpoints.state",
        "diff-state": "checkpoints.diff_state",
    },
)
main.add_later(
    "runstone.cli",
    {
        "run": "execute.run",
        "exec": "exec.exec_",
        "resume": "execute.resume",
        "plan": "execute.plan",
        "runs": "root.run_group",
        "inputs": "inputs.inputs",
        "ask": "ask.ask",
        "agents": "definitions.agents",
        "workflows": "definitions.workflows",
        "threads": "threads.threads",
        "boards": "boards.boards",
        "usage": "usage.usage",
        "worker": "worker.worker",
        "enqueue": "worker.enqueue",
        "up": "up.up",
        "open": "up.open_",
        "down": "up.down",
        "token": "token.token",
        "verify": "care.verify",
        "doctor": "doctor.doctor",
        "backup": "backup.backup",
        "restore": "backup.restore",
        "export": "export.export",
        "import": "export.import_",
        "migrate": "migrate.migrate",
        "prune": "prune.prune_",
        "completion": "care.completion",
    },
)
