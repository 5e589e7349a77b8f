"""Who is alive is decided by a clock that the test moves: sleep, jumps, stopped owners, restarts, and lost handles."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import runstone
from runstone.domain import codec
from runstone.domain.dispatches import OPTION, Placement
from runstone.engine.processes import identify_self
from runstone.errors import Fenced, StoreBusy, StoreIO
from runstone.feeds import settled
from runstone.ledger import Ledger
from runstone.store.writes.lifecycle import ClaimRun, Owner
from runstone.testing.clock import FakeClock

MACHINE = "pid:[4026531836]"
"""The namespace of a whole machine on Linux: its processes end when it is restarted."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def owner(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    """A ledger whose process seems to run on another host."""
    opened = runstone.open(tmp_path, clock=clock)
    seem(opened, host="elsewhere")
    yield opened
    opened.close()


@pytest.fixture
def observer(owner: Ledger, tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    opened = runstone.open(tmp_path, clock=clock)
    yield opened
    opened.close()


def seem(ledger: Ledger, **identity: Any) -> None:
    """Gives the ledger's process another identity."""
    supervisor = ledger.supervisor
    seeming = msgspec.structs.replace(identify_self(), **identity)
    supervisor.owner = Owner(
        supervisor.owner.owner, codec.encode(msgspec.to_builtins(seeming)).decode(), supervisor.owner.lease_us
    )


def stopped(run: runstone.RunHandle) -> runstone.RunHandle:
    """Its owner renews no more, and does not know it."""
    supervisor = run._supervisor
    supervisor.release(run._held)
    supervisor._closing.set()
    supervisor._wake.set()
    if supervisor._thread is not None:
        supervisor._thread.join(10)  # a renewal may be under way
    return run


def test_an_expired_lease_is_judged_only_at_a_second_look(
    owner: Ledger, observer: Ledger, clock: FakeClock
) -> None:
    run = stopped(owner.start_run())
    assert observer.reconcile() == [], "a live lease"
    clock.advance(30.1)
    assert observer.reconcile() == [], "the first look at an expired one"
    clock.advance(4.9)
    assert observer.reconcile() == [], "not a heartbeat interval later"
    assert observer.get_run(run.id).status == "interrupted", "readers are told nevertheless: no live lease"
    clock.advance(0.2)
    assert observer.reconcile() == [run.id]
    ended = observer.get_run(run.id)
    assert (ended.status, (ended.status_reason or "")[:12]) == ("interrupted", "no heartbeat")
    assert [event.type for event in observer.events(run.id).items][-1] == "run.interrupted"
    assert observer.care.verify() == []


def test_a_laptop_that_slept_interrupts_nothing_that_still_lives(
    owner: Ledger, observer: Ledger, clock: FakeClock
) -> None:
    run = owner.start_run()
    observer.reconcile()
    clock.sleep_machine(8 * 3600)
    assert observer.reconcile() == []
    clock.sleep_machine(8 * 3600)
    assert observer.reconcile() == [], "asleep, the observer's own running time stood still"
    owner.supervisor.beat()
    clock.advance(6)
    assert observer.reconcile() == []
    assert run.emit("note.written", {}).result()
    assert observer.get_run(run.id).status == "running"


def test_an_owner_that_did_not_wake_is_found_by_running_time(
    owner: Ledger, observer: Ledger, clock: FakeClock
) -> None:
    run = stopped(owner.start_run())
    clock.sleep_machine(3600)
    assert observer.reconcile() == []
    clock.advance(5.1)
    assert observer.reconcile() == [run.id]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 40.0, -40.0])
def test_a_clock_that_jumps_interrupts_nothing_that_still_lives(
    owner: Ledger, observer: Ledger, clock: FakeClock, jump_s: float
) -> None:
    run = owner.start_run()
    clock.jump(jump_s)
    assert observer.reconcile() == []
    clock.advance(4)
    owner.supervisor.beat()
    assert observer.reconcile() == []
    clock.advance(6)
    assert observer.reconcile() == []
    stopped(run)
    clock.advance(31)
    assert observer.reconcile() == []
    clock.advance(5.1)
    assert observer.reconcile() == [run.id]


