"""The OpenAPI document: it is what the server does, and whatever is sent, the server answers as it says."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import runstone
from runstone.server import app, document
from runstone.server.shapes import bodies
from tests.server.conftest import Running, crew, serving

DOCUMENT = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json").read_text()
)
OPERATIONS = [(path, method) for path, found in DOCUMENT["paths"].items() for method in found]
EXAMPLES = int(os.environ.get("RUNSTONE_FUZZ_EXAMPLES", "12"))
"""Requests of each operation; `make campaign` sends more."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
STREAMS = {"/api/v1/stream", "/api/v1/runs/{run_id}/ag-ui"}
"""They do not end by themselves; tests of their own read them."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with something of everything in it."""
    with serving(tmp_path_factory.mktemp("fuzzed") / "w", crew()) as running:
        run = fill(running.ledger)
        yield running
        assert running.ledger.care.verify() == []
        assert run.run_id == "r1"  # held until here, so that its run went on


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """It must reach the server by itself: no proxy of the environment."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def fill(ledger: runstone.Ledger) -> runstone.RunHandle:
    """One of everything. The handle is held, so that its run goes on."""
    ledger.boards.create("b1", title="Board")
    ledger.boards.add_card("b1", "Card", card_id="c1")
    run = ledger.start_run(
        run_id="r1", agent_id="echo", title="a run", prompt="do it", input={"a": 1}, labels={"x": "y"}
    )
    run.message("assistant", "hello")
    run.usage(provider="p", model="m", input_tokens=5, output_tokens=1, request_id="q1")
    run.checkpoint({"messages": ["a"]}, label="first")
    run.checkpoint({"messages": ["a", "b"]})
    ledger.inputs.ask("r1", "Which?", choices=["a", "b"])
    with ledger.start_run(run_id="r2", agent_id="echo", parent="r1") as child:
        child.complete(summary="done", result={"answer": 42})
    return run


KNOWN = {
    "run_id": ["r1", "r2"], "board_id": ["b1"], "card_id": ["c1"], "name": ["echo"],
}  # fmt: skip


def test_the_document_has_every_route_under_a_name_of_its_own() -> None:
    names = [DOCUMENT["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(names) == len(set(names)) > 40
    assert DOCUMENT["openapi"] == "3.1.0"
    assert json.loads(json.dumps(app.described())) == DOCUMENT


def test_every_reference_leads_somewhere_and_every_body_refuses_what_it_does_not_know() -> None:
    text = json.dumps(DOCUMENT)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    components = DOCUMENT["components"]["schemas"]
    assert named <= components.keys()
    for name, kind in vars(bodies).items():
        if isinstance(kind, type) and issubclass(kind, bodies.Body) and name in components:
            assert components[name]["additionalProperties"] is False, name


@pytest.mark.parametrize("name", sorted(document.EXAMPLES))
def test_an_example_is_what_it_is_an_example_of(name: str) -> None:
    assert DOCUMENT["components"]["schemas"][name]["examples"] == [document.EXAMPLES[name]]
    if name != "Problem":
        msgspec.convert(document.EXAMPLES[name], getattr(bodies, name))


def test_the_server_gives_its_document(server: Running) -> None:
    assert server.client("read").get("/openapi.json").json() == DOCUMENT
    for path in ("/schema", "/schema/swagger", "/schema/openapi.json"):
        assert server.client("read").get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS]
)
def test_whatever_is_sent_the_answer_is_one_that_the_document_has(
    server: Running, session: requests.Session, path: str, method: str
) -> None:
    """Seeded: the same requests each time. Half of them fit the document, half break it."""
    if path in STREAMS:
        pytest.skip("it does not end by itself")
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    operation = schema[path][method]
    headers = {"authorization": f"Bearer {server.tokens['control']}"}

    def send(case: Any, known: str | None) -> None:
        for name in case.path_parameters or {}:
            if known is not None and name in KNOWN:
                case.path_parameters[name] = KNOWN[name][len(known) % len(KNOWN[name])]
        response = case.call(
            base_url=server.url, headers=headers, session=session, timeout=30, allow_redirects=False
        )
        if response.status_code == 405:  # a broken path leads to another route
            return
        case.validate_response(response, checks=CHECKS)

    for modes, known in (
        ([schemathesis.GenerationMode.POSITIVE], st.sampled_from(["", "a"])),
        ([schemathesis.GenerationMode.NEGATIVE, schemathesis.GenerationMode.POSITIVE], st.none()),
    ):
        strategy = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
        tried = settings(
            max_examples=EXAMPLES // 2, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        tried(given(strategy, known)(send))()
