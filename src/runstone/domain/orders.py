"""Orders to runs: which verbs there are, and which statuses each of them fits."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from runstone.domain import budgets
from runstone.domain.records import Command
from runstone.domain.resume import ResumePolicy
from runstone.domain.runs import ENDED, STATUSES
from runstone.errors import IllegalTransition, InvalidInput

VERBS: Final = ("stop", "pause", "resume", "retry", "steer")

CASCADE: Final = frozenset({"stop", "pause", "resume"})
"""Verbs that reach what is below a run, too, unless it is the run alone that is meant."""

QUEUED: Final = ("start", "resume", "retry")
"""Verbs that are carried out when a process takes the run; until then they are `requested`. `start` is given with the
making of a run that is left to whichever process takes it."""

PAUSED_WITH_PARENT: Final = "parent paused"
"""Why a run is paused that only its parent's pause reached: it goes on with its parent."""

_UNENDED: Final = frozenset(STATUSES) - ENDED - {"moved"}

FITS: Final[dict[str, frozenset[str]]] = {
    "stop": _UNENDED,
    "pause": frozenset({"pending", "running", "waiting", "interrupted"}),
    "resume": frozenset({"paused"}),
    "retry": frozenset({"failed", "cancelled", "interrupted"}),
    "steer": _UNENDED,
}
"""Verb -> statuses in which a run takes it. docs/states.md says the same; a test compares the two."""

_HINTS: Final[dict[tuple[str, str], str]] = {
    ("pause", "awaiting_user"): "nothing of it is at work; stop it (runstone runs stop RUN) or let it wait",
    ("pause", "paused"): "go on with it: runstone runs resume RUN",
    ("resume", "interrupted"): "try it again: runstone runs retry RUN",
    ("resume", "failed"): "try it again: runstone runs retry RUN",
    ("resume", "cancelled"): "try it again: runstone runs retry RUN",
    ("resume", "awaiting_user"): "answer its question: runstone inputs list",
    ("retry", "paused"): "go on with it: runstone runs resume RUN",
    ("retry", "awaiting_user"): "answer its question: runstone inputs list",
}


def check_fits(verb: str, run_id: str, status: str) -> None:
    """Raises `IllegalTransition` with what to do instead, unless a run of that status takes the order."""
    if status in FITS[verb]:
        return
    if verb == "stop":
        raise IllegalTransition(f"run {run_id} is {status} already", run_id=run_id, status=status)
    hint = _HINTS.get((verb, status), _general(status))
    raise IllegalTransition(
        f"run {run_id} is {status}; it takes no {verb}",
        hint=hint.replace("RUN", run_id),
        run_id=run_id,
        status=status,
    )


def _general(status: str) -> str:
    if status in ENDED:
        return "see what came of it: runstone runs show RUN"
    return "see what it does: runstone runs watch RUN"


def reason_of(verb: str, by: str | None, payload: dict[str, Any]) -> str:
    """Why a run stands as it does after an order, for people."""
    done = {
        "start": "started",
        "stop": "stopped",
        "pause": "paused",
        "resume": "resumed",
        "retry": "tried again",
    }
    return str(payload.get("reason") or f"{done[verb]} by {by or 'a person'}")


class How(NamedTuple):
    """How a run is to be gone on with, as far as an order says."""

    policy: ResumePolicy | None = None
    budget: dict[str, Any] | None = None


def how(verb: str, policy: ResumePolicy | None, budget: dict[str, Any] | None) -> dict[str, Any]:
    """What an order keeps of it, so that it lasts until a process takes the run. Raises `InvalidInput`."""
    found: dict[str, Any] = {}
    if policy is not None:
        found["policy"] = {**msgspec.structs.asdict(policy), "rerun": list(policy.rerun)}
    if budget is not None:
        found["budget"] = budgets.checked(budget)
    if found and verb not in ("resume", "retry"):
        raise InvalidInput(f"{verb} takes no policy and no budget")
    return found


def how_of(commands: Iterable[Command]) -> How:
    """How the newest open order to go on says, of the orders to a run."""
    known = How()
    for order in commands:
        if order.verb in QUEUED and order.status in ("requested", "acknowledged"):
            policy = order.payload.get("policy")
            known = How(
                None if policy is None else msgspec.convert(policy, ResumePolicy), order.payload.get("budget")
            )
    return known