def test_age_alone_proves_nothing_of_a_process_that_runs(tmp_path: Path, clock: FakeClock) -> None:
    """The same host, and the process is there: an old lease still needs the second look."""
    with runstone.open(tmp_path, clock=clock) as owner, runstone.open(tmp_path, clock=clock) as observer:
        run = owner.start_run()
        clock.jump(24 * 3600)
        assert observer.reconcile() == []
        owner.supervisor.beat()
        clock.advance(6)
        assert observer.reconcile() == []
        assert run.emit("note.written", {}).result()


def test_a_renewal_in_the_last_moment_counts(owner: Ledger, observer: Ledger, clock: FakeClock) -> None:
    owner.supervisor._closing.set()  # no heartbeat but the one below: its thread would wake with the clock
    run = owner.start_run()
    clock.sleep_machine(60)
    observer.reconcile()
    clock.advance(5.1)
    judged = observer.supervisor._judge(observer.reader.attempts.leases())
    assert [verdict.run_id for verdict in judged] == [run.id]
    owner.supervisor.beat()
    assert [observer.core.submit(verdict, []).result() for verdict in judged] == [[]]
    assert observer.get_run(run.id).status == "running"


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ({"pid_start": 1}, "is gone"),
        ({"boot_id": "an earlier boot", "pid_namespace": MACHINE}, "the machine was restarted"),
    ],
)
def test_a_dead_process_is_judged_at_once(
    tmp_path: Path, clock: FakeClock, identity: dict[str, Any], reason: str
) -> None:
    with runstone.open(tmp_path, clock=clock) as owner, runstone.open(tmp_path, clock=clock) as observer:
        seem(owner, **identity)
        if "boot_id" in identity:
            observer.supervisor.identity = msgspec.structs.replace(identify_self(), pid_namespace=MACHINE)
        run = stopped(owner.start_run())
        assert observer.reconcile() == [run.id]
        assert reason in (observer.get_run(run.id).status_reason or "")


@pytest.mark.parametrize(
    "identity",
    [
        {"host": "elsewhere", "pid_start": 1},
        {"pid_namespace": "pid:[4026539999]", "pid_start": 1},
        {"boot_id": "another kernel", "pid_namespace": "pid:[4026539999]"},
        {"pid_namespace": None, "pid_start": 1},
    ],
)
def test_elsewhere_nothing_is_proven_but_by_time(
    tmp_path: Path, clock: FakeClock, identity: dict[str, Any]
) -> None:
    with runstone.open(tmp_path, clock=clock) as owner, runstone.open(tmp_path, clock=clock) as observer:
        seem(owner, **identity)
        run = stopped(owner.start_run())
        assert observer.reconcile() == []
        clock.advance(31)
        assert observer.reconcile() == []
        clock.advance(5.1)
        assert observer.reconcile() == [run.id]


def test_one_pass_judges_runs_of_every_kind(owner: Ledger, observer: Ledger, clock: FakeClock) -> None:
    kinds = ("subagent", "worker_thread", "background_agent", "team_member")
    runs = [stopped(owner.start_run(kind=kind)).id for kind in kinds]
    clock.advance(31)
    observer.reconcile()
    clock.advance(5.1)
    assert sorted(observer.reconcile()) == sorted(runs)


def test_an_owner_never_judges_itself(owner: Ledger, clock: FakeClock) -> None:
    stopped(owner.start_run())
    clock.advance(3600)
    assert owner.reconcile() == []
    clock.advance(3600)
    assert owner.reconcile() == []


