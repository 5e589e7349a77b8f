"""The workflow `repo-audit` and its two agents: a thin layer over the passes, which do the work."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any

import runstone
from runstone.audit.inspecting import (
    ToolCall,
    Versions,
    cross_check_file,
    inspect_file,
    needs_second_look,
    worth_judging,
)
from runstone.audit.listing import Listing, find_repository, list_files, tool_versions
from runstone.audit.markdown import visible
from runstone.audit.processes import Output, find_tool, run_process
from runstone.audit.reading import digest
from runstone.audit.records import Inspection, JsonObject
from runstone.audit.report import render
from runstone.audit.request import read_request, report_place
from runstone.audit.totals import Audit, totals
from runstone.audit.writing import write_report

# Names of their own: a workspace may have an agent "inspector", too.
INSPECTOR, CROSS_CHECKER = "repo-audit/inspector", "repo-audit/cross-checker"
MAX_TITLE = 200  # characters; of a longer path the end says more
FIRST_TOOLS = ("ruff", "compile", "radon")
SECOND_TOOLS = ("pyflakes", "ruff", "compile")


@runstone.agent(INSPECTOR, version="1")
async def inspector(ctx: Any, input: JsonObject) -> JsonObject:
    """The first pass over one file: {root, file, tools} -> an Inspection."""
    root = os.fsencode(input["root"])
    return dict(await inspect_file(root, input["file"], input["tools"], tool_call(ctx)))


@runstone.agent(CROSS_CHECKER, version="1")
async def cross_checker(ctx: Any, input: JsonObject) -> JsonObject:
    """The second pass over one file: {root, file, tools, findings, complete} -> a CrossCheck."""
    checked = await cross_check_file(
        os.fsencode(input["root"]),
        input["file"],
        input["findings"],
        complete=input["complete"],
        versions=input["tools"],
        call=tool_call(ctx),
    )
    return dict(checked)


@runstone.workflow("repo-audit", version="1")
async def repo_audit(ctx: Any, input: JsonObject) -> JsonObject:
    """Audits the tracked files of a repository and writes one Markdown report; see `request.Request`."""
    request, call = read_request(input), tool_call(ctx)
    async with ctx.phase("list"):
        root, place = await ctx.step(
            "find repository", partial(_places, ctx, call), request.path, request.report
        )
        # Not a step: a resumed audit looks again, so only what changed in between is inspected again.
        listing = await list_files(root, request.limit, call)
        versions = await tool_versions(call)
    async with ctx.phase("inspect", concurrency=request.concurrency):
        inspections = await ctx.map(INSPECTOR, first_inputs(root, listing, versions), title=_title)
    async with ctx.phase("cross-check", concurrency=request.concurrency):
        judged = second_inputs(root, listing, inspections, versions)
        cross_checks = await ctx.map(CROSS_CHECKER, judged, title=_title)
    async with ctx.phase("report"):
        audit = Audit(
            root,
            listing.commit,
            ctx.run_id,
            listing.files,
            listing.left_out,
            versions,
            inspections,
            cross_checks,
        )
        text = render(audit)
        await ctx.step("write report", partial(write_report, text), place, digest(text.encode()))
    sums = totals(audit)
    ctx.set_summary(sums.sentence())
    return {
        "report": place,
        "root": root,
        "commit": listing.commit,
        "tools": versions,
        "totals": sums._asdict(),
    }


def first_inputs(root: str, listing: Listing, versions: Versions) -> list[JsonObject]:
    """One input for each file that can be inspected, with the tools' versions (a new one changes it)."""
    return [
        {
            "root": root,
            "file": file,
            "tools": _only(versions, FIRST_TOOLS if file["kind"] == "python" else ()),
        }
        for file in listing.files
        if file["kind"] in ("python", "text")
    ]


def second_inputs(
    root: str, listing: Listing, inspections: Sequence[Inspection], versions: Versions
) -> list[JsonObject]:
    """One input for each file that a second tool can judge, with the findings that it covers."""
    files = {file["path"]: file for file in listing.files}
    return [
        {
            "root": root,
            "file": files[inspection["path"]],
            "tools": _only(versions, SECOND_TOOLS if inspection["kind"] == "python" else ("git",)),
            "findings": worth_judging(inspection),
            "complete": inspection["omitted"] == 0,
        }
        for inspection in inspections
        if needs_second_look(inspection)
    ]


def tool_call(ctx: Any) -> ToolCall:
    """Runs a tool as a process and tells the run's ledger when it started and how it ended."""
    numbers = count(1)

    async def call(tool: str, arguments: Sequence[str], data: bytes) -> Output:
        call_id = f"{ctx.attempt}-{next(numbers)}"
        program = sys.executable if tool == "compile" else find_tool(tool)
        ctx.emit("tool.started", {"call_id": call_id, "tool": tool})
        if program is None:
            output = Output(None, b"", b"", 0, "not installed")
        else:
            output = await run_process([program, *arguments], data)
        ended = {"call_id": call_id, "tool": tool, "ok": output.problem is None}
        told = {
            "output_chars": len(output.stdout.decode("utf-8", "replace")),
            "elapsed_ms": output.elapsed_ms,
        }
        ctx.emit("tool.completed", ended | told | ({"error": output.problem} if output.problem else {}))
        return output

    return call


async def _places(ctx: Any, call: ToolCall, path: str, report: str | None) -> list[str]:
    root = await find_repository(path, call)
    return [root, report_place(report, root=root, workspace=ctx.workspace, run_id=ctx.run_id)]


def _title(input: JsonObject) -> str:
    return visible(input["file"]["path"])[-MAX_TITLE:]


def _only(versions: Versions, names: Sequence[str]) -> Versions:
    return {name: versions[name] for name in names}
