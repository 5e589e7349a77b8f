"""Redaction: takes secrets out of texts on their way into the ledger.

`Redactor.json` works on the encoded JSON of a payload in one pass, `Redactor.text` on a text. What is replaced becomes
`[redacted:KIND]`; applied again, nothing changes any more. A text without a secret costs about a microsecond.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from runstone.domain import secret_patterns
from runstone.domain.secret_names import Names

LEAST_KNOWN: Final = 8
"""A shorter value is not looked for by itself: it would be found in words that have nothing to do with it."""

HOOK_FAILED: Final = "[redacted:hook_failed]"

_ROUNDS: Final = 4
"""What is left may look like a secret only without what was taken out of it: so it is looked at again."""

Hook = Callable[[str], str]
_DONE: Final = re.compile(r"(\[redacted:[A-Za-z0-9_.-]{1,200}\])")
_Value = TypeVar("_Value")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Pattern(msgspec.Struct, frozen=True):
    """A pattern of one's own: what it matches becomes `[redacted:NAME]`."""

    name: str
    regex: re.Pattern[str]


class Redactor:
    """What takes secrets out: the usual patterns, those of one's own, a hook, and values that are known to be secret.

    Thread-safe. `allow` lists what is no secret although it looks like one: regexes that fit the whole of it.
    """

    def __init__(
        self,
        *,
        patterns: Iterable[Pattern] = (),
        names: Iterable[str] = (),
        allow: Iterable[re.Pattern[str]] = (),
        hook: Hook | None = None,
        enabled: bool = True,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.enabled = enabled
        self.notes = notes
        """What of the settings is not heeded, a sentence each."""
        self.allowed = len(allow := tuple(allow))
        """How many patterns let something pass."""
        self.hook_failures = 0
        """How many texts were replaced whole because the hook failed on them."""
        self._names = Names(tuple(names))
        self._patterns = tuple(patterns)
        self._allow = allow
        self._hook = hook
        self._own = bool(self._patterns) or hook is not None
        self._known: dict[str, str] = {}
        self._values: tuple[str, ...] = ()
        self._known_pattern: re.Pattern[str] | None = None

    def json(self, data: bytes) -> bytes:
        """The encoded JSON without secrets; the very same object where there are none."""
        if not self.enabled:
            return data
        text = data.decode()
        if not self._own and not self._suspicious(text):
            return data
        clean = self._clean(text)
        return data if clean is text else clean.encode()

    def text(self, text: str) -> str:
        """The text without secrets."""
        if not self.enabled or not (self._own or self._suspicious(text) or self._has_known(text)):
            return text
        try:
            quoted = _encode(text).decode()
        except UnicodeEncodeError:
            return self.text(text.encode(errors="replace").decode())
        clean = self._clean(quoted)
        return text if clean is quoted else str(_decode(clean))

    def message(self, text: Any) -> Any:
        """A caller's text without secrets; what is no text, or no Unicode, is left to whoever refuses it."""
        try:
            text.encode()
        except (AttributeError, UnicodeEncodeError):
            return text
        return self.text(text)

    def value(self, value: _Value) -> _Value:
        """A JSON value without secrets."""
        try:
            data = _encode(value)
        except UnicodeEncodeError:
            return value  # no Unicode: whoever stores it refuses it
        clean = self.json(data)
        return value if clean is data else _decode(clean)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """An environment for showing: without the values of secret names, and without secrets in other values."""
        return {name: self._variable(name, value) for name, value in environ.items()}

    def know(self, name: str, value: str) -> None:
        """From now on the value itself is replaced wherever it stands, as `[redacted:NAME]`."""
        forms = [form for form in _forms(value) if form not in self._known]
        if len(value) < LEAST_KNOWN or not forms or value in f"[redacted:{name}]":
            return
        known = self._known | dict.fromkeys(forms, name)
        longest_first = sorted(known, key=len, reverse=True)
        self._values = (*self._values, value)
        self._known, self._known_pattern = known, re.compile("|".join(map(re.escape, longest_first)))

    # --- inside --------------------------------------------------------------------------------------------------

    def _suspicious(self, text: str) -> bool:
        return (
            secret_patterns.may_hold_token(text)
            or self._names.may_hold(text)
            or (self._known_pattern is not None and self._known_pattern.search(text) is not None)
        )

    def _has_known(self, text: str) -> bool:
        """Whether a known value stands in a text that is not encoded."""
        return any(value in text for value in self._values)

    def _clean(self, text: str) -> str:
        """JSON text without secrets; the same object where there are none."""
        clean = self._usual(text)
        if self._own:
            told = _decode(clean)
            mended = self._walk(told)
            clean = clean if mended is told else self._usual(_encode(mended).decode())
        return text if clean == text else clean

    def _usual(self, text: str) -> str:
        """The text without what the usual rules and the known values find."""
        for _ in range(_ROUNDS):
            before, text = text, self._round(text)
            if text == before:
                break
        return text

    def _round(self, text: str) -> str:
        known = self._known
        if self._known_pattern is not None:
            text = self._known_pattern.sub(lambda found: f"[redacted:{known.get(found[0], 'secret')}]", text)
        if secret_patterns.may_hold_token(text):
            for rule in secret_patterns.RULES:
                for needle in rule.needles:
                    if needle in text:
                        text = self._sub(rule.kind, rule.pattern, text)
                        break
        return self._named(text) if self._names.may_hold(text) else text

    def _sub(self, kind: str, pattern: re.Pattern[str], text: str) -> str:
        group = "secret" if "secret" in pattern.groupindex else 0

        def replace(found: re.Match[str]) -> str:
            if not found[group] or self._allowed(found[group]):
                return found[0]
            start, end = found.start(group) - found.start(), found.end(group) - found.start()
            # Digits of an escape before the secret look like its own, and JSON needs them.
            cut = _ESCAPE.search(text, max(0, found.start(group) - 5), found.end(group))
            if cut is not None and cut.start() < found.start(group) < cut.end():
                start += cut.end() - found.start(group)
            return f"{found[0][:start]}[redacted:{kind}]{found[0][end:]}"

        return pattern.sub(replace, text)

    def _named(self, text: str) -> str:
        parts, done = [], 0
        for found in self._names.find(text):
            if not self._allowed(text[found.start : found.end]):
                parts.append(f"{text[done : found.start]}{found.quote}[redacted:{found.kind}]{found.quote}")
                done = found.end
        return "".join((*parts, text[done:])) if parts else text

    def _allowed(self, found: str) -> bool:
        return any(pattern.fullmatch(found) is not None for pattern in self._allow)

    def _walk(self, value: Any) -> Any:
        """A value with own patterns and the hook applied to each text in it; the same object where nothing changed."""
        if isinstance(value, str):
            clean = self._apply_own(value)
            return value if clean == value else clean
        if isinstance(value, list):
            items = [self._walk(item) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if isinstance(value, dict):
            fields = {self._walk(name): self._walk(item) for name, item in value.items()}
            same = all(new is old for old, new in zip(value.values(), fields.values(), strict=False))
            return value if same and fields.keys() == value.keys() else fields
        return value

    def _apply_own(self, text: str) -> str:
        for pattern in self._patterns:
            # What was taken out stays as it is: every second part.
            parts = _DONE.split(text)
            parts[::2] = [self._sub(pattern.name, pattern.regex, part) for part in parts[::2]]
            text = "".join(parts)
        if self._hook is None:
            return text
        try:
            told = self._hook(text)
            told.encode()
        except Exception:
            # Nobody knows what the hook would have taken out: the text must not pass, and the event must not be lost.
            self.hook_failures += 1
            return HOOK_FAILED
        return told

    def _variable(self, name: str, value: str) -> str:
        if not value:
            return value
        kind = self._names.kind(name) or _variable_kind(name)
        return f"[redacted:{kind}]" if kind is not None else self.text(value)


_ESCAPE: Final = re.compile(r"\\u[0-9a-fA-F]{4}")
"""A character of JSON text, or of JSON within it, that is written by its number."""


class Lines:
    """Redacts a text that comes line by line: of a key that spans lines, no line passes."""

    _KEY_LINES = 1_000
    """No key is longer; what comes after a beginning without an end is shown again."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._left = 0

    def __call__(self, line: str) -> str:
        if self._left and self._redactor.enabled:
            self._left = 0 if "-----END" in line else self._left - 1
            return "[redacted:private_key]"
        if "-----BEGIN" in line and "PRIVATE KEY" in line and "-----END" not in line:
            self._left = self._KEY_LINES
        return self._redactor.text(line)


def mask_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for showing, by the usual names and patterns; see `Redactor.environment`."""
    return _usual.environment(environ)


def _variable_kind(name: str) -> str | None:
    """What a variable's name promises more than another name does: one that ends in `_KEY` holds a key."""
    last = name.upper().rpartition("_")[2]
    return "variable" if last in _VARIABLES else None


_VARIABLES: Final = frozenset(
    {"KEY", "PASS", "PAT", "SALT", "COOKIE", "SESSION", "CREDS", "PIN", "OTP", "DSN"}
)


def _forms(value: str) -> list[str]:
    """The value as it stands in JSON text: as it is, in JSON within JSON, in a URL; and each long line of it."""
    once = _encode(value).decode()[1:-1]
    twice = _encode(once).decode()[1:-1]
    escaped = "".join(c if c.isascii() and (c.isalnum() or c in "-._~") else _percent(c) for c in value)
    lines = [line.strip() for line in value.splitlines() if len(line.strip()) >= 2 * LEAST_KNOWN]
    return list(dict.fromkeys([once, twice, escaped, *(_encode(line).decode()[1:-1] for line in lines)]))


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


_usual: Final = Redactor()
