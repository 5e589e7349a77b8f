"""Work started, watched, stopped and resumed by commands, each in a process of its own."""

import json
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path

import runstone
from tests.cli.conftest import Shell

WORK = ("run", "team", "--trust", "--id", "job")


def calls(shell: Shell) -> Counter[str]:
    return Counter((shell.folder / "calls.txt").read_text().split())


def wait_for_gate(shell: Shell) -> None:
    """Waits, bounded, until one child waits for its gate and its three siblings are done."""
    with runstone.open(shell.folder, readonly=True) as ledger:
        epoch = ledger.cursor().rpartition("-")[0]
        seen: Counter[str] = Counter()
        for event in ledger.tail(f"{epoch}-0", timeout=30):
            seen[event.type] += 1
            if seen["usage.reported"] == 4 and seen["run.completed"] == 3:
                return
    raise AssertionError(f"the gate was never reached: {seen}")


def wait_for_ledger(shell: Shell, process: "subprocess.Popen[str]") -> None:
    """Waits, bounded, until the command has made its workspace."""
    for _ in range(600):
        with suppress(runstone.RunstoneError):
            with runstone.open(shell.folder, readonly=True, create=False) as ledger:
                ledger.cursor()
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise AssertionError(process.communicate(timeout=5))


def begin(shell: Shell, *more: str) -> "subprocess.Popen[str]":
    """A run of which three children are done and one waits for its gate."""
    process = shell.start(*WORK, 'items:=["a","b","c","gate"]', *more)
    wait_for_ledger(shell, process)
    wait_for_gate(shell)
    return process


def test_a_result_is_printed_on_stdout_and_everything_else_on_stderr(shell: Shell) -> None:
    said = shell(*WORK, 'items=["a","b"]')
    assert json.loads(said.out) == ["done a", "done b"]
    assert "run job" in said.err
    assert "2 of 2 children done" in said.err
    assert shell(*WORK, 'items=["a","b"]', "--quiet") == (said.out, "")
    assert calls(shell) == {"a": 1, "b": 1}


def test_json_has_the_run_beside_its_result_and_jsonl_the_events_before(shell: Shell) -> None:
    document = shell(*WORK, 'items=["a"]', "--json").json
    assert document["run"]["status"] == "completed"
    assert document["result"] == ["done a"]
    *events, last = shell("run", "team", 'items=["b"]', "--id", "second", "--jsonl").jsonl
    own = [event["seq"] for event in events if event["run_id"] == "second"]
    assert own == list(range(1, len(own) + 1))
    assert {event["type"] for event in events} >= {
        "run.created",
        "child.started",
        "usage.reported",
        "run.completed",
    }
    assert last["result"] == ["done b"]


def test_a_file_that_nobody_allowed_is_refused_and_leaves_no_workspace(shell: Shell) -> None:
    said = shell("run", "team", 'items=["a"]', code=1)
    assert "not trusted yet" in said.err
    assert "--trust" in said.err
    assert not (shell.folder / ".runstone").exists()
    assert "runstone run nobody" not in shell("run", "nobody", "--trust", code=1).err
    assert not (shell.folder / ".runstone").exists()


def test_a_killed_run_is_resumed_without_doing_finished_work_again(shell: Shell) -> None:
    process = begin(shell)
    process.kill()
    process.communicate(timeout=30)
    (shell.folder / "open").touch()
    plan = shell("plan", "job", "--json").json
    assert len(plan["reuse"]) == 3
    said = shell("resume", "job")
    assert json.loads(said.out) == ["done a", "done b", "done c", "done gate"]
    assert "3 reused" in said.err
    assert calls(shell) == {"a": 1, "b": 1, "c": 1, "gate": 2}
    reused = [line for line in shell("runs", "tree", "job").out.splitlines() if "reused" in line]
    assert len(reused) == 3


