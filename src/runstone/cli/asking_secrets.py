"""Values of secrets that a person is asked for on a terminal, without showing them."""

import os
import sys
from collections.abc import Iterable

import click

from runstone.cli import text
from runstone.cli.session import Session
from runstone.domain.records import AgentRun
from runstone.domain.runs import RESUMABLE
from runstone.engine.secrets import secret_names
from runstone.ledger import Ledger


def ask(session: Session, names: Iterable[str]) -> dict[str, str]:
    """The values of those that no variable holds; asks for nothing where nobody could answer."""
    if not (session.output.text and sys.stdin.isatty() and sys.stderr.isatty()):
        return {}
    missing = [name for name in sorted(set(names)) if name not in os.environ]
    return {
        name: click.prompt(f"value of the secret {text.clean(name)}", hide_input=True, err=True)
        for name in missing
    }


def names_of(ledger: Ledger, runs: Iterable[AgentRun]) -> set[str]:
    """The secrets that the inputs of runs refer to which can go on."""
    refs = {run.input_ref for run in runs if run.status in RESUMABLE and run.input_ref is not None}
    return {name for ref in refs for name in secret_names(ledger.blob(ref))}
