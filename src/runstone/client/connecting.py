"""`runstone.connect`: which token, which spool, and who this process is."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runstone import workspace as places
from runstone.client.addresses import is_local
from runstone.domain import codec
from runstone.engine.processes import identify_self
from runstone.errors import InvalidInput, RunstoneError, StoreReadOnly, WorkspaceNotFound

if TYPE_CHECKING:
    from runstone.client.http import Http

URL: Final = "RUNSTONE_URL"
TOKEN: Final = "RUNSTONE_TOKEN"  # noqa: S105  the variable's name
STATE_DIR: Final = "RUNSTONE_STATE_DIR"


class ServerFile(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server of a workspace listens; in `.runstone/server/`, written by `runstone up`."""

    url: str
    pid: int
    started_at: float


def server_file(folder: Path) -> Path:
    """The file in a workspace's folder that names its server."""
    return folder / "server" / "server.json"


def server_of(folder: Path) -> ServerFile | None:
    """What the workspace's folder says of its server; it may be gone."""
    try:
        return msgspec.json.decode(server_file(folder).read_bytes(), type=ServerFile)
    except (OSError, msgspec.MsgspecError):
        return None


def url_of(url: str | None) -> str:
    """The server's address: as given, else `$RUNSTONE_URL`. Raises `InvalidInput`."""
    found = url if url is not None else os.environ.get(URL)
    if not found:
        raise InvalidInput(
            f"no server is named, and ${URL} is not set", hint="give its address: http://127.0.0.1:7866"
        )
    return found


def token_of(url: str, token: str | None) -> str | None:
    """The token: as given, else `$RUNSTONE_TOKEN`, else the file of the workspace whose server has this address."""
    if token is not None:
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise InvalidInput("a token is the text that runstone token create printed")
        return token
    if found := os.environ.get(TOKEN):
        return found.strip()
    if not is_local(url):
        return None
    try:
        folder = places.locate(None, create=False).folder
    except (WorkspaceNotFound, RunstoneError):
        return None
    server = server_of(folder)
    if server is None or _port(server.url) != _port(url):
        return None
    try:
        return (folder / "server" / "token").read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _port(url: str) -> int | None:
    from urllib.parse import urlsplit

    return urlsplit(url).port


def spool_folder(url: str, spool: str | os.PathLike[str] | None) -> Path:
    """The folder of all spools for a server: as given, else one in the user's state folder."""
    if spool is not None:
        if not isinstance(spool, str | os.PathLike) or not os.fspath(spool):
            raise InvalidInput(f"spool= is the path of a folder, not {codec.shown(spool)}")
        return Path(spool)
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return spools_folder() / name


def spools_folder() -> Path:
    """The folder in which the spools of all servers are, where nobody names another one."""
    state = os.environ.get(STATE_DIR)
    if not state:
        import platformdirs

        state = platformdirs.user_state_dir("runstone", appauthor=False)
    return Path(state) / "spool"


def owner_of(worker_id: str) -> dict[str, Any]:
    """Who this process is, as it tells the server."""
    return {"worker_id": worker_id, "identity": msgspec.to_builtins(identify_self())}


def require_let_in(http: "Http") -> dict[str, Any] | None:
    """What the server is; None where it does not answer. Raises the error of one that does not let this client in."""
    from runstone.errors import ServerUnreachable

    try:
        meta: dict[str, Any] = http.request("GET", "/meta", tries=1, timeout_s=3.0).json()
    except ServerUnreachable:
        return None
    return meta


def made(folder: Path) -> Path:
    """The folder, made where it is missing, for this user only. Raises `StoreReadOnly`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreReadOnly(
            f"the spool's folder {folder} cannot be made: {error.strerror}",
            hint="name another one: runstone.connect(url, spool=DIR)",
        ) from error
    return folder
