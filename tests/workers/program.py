"""A worker with short leases: `python -m tests.workers.program PLACE [--slots N] [--lease S] ...`.

PLACE is a workspace's folder, or the DSN of a ledger in PostgreSQL.
"""

import argparse
import importlib
import logging
import signal
import sys
from pathlib import Path

import msgspec

import runstone
from runstone import config
from runstone.cli.worker import serve
from runstone.domain.dispatches import QueueSettings


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--lease", type=float, default=3.0)
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--rate", nargs=2, type=float)
    parser.add_argument("--modules", default="")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until the worker listens for it
    settings = QueueSettings(concurrency=asked.concurrency, poll_s=0.05)
    if asked.rate is not None:
        limit, period_s = asked.rate
        settings = msgspec.structs.replace(settings, rate_limit=int(limit), rate_period_s=period_s)
    queues = {"default": settings}
    if asked.modules:
        for name in asked.modules.split(","):
            importlib.import_module(name)
    else:
        queues |= config.load(Path(asked.place), trusted=True).queues
    with runstone.open(asked.place, lease_s=asked.lease, heartbeat_s=asked.lease / 6) as ledger:
        serve(ledger, queues, queues, asked.slots)


if __name__ == "__main__":
    main()
