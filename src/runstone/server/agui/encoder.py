"""Events of a run into AG-UI events. Pure: it is given what it needs of the ledger, and keeps what is open.

Each attempt is a run of AG-UI's: RUN_STARTED, then RUN_FINISHED or RUN_ERROR. A run that waits for children or a timer
goes on; one that waits for a person, or is paused, finishes with the outcome `interrupt`. What has no event of its own
there is a CUSTOM event with the name and the payload that it has in the ledger.
"""

from typing import Any, Final

from runstone.domain import codec
from runstone.domain.records import AgentRun, Message, RunEvent

Encoded = dict[str, Any]

_ROLES: Final = frozenset({"developer", "system", "assistant", "user"})
_SILENT: Final = frozenset({"run.created", "run.resumed", "run.updated", "usage.reported", "usage.repriced"})
"""What says nothing that the other events do not."""


class Encoder:
    """Encodes one run, event by event in their order."""

    def __init__(self, run: AgentRun) -> None:
        self._run = run
        self._thread_id = run.parent_thread_id or f"{run.id}.thread"
        self.active = False
        """Whether a run of AG-UI's is open: after its end nothing may come but the start of the next one."""
        self._steps: list[str] = []
        self._children: dict[str, str] = {}
        self._invocations: dict[str, int] = {}
        self._usage: dict[tuple[str, str], dict[str, int]] = {}
        self._questions: dict[str, Encoded] = {}
        self._calls: dict[str, int] = {}

    # --- events --------------------------------------------------------------------------------------------------

    def event(
        self, event: RunEvent, messages: list[Message] | None = None, result: Any = None
    ) -> list[Encoded]:
        """What an event becomes. `messages` are those that a `message.appended` tells of, `result` that of the run."""
        payload = event.payload if isinstance(event.payload, dict) else {}
        self._note(event.type, payload)
        found = self._end(event.type, payload, result) if event.type.startswith("run.") else None
        if found is None and event.type == "run.started":
            found = self._start()
        if found is None:
            if not self.active:
                return []
            found = self._inside(event, payload, messages or [])
        at = int(event.timestamp.timestamp() * 1000)
        return [{**one, "timestamp": at} for one in found]

    def _note(self, kind: str, payload: Encoded) -> None:
        """What later events are put together from."""
        if kind == "usage.reported":
            key = (payload.get("provider", ""), payload.get("model", ""))
            sums = self._usage.setdefault(key, {})
            for name, value in payload.items():
                if name.endswith("_tokens"):
                    sums[name] = sums.get(name, 0) + value
        elif kind == "input.requested":
            self._questions[payload["input_id"]] = interrupt(payload)
        elif kind in ("input.answered", "input.expired", "input.withdrawn"):
            self._questions.pop(payload.get("input_id", ""), None)

    def _start(self) -> list[Encoded]:
        if self.active:  # it was parked for children or a timer, and goes on
            return [{"type": "CUSTOM", "name": "run.started", "value": None}]
        self.active = True
        self._steps, self._children, self._invocations, self._calls = [], {}, {}, {}
        started: Encoded = {"type": "RUN_STARTED", "threadId": self._thread_id, "runId": self._run.id}
        if self._run.parent_run_id is not None:
            started["parentRunId"] = self._run.parent_run_id
        return [started]

    def _end(self, kind: str, payload: Encoded, result: Any) -> list[Encoded] | None:
        """The end of a run, with its start where it never began; None for another event."""
        if kind not in (
            "run.completed",
            "run.failed",
            "run.cancelled",
            "run.interrupted",
            "run.awaited",
            "run.paused",
        ):
            return None
        begin = [] if self.active else self._start()
        reason = str(payload.get("reason") or "")
        if kind == "run.completed":
            shown = result if result is not None else payload.get("summary")
            return [*begin, *self.finish({"type": "success"}, shown)]
        if kind == "run.cancelled":
            return [*begin, *self.finish({"type": "cancelled"})]
        if kind == "run.awaited":
            return [*begin, *self.interrupted(list(self._questions.values()))]
        if kind == "run.paused":
            paused = {
                "id": f"{self._run.id}:paused",
                "reason": "runstone:paused",
                "message": reason or "paused",
            }
            return [*begin, *self.interrupted([paused])]
        error = payload.get("error") or {}
        if kind == "run.interrupted":
            return [*begin, *self.fail(reason or "its owner is gone", "interrupted")]
        return [*begin, *self.fail(str(error.get("message") or "failed"), str(error.get("code") or "error"))]

    # --- ends ----------------------------------------------------------------------------------------------------

    def finish(self, outcome: Encoded, result: Any = None) -> list[Encoded]:
        """Closes what is open, and the run."""
        self.active = False
        closing: list[Encoded] = [
            {"type": "STEP_FINISHED", "stepName": name} for name in reversed(self._steps)
        ]
        closing += [
            {"type": "SUBAGENT_FINISHED", "subagentRunId": one, "outcome": {"type": "suspended"}}
            for one in self._children.values()
        ]
        ended: Encoded = {
            "type": "RUN_FINISHED",
            "threadId": self._thread_id,
            "runId": self._run.id,
            "outcome": outcome,
        }
        if result is not None:
            ended["result"] = result
        return [*closing, {**ended, "usage": self._spent()}]

    def interrupted(self, interrupts: list[Encoded]) -> list[Encoded]:
        """The run waits for a person."""
        return self.finish({"type": "interrupt", "interrupts": interrupts})

    def fail(self, message: str, code: str) -> list[Encoded]:
        """The run ended with an error."""
        self.active = False
        return [{"type": "RUN_ERROR", "message": message, "code": code}]

    def _spent(self) -> list[Encoded]:
        """Tokens by provider and model; the input counts what was cached, as it does there."""
        found = []
        for (provider, model), sums in self._usage.items():
            read, written = sums.get("cache_read_tokens", 0), sums.get("cache_write_tokens", 0)
            whole, output = sums.get("input_tokens", 0) + read + written, sums.get("output_tokens", 0)
            found.append({
                "provider": provider, "model": model, "inputTokens": whole, "outputTokens": output,
                "totalTokens": whole + output, "reasoningTokens": sums.get("reasoning_tokens", 0),
                "cachedInputTokens": read, "cacheWriteInputTokens": written,
            })  # fmt: skip
        return found

    # --- between start and end -----------------------------------------------------------------------------------

    def _inside(self, event: RunEvent, payload: Encoded, messages: list[Message]) -> list[Encoded]:
        kind = event.type
        if kind in _SILENT:
            return []
        if kind == "message.appended":
            return [one for message in messages for one in text_message(message)]
        if kind.startswith("phase."):
            return self._phase(kind, payload)
        if kind == "step.completed":
            return self._step(str(payload.get("name") or "step"))
        if kind == "tool.started":
            return self._tool(payload)
        if kind == "tool.completed":
            return self._tool_result(payload)
        if kind.startswith("child."):
            return self._child(kind, payload)
        return [{"type": "CUSTOM", "name": kind, "value": event.payload}]

    def _phase(self, kind: str, payload: Encoded) -> list[Encoded]:
        name = str(payload.get("phase") or "phase")
        if kind == "phase.started" and name not in self._steps:
            self._steps.append(name)
            return [{"type": "STEP_STARTED", "stepName": name}]
        if kind in ("phase.completed", "phase.failed") and name in self._steps:
            self._steps.remove(name)
            return [{"type": "STEP_FINISHED", "stepName": name}]
        return [{"type": "CUSTOM", "name": kind, "value": payload}]

    def _step(self, name: str) -> list[Encoded]:
        """A step is told of when it is done: it begins and ends here."""
        if name in self._steps:
            return [{"type": "CUSTOM", "name": "step.completed", "value": {"name": name}}]
        return [{"type": "STEP_STARTED", "stepName": name}, {"type": "STEP_FINISHED", "stepName": name}]

    def _tool(self, payload: Encoded) -> list[Encoded]:
        """A call: its arguments are known as it begins, so that it is whole at once, and open until its result."""
        call, name = str(payload["call_id"]), str(payload["tool"])
        self._calls[call] = self._calls.get(call, 0) + 1
        found: list[Encoded] = [{"type": "TOOL_CALL_START", "toolCallId": call, "toolCallName": name}]
        if "arguments" in payload:
            text = codec.encode(payload["arguments"]).decode()
            found.append({"type": "TOOL_CALL_ARGS", "toolCallId": call, "delta": text})
        return [*found, {"type": "TOOL_CALL_END", "toolCallId": call}]

    def _tool_result(self, payload: Encoded) -> list[Encoded]:
        call = str(payload["call_id"])
        begun: list[Encoded] = []
        if call not in self._calls:  # it began in an attempt before, or nobody told
            begun = self._tool({"call_id": call, "tool": payload.get("tool") or "tool"})
        text = payload.get("error") or payload.get("output")
        if text is None:
            text = f"{payload['output_chars']} characters" if "output_chars" in payload else "done"
        text = text if isinstance(text, str) else codec.encode(text).decode()
        message = f"{call}.result" if self._calls[call] == 1 else f"{call}.result.{self._calls[call]}"
        return [*begun, {
            "type": "TOOL_CALL_RESULT", "messageId": message, "toolCallId": call, "content": text, "role": "tool"
        }]  # fmt: skip

    def _child(self, kind: str, payload: Encoded) -> list[Encoded]:
        child = str(payload.get("child_run_id") or "")
        if kind == "child.started":
            return self._begin(child, payload.get("agent_id"))
        if kind == "child.reused":
            return [*self._begin(child, None), *self._leave(child, "completed"),
                    {"type": "CUSTOM", "name": kind, "value": payload}]  # fmt: skip
        if kind == "child.completed":
            begun = [] if child in self._children else self._begin(child, None)
            return [*begun, *self._leave(child, str(payload.get("status")))]
        return [{"type": "CUSTOM", "name": kind, "value": payload}]

    def _begin(self, child: str, agent_id: Any) -> list[Encoded]:
        """A sub-agent starts; a second time it is another invocation, as ids are not given twice."""
        if child in self._children:
            return []
        number = self._invocations[child] = self._invocations.get(child, 0) + 1
        name = self._children[child] = child if number == 1 else f"{child}#{number}"
        return [{"type": "SUBAGENT_STARTED", "subagentRunId": name, "name": str(agent_id or "agent")}]

    def _leave(self, child: str, status: str) -> list[Encoded]:
        name = self._children.pop(child)
        if status == "completed":
            return [{"type": "SUBAGENT_FINISHED", "subagentRunId": name, "outcome": {"type": "success"}}]
        return [
            {"type": "SUBAGENT_ERROR", "subagentRunId": name, "message": f"the run {status}", "code": status}
        ]


