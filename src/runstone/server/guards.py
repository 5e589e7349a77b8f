"""What each route asks of a request before its handler is called: the role, and no parameter that it does not know."""

from typing import Any, Final

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute

from runstone.errors import NotAuthenticated
from runstone.server.problems import FieldError, InvalidRequest
from runstone.server.security.gate import OPEN
from runstone.server.security.origins import SAFE_METHODS

_Connection = ASGIConnection[Any, Any, Any, Any]
ROLE: Final = "role"
"""A handler's option that names the role; without it reading takes read, and all else control."""
PREFIXES: Final = "query_prefixes"
"""A handler's option: beginnings of parameters whose names are the caller's, such as `label.`."""
ALSO: Final = "also"
"""A handler's option: further answers than the first, as status -> type of the body (None: no body)."""


async def check(connection: _Connection, handler: BaseRouteHandler) -> None:
    """What every route asks. One guard, as the handler is copied for each; async, as others are given a thread."""
    _require_role(connection, handler)
    _require_known_query(connection, handler)


def _require_role(connection: _Connection, handler: BaseRouteHandler) -> None:
    """Raises `NotAuthenticated` or `RoleMissing`."""
    if connection.scope["path"] in OPEN:
        return
    principal = connection.scope.get("user")
    if principal is None:
        raise NotAuthenticated("the request has no token")
    method = connection.scope.get("method", "")
    principal.require(handler.opt.get(ROLE) or ("read" if method in SAFE_METHODS else "control"))


def _require_known_query(connection: _Connection, handler: BaseRouteHandler) -> None:
    """Raises `InvalidRequest` for a parameter that the route does not know, or that stands twice where one is meant."""
    if not connection.scope["query_string"] or not isinstance(handler, HTTPRouteHandler):
        return
    single, several = _query_of(connection.app, handler)
    prefixes = tuple(handler.opt.get(PREFIXES, ()))
    given = [name for name, _ in connection.query_params.multi_items()]
    unknown = {
        name
        for name in given
        if name not in single | several and not (prefixes and name.startswith(prefixes))
    }
    twice = {name for name in single if given.count(name) > 1}
    found = [
        FieldError(detail="there is no such parameter", parameter=name[:100]) for name in sorted(unknown)
    ]
    found += [FieldError(detail="it may stand once", parameter=name) for name in sorted(twice)]
    if found:
        raise InvalidRequest(
            f"the query cannot be taken: {', '.join(one.parameter or '' for one in found)[:200]}", found
        )


def _query_of(app: Litestar, handler: HTTPRouteHandler) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the query's parameters that may stand once, and of those that may stand several times."""
    known: dict[Any, tuple[frozenset[str], frozenset[str]]] = app.state.setdefault("query_names", {})
    if not known:
        for route in app.routes:
            for one, model in route.route_handler_map.values() if isinstance(route, HTTPRoute) else ():
                names = frozenset(parameter.field_alias for parameter in model.expected_query_params)
                several = frozenset(model.sequence_query_parameter_names)
                known[one.fn] = (names - several, several)
    return known[handler.fn]
