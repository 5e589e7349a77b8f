"""`make bench`: all tables, or those named (`python -m bench appends`). `--quick` tries them, its figures are noise."""

import importlib
import sys

from bench.table import Bystanders, Pace, machine

TABLES = {
    "appends": "Durable appends",
    "busy": "Durable appends beside a busy thread",
    "contention": "Eight processes on one ledger",
    "steps": "Sequential durable steps",
    "workflow": "A workflow of 1,000 children",
    "reuse": "What a resume runs again",
    "size": "Reading at size",
    "checkpoints": "Checkpoints",
    "http": "Over HTTP",
    "postgres": "A ledger in PostgreSQL",
    "workers": "Workers over PostgreSQL",
}


def main(arguments: list[str]) -> None:
    pace = Pace(seconds=0.1, rounds=1) if "--quick" in arguments else Pace()
    names = [name for name in arguments if not name.startswith("-")]
    print(machine(), flush=True)
    for name in names or TABLES:
        bystanders = Bystanders()
        table = importlib.import_module(f"bench.{name}").bench(pace)
        print(f"\n### {TABLES[name]}\n\n{table}\n\n{bystanders}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
