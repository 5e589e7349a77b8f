"""The demo's agents and workflows. They work without a network, take seconds, and do the same each time.

What they say, spend and call is written down here; that it is recorded, reused, interrupted and answered is real.
"""

import asyncio
from typing import Any, Final

from runstone.domain.workflows import parse
from runstone.engine.registry import Registry

CHECK: Final = "demo-release-check"
UPGRADE: Final = "demo-upgrade"
NOTES: Final = "demo-release-notes"

_FILES: Final = (
    "auth/session.py",
    "auth/tokens.py",
    "billing/invoice.py",
    "search/index.py",
    "web/upload.py",
)
_SUSPICIOUS: Final = ("auth/tokens.py", "web/upload.py")
_PACKAGES: Final = ("attrs", "httpx", "pydantic", "rich", "sqlalchemy")
_LANGUAGES: Final = ("de", "fr", "ja")
_TEXT: Final = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def registry() -> Registry:
    """The crew, in a registry of its own."""
    crew = Registry()
    _release_check(crew)
    _upgrade(crew)
    _release_notes(crew)
    return crew


async def _use(
    ctx: Any, tool: str, number: int, seconds: float, chars: int, *, error: str | None = None
) -> None:
    """Calls a tool: tells of it, takes its time."""
    call = f"{tool}-{number}"
    ctx.emit("tool.started", {"tool": tool, "call_id": call})
    await asyncio.sleep(seconds)
    told = {"call_id": call, "ok": error is None, "output_chars": chars, "elapsed_ms": int(seconds * 1000)}
    ctx.emit("tool.completed", told if error is None else {**told, "error": error})


def _spend(ctx: Any, model: str, given: int, made: int, usd: float | None, *, n: int = 1) -> None:
    """One request to a model; None is a cost that nobody knows."""
    ctx.emit("iteration.started", {"n": n})
    ctx.usage(
        provider="anthropic" if usd is not None else "local", model=model, input_tokens=given, output_tokens=made,
        cache_read_tokens=given * 3, cost_usd=usd, request_id=f"{ctx.run_id}-{ctx.attempt}-{n}",
    )  # fmt: skip


# --- finished: a check of a release, three levels deep, with a failure that a retry mended ----------------------------


def _release_check(crew: Registry) -> None:
    _inspection(crew)
    _proof(crew)
    phases = [
        {"name": "list", "agent": "lister"},
        {
            "name": "inspect", "agent": "inspector", "for_each": "{phases.list.result.files}", "depends_on": ["list"],
            "concurrency": 2, "retry": {"max_attempts": 2, "backoff_s": 0.4},
        },
        {
            "name": "report", "agent": "reporter", "depends_on": ["inspect"],
            "input": {"inspected": "{phases.inspect.results}"},
        },
    ]  # fmt: skip
    settings = {
        "input": {"release": "string"},
        "phases": phases,
        "summary": "{input.release} was checked",
    }
    crew.add_declarative(parse(CHECK, settings))


def _inspection(crew: Registry) -> None:
    @crew.agent("lister")
    async def lister(ctx: Any, input: Any) -> Any:
        """Finds the files that a release changed."""
        _spend(ctx, "claude-haiku-4-5", 900, 120, 0.0015)
        await _use(ctx, "git_diff", 1, 0.25, 4_200)
        ctx.message("assistant", f"{len(_FILES)} files changed since the last release.")
        ctx.set_summary(f"{len(_FILES)} changed files")
        return {"files": [{"path": path} for path in _FILES]}

    @crew.agent("inspector", input_schema=_TEXT)
    async def inspector(ctx: Any, input: Any) -> Any:
        """Reads a file, and has what looks wrong checked."""
        path = input["path"]
        await _use(ctx, "read_file", 1, 0.2, 8_300)
        _spend(ctx, "claude-sonnet-4-5", 5_200, 640, 0.0252)
        if path == "billing/invoice.py" and ctx.attempt == 1:
            await _use(ctx, "search", 2, 0.3, 0, error="connection reset by peer")
            raise ConnectionError("the code search did not answer")
        await _use(ctx, "search", 2, 0.15, 1_900)
        await ctx.child("embedder", {"path": path})
        if path not in _SUSPICIOUS:
            ctx.set_summary("nothing stands out")
            return {"path": path, "findings": []}
        ctx.message("assistant", f"Something in {path} may be wrong; I have it checked.")
        found = await ctx.child("checker", {"path": path})
        ctx.set_summary(found["finding"])
        return {"path": path, "findings": [found["finding"]]}

    @crew.agent("embedder")
    async def embedder(ctx: Any, input: Any) -> Any:
        """Finds similar code with a model on this machine, whose cost nobody knows."""
        _spend(ctx, "local-embedder", 2_100, 0, None)
        await asyncio.sleep(0.1)
        return {"similar": 3}


