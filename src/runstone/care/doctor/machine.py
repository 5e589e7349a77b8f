"""The clock, and whether this process can see others: that is how dead owners are told from living ones."""

from collections.abc import Iterator
from typing import Final

from runstone.care.doctor.check import Check, note, ok, warning
from runstone.engine import process_table
from runstone.engine.processes import ProcessIdentity, identify_self

_AHEAD_US: Final = 60 * 1_000_000


def check_machine() -> Iterator[Check]:
    """Boot id, processes and their name space."""
    yield check_boot(process_table.boot_id())
    me = identify_self()
    yield check_sight(me)
    if me.pid_namespace is not None and not process_table.ends_with_the_boot(me.pid_namespace):
        yield note(
            "machine.container",
            "this is a container: processes of other containers and of the host cannot be judged",
        )


def check_boot(boot: str) -> Check:
    """The name of this boot."""
    if boot == "unknown":
        told = "the boot id cannot be read: after a restart, runs wait for their leases to expire"
        return warning("machine.boot", told, "cat /proc/sys/kernel/random/boot_id")
    return ok("machine.boot", f"boot {boot}")


def check_sight(me: ProcessIdentity) -> Check:
    """A process that cannot see its peers waits for leases, and cannot end what others left."""
    if me.pid_namespace is None:
        told = "processes cannot be seen here (no /proc of this PID namespace, or mounted with hidepid)"
        return warning("machine.processes", told, "grep /proc /proc/self/mounts")
    return ok("machine.processes", f"processes can be seen, as process {me.pid} of {me.host}")


def check_clock(now: int, newest_event: int | None) -> Check:
    """Events from the future say that a clock was wrong, or is."""
    if newest_event is not None and newest_event > now + _AHEAD_US:
        ahead = (newest_event - now) // 1_000_000
        told = f"the newest event is {ahead:,} s ahead of this machine's clock"
        return warning("machine.clock", told, "timedatectl status")
    return ok("machine.clock", "no event is from the future")
