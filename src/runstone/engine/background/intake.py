"""What a command said, on its way into the ledger: plain lines as messages, lines of the protocol as what they mean.

All that was read together is stored in one transaction with the offsets behind it. Text passes the redactor.
"""

import shutil
from typing import Any, Final, NamedTuple

from runstone.domain import codec, lines
from runstone.domain.events import check_emit
from runstone.domain.inputs import without_secrets
from runstone.domain.lines import (
    AskLine,
    CheckpointLine,
    CompleteLine,
    EmitLine,
    Line,
    MessageLine,
    UpdateLine,
    UsageLine,
)
from runstone.domain.redaction import Lines
from runstone.domain.state import Saved
from runstone.engine import prices
from runstone.engine.background.folder import STREAMS, ExecFolder
from runstone.engine.background.spool import Heard, Spool
from runstone.engine.command_output import Tail
from runstone.engine.core import Core
from runstone.errors import InvalidLine, RunstoneError, StoreError
from runstone.store.base import Write
from runstone.store.writes.checkpoints import SaveCheckpoint
from runstone.store.writes.events import Append, AppendMessages, NewEvent, NewMessage
from runstone.store.writes.inputs import AskInput
from runstone.store.writes.lifecycle import RecordEvents, UpdateRun
from runstone.store.writes.outputs import Taken, TakeOutput

ROLE: Final = "output"
MESSAGE_BYTES: Final = 4_000
"""Lines that were read together make one message up to this size: it fits the row, so that no blob is written."""

_LATE_BYTES: Final = 1024**3
"""So much that waits to be taken over, or so little room on the disk while something waits, is worth a word."""

_RECALLED: Final = 50
"""Messages that are looked through for the last lines of a command that is adopted."""


class Completion(NamedTuple):
    """What a `complete` line said."""

    summary: str | None
    result: Any


class _Count:
    """How much of a stream was taken over."""

    __slots__ = ("broken", "cut", "lines")

    def __init__(self, taken: int = 0, broken: int = 0, cut: bool = False) -> None:
        self.lines = taken
        self.broken = broken
        self.cut = cut