def test_ctrl_c_leaves_the_run_interrupted_and_says_how_to_go_on(shell: Shell) -> None:
    process = begin(shell)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "runstone resume job" in err
    assert "Traceback" not in err
    assert shell("runs", "show", "job", "--json").json["status"] == "interrupted"
    (shell.folder / "open").touch()
    assert len(shell("resume", "--all", "--json").json["items"]) == 1
    assert calls(shell) == {"a": 1, "b": 1, "c": 1, "gate": 2}


def test_sigterm_does_the_same(shell: Shell) -> None:
    process = begin(shell)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert shell("runs", "show", "job", "--json").json["status"] == "interrupted"


def test_stop_reaches_a_run_of_another_process_and_watch_says_how_it_ended(shell: Shell) -> None:
    process = begin(shell)
    assert "children done" in shell("runs", "watch", "job", "--timeout", "0.3", code=8).out
    watching = shell.start("runs", "watch", "job", "--jsonl")
    following = shell.start("runs", "events", "job", "-f", "--jsonl")
    said = shell("runs", "stop", "job", "--reason", "enough", "--json")
    assert said.json["items"][0]["run"]["status"] == "cancelled"
    _, err = process.communicate(timeout=30)
    assert process.returncode == 5, err
    assert "hint: go on with it: runstone resume job" in err
    out, err = watching.communicate(timeout=30)
    assert watching.returncode == 5, err
    assert all(json.loads(line)["seq"] for line in out.splitlines())
    out, err = following.communicate(timeout=30)
    assert following.returncode == 0, err
    assert "run.cancelled" in {json.loads(line)["type"] for line in out.splitlines()}
    shell("runs", "stop", "job", code=1)


def test_a_failed_run_ends_with_5_and_its_resume_does_only_what_failed(shell: Shell) -> None:
    said = shell(*WORK, 'items=["a","bad"]', "--json", code=5)
    assert said.json["run"]["status"] == "failed"
    problem = json.loads(said.err)
    assert problem["code"] == "run_failed"
    assert problem["run_id"] == "job"
    assert shell("runs", "watch", "job", "--json", code=5).json["status"] == "failed"
    (shell.folder / "mended").touch()
    shell("resume", "job", "--failed", "keep", code=5)
    assert json.loads(shell("resume", "job").out) == ["done a", "done bad"]
    assert calls(shell) == {"a": 1, "bad": 2}


def test_a_command_as_an_agent_is_followed_line_by_line_to_its_end(shell: Shell) -> None:
    assert shell("run", "echo", "--trust", "--id", "e").out == "3\n"
    said = shell("runs", "logs", "e", "-f")
    assert sorted(line.split(None, 2)[2] for line in said.out.splitlines()) == ["3", "one", "two"]
    assert "the run is completed" in said.err


def test_an_error_in_the_background_is_a_line_and_no_traceback(shell: Shell) -> None:
    said = shell(*WORK, 'items=["noisy"]')
    assert "warning: in the background: ZeroDivisionError" in said.err
    said = shell("run", "team", 'items=["noisy"]', "--id", "again", "--json")
    assert "ZeroDivisionError" in json.loads(said.err)["warning"]


def test_another_input_under_the_same_id_is_refused(shell: Shell) -> None:
    shell(*WORK, 'items=["a"]')
    assert "error: " in shell(*WORK, 'items=["b"]', code=1).err


def test_a_run_at_its_budget_asks_and_a_larger_one_lets_it_go_on(shell: Shell) -> None:
    said = shell(*WORK, 'items=["a","b","c"]', "--max-children", "1", code=6)
    assert "--max-children" in said.err or "budget" in said.err
    assert shell("runs", "show", "job", "--json").json["status"] == "awaiting_user"
    (asked,) = shell("inputs", "list", "--json").json["items"]
    assert (asked["run_id"], asked["choices"]) == ("job", ["raise", "stop"])
    shell("inputs", "answer", asked["id"], "lots", code=1)
    shell("inputs", "answer", asked["id"], "raise", "--by", "ana")
    shell("resume", "job", code=6)
    assert calls(shell) == {"a": 1, "b": 1}
    shell("resume", "job", "--max-children", "10")
    assert calls(shell) == {"a": 1, "b": 1, "c": 1}
    assert shell("inputs", "list", "--json").json["items"] == []


