"""Who comes back sees what was there, and what has happened since: after a reload, and in a new window."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.web import seeing
from tests.e2e.web.conftest import Browsers, Served

PLACES = 6
LIST = "/runs?agent_id=scout&agent_id=mapper&sort=created&order=asc"
NAMES = re.compile("expedition|scout|Runs")
LOW = {"width": 1200, "height": 360}


def prepared(page: Page, served: Served, run_id: str) -> dict[str, tuple[str, Any]]:
    """Looks at each screen and leaves something on it: by path, what to look at there and what was seen."""
    seen: dict[str, tuple[str, Any]] = {}

    def note(what: str) -> None:
        seen[page.url.removeprefix(served.url)] = (what, seeing.see(page, what))

    page.goto(f"{served.url}/runs/{run_id}?tab=tree")
    scouts = page.get_by_role("row").filter(has_text="scout")
    expect(page.get_by_role("row").filter(has_text="mapper").filter(has_text="Running")).to_have_count(PLACES)
    scouts.nth(1).get_by_role("button", name="Fold").click()
    scouts.nth(3).get_by_role("button", name="Fold").click()
    expect(page.get_by_role("row").filter(has_text="mapper")).to_have_count(PLACES - 2)
    note(seeing.TREE)

    page.goto(f"{served.url}/runs/{run_id}")
    page.get_by_role("textbox", name="Your answer").fill("to the sea, but")
    note(seeing.OVERVIEW)

    scout_id = served.api("GET", "/api/v1/runs?agent_id=scout")["items"][0]["id"]
    page.goto(f"{served.url}/runs/{scout_id}")
    expect(page.get_by_role("row").filter(has_text="draw")).to_contain_text("running")
    expect(page.get_by_role("row").filter(has_text="look")).to_contain_text("completed")
    note(seeing.OVERVIEW)

    page.get_by_role("tab", name="Events").click()
    page.get_by_role("combobox", name="Show").select_option("all")
    page.get_by_role("searchbox").fill("tool")
    page.get_by_role("log").get_by_role("button").first.click()
    expect(page.get_by_role("log").get_by_role("button")).to_have_count(3)
    note(seeing.EVENTS)

    page.goto(f"{served.url}{LIST}")
    expect(page.get_by_role("row").filter(has_text="scout")).not_to_have_count(0)
    page.get_by_role("grid", name="Runs").evaluate("grid => grid.scrollTo(0, 96)")
    page.wait_for_function("() => JSON.stringify(Object.entries(localStorage)).includes('96')")
    note(seeing.LIST)
    return seen


def assert_as_before(page: Page, served: Served, seen: dict[str, tuple[str, Any]]) -> None:
    for path, (what, wanted) in seen.items():
        page.goto(f"{served.url}{path}")
        seeing.assert_seen(page, what, wanted)


def test_what_was_looked_at_is_as_before_after_leaving_reloading_and_closing(
    served: Served, browsers: Browsers
) -> None:
    run_id = served.begin("expedition", {"places": PLACES})
    page = browsers.open(served, "/", viewport=LOW)
    seen = prepared(page, served, run_id)
    assert seen[LIST][1]["scroll"] == 96
    assert len(seen[LIST][1]["rows"]) == 2 * PLACES
    assert list(seen.values())[1][1]["drafts"] == ["to the sea, but"]

    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Needs input")).to_be_visible()
    page.go_back()
    seeing.assert_seen(page, *seen[LIST])
    page.reload()
    seeing.assert_seen(page, *seen[LIST])
    assert_as_before(page, served, seen)

    browsers.close()
    assert_as_before(browsers.open(served, "/settings", viewport=LOW), served, seen)


def arrived(page: Page, what: str) -> Any:
    """What is seen where the agents are done; a browser that was never here keeps no draft, and is scrolled as well."""
    if what == seeing.LIST:  # rows that lie beside what is in view are not in the page
        grid = page.get_by_role("grid", name="Runs")
        expect(grid.get_by_role("row").nth(1)).to_be_attached()
        grid.evaluate("grid => grid.scrollTo(0, 96)")
    states = {seeing.TREE: 2 * PLACES - 2, seeing.LIST: 2 * PLACES}
    if what in states:
        expect(page.get_by_role("row").filter(has_text="Completed")).to_have_count(states[what])
    elif what == seeing.EVENTS:
        expect(page.get_by_role("log").get_by_role("button")).to_have_count(4)
    elif page.get_by_role("heading", level=1).inner_text() == "scout":
        expect(page.get_by_role("row").filter(has_text="draw")).to_contain_text("completed")
    else:
        expect(page.locator("main header")).to_contain_text("needs input")
        expect(page.get_by_role("textbox", name="Your answer")).to_be_visible()
    return seeing.see(page, what)


def test_what_happened_while_the_page_was_away_is_there_on_return(served: Served, browsers: Browsers) -> None:
    run_id = served.begin("expedition", {"places": PLACES})
    page = browsers.open(served, "/", viewport=LOW)
    before = prepared(page, served, run_id)
    page.goto("about:blank")
    served.open_gate()
    fresh = browsers.open(served, "/", profile="other", viewport=LOW)
    for path, (what, old) in before.items():
        fresh.goto(f"{served.url}{path}")
        page.goto(f"{served.url}{path}")
        expect(fresh.get_by_role("heading", level=1, name=NAMES)).to_be_attached()
        there = arrived(fresh, what)
        if old.get("drafts"):
            assert there["drafts"] == [""]
            there["drafts"] = old["drafts"]
        seeing.assert_seen(page, what, there)
        assert {**there, "scroll": 0} != {**old, "scroll": 0}
