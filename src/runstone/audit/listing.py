"""What an audit looks at: the repository, its tracked files as they are now, and the tools' versions."""

import asyncio
import os
import platform
from typing import NamedTuple

import runstone
from runstone.audit.git_tree import SAFE_GIT, Tracked, listing_arguments, parse_listing
from runstone.audit.inspecting import ToolCall, Versions
from runstone.audit.processes import Output, find_tool
from runstone.audit.reading import describe
from runstone.audit.records import FileEntry


class NotAuditable(runstone.RunstoneError):
    """The path can't be audited."""

    code = "not_auditable"
    hint = "name a folder of a git work tree: runstone run repo-audit path=FOLDER"


class Listing(NamedTuple):
    """The tracked files below a folder; `left_out` are above the limit, `commit` is None before the first."""

    commit: str | None
    files: list[FileEntry]
    left_out: int


async def find_repository(path: str, call: ToolCall) -> str:
    """The absolute path of the folder to audit. Raises NotAuditable when it is not in a git work tree."""
    folder = _real_folder(path)
    if find_tool("git") is None:
        raise NotAuditable("git is not installed", hint="install git; the audit lists the files with it")
    output = await call("git", [*SAFE_GIT, "-C", folder, "rev-parse", "--is-inside-work-tree"], b"")
    if output.stdout.strip() != b"true":
        raise NotAuditable(f"{folder} is not in a git work tree: {_told(output)}")
    return folder


async def list_files(root: str, limit: int | None, call: ToolCall) -> Listing:
    """Every tracked path with the hash of its bytes now. Raises NotAuditable if git can't list them."""
    head = await call("git", [*SAFE_GIT, "-C", root, "rev-parse", "--verify", "--quiet", "HEAD"], b"")
    commit = head.stdout.decode("ascii", "replace").strip() or None
    output = await call("git", listing_arguments(root), b"")
    if output.problem or output.exit_code != 0:
        raise NotAuditable(f"git can't list the files of {root}: {_told(output)}")
    tracked = parse_listing(output.stdout)
    chosen = tracked if limit is None else tracked[:limit]
    files = await asyncio.to_thread(_describe_all, os.fsencode(root), chosen)
    return Listing(commit, files, len(tracked) - len(chosen))


async def tool_versions(call: ToolCall) -> Versions:
    """The version of each tool, None if it is missing or does not start. A new version is a changed input."""
    versions: Versions = {"compile": f"Python {platform.python_version()}", "text": "built in"}
    for tool in ("ruff", "radon", "pyflakes", "git"):
        versions[tool] = None
        if find_tool(tool) is not None:
            output = await call(tool, ["--version"], b"")
            told = output.stdout.decode("utf-8", "replace").split("\n")[0].strip()
            versions[tool] = told[:100] if output.exit_code == 0 and told else None
    return versions


def _real_folder(path: str) -> str:
    folder = os.path.realpath(path)
    if not os.path.isdir(folder):
        raise NotAuditable(f"{path} is not a folder")
    try:
        folder.encode("utf-8")
    except UnicodeEncodeError:
        raise NotAuditable(f"the name of {folder!r} is not valid UTF-8") from None
    return folder


def _describe_all(root: bytes, tracked: list[Tracked]) -> list[FileEntry]:
    return [describe(root, one) for one in tracked]


def _told(output: Output) -> str:
    text = output.stderr.decode("utf-8", "replace").strip().split("\n")[0]
    return output.problem or text or f"exit code {output.exit_code}"
