"""A tree of 1,000 runs that is killed again and again while it spends: every request is counted, and counted once."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from decimal import Decimal
from pathlib import Path

import runstone
from runstone.domain.records import Totals, TreeNode

KILLS = 6
BRANCHES, LEAVES = 9, 110

# Leaf n reports 10 + n input tokens: told, of a model with a price, or of one that nobody knows. Every tenth leaf fails
# once and is tried again; every attempt's request has its own id, and is sent three times: twice by its run, and the
# last one by the branch, too.
PROGRAM = """
    import asyncio, os, sys
    import runstone

    registry = runstone.Registry()
    said = os.open(sys.argv[1] + "/said", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def request(run_id, attempt, n):
        who = [{"provider": "p", "model": "told", "cost_usd": "0.000000000007"},
               {"provider": "anthropic", "model": "claude-haiku-4-5"},
               {"provider": "nobody", "model": "unheard-of"}][n % 3]
        return {**who, "input_tokens": 10 + n, "request_id": f"{run_id}/{attempt}"}

    @registry.agent("leaf")
    async def leaf(ctx, n):
        report = request(ctx.run_id, ctx.attempt, n)
        ctx.usage(**report)
        await ctx.usage(**report)
        os.write(said, f"{report['request_id']} {n}\\n".encode())
        if n % 10 == 0 and ctx.attempt == 1:
            raise ValueError("try again")
        return [ctx.run_id, ctx.attempt, n]

    @registry.agent("branch")
    async def branch(ctx, b):
        numbers = range(b * LEAVES, (b + 1) * LEAVES)
        found = await ctx.map("leaf", list(numbers), retry={"max_attempts": 3, "backoff_s": 0.01})
        for one in found[:3]:
            assert await ctx.usage(**request(*one)) is False
        return len(found)

    @registry.workflow("tree")
    async def tree(ctx, input):
        return sum(await ctx.map("branch", list(range(BRANCHES))))

    with runstone.open(sys.argv[1]) as ledger:
        result = asyncio.run(runstone.run("tree", ledger=ledger, run_id="tree", registry=registry))
        os.write(said, f"done {result}\\n".encode())
"""


def test_the_sum_of_a_killed_tree_is_that_of_its_leaves(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("RUNSTONE_SEED") or 11)
    for number in range(KILLS):
        _run(tmp_path, kill_after=chance.randrange(20, 120), seed=number)
    said = _run(tmp_path, kill_after=None, seed=KILLS)
    assert said[-1] == ["done", str(BRANCHES * LEAVES)]
    acknowledged = {line[0]: int(line[1]) for line in said if line[0] != "done"}
    with runstone.open(tmp_path) as ledger:
        top = ledger.tree("tree")
        nodes = list(top.walk())
        assert len(nodes) == 1 + BRANCHES + BRANCHES * LEAVES
        assert ledger.care.verify() == []
        for node in nodes:
            assert node.subtree == sum((one.subtree for one in node.children), node.own)
        assert top.subtree == _sum(nodes) == ledger.usage([])[0].totals
        _check_requests(ledger, nodes, acknowledged)
        before, changed = top.subtree, ledger.reprice()
        assert sum(one.changed for one in changed) == 0
        assert ledger.tree("tree").subtree == before


def _run(root: Path, *, kill_after: int | None, seed: int) -> list[list[str]]:
    """Goes on with the tree until so many more requests were acknowledged, or to its end; gives all that was said."""
    said = root / "said"
    before = len(_lines(said))
    code = f"LEAVES, BRANCHES = {LEAVES}, {BRANCHES}\n" + textwrap.dedent(PROGRAM)
    process = subprocess.Popen([sys.executable, "-c", code, str(root)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        if kill_after is not None and len(_lines(said)) >= before + kill_after:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    _, error = process.communicate(timeout=30)
    assert process.returncode in ((0,) if kill_after is None else (0, -9)), error
    return _lines(said)


def _lines(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def _sum(nodes: list[TreeNode]) -> Totals:
    return sum((node.own for node in nodes), Totals())


def _check_requests(ledger: runstone.Ledger, nodes: list[TreeNode], acknowledged: dict[str, int]) -> None:
    """Each request that was acknowledged is there, once and in its own run; each sum is what its requests cost."""
    found: dict[str, int] = {}
    for node in nodes:
        told = [
            event.payload
            for event in ledger.events(node.run.id, limit=1_000)
            if event.type == "usage.reported"
        ]
        assert all(payload["request_id"].startswith(f"{node.run.id}/") for payload in told)
        assert node.own.requests == len(told) <= node.run.attempt
        found |= {payload["request_id"]: payload["input_tokens"] - 10 for payload in told}
    assert acknowledged.items() <= found.items()
    total = _sum(nodes)
    assert (total.requests, total.input_tokens) == (len(found), sum(10 + n for n in found.values()))
    kinds = [[n for n in found.values() if n % 3 == kind] for kind in range(3)]
    priced = sum(Decimal(10 + n) * 1 * 10**6 for n in kinds[1])  # 1 USD per million tokens
    assert total.cost_picousd == 7 * len(kinds[0]) + priced
    assert (total.priced_costs, total.unknown_costs) == (len(kinds[1]), len(kinds[2]))


def test_a_request_that_was_sent_again_after_a_crash_adds_nothing(tmp_path: Path) -> None:
    """Killed after the commit, before anybody was told: the caller cannot know, and sends it again."""
    code = """
        import sys, runstone
        ledger = runstone.open(sys.argv[1])
        run = ledger.start_run(run_id="r")
        run.usage(provider="openai", model="gpt-4o", input_tokens=1000, request_id="q").result()
    """
    env = {**os.environ, "RUNSTONE_CRASH_AT": "ReportUsage.after_commit"}
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    assert subprocess.run(command, env=env, timeout=60, check=False).returncode == -signal.SIGKILL
    again = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "request_id": "q"}
    with runstone.open(tmp_path) as ledger:
        with ledger.continue_run("r") as run, ledger.start_run(run_id="below", parent=run) as below:
            assert [one.usage(**again).result() for one in (run, below, run)] == [False] * 3
        totals = ledger.tree("r").subtree
        assert (totals.requests, totals.cost_picousd) == (1, 25 * 10**8)
        with ledger.start_run(run_id="another") as other:
            assert other.usage(**again).result() is True
        assert ledger.care.verify() == []
