"""The OpenAPI 3.1 document: paths and parameters from handlers, shapes from Structs, and every problem there is.

`make reference` writes it to docs/reference/openapi.json; a test compares the two.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from runstone.server.guards import ALSO, ROLE
from runstone.server.problems import MEDIA_TYPE, STATUS, Problem
from runstone.server.security.gate import OPEN
from runstone.server.security.origins import SAFE_METHODS

_READING: Final = (400, 421, 431, 503)
_CHANGING: Final = (408, 409, 413, 415, 422, 507)
_REF: Final = "#/components/schemas/{name}"
_MEANS: Final = {
    400: "The request cannot be taken as it is.",
    401: "There is no token that is valid.",
    403: "The token may not do that, or the request comes from a page of another site.",
    404: "There is nothing under that name.",
    408: "The body did not arrive in time.",
    409: "The state of the ledger does not allow it; nothing was changed.",
    412: "It is not any more what the request was made against.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    421: "The request is meant for another host.",
    422: "What is asked cannot be done with these values, or the idempotency key belongs to another request.",
    431: "The headers are too large.",
    503: "The ledger cannot be reached, or as many requests as are taken are under way.",
    507: "The disk is full; nothing was stored.",
}


def document(app: Litestar) -> dict[str, Any]:
    """The document of the app's routes."""
    found = app.openapi_schema.to_schema()
    handlers = _handlers(app)
    bodies = {handler: _body_of(handler) for handler in handlers.values()}
    replies = {handler: list(_replies_of(handler)) for handler in handlers.values()}
    kinds = [kind for kind in bodies.values() if kind is not None]
    kinds += [kind for reply in replies.values() for _, kind in reply if kind is not None]
    shapes, components = _shapes([*kinds, Problem])
    for (path, method), handler in handlers.items():
        operation = found["paths"][path][method]
        _describe(operation, path, method, handler)
        if (body := bodies[handler]) is not None:
            operation["requestBody"]["content"] = {"application/json": {"schema": shapes[body]}}
        first = operation["responses"][str(handler.status_code)]
        operation["responses"] = dict(_answers(first, replies[handler], shapes, handler))
        operation["responses"] |= {
            str(status): {"$ref": _PROBLEM_REF.format(status=status)} for status in _problems_of(path, method)
        }
    problems = {_PROBLEM_NAME.format(status=status): _problem(status) for status in _MEANS}
    found["components"] = {"schemas": components, "responses": problems, "securitySchemes": _SCHEMES}
    return {**found, "info": _info(), "security": [{"token": []}, {"session": []}]}


_PROBLEM_NAME: Final = "Problem{status}"
_PROBLEM_REF: Final = f"#/components/responses/{_PROBLEM_NAME}"
"""What a problem means is said once: it is the same for each route."""

_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of `runstone token create`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "runstone_7866",
        "description": "A browser's; see /auth.",
    },
}


