"""A command as an agent: named in runstone.toml, run as a process, its output and exit code in the ledger.

python examples/process_agent.py     in an empty folder; then: runstone runs list
"""

import subprocess
import sys
from pathlib import Path

import runstone

SETTINGS = """\
[agents.count-lines]
command = ["wc", "-l", "--", "{input.path}"]
result = "text"
"""


def main() -> None:
    Path("runstone.toml").write_text(SETTINGS)
    Path("words.txt").write_text("alpha\nbeta\ngamma\n")
    # As typed in a shell; the same id again would show the stored result and start nothing.
    command = [
        sys.executable,
        "-m",
        "runstone",
        "run",
        "--trust",
        "count-lines",
        "path=words.txt",
        "--id",
        "count-1",
    ]
    subprocess.run(command, check=True)
    with runstone.open(readonly=True) as ledger:
        run, process = ledger.get_run("count-1"), ledger.processes("count-1")[0]
        print(f"{run.id} is {run.status}: {ledger.result('count-1')} (exit code {process.exit_code})")


if __name__ == "__main__":
    main()