class Intake:
    """The output of one command on its way in. Used by one thread.

    `attempt` is the fence, None for one who does not own the run; `launch` the attempt that started the command.
    """

    def __init__(
        self,
        core: Core,
        folder: ExecFolder,
        run_id: str,
        *,
        attempt: int | None,
        launch: int,
    ) -> None:
        self.core = core
        self.run_id = run_id
        self.attempt = attempt
        self.launch = launch
        self.errors = Tail()
        """The last lines of stderr."""
        self.last_line: str | None = None
        self.completion: Completion | None = None
        self._cleaners = {name: Lines(core.redactor) for name in STREAMS}
        self._thread = core.reader.runs.get(run_id).worker_thread_id or f"{run_id}.thread"
        self._saved: Saved | None = None
        self._tools: dict[str, str] = {}
        self._spools = {name: Spool(folder.spool(launch, name), name, core.redactor.text) for name in STREAMS}
        self._counts = {name: _Count() for name in STREAMS}
        self._folder = folder
        self._warned = False
        self._rewind()

    def recall(self) -> None:
        """What the watchers before this one had heard that its end is told with."""
        last = self.core.reader.events.last_of(self.run_id, "output.completed", self.launch)
        if last is not None:
            kept = self._folder.completed(self.launch)
            result = last.get("result") if kept is None else codec.decode(kept)
            self.completion = Completion(last.get("summary"), result)
        for message in self.core.reader.threads.last_messages(self._thread, _RECALLED):
            texts = (message.text or "").split("\n")
            if isinstance(message.extra, dict) and message.extra.get("stream") == "stderr":
                self.errors.add(texts)
            elif message.role == ROLE:
                self.last_line = next((text for text in reversed(texts) if text.strip()), self.last_line)

    def take(self) -> int:
        """Takes over what there is to read now; gives the bytes. Raises what the ledger says to it."""
        heard = [(spool, found) for spool in self._spools.values() if (found := spool.read()) is not None]
        return self._store(heard)

    def take_all(self) -> None:
        """Takes over all that is left; for when nobody writes any more."""
        while self.take():
            continue
        self._store(
            [(spool, found) for spool in self._spools.values() if (found := spool.finish()) is not None]
        )

    @property
    def backlog(self) -> int:
        """Bytes that were printed and are not in the ledger."""
        return sum(spool.backlog for spool in self._spools.values())

    def warn(self) -> None:
        """Says once that much of what was printed is not in the ledger, or that the disk is nearly full meanwhile."""
        late = self.backlog
        if self._warned or late < _LATE_BYTES // 64:
            return
        free = shutil.disk_usage(self._folder.path).free
        if late < _LATE_BYTES and free > _LATE_BYTES:
            return
        self._warned = True
        told = [("output.late", {"bytes": late, "free_bytes": free}, 2)]
        self.core.submit(RecordEvents(self.run_id, self.attempt, told), []).result()

    def close(self) -> None:
        """Closes the files."""
        for spool in self._spools.values():
            spool.close()

    def _store(self, heard: list[tuple[Spool, Heard]]) -> int:
        taken = sum(max(0, found.end - found.start) for _, found in heard)
        heard = [(spool, found) for spool, found in heard if found.texts]
        if not heard:
            return taken
        parts = _Parts(self)
        moved = []
        for spool, found in heard:
            before = self._counts[spool.stream]
            after = _Count(before.lines, before.broken, spool.cut)
            parts.add(spool.stream, found.texts, after)
            moved.append((spool, found.end, after))
        parts.finish([spool for spool, _ in heard if spool.cut and not self._counts[spool.stream].cut])
        moves = [
            Taken(
                stream=s.stream,
                expected=s.offset,
                offset=end,
                lines=after.lines,
                broken=after.broken,
                cut=s.cut,
            )
            for s, end, after in moved
        ]
        try:
            self.core.submit(
                TakeOutput(self.run_id, self.attempt, self.launch, moves, parts.writes), []
            ).result()
        except RunstoneError:
            self._rewind()  # it may be stored all the same
            raise
        for spool, end, after in moved:
            spool.taken(end)
            self._counts[spool.stream] = after
        self._saved = parts.saved or self._saved
        return taken

    def _rewind(self) -> None:
        """Goes on from what the ledger has."""
        self._saved = None
        outputs = self.core.reader.attempts.outputs(self.run_id)
        known = {output.stream: output for output in outputs if output.attempt == self.launch}
        for name, spool in self._spools.items():
            have = known.get(name)
            spool.rewind(have.offset if have else 0, cut=have is not None and have.cut)
            self._counts[name] = _Count(have.lines, have.broken, have.cut) if have else _Count()

    def state(self) -> Saved:
        """What the last checkpoint of the run holds."""
        if self._saved is None:
            self._saved = self.core.reader.states.load(self.run_id)[1]
        return self._saved


