"""Orders from a terminal to a run in another one, and `resume --all` typed twice at the same time."""

from collections import Counter
from pathlib import Path

import runstone
from tests.cli.conftest import Shell
from tests.cli.test_exec import until

LOOP = """
import asyncio
from pathlib import Path
import runstone

@runstone.workflow("talk", version="1")
async def talk(ctx, input):
    heard = []
    for n in range(3):
        await ctx.step(f"turn {n}", lambda: Path("calls.txt").open("a").write(f"{n}\\n"))
        while n == 1 and not heard and not ctx.pausing:
            heard += ctx.steering()
            await asyncio.sleep(0.01)
    return heard

@runstone.workflow("slow", version="1")
async def slow(ctx, input):
    await ctx.step("turn", lambda: Path("calls.txt").open("a").write(f"{ctx.run_id}\\n"))
    while Path("hold").exists():
        await asyncio.sleep(0.01)
    if Path("broken").exists():
        raise ValueError("broken")
    return ctx.run_id
"""


def calls(shell: Shell) -> "Counter[str]":
    path = shell.folder / "calls.txt"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def talking(shell: Shell) -> None:
    (shell.folder / "crew.py").write_text(LOOP)


def test_a_run_is_paused_resumed_and_steered_from_another_terminal(shell: Shell) -> None:
    talking(shell)
    process = shell.start("run", "talk", "--id", "t", "--trust")
    until(lambda: calls(shell)["1"])
    said = shell("runs", "pause", "t", "--reason", "lunch", "--json").json["items"][0]
    assert (said["run"]["status"], said["command"]["status"]) == ("paused", "applied")
    process.communicate(timeout=30)
    assert process.returncode == 5
    assert "queued" in shell("runs", "resume", "t", "--timeout", "0").err
    assert "nobody is at work" in shell("runs", "steer", "t", "go on", "--timeout", "0").err
    foretold = shell("resume", "--all", "--dry-run", "--json").json["items"]
    assert [(one["run"]["id"], one["resumed"], len(one["plan"]["reuse"])) for one in foretold] == [
        ("t", True, 2)
    ]
    assert shell("runs", "show", "t", "--json").json["status"] == "pending"
    assert [one["result"] for one in shell("resume", "--all", "--json").json["items"]] == [["go on"]]
    assert calls(shell) == {"0": 1, "1": 1, "2": 1}
    listed = [(one["verb"], one["status"]) for one in shell("runs", "commands", "t", "--jsonl").jsonl]
    assert listed == [("pause", "applied"), ("resume", "applied"), ("steer", "applied")]
    assert "lunch" in shell("runs", "commands", "t").out
    shell("verify")


def test_orders_that_do_not_fit_say_what_does(shell: Shell) -> None:
    talking(shell)
    shell("run", "slow", "--id", "s", "--trust")
    for verb in ("pause", "resume", "retry"):
        said = shell("runs", verb, "s", code=1)
        assert "s is completed" in said.err
        assert "runstone runs show s" in said.err
    assert "nothing in the message" in shell("runs", "steer", "s", "", code=1).err
    assert "no order" in shell("runs", "commands", "s").err
    shell("exec", "--detach", "--id", "long", "--", "sleep", "60")
    assert "in the background" in shell("runs", "pause", "long", code=1).err
    shell("runs", "stop", "long")
    assert "--all" in shell("resume", "s", "--dry-run", code=2).err
    assert "nothing is to be resumed" in shell("resume", "--all", "--dry-run").err


def test_resume_all_twice_at_the_same_time_does_the_work_once(shell: Shell) -> None:
    """Also for work that fails: the second must not take the failure of the first for one to be tried again."""
    talking(shell)
    (shell.folder / "hold").touch()
    names = [f"s{number}" for number in range(4)]
    for name in names:
        process = shell.start("run", "slow", "--id", name, "--trust")
        until(lambda: calls(shell)[name])  # noqa: B023 - at once
        process.kill()
        process.wait(30)
    (shell.folder / "calls.txt").unlink()
    (shell.folder / "broken").touch()
    (shell.folder / "hold").unlink()
    both = [shell.start("resume", "--all", "--json") for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode in (0, 5)  # 0: the other one had done it all before
    with runstone.open(Path(shell.folder)) as ledger:
        for name in names:
            assert [one.outcome for one in ledger.attempts(name)] == ["interrupted", "failed"]
        assert ledger.care.verify() == []


def test_a_run_under_way_in_another_process_is_waited_for_and_not_started_again(shell: Shell) -> None:
    talking(shell)
    (shell.folder / "hold").touch()
    process = shell.start("run", "slow", "--id", "s", "--trust")
    until(lambda: calls(shell)["s"])
    assert shell("resume", "--all", "--json").json["items"] == []
    (shell.folder / "hold").unlink()
    assert process.wait(30) == 0
    assert calls(shell) == {"s": 1}
