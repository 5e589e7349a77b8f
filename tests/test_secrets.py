"""Secrets on their way through a whole workspace: what people are shown has none, and a declared one is in no file."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from backports import zstd

import runstone
from runstone import config
from runstone.domain.resume import ResumePolicy
from runstone.errors import InvalidDefinition, InvalidInput

MIXED = "aB3dE5gH7jK9mN1pQ3sT5vX7zA9bC1dE3fG5"
TOKEN = "ghp_" + MIXED
PASSWORD = "correct-horse-battery-9"
SAID = f"token {TOKEN} and password={PASSWORD} here"
DECLARED = "declared-value-0123456789"
NOTHING: dict[str, Any] = {}


def stored(folder: Path) -> bytes:
    """All bytes of the workspace's files, and all blobs decompressed."""
    found = [file.read_bytes() for file in sorted((folder / ".runstone").rglob("*")) if file.is_file()]
    db = apsw.Connection(str(folder / ".runstone" / "ledger.db"))
    for number, data in db.execute("SELECT codec, data FROM blobs"):
        found.append(zstd.decompress(data) if number else data)
    db.close()
    return b"\n".join(found)


def registry(declared: tuple[str, ...] = ()) -> runstone.Registry:
    names = runstone.Registry()

    @names.agent("leaf", secrets=declared)
    async def leaf(ctx: Any, input: Any) -> Any:
        ctx.emit("tool.started", {"call_id": "c", "tool": SAID, "password": PASSWORD})
        ctx.emit("tool.completed", {"call_id": "c", "error": SAID})
        ctx.emit_many([("log.written", {"message": SAID}), ("my.event", {"deep": [{"api_key": PASSWORD}]})])
        ctx.message("assistant", SAID, extra={"token": TOKEN})
        ctx.message("assistant", SAID + " x" * 5_000)
        ctx.checkpoint({"n": 1}, label=SAID)
        ctx.set_summary(SAID)
        return {"ok": True}

    @names.agent("raising")
    async def raising(ctx: Any, input: Any) -> Any:
        error = ValueError(SAID)
        error.add_note(SAID)
        raise RuntimeError(SAID) from error

    @names.workflow("everywhere")
    async def everywhere(ctx: Any, input: Any) -> Any:
        await ctx.child("leaf", {"n": 1}, title=SAID, prompt=SAID, labels={"token": TOKEN})
        await ctx.step(f"step of {SAID}", lambda: 1)
        async with ctx.phase("work"):
            with contextlib.suppress(runstone.ChildFailed):
                await ctx.child("raising", {})
        await ctx.skip_phase("other", SAID)
        async with ctx.phase("bad"):
            raise ValueError(SAID)

    return names


