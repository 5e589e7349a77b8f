"""Budgets: what a run may spend, when that is reached, and what a person's answer makes of it."""

from typing import Any, Final

import msgspec

from runstone.domain import codec, inputs
from runstone.domain.inputs import Question
from runstone.domain.telemetry import to_picousd, to_usd
from runstone.errors import InvalidAnswer, InvalidInput

FIELDS: Final = ("max_cost_usd", "max_tokens", "max_children")
RAISE: Final = "raise"
STOP: Final = "stop"


class Spent(msgspec.Struct, frozen=True):
    """What a run and all below it have spent. `children` is None where only what was spent counts."""

    picousd: int
    tokens: int
    children: int | None = None


def checked(budget: Any) -> dict[str, Any]:
    """A budget that a caller gave. Raises `InvalidInput`."""
    known = ", ".join(sorted(FIELDS))
    if not isinstance(budget, dict):
        raise InvalidInput(f"a budget is an object of {known}, not {codec.shown(budget)}")
    kept = {name: value for name, value in budget.items() if value is not None}
    if unknown := kept.keys() - set(FIELDS):
        raise InvalidInput(f"a budget holds {known}, not {', '.join(sorted(map(str, unknown)))}")
    for name, value in kept.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise InvalidInput(f"{name} must be a number from 0, not {codec.shown(value)}")
    return kept


def reached(budget: dict[str, Any], spent: Spent) -> dict[str, str]:
    """The caps that are reached, with what people are told of each."""
    found = {}
    if (cap := budget.get("max_cost_usd")) is not None and spent.picousd >= to_picousd(cap):
        found["max_cost_usd"] = f"cost ${to_usd(spent.picousd):.6g} of ${cap:g}"
    if (cap := budget.get("max_tokens")) is not None and spent.tokens >= cap:
        found["max_tokens"] = f"{spent.tokens} of {cap} tokens"
    if (
        (cap := budget.get("max_children")) is not None
        and spent.children is not None
        and spent.children >= cap
    ):
        found["max_children"] = f"{spent.children} of {cap} children"
    return found


def question(budget: dict[str, Any], caps: dict[str, str], now: int) -> Question:
    """Asks whether to raise it. One budget is asked about once: its content is the question's key."""
    most = {"type": "number", "minimum": 0}
    asked = inputs.question(
        f"The budget is reached: {', '.join(caps.values())}. Raise it?",
        now=now,
        choices=(RAISE, STOP),
        reason=f'{RAISE}: by the same again; {STOP}: end the run; or an amount, such as {{"{next(iter(caps))}": 10}}',
        schema={"type": "object", "properties": dict.fromkeys(FIELDS, most), "additionalProperties": False},
    )
    return msgspec.structs.replace(asked, key=key_of(budget))


def key_of(budget: dict[str, Any]) -> str:
    """The key of the question about a budget."""
    return f"{inputs.BUDGET_KEY}{codec.canonical(budget).decode()}"


def require_fits(response: Any) -> None:
    """Raises `InvalidAnswer` unless it is one of the choices, or a budget."""
    if response in (RAISE, STOP) and isinstance(response, str):
        return
    try:
        if isinstance(response, dict) and checked(response):
            return
        why = f"{codec.shown(response)} is neither {RAISE}, nor {STOP}, nor an amount"
    except InvalidInput as error:
        why = str(error)
    raise InvalidAnswer(f"the answer does not fit: {why}")


def after(budget: dict[str, Any], spent: Spent, response: Any) -> dict[str, Any] | None:
    """The budget that the answer gives; None where the run is to stop."""
    if response == STOP:
        return None
    if isinstance(response, dict):
        return {**budget, **checked(response)}
    have = {
        "max_cost_usd": to_usd(spent.picousd),
        "max_tokens": spent.tokens,
        "max_children": spent.children or 0,
    }
    # By the same again, and by as much above what was spent: a run that went over its cap may go on.
    more = {name: max(2 * budget[name], have[name] + budget[name]) for name in reached(budget, spent)}
    return {**budget, **{name: value or 1 for name, value in more.items()}}
