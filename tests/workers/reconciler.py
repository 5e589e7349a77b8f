"""A process that opens a ledger, reconciles it and ends: `python -m tests.workers.reconciler DSN`.

With `--gate` it begins once that file is there, so that several begin at the same moment. With `--kill` it dies before
its Nth statement. It prints how many it has sent.
"""

import argparse
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import runstone
from runstone.store.postgres.database import PostgresDatabase
from runstone.store.postgres.pipeline import Pipeline

LEASE_S = 3.0


class Statements:
    """Counts what is sent to the server, by all connections, and dies before one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.sent = 0
        self.kill_at = kill_at

    def counted(self, send: Callable[..., None]) -> Callable[..., None]:
        """The same call, counted."""

        def call(*arguments: Any, **named: Any) -> None:
            self.sent += 1
            if self.sent == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            send(*arguments, **named)

        return call


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("--gate", type=Path)
    parser.add_argument("--kill", type=int)
    asked = parser.parse_args()
    statements = Statements(asked.kill)
    PostgresDatabase._execute = statements.counted(PostgresDatabase._execute)  # type: ignore[method-assign]
    Pipeline._start = statements.counted(Pipeline._start)  # type: ignore[method-assign]
    while asked.gate is not None and not asked.gate.exists():
        time.sleep(0.001)
    with runstone.open(asked.dsn, lease_s=LEASE_S, heartbeat_s=LEASE_S / 6) as ledger:
        ledger.reconcile()
    print(statements.sent)


if __name__ == "__main__":
    main()
