"""The watcher of a background command: claims its run, takes its output over, and says what it came to.

It may be killed at any moment: the next one finds in the ledger and in the run's folder all that it needs. What only
the keeper can do (starting the command, seeing its exit code) it asks of the keeper.
"""

import threading
from typing import Any, Final

import msgspec

from runstone.domain import codec
from runstone.domain.inputs import InputRequest
from runstone.domain.records import ProcessRecord
from runstone.engine.background.channel import Channel, KeeperGone
from runstone.engine.background.folder import ExecFolder, Exit, Launch
from runstone.engine.background.follow import Follow, Followed
from runstone.engine.background.intake import Completion, Intake
from runstone.engine.background.leftovers import take_leftovers
from runstone.engine.background.outcomes import UNSEEN, error_payload, failure
from runstone.engine.background.replies import Replies, going_on
from runstone.engine.background.restarts import Restart
from runstone.engine.background.standing import Adopt, Begin, Busy, Later, look
from runstone.engine.core import Core
from runstone.engine.groups import end_group
from runstone.engine.handle import RunHandle, why
from runstone.engine.liveness import identity_of
from runstone.engine.processes import identify
from runstone.engine.supervisor import Supervisor
from runstone.errors import CommandError, Fenced, IllegalTransition, RunIsLive
from runstone.store import questions
from runstone.store.blobs import pack
from runstone.store.writes.journal import EndProcess, StartProcess
from runstone.store.writes.lifecycle import ClaimRun, ParkRun, ResumeRun
from runstone.store.writes.outputs import CommandEnd, EndCommand, NoteCommandEnd

_LOOK_S: Final = 1.0
_READY: Final = frozenset({"pending", "interrupted"})
_SUMMARY_BYTES: Final = 500


