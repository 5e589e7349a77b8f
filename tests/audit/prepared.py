"""A git repository with known faults, traps that would betray an executed line, and tools that count their calls."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

FILES: dict[str, bytes] = {
    "app/__init__.py": b"",
    "app/clean.py": b"def fine() -> int:\n    return 1\n",
    "app/broken.py": b"def f(:\n    pass\n",
    "app/faulty.py": b"import os\nimport re\n\n\ndef f(items=[]):\n    unused = 1\n    return missing\n",
    "app/tangled.py": b"def tangled(a):\n" + b"    if a:\n        print(a)\n" * 16,
    "docs/a name with blanks.txt": b"blank \nfine\n",
    "docs/conflict.txt": b"<<<<<<< mine\na\n=======\nb\n>>>>>>> theirs\n",
    "docs/endings.txt": b"one\r\ntwo\n",
    "docs/no-newline.txt": b"one",
    "docs/not-utf-8.txt": b"one\n\xff\xfe\xfd\n",
    "-leading-dash.py": b"import sys\n",
    "image.bin": b"\x00\x01\x02",
}
NAMES_OF_BYTES: dict[bytes, bytes] = {b"caf\xe9.py": b"import json\n", b"line\nbreak.txt": b"tab\t\n"}
TRAPS = ("conftest.py", "sitecustomize.py", "json.py")
EXPECTED_TEXT = {
    ("docs/a name with blanks.txt", 1, "trailing-whitespace"),
    ("docs/conflict.txt", 1, "conflict-marker"),
    ("docs/endings.txt", 0, "mixed-line-endings"),
    ("docs/no-newline.txt", 1, "no-final-newline"),
    ("docs/not-utf-8.txt", 2, "invalid-utf-8"),
    ("line\\nbreak.txt", 1, "trailing-whitespace"),
}


def git(folder: Path, *arguments: str) -> str:
    who = {
        f"GIT_{role}_{part}": "a@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | who,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout


def make_repository(folder: Path) -> Path:
    """Commits the files. Importing, configuring or listing with hooks would each leave a file `executed` beside it."""
    mark = folder.parent / "executed"
    trap = f"open({str(mark)!r}, 'w').close()\n".encode()
    script = folder.parent / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    folder.mkdir()
    git(folder, "init", "--quiet")
    more = {
        **{name: f"# {name}\n".encode() + trap for name in TRAPS},
        "ruff.toml": b'lint.select = []\nexclude = ["*"]\n',
        "radon.cfg": b"[radon]\nexclude = *\ncc_min = F\n",
    }
    for name, data in (FILES | more).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    for raw, data in NAMES_OF_BYTES.items():
        Path(os.fsdecode(os.path.join(os.fsencode(folder), raw))).write_bytes(data)
    (folder / "link.py").symlink_to("app/faulty.py")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    git(folder, "config", "core.fsmonitor", str(script))
    return folder


def fingerprint(folder: Path) -> dict[bytes, str]:
    """Every path below a folder, `.git` included, with its content, mode and time of change."""
    found: dict[bytes, str] = {}
    for where, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(where, name)
            status = os.lstat(path)
            data = os.readlink(path) if stat.S_ISLNK(status.st_mode) else Path(os.fsdecode(path)).read_bytes()
            found[path] = f"{status.st_mode:o} {status.st_mtime_ns} {hashlib.sha256(data).hexdigest()}"
    return found


class CountedTools:
    """A folder for the front of PATH: each tool notes its name and the hash of its input, then the real one runs.

    `hold(data)` stops the first tool that gets these bytes until its process is killed; `wait_held()` gives its pid.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.log = folder, folder / "calls.log"
        self._held, self._hold = folder / "held.fifo", folder / "hold"
        os.mkfifo(self._held)
        for tool in ("ruff", "radon", "pyflakes", "git"):
            self._write(tool)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.pathsep.join([str(self.folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        }

    def calls(self) -> list[tuple[str, str]]:
        """(tool, sha256 of its input) of every process so far, `ruff-C901` being the second pass's ruff.

        Those without input (versions, listings) are left out.
        """
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        empty = hashlib.sha256(b"").hexdigest()
        return [(tool, digest) for tool, digest in (line.split() for line in lines) if digest != empty]

    def hold(self, data: bytes) -> None:
        self._hold.write_text(hashlib.sha256(data).hexdigest() + "\n")

    def wait_held(self) -> int:
        """Waits until a tool is held; reading the FIFO ends when it has written its pid."""
        return int(self._held.read_text())

    def release(self) -> None:
        self._hold.unlink()

    def _write(self, tool: str) -> None:
        real = shutil.which(tool, path=self.environment()["PATH"].split(os.pathsep, 1)[1])
        assert real is not None, f"{tool} is not installed"
        script = self.folder / tool
        script.write_text(f"""#!/bin/sh
input=$(mktemp "{self.folder}/input.XXXXXX")
cat > "$input"
digest=$(sha256sum < "$input" | cut -d ' ' -f 1)
case "$*" in *C901*) name={tool}-C901 ;; *) name={tool} ;; esac
echo "$name $digest" >> "{self.log}"
if [ -f "{self._hold}" ] && grep -q "$digest" "{self._hold}"; then
    echo $$ > "{self._held}"
    exec sleep 600
fi
exec "{real}" "$@" < "$input"
""")
        script.chmod(0o755)
