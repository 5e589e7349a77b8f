"""`verify` and `completion`."""

import click
from click.shell_completion import get_completion_class

from runstone.cli import exit_codes, text
from runstone.cli.command import Command, with_session
from runstone.cli.session import Session
from runstone.cli.table import Cell


@click.command(cls=Command)
@click.option(
    "--upgrade", is_flag=True, help="First open the ledger for writing, which upgrades an older schema."
)
@with_session
def verify(session: Session, upgrade: bool) -> int:
    """Check the ledger.

    Its file, and that what is shown of every run equals what its events add up to. Exit code 1 if something
    is wrong; each finding is a line of its own.
    """
    output = session.output
    with session.changing() if upgrade else session.reading() as ledger:
        findings = ledger.verify()
        place = ledger.workspace.folder
    if output.mode == "json":
        output.document({"workspace": str(place), "findings": findings})
    elif output.mode == "jsonl":
        output.items(findings)
    else:
        for finding in findings:
            output.line(Cell(text.clean(finding.text), "bad"))
        output.note(f"{place}: {f'{len(findings)} findings' if findings else 'nothing is wrong'}", "")
    return exit_codes.ERROR if findings else exit_codes.OK


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script for SHELL's completion.

    It completes commands, options and run ids.

    \b
    bash: eval "$(runstone completion bash)"       in ~/.bashrc
    zsh:  eval "$(runstone completion zsh)"        in ~/.zshrc
    fish: runstone completion fish | source        in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "runstone", "_RUNSTONE_COMPLETE").source())
