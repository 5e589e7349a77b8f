"""Looking around: groups, the menu of a narrow page, what is new, and orders for many runs that outlive the page."""

from datetime import UTC, datetime

import apsw
from playwright.sync_api import expect

from tests.e2e.web.conftest import Browsers, Served

TOLD = "[aria-label='Orders for many runs']"


def test_an_order_for_many_runs_outlives_the_page_and_the_server(served: Served, browsers: Browsers) -> None:
    browsers.may_be_away = True
    ids = [served.begin("journey", {"pace": str(n)}) for n in range(4)]
    page = browsers.open(served, "/runs?top=1")
    expect(page.get_by_role("row").filter(has_text="running")).to_have_count(4)
    page.get_by_label("Do with all runs shown").select_option("stop")
    with page.expect_response(lambda answer: answer.request.method == "POST" and "/bulks" in answer.url):
        page.get_by_role("dialog").get_by_role("button", name="Stop 4 runs").click()
    served.kill()  # what was answered is kept
    served.start()
    page.goto(f"{served.url}/threads")
    told = page.locator(TOLD)
    expect(told).to_contain_text("4 of 4 runs have the order")
    page.reload()
    expect(told).to_contain_text("4 of 4 runs have the order")
    for run_id in ids:
        run = served.api("GET", f"/api/v1/runs/{run_id}")
        orders = served.api("GET", f"/api/v1/runs/{run_id}/commands")["items"]
        assert run["status"] == "cancelled"
        assert [one["verb"] for one in orders if one["verb"] != "start"] == ["stop"]
    other = browsers.open(served, "/", profile="second")
    expect(other.locator(TOLD)).to_contain_text("4 of 4 runs have the order")
    page.get_by_role("button", name="Dismiss: stop").click()
    expect(told).to_have_count(0)


def test_a_refusal_is_named_and_leads_to_its_run(served: Served, browsers: Browsers) -> None:
    served.open_gate()
    run_id = served.begin("journey", {"pace": "slow"})
    page = browsers.open(served, f"/runs/{run_id}")
    expect(page.locator("main header")).to_contain_text("completed")
    served.api("POST", "/api/v1/bulks", {"verb": "stop", "run_ids": [run_id]})
    page.reload()
    expect(page.locator(TOLD)).to_contain_text("0 of 1 run has the order, 1 refused it")
    page.get_by_text("Who refused it, and why").click()
    expect(page.get_by_role("link", name=run_id)).to_be_visible()
    expect(page.locator(TOLD)).to_contain_text("is completed already")


def test_a_list_in_groups_is_the_same_after_a_reload_and_goes_along_by_keys(
    served: Served, browsers: Browsers
) -> None:
    served.open_gate()
    for name in ("journey", "climb"):
        served.begin(name, {"pace": "slow"})
    page = browsers.open(served, "/runs")
    page.get_by_label("Group by").select_option("definition_id")
    grid = page.get_by_role("treegrid", name="Runs")
    heads = grid.locator("[aria-level='1']")
    expect(heads).to_have_count(3)
    expect(heads.filter(has_text="no workflow")).to_contain_text("6")
    expect(grid.locator("[aria-level='2']").filter(has_text="completed")).to_have_count(8)
    page.keyboard.press("j")
    page.keyboard.press("Home")
    expect(heads.first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(heads.first).to_have_attribute("aria-expanded", "false")
    rows = "[...document.querySelectorAll('[role=row][data-key]')].map(one => one.dataset.key)"
    before = page.evaluate(rows)
    page.reload()
    expect(heads.first).to_have_attribute("aria-expanded", "false")
    expect(grid.locator("[data-key]")).to_have_count(len(before))
    assert page.evaluate(rows) == before
    page.go_back()
    expect(page.get_by_role("grid", name="Runs")).to_be_visible()


def test_on_a_narrow_page_the_screens_and_the_way_out_are_in_a_menu(
    served: Served, browsers: Browsers
) -> None:
    page = browsers.open(served, "/", viewport={"width": 360, "height": 740})
    page.get_by_role("button", name="Menu: Home").click()
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Usage").click()
    expect(page).to_have_url(f"{served.url}/usage")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Menu: Usage").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_contain_text("not signed in")
    browsers.close()
    assert all("401 (Unauthorized)" in one for one in browsers.errors)  # the browser's own words on a refusal
    browsers.errors.clear()


def test_what_finished_since_the_last_visit_is_marked_in_every_browser(
    served: Served, browsers: Browsers
) -> None:
    browsers.may_be_away = True
    served.open_gate()
    served.begin("climb", {"pace": "slow"})
    page = browsers.open(served, "/")
    expect(page.get_by_role("heading", name="Completed")).to_be_visible()
    expect(page.get_by_text("new", exact=True)).to_have_count(0)
    seen = served.api("GET", "/api/v1/viewers/browser/seen")["seen"]
    assert seen["before_at"] is None
    before = datetime.now(UTC)
    # The visit ends: the ledger says when, and another browser of the same person is told the same.
    served.kill()
    end_the_visit(served, before)
    served.start()
    for profile in ("second", "third"):
        other = browsers.open(served, "/", profile=profile)
        expect(other.get_by_text("new", exact=True)).to_have_count(1)


def end_the_visit(served: Served, before: datetime) -> None:
    """As if they had been away for an hour before the run finished; no process has the ledger open."""
    db = apsw.Connection(str(served.root / ".runstone" / "ledger.db"))
    db.execute("UPDATE seen SET at = ?", (int(before.timestamp() * 1e6) - 3_600_000_000,))
    db.close()