class _Parts:
    """The writes of one transaction, in the order in which the lines came."""

    def __init__(self, intake: Intake) -> None:
        self.writes: list[Write] = []
        self.saved: Saved | None = None
        self._intake = intake
        self._now = intake.core.now()
        self._messages: list[NewMessage] = []
        self._texts: list[str] = []
        self._bytes = 0
        self._first = 0
        self._stream = ""
        self._broken_first: str | None = None

    def add(self, stream: str, texts: list[str], count: _Count) -> None:
        """Lines of one stream."""
        self._stream = stream
        for text in texts:
            count.lines += 1
            if text[:1] == "{" or stream == "protocol":
                try:
                    line = lines.parse(text)
                    if line is not None and self._apply(line):
                        continue
                except InvalidLine as error:
                    count.broken += 1
                    if count.broken == 1:
                        self._event(
                            "output.broken",
                            {
                                "stream": stream,
                                "line": count.lines,
                                "reason": self._intake.core.redactor.text(str(error))[:500],
                            },
                        )
            self._text(text, count.lines)
        self._end_group()

    def finish(self, cut: list[Spool]) -> None:
        """The last of it."""
        for spool in cut:
            self._event("output.cut", {"stream": spool.stream})
        self._end_messages()

    def _text(self, text: str, number: int) -> None:
        text = self._intake._cleaners[self._stream](text)
        if self._stream == "stderr":
            self._intake.errors.add([text])
        elif text.strip():
            self._intake.last_line = text
        size = len(text.encode("utf-8", "replace")) + 1
        if self._texts and self._bytes + size > MESSAGE_BYTES:
            self._end_group()
        if not self._texts:
            self._first = number
        self._texts.append(text)
        self._bytes += size

    def _end_group(self) -> None:
        if not self._texts:
            return
        extra = {"stream": self._stream, "first_line": self._first, "lines": len(self._texts)}
        self._messages.append(NewMessage(ROLE, "\n".join(self._texts), self._now, codec.encode(extra)))
        self._texts, self._bytes = [], 0

    def _end_messages(self) -> None:
        self._end_group()
        if self._messages:
            intake = self._intake
            self.writes.append(
                AppendMessages(
                    intake._thread, self._messages, run_id=intake.run_id, attempt=intake.attempt, worker=True
                )
            )
            self._messages = []

    def _event(self, kind: str, payload: dict[str, Any], importance: int = 2) -> None:
        self.writes.append(
            RecordEvents(self._intake.run_id, self._intake.attempt, [(kind, payload, importance)])
        )

    def _apply(self, line: Line) -> bool:
        """Does what a line of the protocol says; False where it can only be kept as text."""
        intake, run_id, attempt = self._intake, self._intake.run_id, self._intake.attempt
        redactor = intake.core.redactor
        if isinstance(line, MessageLine):
            self._end_group()
            extra = None if line.extra is None else redactor.json(codec.encode(line.extra))
            text = redactor.text(line.text)
            self._messages.append(NewMessage(line.role, text, self._now, extra))
            return True
        if isinstance(line, CheckpointLine | AskLine) and attempt is None:
            return False  # only an owner has a state, and can be answered
        self._end_messages()
        if isinstance(line, EmitLine):
            self.writes.append(Append(run_id, attempt, [self._emitted(line)]))
        elif isinstance(line, UsageLine):
            usage = line.report(intake.core.new_id(), self._now)
            self.writes.append(prices.report(run_id, attempt, usage, new_id=line.request_id is None))
        elif isinstance(line, CheckpointLine) and attempt is not None:
            self._checkpoint(line, attempt)
        elif isinstance(line, UpdateLine):
            title = None if line.title is None else intake.core.clean("title", line.title)
            told = {"title": title, "labels": line.labels and intake.core.clean_labels(line.labels)}
            changes = {name: value for name, value in told.items() if value is not None}
            self.writes.append(UpdateRun(run_id, changes, attempt))
        elif isinstance(line, CompleteLine):
            summary = None if line.summary is None else codec.clip(redactor.text(line.summary))
            # The event is what people see; the result stays as given. It is written first: a watcher that dies in
            # between leaves the line to the next one, who writes it again.
            intake._folder.write_completed(intake.launch, codec.encode(line.result))
            self._event("output.completed", {"summary": summary, "result": redactor.value(line.result)}, 0)
            intake.completion = Completion(summary, line.result)
        elif isinstance(line, AskLine):
            return self._ask(line)
        return True

    def _emitted(self, line: EmitLine) -> NewEvent:
        level = check_emit(line.type, line.body) if line.importance is None else line.importance
        tool, data = None, codec.encode(line.body)
        clean = self._intake.core.redactor.json(data)
        body = line.body if clean is data else codec.decode(clean)
        if line.type == "tool.started":
            self._intake._tools[body["call_id"]] = body["tool"]
        elif line.type == "tool.completed":
            started = self._intake._tools.pop(body["call_id"], None)
            name = codec.row_text(str(body.get("tool") or started or "unknown")[:200])
            tool = (name, body.get("ok") is False)
        key = None if line.key is None else codec.row_text(line.key)
        return NewEvent(line.type, clean, level, self._now, key, tool)

    def _checkpoint(self, line: CheckpointLine, attempt: int) -> None:
        before = self.saved or self._intake.state()
        places, after = before.changes(line.state) if line.append is None else before.appended(line.append)
        label = None if line.label is None else self._intake.core.clean("label", line.label)
        write = SaveCheckpoint(self._intake.run_id, attempt, places, label=label, after=before.number)
        self.writes.append(write)
        self.saved = after
        self._intake.core.retained(self._intake.run_id, after.number)

    def _ask(self, line: AskLine) -> bool:
        """Asks before the line counts as read: asked again after a kill, it is the same question."""
        intake = self._intake
        try:
            question = without_secrets(line.question(self._now), intake.core.redactor.text)
            intake.core.submit(AskInput(intake.run_id, None, question, intake.core.new_id()), []).result()
        except StoreError:
            raise
        except RunstoneError as error:
            raise InvalidLine(f"ask: {error}") from error
        return True