def test_no_byte_of_the_ledger_shows_a_secret_that_was_said_anywhere(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(runstone.RunFailed) as failed:
            asyncio.run(
                runstone.run(
                    "everywhere",
                    ledger=ledger,
                    registry=registry(),
                    run_id="r",
                    title=SAID,
                    labels={"a": SAID},
                )
            )
        assert TOKEN not in str(failed.value)
        ledger.update_run("r", title=SAID, labels={"secret": PASSWORD})
        ledger.threads.create("t", title=SAID)
        ledger.threads.append("t", "user", SAID, extra={"x": SAID})
        board = ledger.boards.create("b", title=SAID)
        ledger.boards.update("b", title=SAID + " again", revision=board.revision)
        card = ledger.boards.add_card("b", SAID, body=SAID * 200, labels={"x": SAID}, assignee=TOKEN)
        ledger.boards.update_card(card.id, revision=card.revision, body=SAID)
        with ledger.start_run(
            agent_id="own", title=SAID, prompt=SAID, labels={"x": SAID}, options={"token": TOKEN}
        ) as own:
            own.message("user", SAID)
            own.update(title=SAID)
            own.pause(reason=SAID)
        ledger.command(own.id, "stop", reason=SAID, by=TOKEN)
        with ledger.start_run(agent_id="own", input={"n": 1}) as asking:
            asking.ask(SAID, reason=SAID, key="k")
        for word in (TOKEN, PASSWORD, PASSWORD.split("-")[1]):
            assert ledger.search(word) == []
        assert ledger.search("redacted")
    everything = stored(tmp_path)
    assert TOKEN.encode() not in everything
    assert PASSWORD.encode() not in everything
    assert b"[redacted:github]" in everything


def test_inputs_results_and_states_stay_as_given(tmp_path: Path) -> None:
    names = runstone.Registry()

    @names.agent("echo")
    async def echo(ctx: Any, input: Any) -> Any:
        ctx.checkpoint({"said": SAID})
        assert await ctx.step("s", lambda text: text, SAID) == SAID
        return input

    with runstone.open(tmp_path) as ledger:
        given = {"said": SAID, "password": PASSWORD}
        assert asyncio.run(runstone.run("echo", given, ledger=ledger, registry=names, run_id="r")) == given
        assert ledger.input("r") == given
        assert ledger.result("r") == given
        assert ledger.checkpoints.state("r") == {"said": SAID}
        assert (
            TOKEN not in msgspec.json.encode([event.payload for event in ledger.events("r").items]).decode()
        )


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with runstone.open(tmp_path) as ledger:
            ledger.threads.append("t", "user", "x")
            files = [file for file in (tmp_path / ".runstone").iterdir() if file.name.startswith("ledger")]
            assert {file.name for file in files} >= {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            assert stat.S_IMODE((tmp_path / ".runstone").stat().st_mode) == 0o700
    finally:
        os.umask(before)


# --- what is reused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "later",
    [NOTHING, {"redact": False}, {"redact": str.upper}, {"redact": lambda text: 1 / 0}],
    ids=["on", "off", "hook", "failing"],
)
def test_no_redaction_changes_what_is_reused(tmp_path: Path, later: dict[str, Any]) -> None:
    names, done, fails = runstone.Registry(), [], [True]

    @names.agent("leaf")
    async def leaf(ctx: Any, input: Any) -> Any:
        done.append(input["said"])
        return len(done)

    @names.workflow("w")
    async def w(ctx: Any, input: Any) -> Any:
        found = await ctx.map(
            "leaf", [{"said": f"{SAID} {n}"} for n in range(3)], title=lambda one: str(one["said"])
        )
        found.append(await ctx.step(f"step {SAID}", done.append, SAID, key=None))
        found.append(await ctx.child("leaf", {"said": SAID}, options={"token": TOKEN}))
        if fails[0]:
            raise ValueError(SAID)
        return found

    with runstone.open(tmp_path) as ledger, pytest.raises(runstone.RunFailed):
        asyncio.run(runstone.run("w", ledger=ledger, registry=names, run_id="r"))
    before, fails[0] = list(done), False
    with runstone.open(tmp_path, **later) as ledger:
        asyncio.run(runstone.resume("r", ledger=ledger, registry=names, policy=ResumePolicy()))
        assert done == before
        assert sum(event.type == "child.reused" for event in ledger.events("r", limit=1000).items) == 4


TICKETS = """
import asyncio, os, signal, sys
from pathlib import Path
import runstone

folder = Path(sys.argv[1])
names = runstone.Registry()

def note(word):
    with (folder / "done").open("a") as file:
        file.write(word + "\\n")
    return word

@names.agent("leaf")
async def leaf(ctx, input):
    return note(input["said"][-3:])

@names.workflow("w")
async def w(ctx, input):
    found = await ctx.map("leaf", [{"said": f"employee=E77 of T-{n}"} for n in (1, 2)], title=lambda one: one["said"])
    found.append(await ctx.step("see employee=E77 of T-1", note, "T-1"))
    found.append(await ctx.ask("Is T-1 done by employee=E77?", choices=["yes", "no"], expires_s=0, default="yes"))
    if "DIE" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

with runstone.open(folder) as ledger:
    print(asyncio.run(runstone.run("w", ledger=ledger, registry=names, run_id="r")))
"""


@pytest.mark.parametrize("at_first", [False, True], ids=["added", "taken away"])
def test_patterns_that_change_between_a_kill_and_the_resume_change_nothing_that_is_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_first: bool
) -> None:
    def start(table: str, **more: str) -> subprocess.CompletedProcess[str]:
        settings(tmp_path, table, monkeypatch)
        command = [sys.executable, "-c", TICKETS, str(tmp_path)]
        return subprocess.run(
            command, env={**os.environ, **more}, capture_output=True, text=True, timeout=60, check=False
        )

    table = '[redaction]\npatterns = [{name = "ticket", regex = "T-[0-9]+"}]\nnames = ["employee"]\n'
    assert start(table if at_first else "", DIE="1").returncode == -signal.SIGKILL
    again = start("" if at_first else table)
    assert again.stdout == "['T-1', 'T-2', 'T-1', 'yes']\n", again.stderr
    assert sorted((tmp_path / "done").read_text().split()) == ["T-1", "T-1", "T-2"]
    with runstone.open(tmp_path) as ledger:
        (asked,) = ledger.inputs.list(status=None).items
        assert ("[redacted:ticket]" in asked.message) is at_first
        titles = " ".join(str(node.run.title) for node in ledger.tree("r").walk())
        assert ("E77" in titles) is not at_first


