"""Text for people: hostile text made harmless, and times, tokens, money and ids made short."""

import re
import unicodedata
from datetime import datetime
from typing import Final

from runstone.domain.records import Totals

# What can drive a terminal, or show text in another order than it is stored in: control characters of both halves,
# marks of direction, line separators, invisible joiners (but the one that emoji need), tags, and lone surrogates.
HOSTILE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_COLOUR: Final = re.compile("\x1b\\[[0-9;:]*m")
_SPACES: Final = re.compile("[ \t\r\n]+")
_BREAKS: Final = re.compile("\r\n?")
_CELL_MAX = 500  # characters looked at for one cell: no terminal line is longer

_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def clean(text: str) -> str:
    """One line that no terminal obeys: colours are dropped, other control characters are shown as `\\x1b`."""
    short = text if len(text) <= _CELL_MAX else text[:_CELL_MAX] + "…"
    return HOSTILE.sub(_shown, _SPACES.sub(" ", _COLOUR.sub("", short)).strip())


def clean_lines(text: str) -> list[str]:
    """As `clean`, line by line and in full length; tabs become spaces."""
    lines = _BREAKS.sub("\n", _COLOUR.sub("", text)).split("\n")
    return [HOSTILE.sub(_shown, line.expandtabs(4).rstrip(" ")) for line in lines]


def for_terminal(text: str) -> str:
    """Lines of a program's own output for a terminal: colours stay, whatever else could drive it is shown."""
    kept = [HOSTILE.sub(_shown_but_layout, part) for part in _COLOUR.split(text)]
    colours = [*_COLOUR.findall(text), ""]
    joined = "".join(part + colour for part, colour in zip(kept, colours, strict=True))
    return joined + "\x1b[0m" if len(colours) > 1 else joined


def _shown_but_layout(found: re.Match[str]) -> str:
    return found[0] if found[0] in "\t\n" else _shown(found)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_json(text: str) -> str:
    """JSON text in which hostile characters are escapes; it reads back as the same value."""
    return HOSTILE.sub(lambda found: found[0] if found[0] == "\n" else _json_escape(ord(found[0])), text)


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def width(text: str) -> int:
    """Columns that the text takes on a terminal."""
    return len(text) if text.isascii() else sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def short_id(run_id: str) -> str:
    """What lists show of an id: its last 8 characters. Any unique part is accepted back."""
    return clean(run_id[-8:])


def duration(ms: int | float) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h05m`, `3d04h`."""
    seconds = max(0, ms) / 1000
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    for index, (size, unit) in enumerate(_STEPS):
        if whole >= size:
            below, unit_below = (_STEPS[index + 1]) if index + 1 < len(_STEPS) else (1, "s")
            return f"{whole // size}{unit}{whole % size // below:02d}{unit_below}"
    raise AssertionError(whole)


def age(then: datetime, now: datetime) -> str:
    """How long ago, in one unit: `5s`, `3m`, `2h`, `4d`."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def clock(when: datetime) -> str:
    """The local time of day."""
    return when.astimezone().strftime("%H:%M:%S")


def moment(when: datetime | None) -> str:
    """Local date and time with its offset; empty for None."""
    return "" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def exact_time(when: datetime) -> str:
    """Local date and time to the millisecond, with its offset, as RFC 3339 has it."""
    return when.astimezone().isoformat(timespec="milliseconds")


def tokens(count: int) -> str:
    """`0`, `950`, `1.2k`, `3.4M`."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            value = count / size
            return f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return str(count)


def size(count: int) -> str:
    """`950 B`, `1.2 kB`, `25 MB`."""
    for bound, unit in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if count >= bound:
            value = count / bound
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count} B"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`, `1,000 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def money(picousd: int) -> str:
    """`$0`, `$0.0042`, `$0.15`, `$12.30`; never rounded down to nothing."""
    usd = picousd / 1e12
    if picousd == 0:
        return "$0"
    if usd < 0.0001:
        return "<$0.0001"
    return f"${usd:.4f}" if usd < 0.1 else f"${usd:,.2f}"


def cost(totals: Totals) -> str:
    """The cost; `≥` where that of some request is unknown, empty where nothing was asked."""
    if totals.requests == 0:
        return ""
    if not totals.complete and totals.cost_picousd == 0:
        return "unknown"
    return money(totals.cost_picousd) if totals.complete else f"≥{money(totals.cost_picousd)}"
