"""`make bench`: all tables, or those named (`python -m bench appends`)."""

import importlib
import sys

from bench.table import show

TABLES = {"appends": "Durable appends"}


def main(names: list[str]) -> None:
    for name in names or TABLES:
        print(show(TABLES[name], importlib.import_module(f"bench.{name}").bench()), flush=True)
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
