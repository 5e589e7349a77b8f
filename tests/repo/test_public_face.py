"""What `import runstone` gives, and what it costs."""

import inspect
import re
import subprocess
import sys
import types

import runstone

# The names that the documents promise (docs/reference/python.md has them all with their signatures).
PROMISED = {
    *(
        "Ledger",
        "RunHandle",
        "ResumePolicy",
        "agent",
        "current_run",
        "open",
        "plan",
        "resume",
        "run",
        "workflow",
    ),
    *("RunstoneError", "AwaitingInput", "ChildFailed", "ChildrenFailed", "RunFailed", "RunMismatch"),
}
# Only a command, a server or a process agent needs these; a library user must not pay for them at import.
HEAVY = {
    *("click", "rich", "platformdirs", "pygments", "markdown_it"),
    *("email", "http", "urllib.request", "importlib.metadata", "multiprocessing", "unittest", "pydoc"),
    *("litestar", "uvicorn", "psycopg", "dbos", "genai_prices", "pydantic"),
}
TIMED = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)$", re.MULTILINE)


def import_times(module: str) -> dict[str, int]:
    """Own time in microseconds of every module that importing `module` loads, in a new interpreter."""
    command = [sys.executable, "-I", "-X", "importtime", "-c", f"import {module}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {name: int(own) for own, _, name in TIMED.findall(done.stderr)}


def test_importing_loads_nothing_heavy() -> None:
    loaded = import_times("runstone")
    slowest = sorted(loaded.items(), key=lambda item: -item[1])[:8]
    print(f"import runstone: {sum(loaded.values()) / 1000:.0f} ms, {len(loaded)} modules; slowest: {slowest}")
    assert "runstone" in loaded
    assert HEAVY & set(loaded) == set()


def import_cpu_s(module: str) -> float:
    """CPU time of importing `module` in a new interpreter: what other processes do meanwhile is not counted."""
    code = f"import time; began = time.process_time(); import {module}; print(time.process_time() - began)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return float(done.stdout)


def test_importing_costs_little_more_than_asyncio() -> None:
    # In turn, so that a machine that slows down slows both; the least of each is what it costs undisturbed.
    rounds = [(import_cpu_s("runstone"), import_cpu_s("asyncio")) for _ in range(15)]
    ours, asyncio = (min(side) for side in zip(*rounds, strict=True))
    print(f"import runstone: {ours * 1000:.0f} ms, {ours / asyncio:.2f} times import asyncio")
    assert ours <= 3 * asyncio


def test_everything_exported_is_there_and_says_what_it_does() -> None:
    assert len(set(runstone.__all__)) == len(runstone.__all__)
    assert set(runstone.__all__) >= PROMISED
    silent = [
        name
        for name in runstone.__all__
        if callable(thing := getattr(runstone, name)) and not inspect.getdoc(thing)
    ]
    assert silent == []


def test_every_public_name_is_exported() -> None:
    names = {
        name
        for name, value in vars(runstone).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert names <= set(runstone.__all__)


def test_error_codes_are_unique_and_hints_are_given() -> None:
    from runstone import errors

    kinds = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.RunstoneError)
    ]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
    assert all(kind.hint for kind in kinds)
