"""What `pip install runstone` puts on a disk is complete: built as a wheel, unpacked elsewhere, used."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts import web

ROOT = Path(__file__).resolve().parents[2]


PAGE = "runstone/server/static/index.html"
needs_node = pytest.mark.skipif(web.missing() is not None, reason=f"{web.missing()}")


def wheel_of(source: Path, folder: Path, **environment: str) -> Path:
    """The wheel that pip makes of a source folder or archive."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command = [*build, "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, timeout=100, env={**os.environ, **environment})
    (built,) = folder.glob("runstone-*.whl")
    return built


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(ROOT, tmp_path_factory.mktemp("wheel"))


@needs_node
def test_the_wheel_of_a_clone_has_the_command_center_with_its_parts(wheel: Path) -> None:
    names = names_in(wheel)
    assert PAGE in names
    with zipfile.ZipFile(wheel) as archive:
        (script,) = re.findall(r'src="(/assets/[^"]+\.js)"', archive.read(PAGE).decode())
    file = f"runstone/server/static{script}"
    assert {file, f"{file}.br", f"{file}.gz"} <= names


@needs_node
def test_a_source_archive_has_it_built_and_is_installed_without_node(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, timeout=100, capture_output=True)
    (archive,) = tmp_path.glob("runstone-*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert f"src/{PAGE}" in names
    assert not any(name.startswith("web/") for name in names)
    built = wheel_of(archive, tmp_path / "wheel", PATH=str(Path(sys.executable).parent))
    assert PAGE in names_in(built)


def test_a_clone_without_node_is_installed_without_the_command_center(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    built = wheel_of(clone, tmp_path / "wheel", PATH=str(Path(sys.executable).parent))
    assert PAGE not in names_in(built)
    assert "runstone/server/web.py" in names_in(built)


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    files = {
        str(file.relative_to(source))
        for file in (source / "runstone").rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert packed == files
    assert "runstone/py.typed" in packed


def test_the_installed_command_runs_outside_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "folder"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    folder.mkdir()
    env = {**os.environ, "PYTHONPATH": str(site)}
    code = "import runstone; print(runstone.__file__); from runstone.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout.splitlines()[0]
    assert "resume" in done.stdout
    assert list(folder.iterdir()) == [], "asking for help creates nothing"
