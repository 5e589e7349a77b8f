"""An agent loop of your own, recorded: iterations, tool calls, tokens, checkpoints and the result.

python examples/own_loop.py     then: runstone runs list
"""

import runstone

QUESTIONS = ["What changed?", "Who changed it?"]


def main() -> None:
    with (
        runstone.open() as ledger,
        ledger.start_run(kind="subagent", agent_id="historian", title="Two questions") as run,
    ):
        answers: list[str] = []
        for n, question in enumerate(QUESTIONS, 1):
            run.emit("iteration.started", {"n": n})
            run.emit("tool.started", {"tool": "search", "call_id": f"call-{n}"})
            answers.append(question.lower().rstrip("?"))  # where your loop would call a model
            run.emit("tool.completed", {"call_id": f"call-{n}", "ok": True})
            run.usage(provider="none", model="none", input_tokens=10, output_tokens=5, request_id=f"req-{n}")
            run.message("assistant", answers[-1])
            run.checkpoint({"answers": answers}, label=f"after question {n}")
        run.complete(summary=f"{len(answers)} answers", result=answers)
        print(f"{run.run_id}: {len(answers)} answers")


if __name__ == "__main__":
    main()