class Watcher:
    """Watches one run until nothing is left to do."""

    def __init__(self, core: Core, supervisor: Supervisor, run_id: str, channel: Channel) -> None:
        assert core.folder is not None
        self.core = core
        self.supervisor = supervisor
        self.run_id = run_id
        self.channel = channel
        self.folder = ExecFolder(core.folder, run_id)
        self._kept: int | None = None
        """The attempt whose command our keeper has started, and waits for."""
        self._gated = False
        """Whether that command still waits behind its gate."""

    def run(self) -> bool:
        """Until nothing is left to do; False if somebody else has the run. Raises `KeeperGone`, `StoreError`."""
        hello = self.channel.ask("hello")
        if hello is not None:
            self._kept, self._gated = hello["launch"], not hello["opened"]
        while True:
            standing = look(self.core, self.run_id, self.folder, self._kept)
            if isinstance(standing, Busy):
                return self._kept is None  # a keeper that keeps nothing is not needed beside another one
            if isinstance(standing, Later):
                self._wait_until_due(standing)
            elif isinstance(standing, Adopt | Begin):
                try:
                    concluded = (
                        self._go_on(standing.process)
                        if isinstance(standing, Adopt)
                        else self._begin(standing)
                    )
                except (RunIsLive, IllegalTransition):
                    continue  # another claimer won, or it was stopped meanwhile
                if not concluded:
                    return False
                run = self.core.reader.runs.get(self.run_id)
                if run.status != "waiting":  # what is interrupted now is a person's to resume
                    self._tidy(run.status)
                    return True
            else:
                self._tidy(standing.run.status)
                return True

    def _wait_until_due(self, standing: Later) -> None:
        """Until the restart is due; a stop ends the waiting at once, as the status says."""
        changed = threading.Event()
        number = self.core.signals.subscribe(self.run_id, changed.set)
        try:
            while self.core.reader.runs.get(self.run_id).status == "waiting":
                wake_at = standing.run.wake_at
                left = 0.0 if wake_at is None else wake_at.timestamp() - self.core.now() / 1e6
                if left <= 0:
                    expect = frozenset({"waiting"})
                    self.core.submit(
                        ResumeRun(self.run_id, "restarted by its policy", expect=expect), []
                    ).result()
                    return
                self.channel.require()  # a restart that nobody is left to make is not waited for
                changed.wait(min(left, _LOOK_S))
                changed.clear()
        finally:
            self.core.signals.unsubscribe(number)

    # --- one attempt ---------------------------------------------------------------------------------------------

    def _begin(self, standing: Begin) -> bool:
        """Starts the command as the next attempt, behind its gate until its process is in the ledger."""
        self.channel.require()
        for process in standing.gone:
            self._end(process)
            self.core.submit(EndProcess(self.run_id, process.attempt, process.pgid, None, None), []).result()
        handle = self._claim(
            ClaimRun(self.run_id, self.supervisor.owner, expect=_READY, reason="started again")
        )
        try:
            take_leftovers(self.core, self.run_id, attempt=handle.attempt)
            told = going_on(self.core.reader, self.run_id) if handle.attempt > 1 else None
            self.folder.write_going_on(
                None if told is None else codec.encode({"attempt": handle.attempt, **told})
            )
            process = self._start(handle)
        except KeeperGone as error:
            handle.interrupt(str(error))
            raise
        return self._follow(handle, process)

    def _start(self, handle: RunHandle) -> ProcessRecord:
        pid = self.channel.ask("pid", start=handle.attempt)
        leader = identify(pid) if pid else None
        if leader is None:
            raise KeeperGone("the keeper could not start the command")
        command = self.core.redactor.value(self._launch().arguments)
        start = StartProcess(self.run_id, handle.attempt, pid, msgspec.to_builtins(leader), command)
        self.core.submit(start, []).result()
        self._kept, self._gated = handle.attempt, True
        return self.core.reader.attempts.processes(self.run_id)[-1]

    def _go_on(self, process: ProcessRecord) -> bool:
        """Adopts the command of an earlier attempt: it is not touched, and its output is gone on with."""
        claim = ClaimRun(
            self.run_id, self.supervisor.owner, expect=_READY, reason="its command is watched again",
            payload={"adopted": process.pgid}, adopts=True,
        )  # fmt: skip
        handle = self._claim(claim)
        for order in self.core.reader.commands.open():
            if order.run_id == self.run_id and order.verb == "stop":
                handle._stop(order)  # the watcher before this one had acknowledged it
        return self._follow(handle, process, adopted=True)

    def _claim(self, claim: ClaimRun) -> RunHandle:
        head = self.core.submit(claim, []).result().head
        return RunHandle(self.core, self.supervisor, self.run_id, head.attempt)

    def _follow(self, handle: RunHandle, process: ProcessRecord, *, adopted: bool = False) -> bool:
        """To the end of the attempt; False if it was taken over by another owner."""
        leader = identity_of(process.identity)
        assert leader is not None
        launch = self._launch()
        if self._gated and self._kept == process.attempt:
            self.channel.say(open=process.attempt)
            self._gated = False
        intake = Intake(
            self.core,
            self.folder,
            self.run_id,
            attempt=handle.attempt,
            launch=process.attempt,
        )
        if adopted:
            intake.recall()
        follow = Follow(
            handle, intake, process, leader, channel=self.channel, folder=self.folder,
            ours=self._kept == process.attempt, timeout_s=launch.timeout_s,
            replies=Replies(
                self.core.reader, self.folder.path / f"{process.attempt}.replies", self.run_id, process.attempt
            ),
        )  # fmt: skip
        try:
            followed = follow.run()
            if followed is None:
                return False
            _Conclusion(self, handle, intake, launch, process).write(followed)
        except Fenced:
            return False
        finally:
            intake.close()
        self._kept = None
        self.folder.clear(process.attempt)
        return True

    @staticmethod
    def _end(process: ProcessRecord) -> None:
        leader = identity_of(process.identity)
        if leader is not None:
            end_group(leader, grace_s=0)

    def _launch(self) -> Launch:
        launch = self.folder.launch()
        if launch is None:
            raise KeeperGone(f"{self.folder.path} does not say any more what was started")
        return launch

    def _tidy(self, status: str) -> None:
        take_leftovers(self.core, self.run_id)
        if status == "completed":
            self.folder.remove()


