"""Questions of runs to people, and their answers."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from runstone.domain.inputs import InputRequest
from runstone.errors import AlreadyAnswered
from runstone.ledger import Ledger
from runstone.server.guards import ROLE
from runstone.server.idempotency import Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, LedgerPart, Parts
from runstone.server.shapes import bodies
from runstone.server.shapes.pages import PageOf
from runstone.store import questions
from runstone.store.writes.inputs import AnswerInput, AskInput

Status = Literal["open", "answered", "expired", "withdrawn", "all"]


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """Questions of a run."""

    items: list[InputRequest]


@get("/inputs", summary="List questions")
async def list_inputs(
    ledger: LedgerPart,
    status: Annotated[Status, QueryParameter(description="How they stand.")] = "open",
    run_id: Annotated[str | None, QueryParameter(description="Only those of this run.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, QueryParameter(description="From the page before.")] = None,
) -> PageOf[InputRequest]:
    """Questions, those that wait longest first."""
    as_of = ledger.cursor()
    page = ledger.inputs.list(
        status=None if status == "all" else status, run_id=run_id, limit=limit, cursor=cursor
    )
    return PageOf(items=page.items, next_cursor=page.next_cursor, as_of=as_of)


@get("/inputs/{input_id:str}", summary="Show a question")
async def get_input_request(ledger: LedgerPart, input_id: FromPath[str]) -> InputRequest:
    """The question, with its answer where it has one."""
    return ledger.inputs.get(input_id)


@get("/runs/{run_id:str}/inputs", summary="The questions of a run")
async def list_inputs_of_run(ledger: LedgerPart, run_id: FromPath[str]) -> Inputs:
    """All questions that the run asked, at most 1,000."""
    ledger.get_run(run_id)
    return Inputs(items=ledger.inputs.list(status=None, run_id=run_id, limit=1000).items)


@post("/inputs/{input_id:str}/answer", summary="Answer a question", status_code=200)
async def give_answer(
    request: Request[Any, Any, Any],
    parts: AllParts,
    input_id: FromPath[str],
    data: JSONBody[bodies.GiveAnswer],
    key: IdempotencyKey = None,
) -> Response[InputRequest]:
    """Answers the question once; its run goes on. Another answer than the first is refused (409), which shows that."""
    return await parts.writes(_answer, request, parts, input_id, data)


def _answer(
    request: Request[Any, Any, Any], parts: Parts, input_id: str, data: bodies.GiveAnswer
) -> Response[Any]:
    def act() -> None:
        parts.ledger.answer(input_id, data.response, by=request.user.name)
        parts.engine.look()

    effect = Effect(AnswerInput, lambda reader, _: questions.get(reader, input_id), status=200)
    try:
        return once(request, parts.ledger, data, effect, act)
    except AlreadyAnswered as error:
        error.details["input"] = parts.ledger.inputs.get(input_id).to_dict()
        raise


@post("/runs/{run_id:str}/inputs", summary="Ask a question", status_code=201, opt={ROLE: "ingest"})
async def ask_question(
    request: Request[Any, Any, Any],
    parts: AllParts,
    run_id: FromPath[str],
    data: JSONBody[bodies.AskQuestion],
    key: IdempotencyKey = None,
) -> Response[InputRequest]:
    """Asks in the name of a run that is running, for a command of it. An equal question that is open is that one."""
    return await parts.writes(_ask, request, parts.ledger, run_id, data)


def _ask(
    request: Request[Any, Any, Any], ledger: Ledger, run_id: str, data: bodies.AskQuestion
) -> Response[Any]:
    effect = Effect(
        AskInput,
        lambda reader, asked: questions.get(reader, asked.input_id),
        location=lambda asked: f"/api/v1/inputs/{asked.input_id}",
    )
    message, asked = data.message, bodies.given(data, "message")
    return once(request, ledger, data, effect, lambda: ledger.inputs.ask(run_id, message, **asked))


@post("/inputs/{input_id:str}/take", summary="Take an answer", status_code=200, opt={ROLE: "ingest"})
async def take_answer(parts: AllParts, input_id: FromPath[str]) -> InputRequest:
    """Notes that a command of the run was given the answer: what it asks alike from now on is a new question."""
    await parts.writes(parts.ledger.inputs.take, input_id)
    return parts.ledger.inputs.get(input_id)


router = Router(
    path="/",
    route_handlers=[
        list_inputs,
        get_input_request,
        list_inputs_of_run,
        give_answer,
        ask_question,
        take_answer,
    ],
    tags=["inputs"],
)
