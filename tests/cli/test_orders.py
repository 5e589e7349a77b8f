"""Orders from a terminal to a run in another one, and `resume --all` typed twice at the same time."""

import asyncio
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

import runstone
from runstone.cli import executing
from runstone.cli.interrupts import Interrupts
from runstone.cli.output import Output
from runstone.testing.clock import clock_environment
from tests.cli.conftest import Shell
from tests.cli.test_exec import until

DAY_S = 86_400.0

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


def test_an_error_of_one_run_ends_none_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with runstone.open(tmp_path) as ledger:
        for name in ("one", "two", "three"):
            ledger.start_run(run_id=name, agent_id="loop").complete().result()

        async def gives(name: str) -> str:
            await asyncio.sleep(0)
            if name == "one":
                raise RuntimeError("a defect \x1b[2J of an imported module")
            if name == "two":
                raise runstone.RunFailed("run two failed", run_id="two")
            return name

        starts = [executing.Start(name, partial(gives, name)) for name in ("one", "two", "three")]
        for mode in ("text", "json"):
            output = Output(mode)  # type: ignore[arg-type]
            assert executing.drive_all(output, ledger, starts, Interrupts(output)) == 1
            told = capsys.readouterr()
            assert ("a defect" in told.err, "run two failed" in told.err, "\x1b" in told.err) == (
                True,
                True,
                False,
            )
            if mode == "json":
                results = [one["result"] for one in json.loads(told.out)["items"]]
                assert results == [None, None, "three"]
            else:
                assert {line.split()[0] for line in told.out.splitlines()} == {"one", "two", "three"}


def test_a_run_under_way_in_another_process_is_waited_for_and_not_started_again(shell: Shell) -> None:
    talking(shell)
    (shell.folder / "hold").touch()
    process = shell.start("run", "slow", "--id", "s", "--trust")
    until(lambda: calls(shell)["s"])
    assert shell("resume", "--all", "--json").json["items"] == []
    (shell.folder / "hold").unlink()
    assert process.wait(30) == 0
    assert calls(shell) == {"s": 1}


MIXED = """
from pathlib import Path
import runstone

@runstone.workflow("mixed", version="1")
async def mixed(ctx, how):
    await ctx.step("before", lambda: Path("calls.txt").open("a").write(f"{ctx.run_id}-before\\n"))
    if how == "asks":
        await ctx.ask("Which?", key="which")
    if how == "sleeps":
        await ctx.sleep(1.5)
    while how == "held" and Path("hold").exists():
        await __import__("asyncio").sleep(0.01)
    await ctx.step("after", lambda: Path("calls.txt").open("a").write(f"{ctx.run_id}-after\\n"))
    return ctx.run_id
"""


def test_what_was_killed_answered_and_slept_goes_on_once_in_two_processes(shell: Shell) -> None:
    """Each run goes on in one of them, and whoever saw it tells what came of it."""
    (shell.folder / "mixed.py").write_text(MIXED)
    (shell.folder / "runstone.toml").write_text('modules = ["mixed"]\n')
    (shell.folder / "hold").touch()
    shell("run", "mixed", "--input", '"asks"', "--id", "asks", "--trust", code=6)
    for how in ("held", "sleeps"):
        process = shell.start("run", "mixed", "--input", json.dumps(how), "--id", how)
        until(lambda: calls(shell)[f"{how}-before"])  # noqa: B023 - at once
        with runstone.open(Path(shell.folder), readonly=True) as ledger:
            until(lambda: ledger.get_run(how).status == "waiting" if how == "sleeps" else ledger.journal(how))  # noqa: B023 - at once
            process.kill()
            process.wait(30)
            until(lambda: how in {run.id for run in runstone.resumable(ledger)})  # noqa: B023 - at once
    (shell.folder / "hold").unlink()
    with runstone.open(Path(shell.folder)) as ledger:
        ledger.answer(ledger.inputs.list().items[0].id, "main")
    foretold = {one["run"]["id"] for one in shell("resume", "--all", "--dry-run", "--json").json["items"]}
    assert foretold == {"asks", "held", "sleeps"}
    both = [shell.start("resume", "--all", "--json") for _ in range(2)]
    told: dict[str, str] = {}
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        told |= {one["run"]["id"]: one["result"] for one in json.loads(out)["items"]}
    assert told == {name: name for name in ("asks", "held", "sleeps")}
    done = calls(shell)
    assert done == Counter([f"{name}-{when}" for name in told for when in ("before", "after")])
    assert shell("resume", "--all", "--json").json["items"] == []
    with runstone.open(Path(shell.folder)) as ledger:
        assert ledger.care.verify() == []


# --- a month later --------------------------------------------------------------------------------------------------

WAITING = """
import runstone

@runstone.workflow("publish", version="1")
async def publish(ctx, input):
    with open("calls.txt", "a") as calls:
        calls.write("began\\n")
    await ctx.step("build", lambda: open("calls.txt", "a").write("built\\n"))
    answer = await ctx.ask("Publish?", choices=["yes", "no"])
    await ctx.sleep(86400)
    return answer
"""


def test_a_month_after_its_process_was_killed_a_run_is_answered_from_the_command_line_and_completes(
    shell: Shell,
) -> None:
    (shell.folder / "crew.py").write_text(WAITING)
    process = shell.start("run", "publish", "--id", "p", "--trust")
    until(lambda: calls(shell)["built"])
    until(lambda: shell("inputs", "list", "--json").json["items"])
    process.kill()
    process.communicate(timeout=30)
    shell.env |= clock_environment(30 * DAY_S)
    shell("resume", "p", code=6)
    (asked,) = shell("inputs", "list", "--json").json["items"]
    shell("inputs", "answer", asked["id"], "yes", "--by", "ana")
    shown = shell("inputs", "show", asked["id"], "--json").json
    assert shown["answered_at"] > asked["asked_at"]
    assert shown["answered_at"][:7] != asked["asked_at"][:7]
    sleeping = shell.start("resume", "p")
    until(lambda: shell("runs", "show", "p", "--json").json["status"] == "waiting")
    sleeping.kill()  # its timer holds no process
    sleeping.communicate(timeout=30)
    assert shell("resume", "--all", "--dry-run", "--json").json["items"] == []
    shell.env |= clock_environment(32 * DAY_S)
    assert [one["result"] for one in shell("resume", "--all", "--json").json["items"]] == ["yes"]
    assert (shell.folder / "calls.txt").read_text().split().count("built") == 1
    shell("verify")
