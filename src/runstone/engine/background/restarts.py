"""When a command that failed is started again."""

from typing import Any, Final, Literal

import msgspec

from runstone.domain.codec import shown
from runstone.errors import InvalidInput

LONGEST_DELAY_S: Final = 600.0


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`on` failure, at most `max` times, after `delay_s` seconds, which double each time, up to ten minutes if less."""

    on: Literal["failure", "never"] = "failure"
    max: int = 3
    delay_s: float = 1.0

    @classmethod
    def of(cls, given: Any) -> "Restart":
        """The policy that a caller gave; None is `never`. Raises `InvalidInput`."""
        if given is None:
            return cls(on="never")
        try:
            policy = msgspec.convert(given, cls)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"restart {shown(given)}: {error}") from None
        if policy.max < 0 or not 0 <= policy.delay_s < 1e6:
            raise InvalidInput(
                f"restart takes a max and a delay_s from 0, not {policy.max} and {policy.delay_s}"
            )
        return policy

    def delay_after(self, failures: int) -> float | None:
        """Seconds to wait after so many failed tries before the next one; None: no further try."""
        if self.on == "never" or failures > self.max:
            return None
        return min(max(LONGEST_DELAY_S, self.delay_s), self.delay_s * 2.0 ** min(failures - 1, 30))