def test_an_amount_that_is_typed_is_the_budget_from_then_on(shell: Shell) -> None:
    shell(*WORK, 'items=["a","b","c"]', "--max-children", "1", code=6)
    (asked,) = shell("inputs", "list", "--json").json["items"]
    shell("inputs", "answer", asked["id"], "--json-value", '{"max_children": 3}')
    shell("resume", "job")
    assert calls(shell) == {"a": 1, "b": 1, "c": 1}


def test_a_tree_is_removed_whole_and_only_when_it_has_ended(shell: Shell) -> None:
    shell(*WORK, 'items=["a"]')
    child = shell("runs", "list", "--parent", "job", "--json").json["items"][0]["id"]
    shell("runs", "rm", child, "--yes", code=1)
    assert shell("runs", "rm", "job", "--yes", "--json").json == {"removed": {"job": 2}}
    assert shell("runs", "list", "--all", "--json").json["items"] == []


def test_a_run_of_a_loop_of_its_own_is_not_touched_by_resume(shell: Shell) -> None:
    with runstone.open(shell.folder) as ledger:
        ledger.start_run(title="Loop", run_id="loop")
    said = shell("resume", "loop", "--trust", code=1)
    assert "continue_run" in said.err
    assert "left out: loop" in shell("resume", "--all").err
    assert shell("runs", "show", "loop", "--json").json["status"] == "interrupted"


def test_ids_are_read_from_stdin(shell: Shell) -> None:
    shell(*WORK, 'items=["a"]')
    listed = shell("runs", "list", "--jsonl").jsonl
    read_end = shell.folder / "ids"
    read_end.write_text("".join(f"{one['id']}\n" for one in listed))
    with read_end.open() as stdin:
        assert shell("runs", "rm", "-", "--yes", "--json", stdin=stdin).json == {"removed": {"job": 2}}


def test_a_closed_pipe_is_no_error(shell: Shell) -> None:
    shell(*WORK, "items:=" + json.dumps([f"n{i}" for i in range(400)]))  # more events than a pipe holds
    process = shell.start("runs", "events", "job", "--jsonl", "--limit", "10000")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == ""


def test_a_terminal_that_takes_ascii_only_gets_ascii(shell: Shell) -> None:
    shell(*WORK, 'items=["a"]')
    shell.env |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    assert "+ completed" in shell("runs", "list").out


def test_what_can_be_run_is_listed_before_there_is_a_workspace(shell: Shell) -> None:
    names = [one["name"] for one in shell("workflows", "list", "--trust", "--json").json["items"]]
    assert names == ["repo-audit", "team"]
    assert "echo" in {one["name"] for one in shell("agents", "list", "--jsonl").jsonl}
    shown = shell("agents", "show", "echo", "--json").json
    assert shown["form"] == "command"
    assert shell("workflows", "show", "team").out.startswith("name")
    assert not (shell.folder / ".runstone").exists()
    shell("agents", "show", "nobody", code=1)


def test_completion_proposes_runs_by_any_part_of_their_id(shell: Shell) -> None:
    shell(*WORK, 'items=["a"]')
    shell.env |= {
        "_RUNSTONE_COMPLETE": "bash_complete",
        "COMP_WORDS": "runstone runs show jo",
        "COMP_CWORD": "3",
    }
    assert "plain,job" in shell().out
    shell.env |= {"COMP_WORDS": f"runstone --workspace {shell.folder} runs show jo", "COMP_CWORD": "5"}
    shell.folder = shell.folder.parent
    assert "plain,job" in shell().out
    shell.folder /= "folder"
    Path(shell.folder, ".runstone", "ledger.db").rename(shell.folder / "elsewhere")
    assert shell().out.strip() == ""
