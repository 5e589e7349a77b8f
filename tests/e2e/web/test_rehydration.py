"""Who comes back sees what was there, and what has happened since: after a reload, and in a new window."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Page, expect

from tests.e2e.web import seeing, walking
from tests.e2e.web.conftest import Browsers, Served

PLACES = 6
LIST = "/runs?agent_id=scout&agent_id=mapper&sort=created&order=asc"
LOW = {"width": 1200, "height": 360}
AFAR = 96
"""So far each list is scrolled."""
SCROLLED = {seeing.TREE: "treegrid", seeing.TIMELINE: "treegrid", seeing.EVENTS: "log", seeing.LIST: "grid"}

Seen = dict[str, tuple[str, Any]]
"""What was looked at and seen, by path."""


def scroll_afar(page: Page, what: str) -> None:
    """Scrolls the list there; its rows are those of that place when this is back."""
    page.locator(f"main [role={SCROLLED[what]}]").last.evaluate(
        """async (box, top) => {
          box.scrollTo(0, top);
          for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
        }""",
        AFAR,
    )
    assert seeing.see(page, what)["scroll"] == AFAR


def prepared(page: Page, served: Served, run_id: str) -> Seen:
    """Looks at each screen and leaves something on it."""
    seen: Seen = {}
    row, event = page.get_by_role("row"), page.get_by_role("log").get_by_role("button")

    def note(what: str) -> None:
        if what in SCROLLED:
            scroll_afar(page, what)
        seen[page.url.removeprefix(served.url)] = (what, seeing.see(page, what))

    page.goto(f"{served.url}/runs/{run_id}?tab=tree")
    expect(row.filter(has_text="mapper").filter(has_text="Running")).to_have_count(PLACES)
    row.filter(has_text="scout").nth(1).get_by_role("button", name="Fold").click()
    row.filter(has_text="scout").nth(3).get_by_role("button", name="Fold").click()
    expect(row.filter(has_text="mapper")).to_have_count(PLACES - 2)
    note(seeing.TREE)

    page.get_by_role("tab", name="Timeline").click()
    expect(row.filter(has_text="mapper").first).to_be_visible()
    row.filter(has_text="scout").first.get_by_role("button", name="Fold").click()
    page.get_by_role("button", name="Fold idle time").click()
    note(seeing.TIMELINE)

    page.goto(f"{served.url}/runs/{run_id}?tab=events&level=all")
    expect(event.filter(has_text="input.requested")).to_be_attached()
    expect(event.filter(has_text="child.started")).to_have_count(PLACES)
    event.nth(3).click()
    note(seeing.EVENTS)

    page.goto(f"{served.url}/runs/{run_id}")
    page.get_by_role("textbox", name="Your answer").fill("to the sea, but")
    note(seeing.OVERVIEW)

    scout_id = served.api("GET", "/api/v1/runs?agent_id=scout")["items"][0]["id"]
    page.goto(f"{served.url}/runs/{scout_id}")
    expect(row.filter(has_text="draw")).to_contain_text("running")
    expect(row.filter(has_text="look")).to_contain_text("completed")
    note(seeing.OVERVIEW)

    page.goto(f"{served.url}{LIST}")
    expect(row.filter(has_text="scout")).not_to_have_count(0)
    note(seeing.LIST)
    return seen


def assert_as_before(page: Page, seen: Seen, go: Callable[[Page, str], None]) -> None:
    for path, (what, wanted) in seen.items():
        go(page, path)
        seeing.assert_seen(page, what, wanted)


def load(page: Page, path: str) -> None:
    """Loads the page anew, as who types an address does."""
    page.goto(urljoin(page.url, path))


def test_what_was_looked_at_is_as_before_after_leaving_reloading_and_closing(
    served: Served, browsers: Browsers
) -> None:
    run_id = served.begin("expedition", {"places": PLACES})
    page = browsers.open(served, "/", viewport=LOW)
    seen = prepared(page, served, run_id)
    found = [fields for _, fields in seen.values()]
    tree, timeline, events, overview, scout, runs = found
    assert [one["scroll"] for one in (tree, timeline, events, runs)] == [AFAR] * 4
    assert [row["level"] for row in tree["rows"]] == list("12322322323")
    assert [row["expanded"] for row in timeline["rows"][:4]] == ["true", "false", "false", "true"]
    assert events["chosen"].startswith("4 ")
    assert overview["drafts"] == ["to the sea, but"]
    assert [call[:2] for call in scout["calls"]] == [["draw", "running"], ["look", "completed"]]
    assert len(runs["rows"]) == 2 * PLACES

    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Needs input")).to_be_visible()
    page.go_back()
    seeing.assert_seen(page, *seen[LIST])
    assert_as_before(page, seen, walking.go)
    page.reload()
    seeing.assert_seen(page, *seen[LIST])

    browsers.close()
    assert_as_before(browsers.open(served, "/settings", viewport=LOW), seen, load)


def arrived(page: Page, served: Served, run_id: str, what: str) -> Any:
    """What is seen where the agents are done, by a browser that was never here: it keeps no draft and no place."""
    row = page.get_by_role("row")
    states = {seeing.TREE: 2 * PLACES - 2, seeing.LIST: 2 * PLACES}
    if what in SCROLLED:
        expect(row.or_(page.get_by_role("log").get_by_role("button")).nth(4)).to_be_attached()
        scroll_afar(page, what)
    if what in states:
        expect(row.filter(has_text="Completed")).to_have_count(states[what])
    elif what == seeing.EVENTS:
        count = len(served.api("GET", f"/api/v1/runs/{run_id}/events?limit=1000")["items"])
        expect(page.locator("main").get_by_text(f"{count} of {count}")).to_be_visible()
    elif what == seeing.TIMELINE:
        expect(row.filter(has_text="mapper").first).to_be_visible()
        expect(row.filter(has_text="mapper").locator("button[data-kind=running]")).to_have_count(0)
    elif page.get_by_role("heading", level=1).inner_text() == "scout":
        expect(row.filter(has_text="draw")).to_contain_text("completed")
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
    fresh = browsers.open(served, f"/runs/{run_id}", profile="other", viewport=LOW)
    # It waits for nobody but the person: nothing more happens.
    expect(fresh.locator("main header")).to_contain_text("needs input")
    for path, (what, old) in before.items():
        fresh.goto(f"{served.url}{path}")
        page.goto(f"{served.url}{path}")
        there = arrived(fresh, served, run_id, what)
        if old.get("drafts"):
            assert there["drafts"] == [""]
            there["drafts"] = old["drafts"]
        seeing.assert_seen(page, what, there)
        assert there != old
