"""Markdown that hostile text can't break out of: names and messages come from the audited repository."""

from collections.abc import Collection, Iterable, Sequence

_MARKUP = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#!"})


def visible(text: str) -> str:
    """Control characters, and those that reorder or hide text, as escapes; a line break would end a row."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def plain(text: str) -> str:
    """Text that is shown as it is, on one line."""
    return visible(text).translate(_MARKUP).replace("&", "&amp;")


def code(text: str) -> str:
    """A code span, its fence longer than any run of backticks inside; `|` is escaped, for spans in tables."""
    shown = visible(text).replace("|", "\\|")
    longest = run = 0
    for char in shown:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    fence = "`" * (longest + 1)
    pad = " " if longest or shown != shown.strip() or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def table(names: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """A pipe table; the cells are Markdown already, and the columns of `right` are aligned to the right."""
    rule = ["---:" if number in right else "---" for number in range(len(names))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [names, rule, *rows])