# --- settings -----------------------------------------------------------------------------------------------


def settings(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, *, trust: bool = False) -> None:
    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(folder / "state"))
    (folder / "runstone.toml").write_text(text)
    if trust:
        config.trust(folder)


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('patterns = [{name = "x", regex = "(a"}]', r"redaction.patterns\[0\].regex"),
        ('patterns = [{name = "x y", regex = "a"}]', r"redaction.patterns\[0\].name"),
        ('patterns = [{name = "x", regex = "a*"}]', "matches a text that is empty"),
        ('patterns = [{name = "x", regex = "(a+)+b"}]', "for ever"),
        ('patterns = [{name = "x", regex = "(a|aa)+b"}]', "for ever"),
        ('allow = ["["]', r"redaction.allow\[0\]"),
        ('names = ["a b"]', r"redaction.names\[0\]"),
        ("enabled = 1", "redaction.enabled"),
        ("wrong = 1", "redaction"),
        ("enabled = ", "is not TOML"),
    ],
)
def test_wrong_settings_name_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, place: str
) -> None:
    settings(tmp_path, f"[redaction]\n{table}\n", monkeypatch)
    with pytest.raises(InvalidDefinition, match=place):
        runstone.open(tmp_path)


def test_every_writer_of_the_workspace_heeds_its_patterns_without_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = 'patterns = [{name = "ticket", regex = "T-[0-9]{4}(?:-[a-z]++)+"}]\nnames = ["employee"]'
    settings(tmp_path, f"[redaction]\n{table}\n", monkeypatch)
    with runstone.open(tmp_path) as ledger:
        ledger.threads.append("t", "user", "see T-1234-abc, employee=E77-1")
        assert ledger.threads.messages("t").items[0].text == "see [redacted:ticket], employee=[redacted:name]"


@pytest.mark.parametrize("table", ["enabled = false", 'allow = [".+"]'])
def test_an_untrusted_file_cannot_turn_redaction_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    for trust in (False, True):
        settings(tmp_path, f"[redaction]\n{table}\n", monkeypatch, trust=trust)
        with runstone.open(tmp_path) as ledger:
            ledger.threads.append("t", "user", SAID)
            assert (TOKEN in ledger.threads.last_messages("t", 1)[0].text) is trust
            assert bool(ledger.core.redactor.notes) is not trust


def test_redact_is_a_choice_or_a_function(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="redact is"):
        runstone.open(tmp_path, redact="yes")  # type: ignore[arg-type]
    with runstone.open(tmp_path, redact=False) as ledger:
        ledger.threads.append("t", "user", SAID)
        assert ledger.threads.messages("t").items[0].text == SAID
    with runstone.open(tmp_path, redact=lambda text: 1 / 0) as ledger:  # type: ignore[arg-type,return-value]
        with ledger.start_run(agent_id="a", run_id="r") as run:
            run.emit("my.event", {"said": "private"}).result()
        ledger.threads.append("t", "user", "private")
        assert ledger.threads.last_messages("t", 1)[0].text == "[redacted:hook_failed]"
        assert b"private" not in msgspec.json.encode([event.payload for event in ledger.events("r").items])
        assert ledger.core.redactor.hook_failures > 0


# --- declared secrets ---------------------------------------------------------------------------------------

SEEN: list[str] = []


def working() -> runstone.Registry:
    names = runstone.Registry()

    @names.agent("uses", secrets=["token"])
    async def uses(ctx: Any, input: Any) -> Any:
        value = input["token"].reveal()
        SEEN.append(value)
        ctx.message("assistant", f"using {value}")
        ctx.emit("my.event", {"said": value, "secret": input["token"]})
        return await ctx.step("length", lambda token: len(token.reveal()), input["token"])

    @names.workflow("w")
    async def w(ctx: Any, input: Any) -> Any:
        first = await ctx.child("uses", {"token": input["token"], "n": 1})
        if (Path(ctx.workspace) / "fail").exists():
            raise ValueError(f"failed with {input['token'].reveal()}")
        return first + await ctx.child("uses", {"token": input["token"], "n": 2})

    return names


