"""Runs the stages of `make test`, prints the time of each, and ends with one closing line over all of them.

A directory below tests/ without a stage of its own runs in `unit`, so that none can be forgotten.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
OWN_STAGE = ("postgres", "chaos", "server", "crash", "e2e")
WIDE = {"unit": ("-n", "4"), "postgres": ("-n", "4")}
"""Stages whose tests wait for the disk, or for processes of their own."""
BESIDE = {"web": "check", "chaos": "postgres"}
"""Stages that run beside another one, as both wait now and then; what they print comes after it."""
CLOSING_LINE = re.compile(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s")
BAD = ("failed", "error", "errors")


@dataclass
class Outcome:
    """What one stage came to: seconds, exit status and pytest's counts (`{"passed": 12}`)."""

    name: str
    seconds: float
    status: int
    counts: Counter[str] = field(default_factory=Counter)
    beside: str = ""

    @property
    def text(self) -> str:
        counted = ", ".join(f"{number} {word}" for word, number in self.counts.items())
        came_to = (counted or "ok") if self.status == 0 else f"FAILED {counted}"
        return f"{came_to} (beside {self.beside})" if self.beside else came_to


def commands() -> dict[str, list[str]]:
    """The stages in their order, each with its command line."""
    pytest = [sys.executable, "-m", "pytest", "-n", "2", "-q", "--durations=5", "--color=no"]
    pytest += ["-o", "tmp_path_retention_policy=failed"]  # they are in memory
    return {
        "check": [os.environ.get("MAKE", "make"), "--no-print-directory", "check"],
        "web": [sys.executable, "scripts/web.py", "check"],  # before e2e, which uses what it builds
        "unit": [*pytest, *WIDE["unit"], "tests", *(f"--ignore=tests/{name}" for name in OWN_STAGE)],
        **{name: [*pytest, *WIDE.get(name, ()), f"tests/{name}"] for name in OWN_STAGE},
    }


MEMORY = Path("/dev/shm")  # noqa: S108  what is made there has a random name of its own
ENOUGH_BYTES = 4 * 1024**3
ON_DISK = ("check", "web", "crash")
"""Stages whose files lie on the disk: no test can cut the power, so what `kill -9` leaves is the same in memory,
but a commit that waits for the disk is one in which more of the kills fall."""


@contextmanager
def environment(name: str) -> Iterator[dict[str, str]]:
    """What a stage runs in: its temporary files in memory where there is room, and Python keeps what it compiled.

    Images for continuous integration often say that it must not; the 2,000 processes that the tests start would
    then compile the project's 290 modules each.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if name in ON_DISK or not (os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES):
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="runstone-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # the tests' PostgreSQL runs as another user
        yield {**kept, "TMPDIR": folder}


def run_stage(name: str, command: Sequence[str], out: TextIO | None = None) -> Outcome:
    """Runs one stage, passing its output through, and reads the counts off pytest's closing line."""
    print(f"\n--- {name}", file=out, flush=True)
    started = time.monotonic()
    counts: Counter[str] = Counter()
    with (
        environment(name) as given,
        subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=out, flush=True)
            if closing := CLOSING_LINE.match(line):
                counts = Counter({word: int(n) for n, word in re.findall(r"(\d+) ([a-z]+)", closing[1])})
    return Outcome(name, time.monotonic() - started, process.returncode, counts)


def run_stages(names: Sequence[str], commands: Mapping[str, Sequence[str]]) -> list[Outcome]:
    """Runs the stages one after another, but for those that run beside another one of them."""
    outcomes = []
    with ThreadPoolExecutor() as pool:
        for name in names:
            if BESIDE.get(name) in names:
                continue
            held = {other: io.StringIO() for other in names if BESIDE.get(other) == name}
            started = [pool.submit(run_stage, other, commands[other], out) for other, out in held.items()]
            outcomes.append(run_stage(name, commands[name]))
            for one, out in zip(started, held.values(), strict=True):
                outcome = one.result()
                outcome.beside = name
                print(out.getvalue(), end="", flush=True)
                outcomes.append(outcome)
    return outcomes


def report(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Prints the table of stages, then the closing line in pytest's own form, summed over the stages."""
    print(f"\n{'stage':<8}{'seconds':>9}  result")
    for outcome in outcomes:
        print(f"{outcome.name:<8}{outcome.seconds:>9.1f}  {outcome.text}")
    total = sum((outcome.counts for outcome in outcomes), Counter[str]())
    broken = [outcome.name for outcome in outcomes if outcome.status != 0]
    if broken and not any(total[word] for word in BAD):
        total["failed"] = len(broken)
    words = sorted(total, key=lambda word: (word not in BAD, word != "passed", word))
    counted = ", ".join(f"{total[word]} {word}" for word in words) or "no tests ran"
    if broken:
        print(f"failed stages: {', '.join(broken)}")
    print(f"===== {counted} in {seconds:.2f}s =====")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("only", nargs="*", help="names of stages; all of them if none is given")
    parser.add_argument("--setup-started", type=int, help="epoch second at which `make setup` began")
    options = parser.parse_args()
    available = commands()
    if unknown := [name for name in options.only if name not in available]:
        parser.error(f"no stage {unknown[0]!r}; there are: {', '.join(available)}")
    outcomes, started = [], time.monotonic()
    if options.setup_started is not None:
        outcomes.append(Outcome("setup", max(0.0, time.time() - options.setup_started), 0))
        started -= outcomes[0].seconds
    outcomes += run_stages(options.only or list(available), available)
    report(outcomes, time.monotonic() - started)
    return int(any(outcome.status != 0 for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
