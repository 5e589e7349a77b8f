"""A workflow of parallel agents, one of which fails. The second try runs that one again, and nothing else.

python examples/resume_after_failure.py     in an empty folder; then: runstone runs tree review
"""

import asyncio
from typing import Any

import runstone

CALLS: list[str] = []


@runstone.agent("reviewer", version="1")
async def review(ctx: Any, name: str) -> str:
    CALLS.append(name)
    if name == "b.py" and CALLS.count(name) == 1:
        raise RuntimeError("b.py can't be read today")
    ctx.emit("log.written", {"message": f"read {name}"})
    return f"{name} is fine"


@runstone.workflow("review", version="1")
async def review_all(ctx: Any, names: list[str]) -> list[str]:
    async with ctx.phase("read", concurrency=2):
        found: list[str] = await ctx.map("reviewer", names)
    return found


def main() -> None:
    names = ["a.py", "b.py", "c.py"]
    with runstone.open() as ledger:
        try:
            asyncio.run(runstone.run("review", names, ledger=ledger, run_id="review"))
        except runstone.RunFailed as error:
            print(f"first try: {error}")
        result = asyncio.run(runstone.resume("review", ledger=ledger))
    assert sorted(CALLS) == ["a.py", "b.py", "b.py", "c.py"]
    print(f"second try: {result}; called: {CALLS}")


if __name__ == "__main__":
    main()