def _proof(crew: Registry) -> None:
    @crew.agent("checker")
    async def checker(ctx: Any, input: Any) -> Any:
        """Says whether a suspicion holds."""
        _spend(ctx, "claude-sonnet-4-5", 3_100, 420, 0.0156)
        proof = await ctx.child("prover", input)
        ctx.set_summary(f"confirmed by {proof['test']}")
        return {"finding": f"{input['path']}: {proof['fault']}"}

    @crew.agent("prover")
    async def prover(ctx: Any, input: Any) -> Any:
        """Writes a test that fails where the suspicion holds."""
        _spend(ctx, "claude-opus-4-5", 2_400, 980, 0.0365)
        await _use(ctx, "write_file", 1, 0.1, 900)
        await _use(ctx, "run_tests", 2, 0.5, 12_400, error="1 failed, 41 passed")
        await _use(ctx, "run_tests", 3, 0.35, 11_800)
        ctx.set_summary("a test shows it")
        fault = "a token outlives its session" if "tokens" in input["path"] else "names may leave the folder"
        return {"test": f"tests/test_{input['path'].rpartition('/')[2]}", "fault": fault}

    @crew.agent("reporter")
    async def reporter(ctx: Any, input: Any) -> Any:
        """Writes the report."""
        _spend(ctx, "claude-sonnet-4-5", 1_800, 1_150, 0.0227)
        await _use(ctx, "write_file", 1, 0.2, 3_100)
        faults = [one for part in input["inspected"] for one in part["findings"]]
        ctx.checkpoint(
            {"report": {"faults": faults, "files": len(input["inspected"])}}, label="report written"
        )
        ctx.set_summary(f"{len(faults)} faults in {len(input['inspected'])} files")
        return {"faults": faults}


# --- interrupted: upgrades, one after the other -----------------------------------------------------------------------


def _upgrade(crew: Registry) -> None:
    @crew.agent("upgrader")
    async def upgrader(ctx: Any, input: Any) -> Any:
        """Upgrades one package, and runs the tests."""
        _spend(ctx, "claude-haiku-4-5", 1_400, 310, 0.003)
        await _use(ctx, "edit_file", 1, 0.15, 300)
        await _use(ctx, "run_tests", 2, 0.45, 9_600)
        ctx.set_summary(f"{input['package']} is up to date")
        return {"package": input["package"], "tests": "passed"}

    phases = [
        {
            "name": "upgrade", "agent": "upgrader", "concurrency": 1,
            "for_each": [{"package": package} for package in _PACKAGES],
        },
        {
            "name": "pin", "agent": "pinner", "depends_on": ["upgrade"],
            "input": {"upgraded": "{phases.upgrade.results}"},
        },
    ]  # fmt: skip

    @crew.agent("pinner")
    async def pinner(ctx: Any, input: Any) -> Any:
        """Writes the lock file."""
        await _use(ctx, "write_file", 1, 0.2, 5_200)
        ctx.set_summary(f"{len(input['upgraded'])} packages are pinned")
        return {"pinned": len(input["upgraded"])}

    crew.add_declarative(parse(UPGRADE, {"phases": phases}))


# --- asks: notes of a release, which somebody approves ----------------------------------------------------------------


def _release_notes(crew: Registry) -> None:
    @crew.agent("writer")
    async def writer(ctx: Any, input: Any) -> Any:
        """Drafts the notes."""
        await _use(ctx, "git_log", 1, 0.2, 6_400)
        _spend(ctx, "claude-sonnet-4-5", 4_100, 900, 0.0258)
        text = f"{input['release']}: search is twice as fast, and uploads keep their names."
        ctx.message("assistant", text)
        ctx.set_summary("a draft of two sentences")
        return {"text": text}

    @crew.agent("translator")
    async def translator(ctx: Any, input: Any) -> Any:
        """Translates the notes."""
        _spend(ctx, "claude-haiku-4-5", 700, 240, 0.0019)
        await _use(ctx, "glossary", 1, 0.8, 700)
        ctx.set_summary(f"translated to {input['language']}")
        return {"language": input["language"], "characters": len(input["text"])}

    @crew.workflow(NOTES)
    async def notes(ctx: Any, input: Any) -> Any:
        """Drafts, asks, translates and publishes."""
        async with ctx.phase("draft"):
            draft = await ctx.child("writer", input)
        ctx.checkpoint({"draft": draft["text"]}, label="draft")
        async with ctx.phase("approve"):
            answer = await ctx.ask(
                f"Publish these notes?\n\n{draft['text']}",
                choices=["publish", "publish without translations", "drop"],
                reason="notes are public, and can't be taken back",
            )
        if answer == "drop":
            await ctx.skip_phase("translate", "the notes were dropped")
            ctx.set_summary("the notes were dropped")
            return {"published": False}
        if answer == "publish":
            async with ctx.phase("translate", concurrency=2):
                texts = [{"language": language, "text": draft["text"]} for language in _LANGUAGES]
                await ctx.map("translator", texts)
        else:
            await ctx.skip_phase("translate", "published in one language")
        ctx.set_summary(f"the notes of {input['release']} are published")
        return {"published": True, "languages": ["en", *(_LANGUAGES if answer == "publish" else ())]}
