"""Lists of runs and single ones, over a real server."""

import httpx

from tests.server.conftest import Running


def test_a_run_that_was_recorded_is_listed_and_shown(running: Running, http: httpx.Client) -> None:
    with running.ledger.start_run(agent_id="reader", title="Reads", run_id="r1") as run:
        run.complete(summary="read")
    page = http.get("/api/v1/runs").json()
    assert [one["id"] for one in page["items"]] == ["r1"]
    assert page["as_of"] == running.ledger.cursor()
    shown = http.get("/api/v1/runs/r1")
    assert (shown.status_code, shown.json()["status"], shown.json()["summary"]) == (200, "completed", "read")


def test_who_has_the_answer_already_is_not_sent_it_again(running: Running, http: httpx.Client) -> None:
    with running.ledger.start_run(run_id="r1"):
        pass
    first = http.get("/api/v1/runs/r1")
    again = http.get("/api/v1/runs/r1", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    running.ledger.update_run("r1", title="another")
    assert http.get("/api/v1/runs/r1", headers={"if-none-match": first.headers["etag"]}).status_code == 200


def test_an_unknown_parameter_is_refused_and_named(http: httpx.Client) -> None:
    answer = http.get("/api/v1/runs?statos=failed")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [{"detail": "there is no such parameter", "parameter": "statos"}]


def test_a_wrong_type_is_refused_and_named(http: httpx.Client) -> None:
    answer = http.get("/api/v1/runs?limit=many")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["errors"][0]["parameter"] == "limit"


def test_a_run_that_is_not_there_is_a_problem_with_code_and_hint(http: httpx.Client) -> None:
    answer = http.get("/api/v1/runs/none")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["hint"] == "list what there is: runstone runs list"
    assert answer.json()["instance"] == "/api/v1/runs/none"