def test_a_declared_secret_is_in_no_file_and_another_value_reuses_finished_work(tmp_path: Path) -> None:
    SEEN.clear()
    (tmp_path / "fail").touch()
    given = {"token": runstone.Secret("MY_TOKEN")}
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(runstone.SecretMissing, match="MY_TOKEN"):
            asyncio.run(runstone.run("w", given, ledger=ledger, registry=working(), run_id="r"))
        with pytest.raises(runstone.NotFound):
            ledger.get_run("r")
        with pytest.raises(runstone.RunFailed) as failed:
            asyncio.run(
                runstone.run(
                    "w", given, ledger=ledger, registry=working(), run_id="r", secrets={"MY_TOKEN": DECLARED}
                )
            )
        assert DECLARED not in str(failed.value)
        assert ledger.input("r") == {"token": {"$secret": "MY_TOKEN"}}
    (tmp_path / "fail").unlink()
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(runstone.SecretMissing):
            asyncio.run(runstone.resume("r", ledger=ledger, registry=working()))
        assert ledger.get_run("r").status == "failed"
        rotated = {"MY_TOKEN": DECLARED + "-new"}.get
        assert asyncio.run(runstone.resume("r", ledger=ledger, registry=working(), secrets=rotated)) == 54
    assert SEEN == [DECLARED, DECLARED + "-new"]
    assert DECLARED.encode() not in stored(tmp_path)


def test_a_text_in_a_declared_field_is_never_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"token": DECLARED, "n": 1}
    with runstone.open(tmp_path) as ledger:
        assert asyncio.run(runstone.run("uses", given, ledger=ledger, registry=working(), run_id="r")) == len(
            DECLARED
        )
        assert ledger.input("r") == {"token": {"$secret": "USES_TOKEN"}, "n": 1}
        again = {"token": "another one", "n": 1}
        assert asyncio.run(runstone.run("uses", again, ledger=ledger, registry=working(), run_id="r")) == len(
            DECLARED
        )
    assert DECLARED.encode() not in stored(tmp_path)


def test_a_reference_that_data_brings_in_reads_no_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_SECRET", DECLARED)
    names = working()

    @names.workflow("model")
    async def model(ctx: Any, input: Any) -> Any:
        return await ctx.child("uses", {"token": {"$secret": "OTHER_SECRET"}})

    with runstone.open(tmp_path) as ledger, pytest.raises(runstone.RunFailed, match="was not given"):
        asyncio.run(runstone.run("model", ledger=ledger, registry=names))


def test_a_secret_says_nothing_by_accident() -> None:
    secret = runstone.Secret("NAME")
    assert f"{secret} {secret!r}" == "Secret('NAME') Secret('NAME')"
    assert secret == runstone.Secret("NAME")
    with pytest.raises(runstone.SecretMissing):
        secret.reveal()
    with pytest.raises(InvalidInput):
        runstone.Secret("not a name")


def test_a_command_gets_the_value_and_the_ledger_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
[agents.call]
command = ["sh", "-c", "echo got $TOKEN in $1 >&2; printf '%s' \\"$TOKEN\\" | wc -c", "sh", "{input.token}"]
env = { TOKEN = "{input.token}" }
secrets = ["token"]
"""
    settings(tmp_path, text, monkeypatch, trust=True)
    names = runstone.Registry()
    config.load(tmp_path, names)
    with runstone.open(tmp_path) as ledger:
        found = asyncio.run(
            runstone.run("call", {"token": DECLARED}, ledger=ledger, registry=names, run_id="r")
        )
        assert found == len(DECLARED)
        run = ledger.get_run("r")
        said = [message.text for message in ledger.threads.messages(run.worker_thread_id or "").items]
        assert "got [redacted:CALL_TOKEN] in [redacted:CALL_TOKEN]" in said
    assert DECLARED.encode() not in stored(tmp_path)


KILLED = """
import asyncio, os, signal, sys
import runstone
sys.path.insert(0, sys.argv[2])
from tests.test_secrets import working

names = working()

@names.workflow("killed")
async def killed(ctx, input):
    await ctx.child("uses", {"token": input["token"]})
    if os.environ.get("DIE"):
        ctx.message("assistant", input["token"].reveal()).result()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"

with runstone.open(sys.argv[1]) as ledger:
    given = {"token": runstone.Secret("KILLED_TOKEN")}
    print(asyncio.run(runstone.run("killed", given, ledger=ledger, registry=names, run_id="r")))
"""


def test_after_a_kill_the_value_is_asked_for_again(tmp_path: Path) -> None:
    def start(**more: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if name != "KILLED_TOKEN"} | more
        root = str(Path(__file__).resolve().parents[1])
        command = [sys.executable, "-c", KILLED, str(tmp_path), root]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert start(DIE="1", KILLED_TOKEN=DECLARED).returncode == -signal.SIGKILL
    missing = start()
    assert "SecretMissing" in missing.stderr
    assert "KILLED_TOKEN" in missing.stderr
    assert start(KILLED_TOKEN=DECLARED).stdout == "done\n"
    with runstone.open(tmp_path) as ledger:
        assert sum(event.type == "child.reused" for event in ledger.events("r").items) == 1
    assert DECLARED.encode() not in stored(tmp_path)
