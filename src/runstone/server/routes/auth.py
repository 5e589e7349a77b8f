"""How a browser gets in: a code is given to who has a token, and swapped for a cookie by who opens it."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import QueryParameter

from runstone.errors import InvalidInput
from runstone.server.guards import ROLE
from runstone.server.parts import AllParts
from runstone.server.security.sessions import CODE_S, cookie_header, ended_cookie_header


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A code that lets one browser in, once."""

    code: str
    path: str
    """What to open on this server."""
    expires_in_s: int


@post("/codes", summary="Get a code that lets a browser in", status_code=201)
async def give_code(parts: AllParts) -> Code:
    """A code that is good for a minute and once."""
    code = parts.codes.give()
    return Code(code=code, path=f"/auth?code={code}", expires_in_s=int(CODE_S))


@get("/auth", summary="Swap a code for a cookie", status_code=303)
async def enter(parts: AllParts, code: Annotated[str, QueryParameter(max_length=100)]) -> Response[None]:
    """Sets the session's cookie and leads to the app."""
    text = parts.codes.swap(code)
    cookie = cookie_header(parts.port, text, secure=parts.settings.scheme == "https")
    return Response(None, status_code=303, headers={"location": "/", "set-cookie": cookie})


@post("/logout", summary="End this browser's session", status_code=204, opt={ROLE: "read"})
async def leave(request: Request[Any, Any, Any], parts: AllParts) -> Response[None]:
    """The session of the cookie is worthless from now on, and the browser forgets it. A token is revoked elsewhere."""
    if not request.user.by_cookie:
        raise InvalidInput(
            "only the session of a browser is ended so", hint="revoke a token: runstone token revoke"
        )
    await parts.writes(parts.tokens.revoke, request.user.token_id)
    cookie = ended_cookie_header(parts.port, secure=parts.settings.scheme == "https")
    return Response(None, status_code=204, headers={"set-cookie": cookie})


router = Router(path="/auth", route_handlers=[give_code, leave], tags=["auth"])
