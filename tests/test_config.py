"""runstone.toml: what it registers, how it says what is wrong and where, and who may let it run code."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone import config, trust
from runstone.config import Config, Settings
from runstone.engine.registry import Registry, default_registry
from runstone.errors import ConfigNotTrusted, InvalidDefinition

FULL = """
modules = ["own_agents"]

[settings]
slots = 3

[agents.lint]
version = "2"
command = ["ruff", "check", "{input.path}"]
timeout_s = 60

[workflows.check]
[[workflows.check.phases]]
name = "lint"
agent = "lint"
[[workflows.check.phases]]
name = "judge"
agent = "own-judge"
input = "{phases.lint.result}"
depends_on = ["lint"]
"""
MODULE = """
import runstone.engine.registry as names

@names.agent("own-judge", version="1")
async def judge(ctx, input):
    import own_later  # imports inside functions work when they run, not only while the file is loaded
    return own_later.VALUE
"""


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace's folder, with a state folder of its own; what it imports is forgotten afterwards."""
    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
    importlib.invalidate_caches()


def write(root: Path, text: str) -> Path:
    file = root / "runstone.toml"
    file.write_text(text)
    file.chmod(0o644)
    return file


def test_everything_in_the_file_is_registered_where_it_was_asked_for(root: Path, registry: Registry) -> None:
    file = write(root, FULL)
    (root / "own_agents.py").write_text(MODULE)
    found = config.load(root, registry, trusted=True)
    assert found == Config(
        file=file,
        modules=("own_agents",),
        agents=("lint",),
        workflows=("check",),
        settings=Settings(slots=3),
    )
    assert [(e.name, e.version, e.kind) for e in registry.agents()] == [
        ("lint", "2", "command"),
        ("own-judge", "1", "python"),
    ]
    assert registry.workflows()[0].source == f"{file} [workflows.check]"
    command = registry.get_agent("lint").command
    assert command is not None
    assert command.timeout_s == 60
    assert "own-judge" not in {listed.name for listed in default_registry().agents()}


def test_what_a_module_imports_later_is_found_in_the_workspace(root: Path, registry: Registry) -> None:
    write(root, FULL)
    (root / "own_agents.py").write_text(MODULE)
    (root / "own_later.py").write_text("VALUE = 42\n")
    config.load(root, registry, trusted=True)
    function = registry.get_agent("own-judge").function
    assert function is not None
    with pytest.raises(StopIteration) as ended:
        function(None, None).send(None)
    assert ended.value.value == 42


def test_loading_again_changes_nothing(root: Path, registry: Registry) -> None:
    write(root, FULL)
    (root / "own_agents.py").write_text(MODULE)
    first = config.load(root, registry, trusted=True)
    assert config.load(root, registry, trusted=True) == first
    assert sys.path.count(str(root)) == 1


def test_without_a_file_there_is_nothing_to_load_and_nothing_to_trust(root: Path, registry: Registry) -> None:
    assert config.load(root, registry) == Config()


# --- what is wrong, and where ---------------------------------------------------------------------------------------

WRONG = {
    "modules = [": r"runstone.toml is not TOML: .*at end of document",
    "modules = []\nagents == 2\n": r"not TOML: .*line 2, column 9",
    "module = []": r"runstone.toml: Object contains unknown field `module`",
    "modules = 'x'": r"runstone.toml: modules: Expected `array`, got `str`",
    "modules = [1]": r"runstone.toml: modules\[0\]: Expected `str`, got `int`",
    "modules = ['a.py/b']": r"modules\[0\]: 'a.py/b' is no module name",
    "modules = ['no_such_module_here']": r"modules\[0\]: importing 'no_such_module_here' failed: ModuleNotFoundError",
    "[settings]\nslot = 1": r"runstone.toml: settings: Object contains unknown field `slot`",
    "[settings]\nslots = 0": r"runstone.toml: settings.slots is 0; it must be 1 to",
    "[settings]\nslots = '4'": r"settings.slots: Expected `int \| null`, got `str`",
    "agents = 3": r"runstone.toml: agents: Expected `object`, got `int`",
    "[agents]\nlint = 3": r"agents\[...\]: Expected `object`, got `int`",
    "[agents.lint]\ncommand = 'ruff check'": r"agents.lint: Expected `array`, got `str`",
    "[agents.lint]\ncommand = []": r"agents.lint.command names no program",
    "[agents.lint]\ncommand = ['x']\ntimeout = 3": r"agents.lint: Object contains unknown field `timeout`",
    "[agents.lint]\ncommand = ['x']\nversion = 3": r"agents.lint.version is 3; it must be text",
    "[agents.'a b']\ncommand = ['x']": r"agent name 'a b'",
    "[workflows.w]\nphases = []": r"runstone.toml: workflows.w.phases is empty",
    "[[workflows.w.phases]]\nname='a'\nagent='gone'": r"runstone.toml: workflows.w.phases\[0\].agent: no agent 'gone'",
    "[[workflows.w.phases]]\nname='a'\nagent='x'\ndepends_on=['b']": r"phases\[0\].depends_on: no phase 'b'",
    "[[workflows.w.phases]]\nname='a'\nagent='x'\ninput=2026-01-01": r"phases\[0\].input is a date",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=WRONG.values())
