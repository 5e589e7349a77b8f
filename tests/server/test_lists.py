"""Lists and counts over a real server: each filter reaches the ledger, and a cursor stays bound to them."""

import httpx
import pytest

from tests.server.conftest import Running


@pytest.fixture
def four(running: Running) -> None:
    for n in range(4):
        with running.ledger.start_run(
            run_id=f"r{n}", agent_id=f"a{n % 2}", labels={"team": "web" if n < 3 else "search"}, parent=None,
            title=f"Look at {n}",
        ) as run:  # fmt: skip
            run.usage(provider="p", model="m", input_tokens=1, cost_usd=n, request_id=f"q{n}")
    running.ledger.update_run("r0", archived=True)
    running.ledger.update_run("r2", pinned=True)


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["r3", "r2", "r1"]), ("archived=any", ["r3", "r2", "r1", "r0"]), ("archived=true", ["r0"]),
     ("pinned=true", ["r2"]), ("agent_id=a0", ["r2"]), ("agent_id=a0&agent_id=a1", ["r3", "r2", "r1"]),
     ("label.team=web&sort=cost&order=asc", ["r1", "r2"]), ("label.team=web&label.team=search", ["r3", "r2", "r1"]),
     ("q=look+3", ["r3"]), ("status=failed", []), ("bucket=completed&depth=0", ["r3", "r2", "r1"]),
     ("created_from=2020-01-01T00:00:00Z&ended_to=2020-01-02", []), ("updated_from=2020-01-01", ["r3", "r2", "r1"])],
)  # fmt: skip
def test_filters_and_orders_are_those_of_the_ledger(
    four: None, http: httpx.Client, query: str, found: list[str]
) -> None:
    sort = "" if "sort" in query else "&sort=created"
    page = http.get(f"/api/v1/runs?{query}{sort}")
    assert [run["id"] for run in page.json()["items"]] == found, page.text
    plain = "&".join(part for part in query.split("&") if not part.startswith(("sort", "order")))
    counted = http.get(f"/api/v1/runs/counts?{plain}").json()
    expected = 3 if query == "status=failed" else len(found)
    assert (sum(counted["counts"].values()), counted["complete"]) == (expected, True)
    assert counted["as_of"] == page.json()["as_of"]


def test_a_cursor_of_other_filters_is_refused(four: None, http: httpx.Client) -> None:
    cursor = http.get("/api/v1/runs?label.team=web&limit=1").json()["next_cursor"]
    assert len(http.get(f"/api/v1/runs?label.team=web&limit=1&cursor={cursor}").json()["items"]) == 1
    other = http.get(f"/api/v1/runs?label.team=search&limit=1&cursor={cursor}")
    assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "query", ["archived=1", "created_from=soon", "sort=title", "bucket=x", "order=up", "lable.x=y"]
)
def test_what_is_no_list_is_a_problem(http: httpx.Client, query: str) -> None:
    answer = http.get(f"/api/v1/runs?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_a_run_is_pinned_and_put_away(four: None, running: Running, http: httpx.Client) -> None:
    answer = http.patch("/api/v1/runs/r3", json={"pinned": True, "archived": True})
    assert (answer.status_code, answer.json()["pinned"], answer.json()["archived"]) == (200, True, True)
    assert running.ledger.get_run("r3").archived
