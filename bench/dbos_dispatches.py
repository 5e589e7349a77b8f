"""The other side of `bench/workers.py`, in a process of its own: DBOS Transact on PostgreSQL.

Reads lines `steps SECONDS` or `dispatches COUNT` and answers each with a rate: of the steps of workflows of 100 steps,
one after the other, or of workflows with one step that are enqueued one by one and executed from a queue.
"""

import asyncio
import os
import sys
import time

from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowHandle

CHUNK = 100
QUEUE = "bench"


@DBOS.step()
async def add(number: int) -> int:
    return number


@DBOS.workflow()
async def steps(count: int) -> int:
    return sum([await add(number) for number in range(count)])


@DBOS.step()
def double(number: int) -> int:
    return 2 * number


@DBOS.workflow()
def dispatched(number: int) -> int:
    return double(number)


async def step_rate(seconds: float) -> float:
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        assert await steps(CHUNK) == sum(range(CHUNK))
        count += CHUNK
    return count / elapsed


def dispatch_rate(count: int) -> float:
    started = time.perf_counter()
    handles: list[WorkflowHandle[int]] = []
    for number in range(count):
        with SetWorkflowID(f"{os.getpid()}-{started}-{number}"):
            handles.append(DBOS.enqueue_workflow(QUEUE, dispatched, number))
    for number, handle in enumerate(handles):
        assert handle.get_result() == 2 * number
    return count / (time.perf_counter() - started)


def main(url: str, slots: int, poll_s: float) -> None:
    config: DBOSConfig = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    try:
        DBOS.register_queue(QUEUE, worker_concurrency=slots, polling_interval_sec=poll_s)
        for line in sys.stdin:
            kind, amount = line.split()
            rate = asyncio.run(step_rate(float(amount))) if kind == "steps" else dispatch_rate(int(amount))
            print(rate, flush=True)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
