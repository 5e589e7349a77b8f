"""What `pip install runstone` puts on a disk is complete: built as a wheel, unpacked elsewhere, used."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=100)
    (built,) = folder.glob("runstone-*.whl")
    return built


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