def test_a_fenced_owner_changes_no_state(owner: Ledger, observer: Ledger, clock: FakeClock) -> None:
    run = stopped(owner.start_run())
    clock.advance(31)
    observer.reconcile()
    clock.advance(5.1)
    observer.reconcile()
    second = observer.continue_run(run.id)
    before = [event.seq for event in observer.events(run.id).items]
    for write in (
        lambda: run.emit("note.written", {}),
        lambda: run.emit_many([("note.written", {})]),
        lambda: run.message("assistant", "late"),
        lambda: run.checkpoint({"late": True}),
        lambda: run.complete(result="late"),
        lambda: run.fail("late"),
        lambda: run.cancel("late"),
    ):
        with pytest.raises(Fenced):
            write().result()
    with pytest.raises(Fenced):
        run.pause(reason="late", state={"late": True})
    assert [event.seq for event in observer.events(run.id).items] == before
    now = observer.get_run(run.id)
    assert (now.status, now.attempt, now.owner) == ("running", 2, observer.supervisor.owner.owner)
    assert (
        run.usage(provider="p", model="m", input_tokens=5, output_tokens=1, request_id="late").result()
        is True
    )
    assert observer.telemetry(run.id).own.input_tokens == 5, "what was spent was spent"
    second.complete(result="mine").result()
    assert observer.care.verify() == []