class _Conclusion:
    """What a run has come to, written in one transaction with the end of its process."""

    def __init__(
        self, watcher: Watcher, handle: RunHandle, intake: Intake, launch: Launch, process: ProcessRecord
    ) -> None:
        self._core = watcher.core
        self._handle = handle
        self._intake = intake
        self._launch = launch
        self._process = process

    def write(self, followed: Followed) -> None:
        """Raises `Fenced` if another owner has the run."""
        end = followed.end
        noted = self._noted(end or Exit())
        if self._handle.stop_ordered:
            order = self._handle._stop_order
            return self._end(
                "run.cancelled", {"reason": why(order) if order is not None else "stopped"}, noted
            )
        if end is None:
            self._core.submit(EndProcess(self._handle.id, noted.launch, noted.pgid, None, None), []).result()
            return self._handle.interrupt(UNSEEN)
        error = failure(self._launch, end, timed_out=followed.timed_out, errors=str(self._intake.errors))
        if error is None and self._intake.completion is None and (asked := self._asked()):
            return self._park(asked, noted)
        if error is None:
            return self._complete(noted)
        tries = sum(1 for one in self._core.reader.attempts.of(self._handle.id) if one.outcome == "failed")
        delay_s = Restart.of(self._launch.restart).delay_after(tries + 1)
        if delay_s is None or end.failed_at is not None:
            return self._end(
                "run.failed", {"error": error_payload(error, self._core.redactor), **self._summary()}, noted
            )
        return self._restart(error, delay_s, noted)

    def _asked(self) -> list[InputRequest]:
        """Open questions: a command that ends well, leaves some and has not said that it is done, waits for them."""
        found = questions.page(self._core.reader, status="open", run_id=self._handle.id, after=0, limit=1_000)
        return [one for one, _ in found]

    def _park(self, asked: list[InputRequest], noted: CommandEnd) -> None:
        """The run waits for its answers without a process; one that came in this moment starts the command again."""
        handle, extra = self._handle, NoteCommandEnd(self._handle.id, noted)
        reason = codec.clip(asked[0].message, 300) if len(asked) == 1 else f"{len(asked)} questions"
        ids = [one.id for one in asked]
        handle.left()
        waits = ParkRun(
            handle.id, handle.attempt, "run.awaited", {"reason": reason}, questions=ids, extra=extra
        )
        if not self._core.submit(waits, []).result():
            soon = {"reason": "answered", "wake_at": self._core.now()}
            self._core.submit(
                ParkRun(handle.id, handle.attempt, "run.waiting", soon, extra=extra), []
            ).result()

    def _complete(self, noted: CommandEnd) -> None:
        told = self._intake.completion or Completion(None, None)
        result = {"exit_code": 0} if told.result is None else told.result
        self._end("run.completed", self._summary(), noted, result)

    def _summary(self) -> dict[str, Any]:
        told = self._intake.completion.summary if self._intake.completion is not None else None
        last = self._intake.last_line
        summary = told or (codec.clip(last.strip(), _SUMMARY_BYTES) if last else None)
        return {} if summary is None else {"summary": summary}

    def _restart(self, error: CommandError, delay_s: float, noted: CommandEnd) -> None:
        payload = {
            "reason": codec.clip(self._core.redactor.text(f"restarts in {delay_s:g} s: {error}"), 1_000),
            "error": error_payload(error, self._core.redactor),
            "wake_at": self._core.now() + int(delay_s * 1e6),
        }
        handle = self._handle
        extra = NoteCommandEnd(handle.id, noted)
        handle.left()
        self._core.submit(
            ParkRun(handle.id, handle.attempt, "run.waiting", payload, extra=extra), []
        ).result()

    def _noted(self, end: Exit) -> CommandEnd:
        ran = end.failed_at is None
        return CommandEnd(
            launch=self._process.attempt,
            pgid=self._process.pgid,
            exit_code=end.exit_code if ran else None,
            signal=end.signal,
            usage=end.usage(),
        )

    def _end(self, event_type: str, payload: dict[str, Any], noted: CommandEnd, result: Any = None) -> None:
        handle = self._handle
        blob = None if result is None else pack(codec.encode(result))
        handle._end(EndCommand(handle.id, handle.attempt, event_type, payload, noted, blob=blob)).result()