def test_a_mistake_is_named_with_file_and_place(
    root: Path, registry: Registry, text: str, message: str
) -> None:
    file = write(root, text)
    with pytest.raises(InvalidDefinition, match=message) as caught:
        config.load(root, registry, trusted=True)
    assert str(file) in str(caught.value) or "agent name" in str(caught.value)


def test_a_file_that_is_no_text_is_said_to_be_none(root: Path, registry: Registry) -> None:
    write(root, "").write_bytes(b"modules = ['\xff']")
    with pytest.raises(InvalidDefinition, match="is not UTF-8 text: byte 12"):
        config.load(root, registry, trusted=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import own_gone\n", "No module named 'own_gone'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_module_that_fails_is_named_with_its_error(
    root: Path, registry: Registry, text: str, message: str
) -> None:
    write(root, "modules = ['own_broken']")
    (root / "own_broken.py").write_text(text)
    with pytest.raises(
        InvalidDefinition, match=rf"modules\[0\]: importing 'own_broken' failed: .*{message}"
    ) as caught:
        config.load(root, registry, trusted=True)
    assert caught.value.__cause__ is not None


def test_a_module_of_the_workspace_is_not_taken_for_another_of_its_name(
    root: Path, registry: Registry
) -> None:
    write(root, "modules = ['json']")
    (root / "json.py").write_text("")
    with pytest.raises(
        InvalidDefinition, match=r"modules\[0\]: 'json' is already imported from .*, which hides"
    ):
        config.load(root, registry, trusted=True)


# --- trust ----------------------------------------------------------------------------------------------------------


def test_nothing_of_a_workspace_runs_before_its_owner_trusted_it(root: Path, registry: Registry) -> None:
    write(root, "modules = ['own_bomb']")
    (root / "own_bomb.py").write_text("raise RuntimeError('it ran')")
    with pytest.raises(ConfigNotTrusted, match="not trusted yet") as caught:
        config.load(root, registry)
    assert "--trust" in caught.value.hint
    config.trust(root)
    with pytest.raises(InvalidDefinition, match="it ran"):
        config.load(root, registry)


def test_trust_is_kept_for_the_folder_whatever_its_spelling_and_for_no_other(root: Path) -> None:
    assert not trust.is_trusted(root)
    trust.trust(root)
    assert trust.is_trusted(root)
    assert trust.is_trusted(root / ".." / root.name)
    assert not trust.is_trusted(root.parent)
    assert not trust.is_trusted(root / "below")
    code = (
        f"from pathlib import Path; from runstone import trust; print(trust.is_trusted(Path({str(root)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True\n"


def test_trust_is_kept_where_only_its_user_can_write(root: Path) -> None:
    trust.trust(root)
    folder = Path(os.environ["RUNSTONE_STATE_DIR"]) / "trusted"
    assert folder.stat().st_mode & 0o077 == 0


def test_trust_that_cannot_be_kept_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = root / "file"
    blocked.write_text("")
    monkeypatch.setenv("RUNSTONE_STATE_DIR", str(blocked))
    with pytest.raises(ConfigNotTrusted, match="cannot be recorded"):
        trust.trust(root)
    assert not trust.is_trusted(root)


@pytest.mark.parametrize(("part", "mode"), [("runstone.toml", 0o646), (".", 0o757)])
def test_what_others_could_have_written_is_never_loaded(
    root: Path, registry: Registry, part: str, mode: int
) -> None:
    write(root, "modules = []")
    (root / part).chmod(mode)
    with pytest.raises(ConfigNotTrusted, match="can be written by other users") as caught:
        config.load(root, registry, trusted=True)
    assert "chmod go-w" in caught.value.hint
    (root / part).chmod(mode & ~0o022)
    config.load(root, registry, trusted=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_never_loaded(root: Path, registry: Registry) -> None:
    os.chown(write(root, "modules = []"), 12345, -1)
    with pytest.raises(ConfigNotTrusted, match="belongs to user 12345"):
        config.load(root, registry, trusted=True)


def test_a_private_group_may_write_and_a_shared_one_may_not(
    root: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "modules = []").chmod(0o664)
    monkeypatch.setattr(trust, "_own_group", lambda group, user: True)
    config.load(root, registry, trusted=True)
    monkeypatch.setattr(trust, "_own_group", lambda group, user: False)
    with pytest.raises(ConfigNotTrusted, match="can be written by other users"):
        config.load(root, registry, trusted=True)
