"""A declarative workflow of four phases, and a process that runs it: `python phased.py FOLDER`.

The agents note each call in FOLDER/calls.txt. A file FOLDER/hold makes the inspection of "c" wait for ever, and
FOLDER/fail makes it fail.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import runstone
from runstone.domain import workflows
from runstone.engine.registry import Registry

RUN = "phased"
INPUT = {"files": ["a", "b", "c", "d"]}
PHASES: list[dict[str, Any]] = [
    {"name": "list", "agent": "lister"},
    {
        "name": "inspect",
        "agent": "inspector",
        "for_each": "{phases.list.result}",
        "input": {"file": "{item}"},
        "depends_on": ["list"],
        "concurrency": 1,
    },
    {"name": "measure", "agent": "meter", "depends_on": ["list"]},
    {
        "name": "report",
        "agent": "reporter",
        "input": {"found": "{phases.inspect.results}", "size": "{phases.measure.result}"},
        "depends_on": ["inspect", "measure"],
    },
]
NEW_PHASE = {
    "name": "publish",
    "agent": "publisher",
    "input": "{phases.report.result}",
    "depends_on": ["report"],
}


def registry(folder: Path, phases: list[dict[str, Any]]) -> Registry:
    """The agents, working in `folder`, and the workflow `phased` of these phases."""
    names = Registry()

    def note(line: str) -> None:
        descriptor = os.open(folder / "calls.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)

    @names.agent("lister")
    async def lister(ctx: Any, input: Any) -> Any:
        note("list")
        return input["files"]

    @names.agent("inspector")
    async def inspector(ctx: Any, input: Any) -> Any:
        note(f"inspect {input['file']}")
        if input["file"] == "c" and (folder / "hold").exists():
            await asyncio.Event().wait()
        if input["file"] == "c" and (folder / "fail").exists():
            raise ValueError("c cannot be inspected")
        return {"file": input["file"], "findings": 1}

    @names.agent("meter")
    async def meter(ctx: Any, input: Any) -> Any:
        note("measure")
        return len(input["files"])

    @names.agent("reporter")
    async def reporter(ctx: Any, input: Any) -> Any:
        note("report")
        return f"{sum(found['findings'] for found in input['found'])} findings in {input['size']} files"

    @names.agent("publisher")
    async def publisher(ctx: Any, input: Any) -> Any:
        note("publish")
        return input

    names.add_declarative(workflows.parse("phased", {"phases": phases}))
    return names


def check_phases(ledger: runstone.Ledger) -> None:
    """No phase shows running without a running child."""
    for phase in ledger.phases(RUN):
        assert phase.status != "running" or phase.children.get("running"), phase


def main(folder: Path) -> None:
    with runstone.open(folder) as ledger:
        work = runstone.run("phased", INPUT, ledger=ledger, run_id=RUN, registry=registry(folder, PHASES))
        try:
            asyncio.run(work)
        except runstone.RunstoneError as error:
            print(error.code)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
