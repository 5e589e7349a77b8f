"""Where the value of a secret name begins and ends: `"password": "..."`, `API_KEY=...`, `--token ...`, `Cookie: ...`.

Works on JSON text in one pass, also where JSON stands within a string of JSON: a value that was opened by a quote with
so many backslashes ends at the next quote that closes on that level.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from runstone.domain.secret_names import plain

KindOf = Callable[[str], str | None]
_NO_VALUES: Final = frozenset({
    "none", "null", "nil", "true", "false", "yes", "no", "undefined", "empty", "required", "missing", "invalid",
    "expired", "unset", "changed", "optional", "string", "str", "text", "redacted", "hidden", "masked", "wrong",
    "incorrect", "revoked", "rotated", "is", "was", "will", "must", "should", "and", "or", "for",
})  # fmt: skip
_SEPARATOR: Final = (
    r"(?:(?P<quote>\\{0,15}[\"'])\s{0,8}(?P<member>[:,])\s{0,8}"  # a member's name, or an argument of a list
    r"|(?P<assign>[ \t]{0,2}(?:=>|:=|=(?!=)|:)[ \t]{0,8})"
    r"|(?P<gap>[ \t]{1,4}))"
)
_NAME_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_NAME_MAX: Final = 100
_LOOKED_AT: Final = 400
"""By so much of a value is decided whether it is secret; only then its end is looked for."""
_OPENING: Final = re.compile(r"(\\{0,15})([\"'])")
_QUOTE: Final = re.compile(r"(\\*+)\"")
_ANY_QUOTE: Final = re.compile(r"\\*+[\"']")
_LEVELS: Final = (0, 1, 3, 7, 15)
"""Backslashes before a quote of a string, by how deep it is in strings of JSON."""
_SCHEME: Final = re.compile(
    r"(?i)(?:bearer|basic|token|digest|aws4-|negotiate|ntlm|apikey|api-key|bot|hawk|key) ?\S*"
)
_BARE: Final = re.compile(r"(?:[^\s\"'\\&;]|\\\\)+")
_LINE: Final = re.compile(r"(?:[^\"'\\\r\n]|\\\\)+")
_NUMBER: Final = re.compile(r"[0-9]{6,40}(?=\s{0,8}[,}\]])")
_NO_SECRET: Final = re.compile(r"\$|\{\{|<|\*{3}|%\(|\.\.\.|\[redacted:|[A-Za-z_][A-Za-z0-9_.]*[(\[]")
"""References to a secret, and calls that get one, are none."""
_LINE_START: Final = re.compile(r"(?:^|\\[nr]|[\"'\n\r{,])[ \t]{0,40}(?:- |export |\+ |# )?\Z")
_MIXED: Final = re.compile(
    r"(?=[^ ]*[0-9])(?=[^ ]*[A-Za-z])|[^ ]*[^A-Za-z0-9 .,;:!?()'_-]|[0-9]{4}", re.ASCII
)


class Found(NamedTuple):
    """A value to be replaced, by its place in the text."""

    kind: str
    start: int
    end: int
    quote: str = ""
    """The place is that of a number: what replaces it needs these quotes."""


def find(text: str, words: str, kind_of: KindOf) -> list[Found]:
    """The values whose names are among `words`, in order, none within another."""
    found: list[Found] = []
    at, search = 0, _members(words).search
    while (match := search(text, at)) is not None:
        value = _value(text, match, kind_of)
        at = match.end() if value is None else value.end
        if value is not None:
            found.append(value)
    return found


def _value(text: str, match: re.Match[str], kind_of: KindOf) -> Found | None:
    begin = _name_start(text, match.start())
    separator = match.start("quote") if match["quote"] is not None else match.start(match.lastgroup or 0)
    name = text[begin:separator]
    kind = kind_of(name.lstrip("-"))
    if kind is None or text[begin - 1 : begin] == "$":
        return None  # a reference to a secret, `{"$secret": "NAME"}`, says nothing
    flag = name.startswith("-")
    if (match["gap"] is not None or match["member"] == ",") and not flag:
        return None
    opening = _OPENING.match(text, match.end())
    if opening is not None:
        return _quoted(text, opening, match, kind, name)
    if match["member"] is not None:
        return _number(text, match, kind)
    return _unquoted(text, begin, match, kind, name)


@lru_cache(64)
def _members(words: str) -> re.Pattern[str]:
    """Finds a name with what separates it from its value; compiled when it is needed first."""
    return re.compile(f"(?:{words})s?[0-9]{{0,2}}{_SEPARATOR}", re.ASCII | re.IGNORECASE)


def _name_start(text: str, at: int) -> int:
    begin, least = at, max(0, at - _NAME_MAX)
    while begin > least and text[begin - 1] in _NAME_CHARS:
        begin -= 1
    escaped = begin < at and begin > 0 and text[begin - 1] == "\\" and text[begin] in "nrtbf"
    return begin + 1 if escaped else begin


def _quoted(text: str, opening: re.Match[str], match: re.Match[str], kind: str, name: str) -> Found | None:
    depth, quote, start = len(opening[1]), opening[2], opening.end()
    structural = match["quote"] == '"'
    if depth not in _LEVELS or (quote == '"' and structural != (depth == 0)):
        return None  # it closes the string that the name stands in
    if match["member"] is None and text[start : start + 1] in ",}]:":
        return None  # so does this, in JSON that is a string of JSON
    end = _closing(text, start, depth, quote, start + _LOOKED_AT)
    if end == start or not _is_secret(text[start:end], kind, name):
        return None
    return Found(kind, start, _closing(text, start, depth, quote, len(text)))


def _closing(text: str, at: int, depth: int, quote: str, limit: int) -> int:
    """Where the value ends that was opened by `depth` backslashes and a quote, or the string around it, or `limit`.

    A quote closes a level if the backslashes before it are that level's, after whole escapes of the level above.
    """
    if quote == "'":
        match = _ANY_QUOTE.search(text, at, limit)
        return min(limit, len(text)) if match is None else match.start()
    for match in _QUOTE.finditer(text, at, limit):
        before = len(match[1])
        if before % (2 * depth + 2) == depth:
            return match.end() - 1 - depth
        if any(before % (2 * level + 2) == level for level in _LEVELS if level < depth):
            return match.start()
    return min(limit, len(text))


def _number(text: str, match: re.Match[str], kind: str) -> Found | None:
    """A password may be a number. A short one is a count or a flag, and so is that of a token."""
    number = _NUMBER.match(text, match.end()) if kind in ("password", "secret", "name") else None
    return None if number is None else Found(kind, number.start(), number.end(), quote=match["quote"])


def _unquoted(text: str, begin: int, match: re.Match[str], kind: str, name: str) -> Found | None:
    at = match.end()
    assign = match["assign"] or ""
    header = kind in ("authorization", "cookie") and ":" in assign
    pattern = _LINE if header else _BARE
    value = pattern.match(text, at, at + _LOOKED_AT)
    if value is None:
        return None
    shown = _trimmed(value[0], header)
    end = at + len(shown)
    if not shown or shown[0] == "-" or not _is_secret(shown, kind, name):
        return None
    if plain(shown[:_NAME_MAX]) == plain(name):
        return None  # an argument that is passed on: password=password
    spaced = assign != assign.strip() or match["gap"] is not None
    if spaced and not name.startswith("-") and not header:
        whole = text[end : end + 1] in ("", '"', "'", "\n", "\r", "\\")
        starts = _LINE_START.search(text, max(0, begin - 60), begin) is not None
        if shown.lower() in _NO_VALUES or not ((whole and starts) or _MIXED.match(shown)):
            return None
    whole_value = pattern.match(text, at)
    assert whole_value is not None
    return Found(kind, at, at + len(_trimmed(whole_value[0], header)))


def _trimmed(value: str, header: bool) -> str:
    return value.rstrip() if header else value.rstrip(",.)]}>")


def _is_secret(value: str, kind: str, name: str) -> bool:
    if _NO_SECRET.match(value) is not None or value.lower() in _NO_VALUES:
        return False
    if name.startswith("-") and kind not in ("password", "name"):
        return len(value) >= 4 and not value.startswith("-")
    if kind == "authorization":
        return _SCHEME.match(value) is not None or (" " not in value and len(value) >= 8)
    if kind == "cookie":
        return "=" in value or (" " not in value and len(value) >= 16)
    if kind == "auth":
        return len(value) >= 16 and " " not in value
    if kind == "credential" or (kind == "token" and plain(name.lstrip("-")) == "token"):
        # What a model says comes as tokens, too, and `credentials` is a setting of some programs.
        return len(value) >= 8 and " " not in value and (len(value) >= 16 or _MIXED.match(value) is not None)
    return kind in ("password", "name") or len(value) >= 4
