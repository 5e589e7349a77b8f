"""The keys of durable calls: by these a later attempt, and a simulation, find again what was recorded."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from runstone.domain import codec, keys
from runstone.domain.definition_checks import check_retry
from runstone.domain.workflows import RetryPolicy
from runstone.engine.registry import Entry
from runstone.errors import InvalidInput, ValueTooLarge


def of_child(entry: Entry, agent: str, input: Any, key: str | None, options: dict[str, Any]) -> str:
    """The key of a child; `input` has references in the place of secrets."""
    if key is not None:
        return keys.explicit_key("child", agent, key)
    # How often it may be tried, and what is kept of it, is not what the work is: another retry must not do finished
    # work again.
    lasting = {name: value for name, value in options.items() if name not in ("retry", "retention")}
    return keys.child_key("child", agent, entry.version, input, lasting)


def of_step(name: str, args: Sequence[Any], key: str | None) -> str:
    """The key of a step."""
    explicit = None if key is None else keys.explicit_key("step", name, key)
    return explicit or keys.child_key("step", name, "", list(args))


def of_timer(seconds: Any) -> str:
    """The key of a timer. Raises `InvalidInput` for what is no time."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
        raise InvalidInput(f"sleep takes seconds from 0, not {seconds!r}")
    return keys.child_key("timer", "sleep", "", [seconds])


def of_continuation(child_run_id: str, message: str, key: str | None) -> str:
    """The key of a child's continuation."""
    if key is not None:
        return keys.explicit_key("continue", child_run_id, key)
    return keys.child_key("continue", child_run_id, "", [child_run_id, message])


def of_mapped(key: Callable[[Any], str], one: Any) -> str:
    """What `key=` of map gives for an input; None is no text, and must not mean that there is no key."""
    if not callable(key):
        raise InvalidInput(f"key= of map is a function of the input, not {codec.shown(key)}")
    own = key(one)
    if not isinstance(own, str):
        raise InvalidInput(f"key= of map must give text, not {codec.shown(own)}")
    return own


def options_of(options: dict[str, Any] | None, retry: RetryPolicy | dict[str, Any] | None) -> dict[str, Any]:
    """A child's options; `retry` is one of them, so that it holds wherever the child runs."""
    if options is not None and not isinstance(options, dict):
        raise InvalidInput(f"options must be an object, not {codec.shown(options)}")
    given = dict(options or {})
    chosen = given.get("retry") if retry is None else retry
    if chosen is not None:
        given["retry"] = _retry(chosen)
    if given and len(codec.encode(given)) > codec.ROW_TEXT_BYTES:
        raise ValueTooLarge(
            f"options have more than {codec.ROW_TEXT_BYTES} bytes", hint="put large values into the input"
        )
    return given


def _retry(given: Any) -> Any:
    """A checked retry policy as JSON. A wrong one must not come to light when the child has failed."""
    try:
        policy = msgspec.convert(msgspec.to_builtins(given), RetryPolicy)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise InvalidInput(f"retry: {error}") from error
    check_retry(policy, "retry")
    return msgspec.to_builtins(policy)