def text_message(message: Message) -> list[Encoded]:
    """A message that was said. A role that AG-UI does not have (a command's output) is told under its name."""
    if message.role not in _ROLES:
        value = {"id": message.id, "role": message.role, "text": message.text}
        return [{"type": "CUSTOM", "name": "message.appended", "value": value}]
    start: Encoded = {"type": "TEXT_MESSAGE_START", "messageId": message.id, "role": message.role}
    said = (
        [{"type": "TEXT_MESSAGE_CONTENT", "messageId": message.id, "delta": message.text}]
        if message.text
        else []
    )
    return [start, *said, {"type": "TEXT_MESSAGE_END", "messageId": message.id}]


def snapshot(messages: list[Message]) -> Encoded:
    """All that was said so far, as far as AG-UI has roles for it."""
    said = [
        {"id": message.id, "role": message.role, "content": message.text}
        for message in messages
        if message.role in _ROLES
    ]
    return {"type": "MESSAGES_SNAPSHOT", "messages": said}


def interrupt(question: Encoded) -> Encoded:
    """A question as AG-UI has it, from the event that asks it."""
    found: Encoded = {
        "id": question["input_id"],
        "reason": "input_required",
        "message": question.get("message") or "",
    }
    if question.get("choices") is not None:
        found["metadata"] = {"choices": question["choices"]}
    return found