def _info() -> dict[str, Any]:
    return {
        "title": "Runstone",
        "version": version("runstone"),
        "description": "The ledger of a workspace's agent runs: what they do, what they cost, and orders to them.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }


def _handlers(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    """The handlers by path, as the document writes it, and method."""
    found = {}
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            for method in handler.http_methods:
                if method != "OPTIONS" and handler.resolve_include_in_schema():
                    found[route.path_format, method.lower()] = handler
    return found


def _inner(annotation: Any) -> Any:
    """The type of a body: `Response[X]` and `Annotated[X, ...]` are X; None for bytes and nothing."""
    while get_origin(annotation) is Annotated or get_origin(annotation) is Response:
        annotation = get_args(annotation)[0]
    return None if annotation in (bytes, type(None), None, Any) else annotation


def _body_of(handler: HTTPRouteHandler) -> Any:
    parameter = inspect.signature(handler.fn).parameters.get("data")
    return None if parameter is None else _inner(parameter.annotation)


def _replies_of(handler: HTTPRouteHandler) -> Iterator[tuple[int, Any]]:
    kind = _inner(inspect.signature(handler.fn).return_annotation)
    plain = isinstance(kind, type) and not issubclass(kind, msgspec.Struct)
    also: dict[int, Any] = handler.opt.get(ALSO, {})
    yield handler.status_code, None if plain else kind
    yield from also.items()


def _shapes(kinds: list[Any]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each type, and the components that they refer to."""
    known = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(known, ref_template=_REF)
    for struct in _structs(known):
        name = getattr(struct, "__name__", "")
        for field, text in _field_docs(struct).items():
            properties = components.get(name, {}).get("properties", {})
            if field in properties and "$ref" not in properties[field]:
                properties[field].setdefault("description", text)
    for name, example in EXAMPLES.items():
        if name in components:
            components[name]["examples"] = [example]
    return dict(zip(known, schemas, strict=True)), dict(sorted(components.items()))


def _structs(kinds: list[Any]) -> set[type[msgspec.Struct]]:
    """All Structs below these types."""
    found: set[type[msgspec.Struct]] = set()
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting.extend(get_args(kind))
        origin = get_origin(kind) or kind
        if isinstance(origin, type) and issubclass(origin, msgspec.Struct) and origin not in found:
            found.add(origin)
            waiting.extend(inspect.get_annotations(origin, eval_str=True).values())
    return found


@cache
def _field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What the source says below each field."""
    docs: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        if kind in (object, msgspec.Struct) or not issubclass(kind, msgspec.Struct):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            text = below.value if isinstance(below, ast.Expr) else None
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(text, ast.Constant)
                and isinstance(field.target, ast.Name)
            ):
                docs[field.target.id] = inspect.cleandoc(str(text.value))
    return docs


def _describe(operation: dict[str, Any], path: str, method: str, handler: HTTPRouteHandler) -> None:
    operation["operationId"] = handler.fn.__name__
    operation["description"] = inspect.cleandoc(handler.fn.__doc__ or "")
    role = handler.opt.get(ROLE) or ("read" if method.upper() in SAFE_METHODS else "control")
    if path in OPEN:
        operation["security"] = []
    else:
        operation["x-role"] = role
    operation.pop("deprecated", None)
    for parameter in operation.get("parameters", ()):
        for noise in ("deprecated", "allowEmptyValue", "allowReserved"):
            parameter.pop(noise, None)
        parameter["schema"] = _tidy(parameter["schema"])
        if parameter["in"] == "path":
            parameter["schema"].setdefault(
                "minLength" if parameter["schema"].get("type") == "string" else "minimum", 1
            )


def _tidy(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema without what is said elsewhere; a parameter that is left out is not null."""
    found = {name: value for name, value in schema.items() if name not in ("description", "default_factory")}
    if "oneOf" in found:
        left = [one for one in found["oneOf"] if one != {"type": "null"}]
        if len(left) == 1:
            found = {**{name: value for name, value in found.items() if name != "oneOf"}, **left[0]}
    for bound in ("minimum", "maximum"):
        if isinstance(found.get(bound), float):
            found[bound] = int(found[bound])
    return found


def _answers(
    first: dict[str, Any], replies: list[tuple[int, Any]], shapes: dict[Any, Any], handler: HTTPRouteHandler
) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, kind in replies:
        answer: dict[str, Any] = {"description": _SAYS.get(status, "Done.")}
        if kind is not None:
            answer["content"] = {"application/json": {"schema": shapes[kind]}}
        elif status == handler.status_code and first.get("content"):
            answer["content"] = {
                media: {"schema": {"type": "object"}} if media == "application/json" else {}
                for media in first["content"]
            }
        headers = {name: _HEADERS[name] for name in _headers_of(handler, status)}
        yield str(status), {**answer, **({"headers": headers} if headers else {})}


_HEADERS: Final = {
    name: {"description": text, "schema": {"type": "string"}}
    for name, text in (
        ("ETag", "The tag of this state, for If-None-Match and If-Match."),
        ("Location", "Where to look at what was made or asked for."),
        ("Idempotent-Replayed", "`true` where the request was answered before."),
    )
}


def _headers_of(handler: HTTPRouteHandler, status: int) -> Iterator[str]:
    taken = inspect.signature(handler.fn).parameters
    if "if_none_match" in taken:
        yield "ETag"
    if "key" in taken:
        yield "Idempotent-Replayed"
    if status in (201, 202, 303):
        yield "Location"


_SAYS: Final = {
    200: "Here it is.",
    201: "It was made.",
    202: "It was asked for; look at what Location names.",
    303: "Go there.",
    304: "It is as the reader has it.",
}


def _problems_of(path: str, method: str) -> list[int]:
    """The statuses of problems that a route can answer with."""
    found = {*_READING, 403, *(() if path in OPEN and path != "/auth" else (401,))}
    if path.startswith("/api/"):
        found.add(404)
    if method.upper() not in SAFE_METHODS:
        found.update(_CHANGING)
    if method == "patch":
        found.add(412)
    return sorted(found)


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _MEANS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }


CODES: Final = tuple(sorted({kind.code for kind in STATUS}))
"""Every `code` of a problem."""

EXAMPLES: Final[dict[str, Any]] = {
    "StartRun": {
        "name": "repo-audit",
        "input": {"path": "."},
        "labels": {"team": "red"},
        "budget": {"max_cost_usd": 2},
    },
    "ChangeRun": {"title": "Audit of the parser", "labels": {"team": "red"}},
    "GiveCommand": {"verb": "stop", "scope": "subtree", "reason": "it reads the wrong folder"},
    "ResumeRun": {"policy": {"failed": "retry", "definition": "refuse"}},
    "ContinueRun": {"message": "Look at the second file, too."},
    "PlanResume": {"policy": {"from_phase": "report"}},
    "ForkRun": {"checkpoint": 3, "input": {"path": "src"}, "dry_run": True},
    "GiveAnswer": {"response": "main"},
    "NewThread": {"title": "Plans"},
    "NewMessage": {"role": "user", "text": "Look at the second file, too."},
    "NewBoard": {"title": "This week"},
    "ChangeBoard": {"title": "Next week", "revision": 2},
    "NewCard": {"title": "Read the parser", "assignee": "ana"},
    "ChangeCard": {"revision": 4, "status": "done"},
    "Problem": {
        "type": "urn:runstone:error:illegal_transition",
        "title": "The run's status does not allow this move.",
        "status": 409,
        "detail": "run audit-1 is completed already",
        "instance": "/api/v1/runs/audit-1/commands",
        "code": "illegal_transition",
        "hint": "look at the run: runstone runs show audit-1",
        "run_id": "audit-1",
        "run_status": "completed",
    },
}