def test_an_owner_that_cannot_renew_stops_itself_before_its_lease_ends(
    owner: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = owner.start_run()
    told: list[str] = []
    run.on_lost = told.append
    expires = owner.lease(run.id)
    owner.supervisor.beat()

    def busy(*_: object) -> None:
        raise StoreBusy

    with monkeypatch.context() as patched:
        patched.setattr(owner.core.writer._db, "begin", busy)
        clock.advance(20)
        owner.supervisor.beat()
        assert (told, run.stopping) == ([], False), "there is time to try again"
        clock.advance(5.1)
        owner.supervisor.beat()
        assert (told, run.stopping) == (["the lease could not be renewed"], True)
    assert expires is not None
    assert clock.now() < expires.expires_at.timestamp() * 1e6, "while nobody else may have it"
    owner.supervisor.beat()
    assert owner.supervisor.holds(run.id) is False


def test_a_heartbeat_changes_nothing_that_people_see(owner: Ledger, clock: FakeClock) -> None:
    run = owner.start_run()
    before, lease = owner.get_run(run.id), owner.lease(run.id)
    clock.advance(10)
    owner.supervisor.beat()
    after, renewed = owner.get_run(run.id), owner.lease(run.id)
    assert lease is not None
    assert renewed is not None
    assert renewed.expires_at > lease.expires_at
    assert msgspec.structs.replace(after, lease_expires_at=None) == msgspec.structs.replace(
        before, lease_expires_at=None
    )
    assert [event.type for event in owner.events(run.id).items] == ["run.created", "run.started"]


def test_a_failed_look_does_not_end_the_heartbeat(
    owner: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = owner.start_run()
    failed = threading.Event()

    def broken() -> None:
        failed.set()
        raise StoreIO

    monkeypatch.setattr(owner.supervisor, "check_fences", broken)
    clock.advance(10)
    owner.supervisor._wake.set()
    assert failed.wait(10)
    assert owner.supervisor._thread is not None
    assert owner.supervisor._thread.is_alive()
    assert run.emit("note.written", {}).result()


def test_taking_over_waits_for_the_second_look(tmp_path: Path) -> None:
    """A command that opens, resumes and ends has no earlier look; it takes the second itself (real time)."""
    with runstone.open(tmp_path, lease_s=0.3, heartbeat_s=0.1) as owner:
        seem(owner, host="elsewhere")
        run = stopped(owner.start_run())
        run.checkpoint({"at": 1}).result()
        while owner.get_run(run.id).status == "running":
            threading.Event().wait(0.01)
        with runstone.open(tmp_path, lease_s=0.3, heartbeat_s=0.1) as command:
            second = command.continue_run(run.id)
            assert (second.attempt, second.state) == (2, {"at": 1})
            second.complete().result()
        with pytest.raises(Fenced):
            run.emit("note.written", {}).result()


def test_a_lost_handle_leaves_its_run_interrupted(owner: Ledger) -> None:
    run_id = owner.start_run().id
    gc.collect()
    owner.supervisor.interrupt_abandoned()
    lost = owner.wait(run_id, timeout=10)
    assert (lost.status, lost.status_reason) == ("interrupted", "its handle was lost")


def test_an_ended_handle_may_go(owner: Ledger) -> None:
    run = owner.start_run()
    run.complete(result=1).result()
    run_id = run.id
    del run
    gc.collect()
    owner.supervisor.interrupt_abandoned()
    assert owner.get_run(run_id).status == "completed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_leaves_a_run_interrupted_not_failed(owner: Ledger, error: type[BaseException]) -> None:
    with pytest.raises(error), owner.start_run() as run:
        raise error
    ended = owner.get_run(run.id)
    assert ended.status == "interrupted"
    assert error.__name__ in (ended.status_reason or "")


def test_after_an_outage_of_the_ledger_nobody_counts_as_silent_for_one_lease(
    owner: Ledger, observer: Ledger, clock: FakeClock
) -> None:
    run = stopped(owner.start_run())
    clock.advance(60)
    observer.supervisor.note_outage()
    for _ in range(5):
        assert observer.reconcile() == []
        clock.advance(5.9)
    clock.advance(5.1)
    assert observer.reconcile() == [run.id], "it was silent since"


def test_a_ledger_that_keeps_its_readers_waiting_was_away_for_owners_as_well(
    owner: Ledger, observer: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(owner.start_run())
    clock.advance(31)
    assert observer.reconcile() == []
    leases = observer.reader.attempts.leases

    def waited() -> Any:
        clock.advance(20)
        return leases()

    with monkeypatch.context() as slow:
        slow.setattr(observer.reader.attempts, "leases", waited)
        assert observer.reconcile() == [], "else a heartbeat has passed since the first look"
    clock.advance(10)
    assert observer.reconcile() == []
    clock.advance(21)
    observer.reconcile()
    clock.advance(6)
    assert run.id in observer.reconcile() or observer.get_run(run.id).status == "interrupted"


def test_dead_processes_of_this_machine_are_dead_also_after_an_outage(
    observer: Ledger, owner: Ledger, clock: FakeClock
) -> None:
    seem(owner, pid=2**22 + 5)
    run = stopped(owner.start_run())
    observer.supervisor.note_outage()
    assert observer.reconcile() == [run.id]


def test_a_process_that_has_no_duty_to_judge_judges_nobody_with_its_heartbeats(
    owner: Ledger, observer: Ledger, clock: FakeClock
) -> None:
    asked = threading.Event()
    observer.supervisor.judges = lambda: asked.set() is not None
    run = stopped(owner.start_run())
    mine = observer.start_run()
    for _ in range(3):
        asked.clear()
        clock.advance(31)
        observer.supervisor._wake.set()
        assert asked.wait(10)
    assert not [one for one in observer.events(run.id) if one.type == "run.interrupted"]
    mine.complete().result()


def test_who_waits_for_a_run_for_workers_waits_on_while_its_owner_is_gone(
    owner: Ledger, observer: Ledger, clock: FakeClock
) -> None:
    for name, interruptions in (("goes-on", 1), ("is-left", 0)):
        placement = Placement(interruptions=interruptions)
        owner.create_run(kind="subagent", run_id=name, options={OPTION: placement.option()})
        owner.core.submit(ClaimRun(name, owner.supervisor.owner, dispatch=1), []).result()
        assert not settled(observer.reader, None, observer.get_run(name))
    clock.advance(31)
    for name in ("goes-on", "is-left"):
        assert observer.get_run(name).status == "interrupted", "as readers are told"
        assert not settled(observer.reader, None, observer.get_run(name))
    observer.reconcile()
    clock.advance(6)
    assert sorted(observer.reconcile()) == ["goes-on", "is-left"]
    assert observer.get_run("goes-on").status == "pending"
    assert settled(observer.reader, None, observer.get_run("is-left")), "until somebody tries it again"
