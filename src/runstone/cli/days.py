"""Days and times as people type them."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

import click


class Since(click.ParamType[datetime]):
    """A day, a time, or how far back: the days of a report are those of UTC."""

    name = "DAY"

    def __init__(self, *, end: bool = False) -> None:
        self.end = end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware datetime; a day stands for its begin, or for its end."""
        if isinstance(value, datetime):
            return value
        now = datetime.now(UTC)
        try:
            if (found := re.fullmatch(r"(\d{1,6})([dh])", value)) is not None:
                number = int(found[1])
                today = datetime.combine(now.date(), time(), UTC)
                return (
                    now - timedelta(hours=number) if found[2] == "h" else today - timedelta(days=number - 1)
                )
            moment = datetime.fromisoformat(value)
            whole_day = re.fullmatch(r"\d{4}-?\d\d-?\d\d", value) is not None
            moment += timedelta(days=1) if self.end and whole_day else timedelta()
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no day such as 2026-11-01, 7d or 12h", param, ctx)
