"""Two texts, or any two sequences, side by side: what stayed, went, came and moved. In time that grows with the length.

The usual algorithms find the shortest list of changes, and some texts make them quadratic. This one pairs equal items
in their order and keeps the longest run of pairs that do not cross (n log n, whatever the items are).
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from typing import Final, NamedTuple

CONTEXT: Final = 3
"""Lines shown around a change."""

MAX_LINES: Final = 200
"""Lines of one text's diff; what is beyond is counted."""

MAX_WIDTH: Final = 400
"""Characters of a line; of longer ones the part that differs is shown."""

_LEAD: Final = 40


class Gap(NamedTuple):
    """Between two items that stayed: ranges of what went and of what came, in either sequence."""

    gone: range
    new: range


class Aligned(NamedTuple):
    """Two sequences side by side. `moved` are indexes (before, after) of equal items that changed their place."""

    gaps: list[Gap]
    moved: list[tuple[int, int]]


def ends(before: Sequence[Hashable], after: Sequence[Hashable]) -> tuple[int, int]:
    """How many items the two begin with, and then end with, in common."""
    head = _equal(before, after)
    return head, _equal(before[head:][::-1], after[head:][::-1])


def align(before: Sequence[Hashable], after: Sequence[Hashable], head: int, tail: int) -> Aligned:
    """How one sequence became the other, between the `ends` that are equal. Moved items are in the gaps, too."""
    old, new = range(head, len(before) - tail), range(head, len(after) - tail)
    pairs = _pairs(before, after, old, new)
    stay = _longest(pairs)
    staying = set(stay)
    gaps, a, b = [], head, head
    for x, y in (*stay, (old.stop, new.stop)):
        if x > a or y > b:
            gaps.append(Gap(range(a, x), range(b, y)))
        a, b = x + 1, y + 1
    return Aligned(gaps, [pair for pair in pairs if pair not in staying])


def _equal(before: Sequence[Hashable], after: Sequence[Hashable]) -> int:
    """How many items the two begin with in common."""
    for index, (one, other) in enumerate(zip(before, after, strict=False)):
        if one != other:
            return index
    return min(len(before), len(after))


def _pairs(
    before: Sequence[Hashable], after: Sequence[Hashable], old: range, new: range
) -> list[tuple[int, int]]:
    """Equal items, the first with the first, the second with the second, and so on; in the order of `before`."""
    places: dict[Hashable, list[int]] = {}
    for index in reversed(new):
        places.setdefault(after[index], []).append(index)
    return [(index, left.pop()) for index in old if (left := places.get(before[index]))]


def _longest(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of the pairs that rises in both."""
    ends: list[int] = []  # the least second index that a rising part of each length ends with
    at: list[int] = []
    links: list[int] = []
    for number, (_, index) in enumerate(pairs):
        length = bisect_left(ends, index)
        if length == len(ends):
            ends.append(index)
            at.append(number)
        else:
            ends[length], at[length] = index, number
        links.append(at[length - 1] if length else -1)
    found, number = [], at[-1] if at else -1
    while number >= 0:
        found.append(pairs[number])
        number = links[number]
    return found[::-1]


# --- texts ----------------------------------------------------------------------------------------------------------


def unified(before: str, after: str) -> tuple[str, ...]:
    """The lines of a unified diff (`@@ -1,2 +1,3 @@`, ` same`, `-gone`, `+new`), without file names, and bounded."""
    old, new = before.split("\n"), after.split("\n")
    lines: list[str] = []
    for hunk in _hunks(align(old, new, *ends(old, new)).gaps):
        _write(lines, hunk, old, new)
        if len(lines) > MAX_LINES:
            return (*lines[:MAX_LINES], "… more lines differ")
    return tuple(lines)


def brief(before: str, after: str) -> tuple[str, ...]:
    """Where two texts begin to differ, as one line of each: for those that have too many lines to be compared."""
    at = _common(before, after)
    return (
        "@@ too many lines; where they begin to differ @@",
        f"-{_line(before, at)}",
        f"+{_line(after, at)}",
    )


def _line(text: str, at: int) -> str:
    start = max(text.rfind("\n", 0, at) + 1, at - _LEAD)
    return text[start : start + MAX_WIDTH].split("\n", 1)[0]


def _hunks(gaps: list[Gap]) -> Iterator[list[Gap]]:
    """Gaps so close to each other that their context meets."""
    hunk: list[Gap] = []
    for gap in gaps:
        if hunk and gap.gone.start - hunk[-1].gone.stop > 2 * CONTEXT:
            yield hunk
            hunk = []
        hunk.append(gap)
    if hunk:
        yield hunk


def _write(lines: list[str], hunk: list[Gap], old: list[str], new: list[str]) -> None:
    first, last = hunk[0], hunk[-1]
    lead = min(CONTEXT, first.gone.start)
    trail = min(CONTEXT, len(old) - last.gone.stop)
    a, b = first.gone.start - lead, first.new.start - lead
    lines.append(f"@@ -{_span(a, last.gone.stop + trail)} +{_span(b, last.new.stop + trail)} @@")
    for gap in hunk:
        lines.extend(" " + _cut(line) for line in old[a : gap.gone.start])
        room = max(0, MAX_LINES - len(lines)) + 1
        gone, come = old[gap.gone.start : gap.gone.stop], new[gap.new.start : gap.new.stop]
        lines.extend("-" + _cut(one, come[i] if i < len(come) else "") for i, one in enumerate(gone[:room]))
        lines.extend("+" + _cut(one, gone[i] if i < len(gone) else "") for i, one in enumerate(come[:room]))
        a = gap.gone.stop
    lines.extend(" " + _cut(line) for line in old[a : a + trail])


def _span(start: int, stop: int) -> str:
    return f"{start + 1 if stop > start else start},{stop - start}"


def _cut(line: str, other: str = "") -> str:
    """A line; of a long one the part around the first character that the other one does not have there."""
    if len(line) <= MAX_WIDTH:
        return line
    start = max(0, _common(line, other) - _LEAD) if other else 0
    part = line[start : start + MAX_WIDTH]
    return ("…" if start else "") + part + ("…" if start + MAX_WIDTH < len(line) else "")


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common, by halving: comparing pieces is fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
