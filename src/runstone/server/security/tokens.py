"""Tokens: 256 random bits that are shown once, kept as hashes in a file that only its owner can read.

They have too many bits to be guessed, so a fast hash is enough: it keeps a copy of the file from being a key.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from runstone.errors import NotAuthenticated, NotFound, StoreReadOnly
from runstone.server.security.limits import Wrong
from runstone.server.security.roles import Principal, check_role

PREFIX: Final = "rst_"
"""By which people and scanners of secrets know one."""
_TOKEN_CHARACTERS: Final = len(PREFIX) + 43
_LOOK_S: Final = 1.0
"""So long a look at the file is good: a revoked token is refused after it at the latest."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token, without the text that proves it."""

    id: str
    name: str
    role: str
    digest: str
    created_at: float
    expires_at: float | None = None
    by_cookie: bool = False
    """It is a browser's, kept in a cookie."""

    def is_valid(self, now: float) -> bool:
        """Whether its time has not run out."""
        return self.expires_at is None or now < self.expires_at


class Tokens:
    """The tokens of a workspace. Any process may add and revoke; a server sees it within a second."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.time, look_s: float = _LOOK_S
    ) -> None:
        """`folder` is the workspace's `.runstone/`. After `look_s` seconds the file is looked at again."""
        self._clock = clock
        self._look_s = look_s
        self._folder = folder / "server"
        self._file = self._folder / "tokens.json"
        self.first = self._folder / "token"
        """The file with the first token's text, for programs of the same user on this machine."""
        self._by_digest: dict[str, Token] = {}
        self._seen: tuple[int, int, int] | None = None
        self._looked_at = -look_s
        self._wrong = Wrong()

    def create(
        self, role: str, name: str, *, lifetime_s: float | None = None, by_cookie: bool = False
    ) -> tuple[Token, str]:
        """A new token, and its text, which is kept nowhere."""
        text = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        token = Token(
            id=secrets.token_hex(6), name=name[:100], role=check_role(role), digest=_digest(text), created_at=now,
            expires_at=None if lifetime_s is None else now + lifetime_s, by_cookie=by_cookie,
        )  # fmt: skip
        with self._changing() as tokens:
            tokens.append(token)
        return token, text

    def valid(self) -> list[Token]:
        """The tokens that are valid, from the first."""
        now = self._clock()
        return [token for token in self._read() if token.is_valid(now)]

    def revoke(self, token_id: str) -> None:
        """Makes the token worthless. Raises `NotFound`."""
        with self._changing() as tokens:
            left = [token for token in tokens if token.id != token_id]
            if len(left) == len(tokens):
                raise NotFound(f"there is no token {token_id}", hint="list them: runstone token list")
            tokens[:] = left

    def ensure_first(self) -> str:
        """The text of the first token, which may do everything; made where there is none."""
        try:
            text = self.first.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            text = ""
        if text and self._find(text) is not None:
            return text
        _, text = self.create("control", "first")
        _write_private(self.first, text.encode() + b"\n")
        return text

    def principal(self, text: str, *, by_cookie: bool = False) -> Principal:
        """Whose token it is; a cookie's is taken from a cookie only. Raises `NotAuthenticated`, `TooManyRequests`."""
        token = self._find(text)
        if token is None or token.by_cookie != by_cookie:
            if not by_cookie:  # a browser whose session has ended asks often, and is to be told so
                self._wrong.note()
            raise NotAuthenticated("the token is not known, was revoked, or has expired")
        return Principal(token_id=token.id, role=token.role, name=token.name, by_cookie=by_cookie)

    def holds(self, token_id: str) -> bool:
        """Whether the token is valid still."""
        self._refresh()
        now = self._clock()
        return any(token.id == token_id and token.is_valid(now) for token in self._by_digest.values())

    def _find(self, text: str) -> Token | None:
        if len(text) != _TOKEN_CHARACTERS:
            return None
        digest = _digest(text)
        if digest not in self._by_digest and not self._wrong.too_many:
            self._looked_at = -_LOOK_S  # it may have been made in this moment
        self._refresh()
        token = self._by_digest.get(digest)
        # The digest was looked up by its hash, which tells nothing of the text; the comparison is constant in time.
        if token is None or not hmac.compare_digest(token.digest, digest):
            return None
        return token if token.is_valid(self._clock()) else None

    def _refresh(self) -> None:
        if time.monotonic() - self._looked_at < self._look_s:
            return
        self._looked_at = time.monotonic()
        try:
            found = self._file.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        except FileNotFoundError:
            self._by_digest, self._seen = {}, None
            return
        if seen != self._seen:
            self._by_digest = {token.digest: token for token in self._read()}
            self._seen = seen

    def _read(self) -> list[Token]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=list[Token])
        except FileNotFoundError:
            return []

    @contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """The tokens, to be changed; written as one, while no other process does."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / "tokens.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreReadOnly(f"{self._folder} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            now = self._clock()
            tokens = [token for token in self._read() if token.is_valid(now)]
            yield tokens
            _write_private(self._file, msgspec.json.encode(tokens))
            self._looked_at = -self._look_s
        finally:
            os.close(lock)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write_private(file: Path, data: bytes) -> None:
    """Replaces the file as a whole; at no moment can others read it."""
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(file)
